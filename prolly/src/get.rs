//! Finding one key.

use bytes::Bytes;

use crate::cid::Cid;
use crate::error::Error;
use crate::page::{Link, Page, Value};
use crate::step::{Step, open, open_root};
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
    #[must_use]
    pub fn new(tree: Tree, key: impl Into<Bytes>) -> Self {
        Self { tree, key: key.into() }
    }

    /// Looks on, from the root: pages already there are soon passed again.
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
    let missing = |cid: Cid| Ok(Step::Missing(vec![cid]));
    let Some(mut page) = open_root(source, &tree.config, &tree.root)? else { return missing(tree.root) };
    let mut after: Option<Bytes> = None;
    while page.level() > 0 {
        let index = page.lower_bound(key);
        if index == page.len() {
            return Ok(Step::Ready(None));
        }
        let Some(link) = page.link(index, after.as_ref()) else { break };
        match open(source, &tree.config, &link)? {
            None => return missing(link.cid),
            Some(below) => page = below,
        }
        let Link { after: lower, .. } = link;
        after = lower;
    }
    Ok(Step::Ready(value_of(&page, key)))
}

fn value_of(leaf: &Page, key: &[u8]) -> Option<Value> {
    leaf.search(key).ok().and_then(|index| leaf.value(index))
}
