//! Moving from page to page on one level of two trees that are sewn together.
//!
//! Up to some key the pages of the left tree count, from there on those of the right one up to another
//! key, and so on. Such a key is a *seam*. On a level above the leaves a page may reach over a seam: then
//! only its items on one side count, and it is *torn*.

use std::ops::Range;

use bytes::Bytes;

use crate::config::Config;
use crate::page::Page;
use crate::store::PageSource;
use crate::tree::Tree;
use crate::walk::{Halt, LevelCursor};

/// A stretch of keys that is taken from the right tree.
#[derive(Debug, Clone)]
pub(crate) struct Splice {
    /// The keys are greater than this one.
    pub(crate) after: Option<Bytes>,
    /// The last key of the stretch in one of the trees; `None`: it reaches to the end.
    pub(crate) last: Option<Bytes>,
}

/// The stretches of the right tree, in order; all others are the left one's.
#[derive(Debug, Clone)]
pub(crate) struct Splices {
    pub(crate) right: Tree,
    pub(crate) stretches: Vec<Splice>,
}

impl Splices {
    /// Returns the keys behind which the pages are another tree's.
    pub(crate) fn seams(&self) -> impl Iterator<Item = &Bytes> {
        self.stretches.iter().flat_map(|splice| splice.after.iter().chain(&splice.last))
    }
}

/// A stretch of keys, and the tree whose pages count there.
#[derive(Debug, Clone)]
struct Patch {
    right: bool,
    after: Option<Bytes>,
    last: Option<Bytes>,
}

impl Patch {
    /// Returns the items of a page that belong to the stretch.
    fn items(&self, page: &Page) -> Range<usize> {
        let behind = |key: &Bytes| page.search(key).map_or_else(|place| place, |found| found + 1);
        let begin = self.after.as_ref().map_or(0, behind);
        let end = self.last.as_ref().map_or(page.len(), behind);
        begin..end.max(begin)
    }
}

/// Stands on one page of a level of the patchwork.
#[derive(Debug)]
pub(crate) struct PatchCursor<'a, S: ?Sized> {
    left: LevelCursor<'a, S>,
    /// `None`: all is the left tree's.
    right: Option<LevelCursor<'a, S>>,
    /// Those with items on this level.
    patches: Vec<Patch>,
    at: usize,
    items: Range<usize>,
}

impl<'a, S: PageSource + ?Sized> PatchCursor<'a, S> {
    /// Stands on the first page of a level, which must not be above a root.
    pub(crate) fn new(
        source: &'a S,
        tree: &Tree,
        splices: Option<&Splices>,
        level: u8,
    ) -> Result<Self, Halt> {
        let open = |tree: &Tree, config: Config| LevelCursor::new(source, config, &tree.root, level);
        let left = open(tree, tree.config)?;
        let right = splices.map(|splices| open(&splices.right, tree.config)).transpose()?;
        let patches = splices.map_or_else(Vec::new, |splices| patches(&splices.stretches));
        let mut cursor = Self { items: 0..left.page().len(), left, right, patches, at: 0 };
        if cursor.right.is_none() {
            cursor.patches.push(Patch { right: false, after: None, last: None });
            return Ok(cursor);
        }
        let mut kept = Vec::with_capacity(cursor.patches.len());
        for index in 0..cursor.patches.len() {
            if cursor.enter_front(index)? {
                kept.extend(cursor.patches.get(index).cloned());
            }
        }
        cursor.patches = kept;
        cursor.at = 0;
        if !cursor.patches.is_empty() {
            cursor.enter_front(0)?;
        }
        Ok(cursor)
    }

    /// Tells whether the level has no items at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.patches.is_empty() || self.items.start == self.items.end
    }

    /// Returns the page, of which only [`items`](Self::items) count.
    pub(crate) fn page(&self) -> &Page {
        self.cursor().page()
    }

    pub(crate) fn items(&self) -> Range<usize> {
        self.items.clone()
    }

    /// Returns the last key that counts.
    pub(crate) fn last_key(&self) -> Bytes {
        match self.items.end.checked_sub(1).filter(|last| *last >= self.items.start) {
            Some(last) => self.page().key_bytes(last),
            None => Bytes::new(),
        }
    }

    /// Tells whether all items of the page count.
    pub(crate) fn is_whole(&self) -> bool {
        self.items == (0..self.page().len())
    }

    /// Tells whether the last item of the page counts, so that the branch above has the page.
    pub(crate) fn ends_whole(&self) -> bool {
        self.items.end == self.page().len()
    }

    pub(crate) fn begins_whole(&self) -> bool {
        self.items.start == 0
    }

    fn cursor(&self) -> &LevelCursor<'a, S> {
        match (&self.right, self.patches.get(self.at)) {
            (Some(right), Some(Patch { right: true, .. })) => right,
            _ => &self.left,
        }
    }

    fn cursor_mut(&mut self) -> &mut LevelCursor<'a, S> {
        match (&mut self.right, self.patches.get(self.at)) {
            (Some(right), Some(Patch { right: true, .. })) => right,
            _ => &mut self.left,
        }
    }

    /// Notes which items of the present page count. `false`: none.
    fn clip(&mut self) -> bool {
        let items = self.patches.get(self.at).map_or(0..0, |patch| patch.items(self.page()));
        self.items = items;
        self.items.start < self.items.end
    }

    /// Goes to the first page of a stretch. `false`: it has no items.
    fn enter_front(&mut self, at: usize) -> Result<bool, Halt> {
        self.at = at;
        match self.patches.get(at).and_then(|patch| patch.after.clone()) {
            None => self.cursor_mut().first()?,
            Some(after) => self.cursor_mut().seek(&after)?,
        }
        // The page may end at the seam, or have no item between two seams.
        Ok(self.clip() || self.goes_on() && self.cursor_mut().next()? && self.clip())
    }

    /// Goes to the last page of a stretch that has items.
    fn enter_back(&mut self, at: usize) -> Result<(), Halt> {
        self.at = at;
        match self.patches.get(at).and_then(|patch| patch.last.clone()) {
            None => self.cursor_mut().last()?,
            Some(last) => self.cursor_mut().seek(&last)?,
        }
        if !self.clip() {
            self.cursor_mut().previous()?;
            self.clip();
        }
        Ok(())
    }

    /// Tells whether the page behind the present one in its tree may have items of the stretch.
    fn goes_on(&self) -> bool {
        let last = self.patches.get(self.at).and_then(|patch| patch.last.as_ref());
        last.is_none_or(|last| self.page().last_key().is_some_and(|key| key < *last))
    }

    /// Goes to the page that holds a key or would hold it: the last one for keys behind all others.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<(), Halt> {
        let ends_before = |patch: &Patch| patch.last.as_ref().is_some_and(|last| &last[..] < key);
        self.at = self.patches.partition_point(ends_before).min(self.patches.len().saturating_sub(1));
        // A key between two stretches that have items: the first page behind it.
        let after = self.patches.get(self.at).and_then(|patch| patch.after.clone());
        if after.is_some_and(|after| key <= &after[..]) {
            self.enter_front(self.at)?;
            return Ok(());
        }
        self.cursor_mut().seek(key)?;
        if self.clip() && self.last_key() >= *key {
            return Ok(());
        }
        if self.is_empty() {
            // Between the items of the stretch and its end: stand on its last page, and go on from there.
            self.enter_back(self.at)?;
        }
        while self.last_key() < *key && self.next()? {}
        Ok(())
    }

    /// Goes to the next page, if there is one.
    pub(crate) fn next(&mut self) -> Result<bool, Halt> {
        if self.goes_on() && self.cursor_mut().next()? {
            if self.clip() {
                return Ok(true);
            }
            self.cursor_mut().previous()?;
            self.clip();
        }
        if self.at + 1 < self.patches.len() {
            self.enter_front(self.at + 1)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Goes to the page before, if there is one.
    pub(crate) fn previous(&mut self) -> Result<bool, Halt> {
        if self.begins_whole() && self.cursor_mut().previous()? {
            if self.clip() {
                return Ok(true);
            }
            self.cursor_mut().next()?;
            self.clip();
        }
        let Some(before) = self.at.checked_sub(1) else { return Ok(false) };
        self.enter_back(before)?;
        Ok(true)
    }

    /// Tells whether no page follows.
    pub(crate) fn is_last(&mut self) -> Result<bool, Halt> {
        if self.at + 1 < self.patches.len() {
            return Ok(false);
        }
        if !self.goes_on() || self.cursor().is_last() {
            return Ok(true);
        }
        let follows = self.next()?;
        if follows {
            self.previous()?;
        }
        Ok(!follows)
    }

    /// Tells whether there are pages of two trees.
    pub(crate) fn is_patched(&self) -> bool {
        self.right.is_some()
    }

    /// Returns the top page of the left tree.
    pub(crate) fn root(&self) -> &Page {
        self.left.root()
    }

    /// Returns the bytes of the items that count, as the boundary rule reckons them.
    pub(crate) fn payload(&self) -> usize {
        self.page().payload_of(self.items())
    }
}

/// Returns all stretches, from the least key to the greatest.
fn patches(splices: &[Splice]) -> Vec<Patch> {
    let mut patches = Vec::with_capacity(2 * splices.len() + 1);
    let mut after: Option<Bytes> = None;
    for splice in splices {
        if splice.after.is_some() && splice.after != after {
            patches.push(Patch { right: false, after: after.clone(), last: splice.after.clone() });
        }
        patches.push(Patch { right: true, after: splice.after.clone(), last: splice.last.clone() });
        after.clone_from(&splice.last);
    }
    if splices.last().is_none_or(|splice| splice.last.is_some()) {
        patches.push(Patch { right: false, after, last: None });
    }
    patches
}
