//! Going back to an earlier root.

use prolly::{Cid, PageStore};

use super::reflog::{self, Cause, in_effect};
use super::{Db, Snapshot};
use crate::error::Error;

/// A step back.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// # db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let before = db.root();
/// let undone = db.undo()?;
/// assert_eq!((undone.from, undone.to), (before, db.root()));
/// assert_eq!(undone.what, "edit");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// The root before.
    pub from: Cid,
    /// The root afterwards, which the database had earlier.
    pub to: Cid,
    /// What was undone, as the reflog says it; the last of several.
    pub what: String,
}

impl<S: PageStore + Sync> Db<S> {
    /// Undoes the last change of the root: an import, a batch of edits, a merge. The database is what it was
    /// before, and the reflog has one more record, so that this can be undone by [`undo_to`](Self::undo_to).
    /// Undone again, the change before goes too.
    ///
    /// Only this database forgets: peers that have the versions by now give them back at the next merge. To
    /// take back what others know, edit again.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let before = db.root();
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0).unwrap(), tags: Tags::new() })?;
    /// let after = db.root();
    /// let undone = db.undo()?;
    /// assert_eq!((undone.to, undone.what.as_str()), (before, "edit"));
    /// assert!(db.get(node)?.is_empty());
    /// db.undo_to(after)?;
    /// assert_eq!(db.get(node)?.len(), 1);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is nothing to undo ([`Error::NothingToUndo`]), the earlier root was collected, or the store
    /// fails; the database is as it was.
    pub fn undo(&self) -> Result<Undone, Error> {
        let mut turn = self.write_turn();
        let from = self.root();
        let log = in_effect(reflog::read(&self.store)?);
        let last = log.iter().rposition(|entry| entry.root != from).ok_or(Error::NothingToUndo)?;
        let (Some(earlier), Some(undone)) = (log.get(last), log.get(last + 1)) else {
            return Err(Error::NothingToUndo);
        };
        self.go_back(&mut turn, earlier.root, undone.what.clone())
    }

    /// Makes a root of the reflog the present one again: all that came after it is undone, or what was
    /// undone is back.
    ///
    /// ```
    /// use osmdb::{Db, Error};
    /// # use osmdb::{Coord, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let begin = db.root();
    /// for lat in 1..=3 {
    ///     db.create(Payload::Node { coord: Coord::new(lat, 0)?, tags: Tags::new() })?;
    /// }
    /// assert_eq!(db.undo_to(begin)?.to, begin);
    /// assert_eq!(db.counts().nodes, 0);
    /// let unknown = Db::in_memory("other")?.root();
    /// assert!(matches!(db.undo_to(unknown), Err(Error::NotInReflog { root }) if root == unknown));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The reflog does not name the root ([`Error::NotInReflog`]), it was collected, or the store fails; the
    /// database is as it was.
    pub fn undo_to(&self, root: Cid) -> Result<Undone, Error> {
        let mut turn = self.write_turn();
        let log = reflog::read(&self.store)?;
        if log.iter().all(|entry| entry.root != root) {
            return Err(Error::NotInReflog { root });
        }
        let what = log.last().map_or_else(String::new, |last| last.what.clone());
        self.go_back(&mut turn, root, what)
    }

    fn go_back(&self, turn: &mut super::Turn, to: Cid, what: String) -> Result<Undone, Error> {
        let from = self.root();
        let root = Snapshot::open(&self.store, to)?.root().clone();
        if from != to {
            self.change_root(turn, &root, Cause::new(reflog::UNDO))?;
        }
        Ok(Undone { from, to, what })
    }
}
