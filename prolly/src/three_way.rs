//! Merging two trees that grew from a third.

use bytes::Bytes;

use crate::diff::{Change, Diff};
use crate::edit::{Edit, Put};
use crate::error::Error;
use crate::page::Value;
use crate::range::KeyRange;
use crate::scan::Scan;
use crate::step::{Frontier, Step};
use crate::store::{PageSink, PageSource};
use crate::tree::Tree;
use crate::value::{self, ReadValue};

/// The values of a key that both sides changed, each in its own way; `None`: not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The value in the tree that both grew from.
    pub base: Option<Bytes>,
    /// The value on the left.
    pub left: Option<Bytes>,
    /// The value on the right.
    pub right: Option<Bytes>,
}

/// What becomes of a key that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// It has this value.
    Put(Bytes),
    /// It is gone.
    Remove,
    /// Nobody knows: the merge fails with [`Error::Conflict`] and makes no tree.
    Refuse,
}

impl From<Option<Bytes>> for Resolution {
    fn from(value: Option<Bytes>) -> Self {
        value.map_or(Self::Remove, Self::Put)
    }
}

/// Merges two trees that grew from a third: the changes of both, in steps.
///
/// A key that one side changed has that side's value, or is gone if that side removed it. Where both
/// changed a key in the same way, that is the result; where they changed it differently the resolver
/// says what the key becomes. If the resolver gives the same answer with left and
/// right exchanged, so does the merge.
///
/// Costs the pages in which the right tree and the base differ, those on the way to the keys that
/// differ there in the left tree, and what editing these costs. Subtrees that only the left side
/// changed are kept as they are and not read: let the side that changed more be the left one. Values
/// out of line that the right side changed are read. Memory: every change of the right side.
///
/// ```
/// use prolly::{Config, MemoryStore, Merge, Step, Tree};
/// let store = MemoryStore::new();
/// let base = Tree::build(&store, Config::default(), [("bridge", "wood"), ("well", "deep")])?;
/// let left = base.edit(&store, [("bridge", Some("stone")), ("school", Some("brick"))])?;
/// let right = base.edit(&store, [("bridge", Some("steel")), ("well", None)])?;
/// let mut merge = Merge::new(base, left, right, |_key, both| both.left.max(both.right).into())?;
/// let Step::Ready(merged) = merge.step(&store, &store)? else { unreachable!("all pages are here") };
/// let expected = [("bridge", "stone"), ("school", "brick")];
/// assert_eq!(merged, Tree::build(&store, Config::default(), expected)?);
/// # Ok::<(), prolly::Error>(())
/// ```
pub struct Merge<R> {
    left: Tree,
    /// Both sides are the same already.
    equal: bool,
    diff: Diff,
    resolve: R,
    /// What the right side changed, in order of keys.
    changes: Vec<Change>,
    scan: Option<Scan>,
    /// The pairs of the left tree under the keys that the right side changed, in order.
    found: Vec<(Bytes, Value)>,
    /// How many changes and found pairs are decided.
    decided: (usize, usize),
    puts: Vec<Put>,
    edit: Option<Edit>,
}

impl<R: FnMut(&[u8], Conflict) -> Resolution> Merge<R> {
    /// Begins to merge.
    ///
    /// # Errors
    /// [`Error::ConfigMismatch`]: the trees have different configurations.
    pub fn new(base: Tree, left: Tree, right: Tree, resolve: R) -> Result<Self, Error> {
        if base.config != left.config {
            return Err(Error::ConfigMismatch);
        }
        Ok(Self {
            left,
            equal: left == right,
            diff: Diff::new(base, right)?,
            resolve,
            changes: Vec::new(),
            scan: None,
            found: Vec::new(),
            decided: (0, 0),
            puts: Vec::new(),
            edit: None,
        })
    }

    /// Goes on. The sink is the store of the left tree; new pages go there.
    ///
    /// # Errors
    /// A store failed, a page is damaged, the resolver refused, or what it gave is too long.
    pub fn step<S, W>(&mut self, source: &S, sink: &W) -> Result<Step<Tree>, Error>
    where
        S: PageSource + ?Sized,
        W: PageSink + ?Sized,
    {
        if self.equal {
            return Ok(Step::Ready(self.left));
        }
        if let Some(edit) = &mut self.edit {
            return edit.step(source, sink);
        }
        if self.scan.is_none() {
            loop {
                match self.diff.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(Some(change)) => self.changes.push(change),
                    Step::Ready(None) => break,
                }
            }
        }
        let points = || self.changes.iter().map(|change| KeyRange::point(&change.key)).collect();
        let scan = self.scan.get_or_insert_with(|| Scan::new(self.left, points()));
        loop {
            match scan.step(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(Some(run)) => self.found.extend(run.pairs()),
                Step::Ready(None) => break,
            }
        }
        while self.decided.0 < self.changes.len() {
            if !self.decide(source, sink)? {
                return self.missing(source);
            }
        }
        let edit = Edit::of_values(self.left, std::mem::take(&mut self.puts));
        self.edit.insert(edit).step(source, sink)
    }

    /// Reports the pages of all values that are still needed and missing.
    fn missing<S: PageSource + ?Sized>(&self, source: &S) -> Result<Step<Tree>, Error> {
        let mut frontier = Frontier::default();
        let (next, mut place) = self.decided;
        for change in self.changes.iter().skip(next) {
            if frontier.is_full() {
                break;
            }
            let left = self.left_value(change, place);
            let values = match Case::of(change, left) {
                Case::Right => [None, None, change.right.as_ref()],
                Case::Same => [None; 3],
                Case::Both => [change.left.as_ref(), left, change.right.as_ref()],
            };
            for value in values.into_iter().flatten() {
                value::missing(source, value, &mut frontier)?;
            }
            place += usize::from(left.is_some());
        }
        Ok(frontier.into_step())
    }

    fn left_value(&self, change: &Change, place: usize) -> Option<&Value> {
        let found = self.found.get(place).filter(|(key, _)| *key == change.key);
        found.map(|(_, value)| value)
    }

    /// Decides the next change. `false`: a page of a value that it needs is missing.
    fn decide<S, W>(&mut self, source: &S, sink: &W) -> Result<bool, Error>
    where
        S: PageSource + ?Sized,
        W: PageSink + ?Sized,
    {
        let (next, place) = self.decided;
        let Some(change) = self.changes.get(next) else { return Ok(true) };
        let left = self.left_value(change, place);
        let has_left = left.is_some();
        let put = match Case::of(change, left) {
            Case::Same => None,
            Case::Right => {
                let copied =
                    change.right.as_ref().map(|right| value::copy(source, sink, right)).transpose()?;
                if let Some(Step::Missing(_)) = copied {
                    return Ok(false);
                }
                Some(change.right.clone())
            }
            Case::Both => {
                let mut values = [None, None, None];
                let sides = [change.left.as_ref(), left, change.right.as_ref()];
                for (value, bytes) in sides.into_iter().zip(&mut values) {
                    match value.map(|value| ReadValue::new(value.clone()).step(source)).transpose()? {
                        Some(Step::Missing(_)) => return Ok(false),
                        Some(Step::Ready(read)) => *bytes = Some(read),
                        None => {}
                    }
                }
                let [base, left, right] = values;
                match (self.resolve)(&change.key, Conflict { base, left, right }) {
                    Resolution::Put(merged) => Some(Some(value::place(sink, &self.left.config, merged)?)),
                    Resolution::Remove => Some(None),
                    Resolution::Refuse => return Err(Error::Conflict { key: change.key.clone() }),
                }
            }
        };
        self.puts.extend(put.map(|value| Put { key: change.key.clone(), value }));
        self.decided = (next + 1, place + usize::from(has_left));
        Ok(true)
    }
}

/// What a change of the right side meets on the left.
enum Case {
    /// The left side did not change the key: the right value is taken.
    Right,
    /// The left side made the same change.
    Same,
    /// Both changed it, each in its own way.
    Both,
}

impl Case {
    fn of(change: &Change, left: Option<&Value>) -> Self {
        if left == change.left.as_ref() {
            Self::Right
        } else if left == change.right.as_ref() {
            Self::Same
        } else {
            Self::Both
        }
    }
}

impl Tree {
    /// Merges this tree and another that grew from the same base. See [`Merge`], also for the cost.
    ///
    /// ```
    /// use prolly::{Config, MemoryStore, Tree};
    /// let store = MemoryStore::new();
    /// let base = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
    /// let left = base.edit(&store, [("a", Some("one"))])?;
    /// let right = base.edit(&store, [("b", None), ("c", Some("3"))])?;
    /// let merged = left.merge(&base, &right, &store, &store, |_, both| both.left.max(both.right).into())?;
    /// assert_eq!(merged, Tree::build(&store, Config::default(), [("a", "one"), ("c", "3")])?);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ConfigMismatch`]; [`Error::Conflict`]; a page is missing or damaged, or a store failed.
    pub fn merge<S, W>(
        &self,
        base: &Self,
        other: &Self,
        source: &S,
        sink: &W,
        resolve: impl FnMut(&[u8], Conflict) -> Resolution,
    ) -> Result<Self, Error>
    where
        S: PageSource + ?Sized,
        W: PageSink + ?Sized,
    {
        Merge::new(*base, *self, *other, resolve)?.step(source, sink)?.complete()
    }
}
