//! The union of two trees.

use bytes::Bytes;

use crate::config::Config;
use crate::diff::{Change, Diff, Side};
use crate::edit::{Edit, Put};
use crate::error::Error;
use crate::page::Value;
use crate::step::{Frontier, Step};
use crate::store::{PageSink, PageSource};
use crate::tree::Tree;
use crate::value::{self, ReadValue};

/// Makes the union of two trees: all pairs of both, in steps.
///
/// Where both have a key with different values, the resolver says which value the union has. It
/// must not depend on which tree is left and which is right, or the union will. Costs the pages in
/// which the trees differ, and what editing the left tree costs; subtrees that only the left tree has are
/// not read. Memory: every pair that the left tree lacks.
///
/// ```
/// use prolly::{Config, MemoryStore, Step, Tree, Union};
/// let store = MemoryStore::new();
/// let left = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
/// let right = Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?;
/// let mut union = Union::new(left, right, |_key, ours, theirs| ours.max(theirs))?;
/// let Step::Ready(both) = union.step(&store, &store)? else { unreachable!("all pages are here") };
/// assert_eq!(both.count(&store)?, 3);
/// # Ok::<(), prolly::Error>(())
/// ```
pub struct Union<R> {
    left: Tree,
    diff: Diff,
    resolve: R,
    /// What the right tree has and the left has not; all is known when the comparison has ended.
    changes: Vec<Change>,
    compared: bool,
    /// What to write into the left tree, one for every change that is decided.
    puts: Vec<Put>,
    edit: Option<Edit>,
}

impl<R: FnMut(&[u8], Bytes, Bytes) -> Bytes> Union<R> {
    /// Begins the union. The resolver is given the key and both values.
    ///
    /// ```
    /// # use prolly::{Config, Error, MemoryStore, Tree, Union};
    /// # let store = MemoryStore::new();
    /// # let left = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
    /// # let right = Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?;
    ///
    /// assert!(Union::new(left, right, |_key, ours, theirs| ours.max(theirs)).is_ok());
    /// let other = Tree::empty(&store, Config { key_max: 100, ..Config::default() })?;
    /// let refused = Union::new(left, other, |_key, ours, theirs| ours.max(theirs));
    /// assert!(matches!(refused, Err(Error::ConfigMismatch)));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ConfigMismatch`]: the trees have different configurations.
    pub fn new(left: Tree, right: Tree, resolve: R) -> Result<Self, Error> {
        let diff = Diff::new(left, right)?.only(Side::Right);
        let (changes, puts) = (Vec::new(), Vec::new());
        Ok(Self { left, diff, resolve, changes, compared: false, puts, edit: None })
    }

    /// Goes on. The sink is the store of the left tree; the union's new pages go there.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, Tree, Union};
    /// # let store = MemoryStore::new();
    /// # let left = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
    /// # let right = Tree::build(&store, Config::default(), [("b", "2"), ("c", "3")])?;
    ///
    /// let mut union = Union::new(left, right, |_key, ours, theirs| ours.max(theirs))?;
    /// let both = union.step(&store, &store)?.complete()?;
    /// assert_eq!(both.rank(&store, b"c")?, 2, "a and b come before it");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// A store failed, or a page is damaged.
    pub fn step<S, W>(&mut self, source: &S, sink: &W) -> Result<Step<Tree>, Error>
    where
        S: PageSource + ?Sized,
        W: PageSink + ?Sized,
    {
        if let Some(edit) = &mut self.edit {
            return edit.step(source, sink);
        }
        while !self.compared {
            match self.diff.step(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(Some(change)) => self.changes.push(change),
                Step::Ready(None) => self.compared = true,
            }
        }
        while let Some(change) = self.changes.get(self.puts.len()) {
            let Some(value) = decide(&self.left.config, change, &mut self.resolve, source, sink)? else {
                return self.missing(source);
            };
            self.puts.push(Put { key: change.key.clone(), value: Some(value) });
        }
        let edit = Edit::of_values(self.left, std::mem::take(&mut self.puts));
        self.edit.insert(edit).step(source, sink)
    }

    /// Reports the pages of all values that are still needed and missing.
    fn missing<S: PageSource + ?Sized>(&self, source: &S) -> Result<Step<Tree>, Error> {
        let mut frontier = Frontier::default();
        for change in self.changes.iter().skip(self.puts.len()) {
            if frontier.is_full() {
                break;
            }
            for value in change.left.iter().chain(&change.right) {
                value::missing(source, value, &mut frontier)?;
            }
        }
        Ok(frontier.into_step())
    }
}

/// Returns what to write into the left tree. `None`: a page of a value is missing.
fn decide<S, W>(
    config: &Config,
    change: &Change,
    resolve: &mut impl FnMut(&[u8], Bytes, Bytes) -> Bytes,
    source: &S,
    sink: &W,
) -> Result<Option<Value>, Error>
where
    S: PageSource + ?Sized,
    W: PageSink + ?Sized,
{
    let read = |value: &Value| ReadValue::new(value.clone()).step(source);
    Ok(match (&change.left, &change.right) {
        (Some(left), Some(right)) => match (read(left)?, read(right)?) {
            (Step::Ready(left), Step::Ready(right)) => {
                Some(value::place(sink, config, resolve(&change.key, left, right))?)
            }
            _ => None,
        },
        (Some(value), None) | (None, Some(value)) => match value::copy(source, sink, value)? {
            Step::Ready(()) => Some(value.clone()),
            Step::Missing(_) => None,
        },
        (None, None) => None,
    })
}
