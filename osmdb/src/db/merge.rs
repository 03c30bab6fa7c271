//! The union of two databases, by the difference of their roots.

use prolly::{Cid, Counting, Layered, PageSource, PageStore, Tree, read};

use super::snapshot::parse_history;
use super::{Db, Snapshot};
use crate::entry::{Fresh, Known};
use crate::error::Error;
use crate::model::ElementId;
use crate::views::keys;

/// What a merge did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// How many versions came from the other database.
    pub gained: u64,
    /// The elements that have become forks, in order.
    pub forked: Vec<ElementId>,
    /// How many different pages were read here, root records among them.
    pub pages_here: usize,
    /// How many were read there.
    pub pages_there: usize,
    /// The root afterwards.
    pub root: Cid,
}

impl<S: PageStore> Db<S> {
    /// Adds all versions that another database has; the other one is only read. Merging is the union
    /// of two sets of versions: the order of merges makes no difference, nothing is lost, and
    /// versions that do not know of each other stay side by side as a fork.
    ///
    /// Costs the pages of `heads` and `history` that differ, and those that change here. A root that
    /// was merged before costs nothing.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
    /// let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// ours.create(node(1))?;
    /// theirs.create(node(2))?;
    /// ours.merge(&theirs.snapshot())?;
    /// theirs.merge(&ours.snapshot())?;
    /// assert_eq!(ours.root(), theirs.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The databases have different names or configurations, one of them is damaged, or the store
    /// fails; this database is as it was.
    pub fn merge<T: PageSource>(&self, other: &Snapshot<T>) -> Result<Merged, Error> {
        let _turn = self.write_turn();
        let (root, their_root) = (self.root_record(), other.root());
        let same_config = root.trees.heads.config == their_root.trees.heads.config;
        if root.name != their_root.name || !same_config {
            return Err(Error::OtherDataset { ours: root.name, theirs: their_root.name.clone() });
        }
        let here = Counting::new(&self.store);
        let there = Counting::new(other.source());
        let their_cid = their_root.cid();
        let log = self.reflog()?;
        if log.iter().any(|entry| entry.root == their_cid || entry.merged == Some(their_cid)) {
            let root = root.cid();
            return Ok(Merged { gained: 0, forked: Vec::new(), pages_here: 1, pages_there: 1, root });
        }
        let both = Layered(&here, &there);
        let mut new = gained_heads(&both, root.trees.heads, their_root.trees.heads)?;
        new.extend(gained_history(&both, root.trees.history, their_root.trees.history)?);
        let applied = self.add(&here, new, "merge", Some(their_cid))?;
        Ok(Merged {
            gained: applied.gained,
            forked: applied.forked,
            pages_here: here.pages() + 1,
            pages_there: there.pages() + 1,
            root: applied.root.cid(),
        })
    }
}

/// Returns the heads there that are no heads here. Some may be history here: adding tells.
fn gained_heads<S: PageSource>(both: &S, ours: Tree, theirs: Tree) -> Result<Vec<Fresh>, Error> {
    let mut gained = Vec::new();
    for change in ours.diff(&theirs, both)? {
        let change = change?;
        let Some(right) = change.right else { continue };
        let element = keys::parse_element(&change.key).ok_or(Error::Key { tree: "heads" })?;
        let decode = |value| Known::decode_heads(element, &read(both, value)?).map_err(Error::entry(element));
        let ours = change.left.map(decode).transpose()?.unwrap_or_default();
        let theirs = decode(right)?;
        let gain = theirs.into_iter().filter(|new| ours.iter().all(|known| known.version != new.version));
        gained.extend(gain.map(Fresh::from));
    }
    Ok(gained)
}

/// Returns what is history there and not here. Some may be heads here: adding tells.
fn gained_history<S: PageSource>(both: &S, ours: Tree, theirs: Tree) -> Result<Vec<Fresh>, Error> {
    let mut gained = Vec::new();
    for change in ours.diff(&theirs, both)? {
        let change = change?;
        if let (None, Some(right)) = (change.left, change.right) {
            gained.push(parse_history((change.key, read(both, right)?))?.into());
        }
    }
    Ok(gained)
}
