//! Finding one key.

use bytes::Bytes;

use crate::cid::Cid;
use crate::error::Error;
use crate::page::{Page, Value};
use crate::step::{Step, open_child, open_root};
use crate::store::PageSource;
use crate::tree::Tree;

/// Finds the value of a key, in steps. Costs one page per level of the tree.
///
/// ```
/// use prolly::{Config, Get, MemoryStore, Step, Tree};
/// let here = MemoryStore::new();
/// let tree = Tree::build(&here, Config::default(), [("a", "1")])?;
/// // A source without the page says what it lacks.
/// let mut get = Get::new(tree, b"a".to_vec());
/// assert_eq!(get.step(&MemoryStore::new())?, Step::Missing(vec![tree.root]));
/// assert!(matches!(get.step(&here)?, Step::Ready(Some(_))));
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct Get {
    tree: Tree,
    key: Bytes,
}

impl Get {
    /// Begins to look for a key.
    ///
    /// ```
    /// # use prolly::{Config, Get, MemoryStore, Tree, Value};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut get = Get::new(tree, "b");
    /// assert_eq!(get.step(&store)?.complete()?, Some(Value::Inline("2".into())));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn new(tree: Tree, key: impl Into<Bytes>) -> Self {
        Self { tree, key: key.into() }
    }

    /// Looks on, from the root: pages already there are soon passed again.
    ///
    /// ```
    /// # use prolly::{Config, Get, MemoryStore, Step, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut get = Get::new(tree, "x");
    /// assert_eq!(get.step(&MemoryStore::new())?, Step::Missing(vec![tree.root]));
    /// assert_eq!(get.step(&store)?, Step::Ready(None));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed, or a page is damaged.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Option<Value>>, Error> {
        find(&self.tree, &self.key, source)
    }
}

pub(crate) fn find<S>(tree: &Tree, key: &[u8], source: &S) -> Result<Step<Option<Value>>, Error>
where
    S: PageSource + ?Sized,
{
    let choose = |page: &Page| Some(page.lower_bound(key)).filter(|index| *index < page.len());
    let leaf = descend(tree, source, choose)?;
    Ok(leaf.map(|leaf| leaf.and_then(|leaf| leaf.value(leaf.search(key).ok()?))))
}

/// Goes from the root down to a leaf, through the child chosen in every branch. `None`: there was
/// none to choose. Costs one page per level.
pub(crate) fn descend<S>(
    tree: &Tree,
    source: &S,
    mut choose: impl FnMut(&Page) -> Option<usize>,
) -> Result<Step<Option<Page>>, Error>
where
    S: PageSource + ?Sized,
{
    let missing = |cid: Cid| Ok(Step::Missing(vec![cid]));
    let Some(mut page) = open_root(source, &tree.config, &tree.root)? else { return missing(tree.root) };
    // The last branch in which the way went on behind a first child.
    let mut after: Option<(Page, usize)> = None;
    while page.level() > 0 {
        let Some((index, cid)) = choose(&page).and_then(|index| Some((index, page.child(index)?))) else {
            return Ok(Step::Ready(None));
        };
        let behind = after.as_ref().map(|(branch, before)| branch.key(*before));
        let Some(below) = open_child(source, &tree.config, &page, index, behind)? else {
            return missing(cid);
        };
        let branch = std::mem::replace(&mut page, below);
        if let Some(before) = index.checked_sub(1) {
            after = Some((branch, before));
        }
    }
    Ok(Step::Ready(Some(page)))
}
