//! Garbage collection: marks what the roots reach, and sweeps the rest.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;

use super::{PageSource, PageStore};
use crate::cid::Cid;
use crate::config::Config;
use crate::error::Error;
use crate::page::{Page, Value};
use crate::step::{Child, open_root};
use crate::tree::Tree;
use crate::value;

/// What a record of the application's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// A tree: all its pages and those of its long values are kept. It may be the record itself.
    Tree(Tree),
    /// Another record of the application's, which may name more.
    Record(Cid),
}

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcReport {
    /// How many pages are reachable. Pages put too lately to be judged are not among them.
    pub kept: u64,
    /// How many pages were removed.
    pub removed: u64,
    /// How many bytes these took as the store keeps them, compressed if it compresses.
    pub bytes: u64,
}

/// Removes the pages that nothing names: not the named roots, not `extra`, not the pins.
///
/// Every such root, and every [`Reference::Record`], is given to `links` with its bytes; it says
/// what the record names. Where all roots are trees of one configuration, see [`gc_trees`].
///
/// Readers and writers may go on meanwhile. A reader whose root may lose its name holds a pin
/// ([`PageStore::pin_root`], [`Pins::pin`](super::Pins::pin)). Pages put since the last commit are
/// kept, whether they were new or already there; where several threads commit, each takes
/// [`Pins::pin_writes`](super::Pins::pin_writes) first. Only a put protects a page: asking whether a
/// page is there does not.
///
/// Costs a read of every reachable page but the parts of long values, of which only the presence is
/// asked; memory: an address, about 40 bytes, for each reachable page.
///
/// ```
/// use prolly::{Config, MemoryStore, PageStore, Reference, Tree, gc};
/// let store = MemoryStore::new();
/// let old = Tree::build(&store, Config::default(), [("a", "1")])?;
/// let new = old.edit(&store, [("b", Some("2"))])?;
/// store.swap_root("main", None, Some(new.root))?;
/// let report = gc(&store, &[], |cid, _| {
///     Ok::<_, prolly::Error>(vec![Reference::Tree(Tree::new(Config::default(), *cid))])
/// })?;
/// assert_eq!((report.kept, report.removed), (1, 1));
/// assert_eq!(new.count(&store)?, 2);
/// # Ok::<(), prolly::Error>(())
/// ```
///
/// # Errors
/// A reachable page is missing or damaged, or `links` failed: nothing is removed. Or the store
/// failed, which may leave some of the garbage.
pub fn gc<S, E>(
    store: &S,
    extra: &[Cid],
    mut links: impl FnMut(&Cid, &Bytes) -> Result<Vec<Reference>, E>,
) -> Result<GcReport, E>
where
    S: PageStore + ?Sized,
    E: From<Error>,
{
    let (_collecting, roots) = store.pins().collect(|| store.roots()).map_err(Error::from)?;
    let mut records: BTreeSet<Cid> = BTreeSet::new();
    let mut marked = HashSet::new();
    let mut stack: Vec<_> = roots.into_iter().chain(extra.iter().copied()).map(Reference::Record).collect();
    while let Some(reference) = stack.pop() {
        match reference {
            Reference::Tree(tree) => mark(store, &tree, &mut marked)?,
            Reference::Record(cid) => {
                if records.insert(cid) {
                    let bytes = store.load(&cid).map_err(Error::from)?.ok_or(Error::Missing(cid))?;
                    stack.extend(links(&cid, &bytes)?);
                }
            }
        }
    }
    let (removed, bytes) =
        store.sweep(&|cid| marked.contains(cid) || records.contains(cid)).map_err(Error::from)?;
    marked.extend(records);
    Ok(GcReport { kept: marked.len() as u64, removed, bytes })
}

/// Removes the pages that nothing names, where every named root is a tree with this configuration.
/// See [`gc`].
///
/// # Errors
/// As for [`gc`].
pub fn gc_trees<S: PageStore + ?Sized>(store: &S, config: Config) -> Result<GcReport, Error> {
    gc(store, &[], |cid, _| Ok(vec![Reference::Tree(Tree::new(config, *cid))]))
}

/// Marks all pages of a tree.
fn mark<S>(store: &S, tree: &Tree, marked: &mut HashSet<Cid>) -> Result<(), Error>
where
    S: PageSource + ?Sized,
{
    let root = open_root(store, &tree.config, &tree.root)?.ok_or(Error::Missing(tree.root))?;
    marked.insert(tree.root);
    note(store, &root, marked)?;
    let mut stack: Vec<Child> = Child::all(&root, None).collect();
    while let Some(child) = stack.pop() {
        if !marked.insert(child.cid) {
            continue;
        }
        let page = child.open(store, &tree.config)?.ok_or(Error::Missing(child.cid))?;
        note(store, &page, marked)?;
        stack.extend(Child::all(&page, child.bound().as_ref()).rev());
    }
    Ok(())
}

/// Marks the pages of the long values of a leaf.
fn note<S>(store: &S, page: &Page, marked: &mut HashSet<Cid>) -> Result<(), Error>
where
    S: PageSource + ?Sized,
{
    for index in 0..page.len() {
        if let Some(value @ Value::Linked(..)) = page.value(index) {
            value::mark(store, &value, marked)?;
        }
    }
    Ok(())
}
