//! Moving from page to page on one level of a tree.

use crate::cid::Cid;
use crate::config::Config;
use crate::error::Error;
use crate::page::Page;
use crate::step::{open_child, open_root};
use crate::store::PageSource;

/// Why a walk stopped short.
#[derive(Debug)]
pub(crate) enum Halt {
    /// A page is missing.
    Missing(Cid),
    /// The store failed, or a page is damaged.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Stands on one page of a level.
#[derive(Debug)]
pub(crate) struct LevelCursor<'a, S: ?Sized> {
    source: &'a S,
    config: Config,
    level: u8,
    root: Page,
    /// The branches above the page, from the root, and the child taken in each.
    path: Vec<(Page, usize)>,
    page: Page,
}

impl<'a, S: PageSource + ?Sized> LevelCursor<'a, S> {
    /// Stands on some page of a level, which must not be above the root.
    pub(crate) fn new(source: &'a S, config: Config, root: &Cid, level: u8) -> Result<Self, Halt> {
        let root = open_root(source, &config, root)?.ok_or(Halt::Missing(*root))?;
        let mut cursor = Self { source, config, level, page: root.clone(), root, path: Vec::new() };
        cursor.first()?;
        Ok(cursor)
    }

    pub(crate) const fn page(&self) -> &Page {
        &self.page
    }

    pub(crate) const fn root(&self) -> &Page {
        &self.root
    }

    /// Goes to the first page of the level.
    pub(crate) fn first(&mut self) -> Result<(), Halt> {
        self.up_to_root();
        self.descend(|_| 0)
    }

    /// Goes to the last page of the level.
    pub(crate) fn last(&mut self) -> Result<(), Halt> {
        self.up_to_root();
        self.descend(|branch| branch.len() - 1)
    }

    /// Goes to the page that holds a key or would hold it: the last one for keys behind all others.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<(), Halt> {
        self.up_to_root();
        self.descend(|branch| branch.lower_bound(key).min(branch.len() - 1))
    }

    /// Tells whether no page of the level follows.
    pub(crate) fn is_last(&self) -> bool {
        self.path.iter().all(|(branch, index)| index + 1 == branch.len())
    }

    /// Goes to the next page, if there is one.
    pub(crate) fn next(&mut self) -> Result<bool, Halt> {
        let Some(turn) = self.path.iter().rposition(|(branch, index)| index + 1 < branch.len()) else {
            return Ok(false);
        };
        let (branch, index) = self.path[turn].clone();
        self.path.truncate(turn);
        self.enter(branch, index + 1)?;
        self.descend(|_| 0)?;
        Ok(true)
    }

    /// Goes to the page before, if there is one.
    pub(crate) fn previous(&mut self) -> Result<bool, Halt> {
        let Some(turn) = self.path.iter().rposition(|(_, index)| *index > 0) else { return Ok(false) };
        let (branch, index) = self.path[turn].clone();
        self.path.truncate(turn);
        self.enter(branch, index - 1)?;
        self.descend(|branch| branch.len() - 1)?;
        Ok(true)
    }

    fn up_to_root(&mut self) {
        self.path.clear();
        self.page = self.root.clone();
    }

    /// Goes down to the level; branches have at least two children.
    fn descend(&mut self, choose: impl Fn(&Page) -> usize) -> Result<(), Halt> {
        while self.page.level() > self.level {
            let branch = self.page.clone();
            let index = choose(&branch);
            self.enter(branch, index)?;
        }
        Ok(())
    }

    /// Opens a child of a branch whose path is the present one.
    fn enter(&mut self, branch: Page, index: usize) -> Result<(), Halt> {
        let above = self.path.iter().rev();
        let after = above.filter_map(|(above, taken)| Some(above.key(taken.checked_sub(1)?))).next();
        if let Some(cid) = branch.child(index) {
            let page = open_child(self.source, &self.config, &branch, index, after)?;
            self.page = page.ok_or(Halt::Missing(cid))?;
        }
        self.path.push((branch, index));
        Ok(())
    }
}
