//! Merging two trees that grew from a third.

mod meetings;

use bytes::Bytes;

use self::meetings::{Found, Meeting, Meetings};
use crate::edit::{Edit, Put};
use crate::error::Error;
use crate::patchwork::{Splice, Splices};
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
/// Subtrees that only one side changed are taken over as they are and not read: long stretches of the
/// right tree by sewing its pages to those of the left one, where only the pages around the ends are cut
/// anew. Costs the pages in which all three trees differ, the branches that lead to short changes of the
/// right side, a few pages per level around the ends of long ones, and what the puts cost. Memory: every
/// key that the right side changed outside such stretches.
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
    base: Tree,
    left: Tree,
    right: Tree,
    reuse: bool,
    resolve: R,
    walk: Option<Meetings>,
    compared: bool,
    /// What the right side changed, in order of keys.
    meetings: Vec<Meeting>,
    splices: Vec<Splice>,
    /// How many meetings are decided.
    decided: usize,
    puts: Vec<Put>,
    edit: Option<Edit>,
}

impl<R: FnMut(&[u8], Conflict) -> Resolution> Merge<R> {
    /// Begins to merge.
    ///
    /// # Errors
    /// [`Error::ConfigMismatch`]: the trees have different configurations.
    pub fn new(base: Tree, left: Tree, right: Tree, resolve: R) -> Result<Self, Error> {
        if base.config != left.config || base.config != right.config {
            return Err(Error::ConfigMismatch);
        }
        Ok(Self {
            base,
            left,
            right,
            reuse: true,
            resolve,
            walk: None,
            compared: false,
            meetings: Vec::new(),
            splices: Vec::new(),
            decided: 0,
            puts: Vec::new(),
            edit: None,
        })
    }

    /// Copies all that only the right side changed into the sink, instead of taking it over unread: for a
    /// right tree whose pages are not all where the sink is. To be called before the first step.
    #[must_use]
    pub fn copying(mut self) -> Self {
        self.reuse = false;
        self
    }

    /// Goes on. The sink is the store of the left tree, and of the right one unless the merge is
    /// [`copying`](Self::copying); new pages go there.
    ///
    /// # Errors
    /// A store failed, a page is damaged, the resolver refused, or what it gave is too long.
    pub fn step<S, W>(&mut self, source: &S, sink: &W) -> Result<Step<Tree>, Error>
    where
        S: PageSource + ?Sized,
        W: PageSink + ?Sized,
    {
        if self.left == self.right || self.base == self.right {
            return Ok(Step::Ready(self.left));
        }
        if self.base == self.left && self.reuse {
            return Ok(Step::Ready(self.right));
        }
        if let Some(edit) = &mut self.edit {
            return edit.step(source, sink);
        }
        let new = || Meetings::new(self.base, self.left, self.right, self.reuse);
        let walk = self.walk.get_or_insert_with(new);
        while !self.compared {
            match walk.step(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(Some(Found::Meeting(meeting))) => self.meetings.push(meeting),
                Step::Ready(Some(Found::Splice(splice))) => self.splices.push(splice),
                Step::Ready(None) => self.compared = true,
            }
        }
        while self.decided < self.meetings.len() {
            if !self.decide(source, sink)? {
                return self.missing(source);
            }
        }
        let stretches = std::mem::take(&mut self.splices);
        let edit = Edit::of_values(self.left, std::mem::take(&mut self.puts));
        let edit = edit.with_splices(Splices { right: self.right, stretches });
        self.edit.insert(edit).step(source, sink)
    }

    /// Reports the pages of all values that are still needed and missing.
    fn missing<S: PageSource + ?Sized>(&self, source: &S) -> Result<Step<Tree>, Error> {
        let mut frontier = Frontier::default();
        for meeting in self.meetings.iter().skip(self.decided) {
            if frontier.is_full() {
                break;
            }
            let Meeting { base, left, right, .. } = meeting;
            let both = left != base;
            for value in base.iter().chain(left).filter(|_| both).chain(right) {
                value::missing(source, value, &mut frontier)?;
            }
        }
        Ok(frontier.into_step())
    }

    /// Decides the next key. `false`: a page of a value that it needs is missing.
    fn decide<S, W>(&mut self, source: &S, sink: &W) -> Result<bool, Error>
    where
        S: PageSource + ?Sized,
        W: PageSink + ?Sized,
    {
        let Some(Meeting { key, base, left, right }) = self.meetings.get(self.decided) else {
            return Ok(true);
        };
        let value = if left == base {
            let copied = right.as_ref().map(|right| value::copy(source, sink, right)).transpose()?;
            if let Some(Step::Missing(_)) = copied {
                return Ok(false);
            }
            right.clone()
        } else {
            let mut values = [None, None, None];
            for (value, bytes) in [base, left, right].into_iter().zip(&mut values) {
                match value.as_ref().map(|value| ReadValue::new(value.clone()).step(source)).transpose()? {
                    Some(Step::Missing(_)) => return Ok(false),
                    Some(Step::Ready(read)) => *bytes = Some(read),
                    None => {}
                }
            }
            let [base, left, right] = values;
            match (self.resolve)(key, Conflict { base, left, right }) {
                Resolution::Put(merged) => Some(value::place(sink, &self.left.config, merged)?),
                Resolution::Remove => None,
                Resolution::Refuse => return Err(Error::Conflict { key: key.clone() }),
            }
        };
        self.puts.push(Put { key: key.clone(), value });
        self.decided += 1;
        Ok(true)
    }
}

impl Tree {
    /// Merges this tree and another that grew from the same base. See [`Merge`], also for the cost. The
    /// sink is the store of both trees: subtrees that are taken over unread are not copied.
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
