//! Operations that can wait for pages.
//!
//! Every reading operation takes steps. A step runs as far as the pages of a [`PageSource`] allow:
//! to its result, or to the pages it lacks. Then it reports all that it can tell it will need, not
//! only the first, and goes on once they are there. Whoever drives the operation decides where
//! missing pages come from: a local store has them all, a remote peer sends them, and where a proof
//! lacks one, the proof is refused. The operations themselves are the same.

use std::collections::BTreeSet;

use crate::cid::Cid;
use crate::config::Config;
use crate::error::{Error, StoreError};
use crate::page::{Page, PageError};
use crate::store::PageSource;

/// A step reports at most this many missing pages at once; it reports more when these are there.
pub const MAX_FRONTIER: usize = 1024;

/// How far an operation came.
///
/// ```
/// # use prolly::{Config, Get, MemoryStore, Step, Tree};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// let mut get = Get::new(tree, "a");
/// match get.step(&MemoryStore::new())? {
///     Step::Ready(_) => unreachable!("nothing is here"),
///     // Whoever drives the operation fetches these pages, and steps again.
///     Step::Missing(cids) => assert_eq!(cids, [tree.root]),
/// }
/// assert!(matches!(get.step(&store)?, Step::Ready(Some(_))));
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// It has its result, or its next one.
    Ready(T),
    /// It needs these pages, and can go on when at least one of them is there.
    Missing(Vec<Cid>),
}

impl<T> Step<T> {
    /// Changes the result, if there is one.
    ///
    /// ```
    /// use prolly::Step;
    /// assert_eq!(Step::Ready(20).map(|count| count + 1), Step::Ready(21));
    /// ```
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Ready(result) => Step::Ready(change(result)),
            Self::Missing(cids) => Step::Missing(cids),
        }
    }

    /// Takes the result where every page must be at hand.
    ///
    /// ```
    /// use prolly::{Cid, Error, Step};
    /// assert_eq!(Step::Ready(20).complete()?, 20);
    /// let lacking = Step::<u64>::Missing(vec![Cid::of(b"page")]);
    /// assert!(matches!(lacking.complete(), Err(Error::Missing(cid)) if cid == Cid::of(b"page")));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Missing`]: a page was not.
    pub fn complete(self) -> Result<T, Error> {
        match self {
            Self::Ready(result) => Ok(result),
            Self::Missing(cids) => Err(Error::Missing(cids.first().copied().unwrap_or_else(|| Cid::of(b"")))),
        }
    }
}

/// The missing pages seen so far, each once, in the order in which they are needed.
#[derive(Debug, Default)]
pub(crate) struct Frontier {
    order: Vec<Cid>,
    seen: BTreeSet<Cid>,
}

impl Frontier {
    pub(crate) fn add(&mut self, cid: Cid) {
        if !self.is_full() && self.seen.insert(cid) {
            self.order.push(cid);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.order.len() >= MAX_FRONTIER
    }

    pub(crate) fn into_step<T>(self) -> Step<T> {
        Step::Missing(self.order)
    }
}

/// Opens the top page of a tree. `None`: it is missing.
pub(crate) fn open_root<S>(source: &S, config: &Config, root: &Cid) -> Result<Option<Page>, Error>
where
    S: PageSource + ?Sized,
{
    config.validate()?;
    let Some(page) = fetch(source, root)? else { return Ok(None) };
    page.within(config).map_err(Error::page(root))?;
    Ok(Some(page))
}

/// Opens a child of a branch, and checks it against the branch and what the first key must be behind.
/// `None`: it is missing.
pub(crate) fn open_child<S>(
    source: &S,
    config: &Config,
    branch: &Page,
    index: usize,
    after: Option<&[u8]>,
) -> Result<Option<Page>, Error>
where
    S: PageSource + ?Sized,
{
    let Some(page) = source.child(branch, index).map_err(store_error)? else { return Ok(None) };
    let check = || {
        page.within(config)?;
        if !branch.has_opened(index, &page) {
            page.fits_at(branch, index)?;
            branch.remember(index, &page);
        }
        if index == 0 {
            page.begins_behind(after)?;
        }
        ends_well(&page, config, index + 1 < branch.len())
    };
    check().map_err(Error::page(page.cid()))?;
    Ok(Some(page))
}

/// A key of a branch.
pub(crate) type Bound = (Page, usize);

/// A child of a branch that is not opened yet.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(crate) cid: Cid,
    branch: Page,
    index: usize,
    /// All keys of the branch are behind this one.
    after: Option<Bound>,
}

impl Child {
    /// Returns the children of a page, all of whose keys are behind some key; a leaf has none.
    pub(crate) fn all<'a>(
        branch: &'a Page,
        after: Option<&'a Bound>,
    ) -> impl DoubleEndedIterator<Item = Self> + 'a {
        (0..branch.len()).filter_map(move |index| {
            let cid = branch.child(index)?;
            Some(Self { cid, branch: branch.clone(), index, after: after.cloned() })
        })
    }

    /// Returns the key behind which all keys of the child are.
    pub(crate) fn bound(&self) -> Option<Bound> {
        match self.index.checked_sub(1) {
            Some(before) => Some((self.branch.clone(), before)),
            None => self.after.clone(),
        }
    }

    /// Opens it. `None`: it is missing.
    pub(crate) fn open<S>(&self, source: &S, config: &Config) -> Result<Option<Page>, Error>
    where
        S: PageSource + ?Sized,
    {
        let after = self.after.as_ref().map(|(branch, index)| branch.key(*index));
        open_child(source, config, &self.branch, self.index, after)
    }
}

/// Checks that a page is long enough if another follows it in their branch.
fn ends_well(page: &Page, config: &Config, followed: bool) -> Result<(), PageError> {
    let short = followed && page.payload() < config.window(page.level()).0;
    if short { Err(PageError::Boundary) } else { Ok(()) }
}

fn fetch<S: PageSource + ?Sized>(source: &S, cid: &Cid) -> Result<Option<Page>, Error> {
    source.page(cid).map_err(store_error)
}

fn store_error(error: StoreError) -> Error {
    match error {
        StoreError::Page { cid, source } => Error::Page { cid, source },
        other => Error::Store(other),
    }
}
