//! The union of two trees.

use bytes::Bytes;

use crate::config::Config;
use crate::diff::{Change, Diff};
use crate::edit::{Edit, Put};
use crate::error::Error;
use crate::page::Value;
use crate::step::Step;
use crate::store::{PageSink, PageSource};
use crate::tree::Tree;
use crate::value;

/// Makes the union of two trees: all pairs of both, in steps.
///
/// Where both have a key with different values, the resolver says which value the union has. It
/// must not depend on which tree is left and which is right, or the union will. Costs what differs.
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
    puts: Vec<Put>,
    /// A change whose values are still being read.
    pending: Option<Change>,
    edit: Option<Edit>,
}

impl<R: FnMut(&[u8], Bytes, Bytes) -> Bytes> Union<R> {
    /// Begins the union. The resolver is given the key and both values.
    ///
    /// # Errors
    /// [`Error::ConfigMismatch`]: the trees have different configurations.
    pub fn new(left: Tree, right: Tree, resolve: R) -> Result<Self, Error> {
        let diff = Diff::new(left, right)?;
        Ok(Self { left, diff, resolve, puts: Vec::new(), pending: None, edit: None })
    }

    /// Goes on. The sink is the store of the left tree; the union's new pages go there.
    ///
    /// # Errors
    /// A store failed, or a page is damaged.
    pub fn step<S, W>(&mut self, source: &S, sink: &W) -> Result<Step<Tree>, Error>
    where
        S: PageSource + ?Sized,
        W: PageSink + ?Sized,
    {
        loop {
            if let Some(edit) = &mut self.edit {
                return edit.step(source, sink);
            }
            if let Some(change) = &self.pending {
                match decide(&self.left.config, change, &mut self.resolve, source, sink)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(put) => self.puts.extend(put),
                }
                self.pending = None;
            }
            match self.diff.step(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(Some(change)) => self.pending = Some(change),
                Step::Ready(None) => {
                    self.edit = Some(Edit::of_values(self.left, std::mem::take(&mut self.puts)));
                }
            }
        }
    }
}

/// Returns what to write into the left tree.
fn decide<S, W>(
    config: &Config,
    change: &Change,
    resolve: &mut impl FnMut(&[u8], Bytes, Bytes) -> Bytes,
    source: &S,
    sink: &W,
) -> Result<Step<Option<Put>>, Error>
where
    S: PageSource + ?Sized,
    W: PageSink + ?Sized,
{
    let put = |value| Ok(Step::Ready(Some(Put { key: change.key.clone(), value: Some(value) })));
    match (&change.left, &change.right) {
        (_, None) => Ok(Step::Ready(None)),
        (None, Some(right)) => match value::copy(source, sink, right)? {
            Step::Missing(cids) => Ok(Step::Missing(cids)),
            Step::Ready(()) => put(right.clone()),
        },
        (Some(left), Some(right)) => match (read(left, source)?, read(right, source)?) {
            (Step::Ready(left), Step::Ready(right)) => {
                let value = resolve(&change.key, left, right);
                put(value::place(sink, config, value)?)
            }
            (Step::Missing(mut left), Step::Missing(right)) => {
                left.extend(right);
                Ok(Step::Missing(left))
            }
            (Step::Missing(cids), _) | (_, Step::Missing(cids)) => Ok(Step::Missing(cids)),
        },
    }
}

fn read<S: PageSource + ?Sized>(value: &Value, source: &S) -> Result<Step<Bytes>, Error> {
    value::ReadValue::new(value.clone()).step(source)
}
