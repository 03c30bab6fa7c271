//! The union of two databases, by the difference of their roots.

use std::collections::BTreeSet;

use prolly::{Change, Cid, Counting, Layered, PageSource, PageStore, read};

use super::reflog::{self, Cause, in_effect};
use super::snapshot::parse_history;
use super::{Db, Snapshot};
use crate::entry::{Author, Entry, Fresh, Known, SignatureError, Version};
use crate::error::Error;
use crate::model::ElementId;
use crate::views::keys;

/// Decides which versions of others are taken in. What is not stays out of all trees, and is offered again
/// by the next merge.
///
/// Databases that hold different versions have different roots: peers who are to arrive at one root decide
/// alike.
///
/// ```
/// use osmdb::{Entry, Kind, Policy};
/// let no_relations = |entry: &Entry| entry.element.kind != Kind::Relation;
/// fn takes(_: impl Policy) {}
/// takes(no_relations);
/// ```
pub trait Policy {
    /// Tells whether a version is taken in. Its signature was checked before.
    ///
    /// ```
    /// use osmdb::{Entry, Policy};
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// /// Admits only what belongs to a changeset.
    /// struct Explained;
    ///
    /// impl Policy for Explained {
    ///     fn admits(&self, entry: &Entry) -> bool {
    ///         entry.changeset().is_some()
    ///     }
    /// }
    /// # let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// assert!(!Explained.admits(&db.get(node)?[0].entry));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn admits(&self, entry: &Entry) -> bool;
}

impl<F: Fn(&Entry) -> bool> Policy for F {
    fn admits(&self, entry: &Entry) -> bool {
        self(entry)
    }
}

/// Everybody may edit.
///
/// ```
/// use osmdb::Everyone;
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
/// theirs.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// assert_eq!(ours.merge_admitting(&theirs.snapshot(), &Everyone)?.gained, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Everyone;

impl Policy for Everyone {
    fn admits(&self, _: &Entry) -> bool {
        true
    }
}

/// Only edits that these authors signed are taken in, and what was imported from files, which nobody signs.
///
/// ```
/// use osmdb::{Authors, Policy};
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let entry = &db.get(node)?[0].entry;
/// assert!(Authors([db.author()?].into()).admits(entry));
/// assert!(!Authors::default().admits(entry), "nobody's edits");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authors(pub BTreeSet<Author>);

impl Policy for Authors {
    fn admits(&self, entry: &Entry) -> bool {
        match (&entry.origin, entry.author()) {
            (crate::entry::Origin::Imported(_), _) => true,
            (_, author) => author.is_some_and(|author| self.0.contains(&author)),
        }
    }
}

/// A version that was not taken in.
///
/// ```
/// use osmdb::{Authors, Unfit};
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
/// let node = theirs.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let merged = ours.merge_admitting(&theirs.snapshot(), &Authors::default())?;
/// let refused = &merged.refused[0];
/// assert_eq!((refused.element, refused.why), (node, Unfit::Policy));
/// assert_eq!(refused.version, theirs.get(node)?[0].version);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The element.
    pub element: ElementId,
    /// The version.
    pub version: Version,
    /// Why not.
    pub why: Unfit,
}

/// Why a version is not taken in.
///
/// ```
/// use osmdb::{Entry, Unfit};
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
/// theirs.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let merged = ours.merge_admitting(&theirs.snapshot(), &|_: &Entry| false)?;
/// let text = match merged.refused[0].why {
///     Unfit::Signature(forged) => format!("not signed by {}", forged.author),
///     why => why.to_string(),
/// };
/// assert_eq!(text, "the policy does not admit it");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// It names an author who did not sign it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The policy does not admit it.
    #[error("the policy does not admit it")]
    Policy,
    /// It replaces a version that is not taken in.
    #[error("it replaces a version that is not taken in")]
    Parent,
}

/// What a merge did.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
/// theirs.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let merged = ours.merge(&theirs.snapshot())?;
/// assert_eq!((merged.gained, merged.forked.len(), merged.refused.len()), (1, 0, 0));
/// assert_eq!(merged.root, ours.root());
/// // The root is known now: one page of each, and no more.
/// let again = ours.merge(&theirs.snapshot())?;
/// assert_eq!((again.gained, again.pages_here, again.pages_there), (0, 1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// What was not taken in.
    pub refused: Vec<Refused>,
    /// The root afterwards.
    pub root: Cid,
}

impl<S: PageStore + Sync> Db<S> {
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
    /// A version with a forged signature is not taken in: see [`Merged::refused`].
    ///
    /// # Errors
    /// The databases have different names or configurations, one of them is damaged, or the store
    /// fails; this database is as it was.
    pub fn merge<T: PageSource>(&self, other: &Snapshot<T>) -> Result<Merged, Error> {
        self.merge_admitting(other, &Everyone)
    }

    /// Merges as [`merge`](Self::merge) does, and takes in only what a policy admits.
    ///
    /// ```
    /// use osmdb::{Authors, Coord, Db, Payload, Tags};
    /// let (ours, friend, other) = (Db::in_memory("osm")?, Db::in_memory("osm")?, Db::in_memory("osm")?);
    /// let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// friend.create(node(1))?;
    /// other.create(node(2))?;
    /// let friends = Authors([friend.author()?].into());
    /// assert_eq!(ours.merge_admitting(&friend.snapshot(), &friends)?.gained, 1);
    /// let merged = ours.merge_admitting(&other.snapshot(), &friends)?;
    /// assert_eq!((merged.gained, merged.refused.len()), (0, 1));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`merge`](Self::merge).
    pub fn merge_admitting<T: PageSource>(
        &self,
        other: &Snapshot<T>,
        policy: &dyn Policy,
    ) -> Result<Merged, Error> {
        let mut turn = self.write_turn();
        let (root, their_root) = (self.root_record(), other.root());
        let same_config = root.trees.heads.config == their_root.trees.heads.config;
        if root.name != their_root.name || !same_config {
            return Err(Error::OtherDataset { ours: root.name, theirs: their_root.name.clone() });
        }
        let here = Counting::new(&self.store);
        let there = Counting::new(other.source());
        let their_cid = their_root.cid();
        let log = in_effect(self.reflog()?);
        if log.iter().any(|entry| entry.root == their_cid || entry.merged == Some(their_cid)) {
            let root = root.cid();
            let (forked, refused) = (Vec::new(), Vec::new());
            return Ok(Merged { gained: 0, forked, pages_here: 1, pages_there: 1, refused, root });
        }
        let both = Layered(&here, &there);
        let mut gate = Gate { policy, refused: Vec::new() };
        let mut new = Vec::new();
        for change in root.trees.heads.diff(&their_root.trees.heads, &both)? {
            gate.pass(new_heads(&both, change?)?, &mut new);
        }
        for change in root.trees.history.diff(&their_root.trees.history, &both)? {
            gate.pass(new_history(&both, change?)?, &mut new);
        }
        let refused = gate.refused;
        // What was not taken in may be another time.
        let merged = refused.is_empty().then_some(their_cid);
        let applied = self.add(&mut turn, &here, new, Cause { what: reflog::MERGE, merged })?;
        Ok(Merged {
            gained: applied.gained,
            forked: applied.forked,
            pages_here: here.pages() + 1,
            pages_there: there.pages() + 1,
            refused,
            root: applied.root.cid(),
        })
    }
}

/// What versions pass on their way in.
struct Gate<'a> {
    policy: &'a dyn Policy,
    refused: Vec<Refused>,
}

impl Gate<'_> {
    /// Lets those in that are admitted.
    fn pass(&mut self, found: Vec<Known>, into: &mut Vec<Fresh>) {
        into.extend(found.into_iter().filter(|known| self.admits(known)).map(Fresh::from));
    }

    fn admits(&mut self, known: &Known) -> bool {
        let why = match known.entry.check_signature() {
            Err(error) => Unfit::Signature(error),
            Ok(_) if !self.policy.admits(&known.entry) => Unfit::Policy,
            Ok(_) => return true,
        };
        self.refused.push(Refused { element: known.entry.element, version: known.version, why });
        false
    }
}

/// Returns the heads there that are no heads here. Some may be history here: adding tells.
fn new_heads<S: PageSource>(both: &S, Change { key, left, right }: Change) -> Result<Vec<Known>, Error> {
    let Some(right) = right else { return Ok(Vec::new()) };
    let element = keys::parse_element(&key).ok_or(Error::Key { tree: "heads" })?;
    let decode = |value| Known::decode_heads(element, &read(both, value)?).map_err(Error::entry(element));
    let ours = left.map(decode).transpose()?.unwrap_or_default();
    let mut theirs = decode(right)?;
    theirs.retain(|new| ours.iter().all(|known| known.version != new.version));
    Ok(theirs)
}

/// Returns what is history there and not here. Some may be heads here: adding tells.
fn new_history<S: PageSource>(both: &S, Change { key, left, right }: Change) -> Result<Vec<Known>, Error> {
    match (left, right) {
        (None, Some(right)) => Ok(vec![parse_history((key, read(both, right)?))?]),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{DeviceKey, EditMeta, Origin, Signed};
    use crate::model::{Coord, Payload, Tags};

    fn node(lat: i64) -> Option<Payload> {
        Some(Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() })
    }

    #[test]
    fn forged_versions_stay_out() {
        let (ours, theirs) = (Db::in_memory("osm").unwrap(), Db::in_memory("osm").unwrap());
        let (key, other) = (DeviceKey::generate().unwrap(), DeviceKey::generate().unwrap());
        let entry = |id, lat| Entry {
            element: ElementId::node(id),
            payload: node(lat),
            origin: Origin::Edited(EditMeta { timestamp: 5, ..EditMeta::default() }),
        };
        let mut good = entry(1, 1);
        key.sign(&mut good);
        theirs.smuggle(Fresh::new(&good));
        // A signature of other content, and one that another key made.
        let mut forged = entry(2, 2);
        key.sign(&mut forged);
        forged.payload = node(3);
        theirs.smuggle(Fresh::new(&forged));
        let mut stolen = entry(3, 3);
        other.sign(&mut stolen);
        if let Origin::Edited(EditMeta { signed: Some(Signed { author, .. }), .. }) = &mut stolen.origin {
            *author = key.author();
        }
        theirs.smuggle(Fresh::new(&stolen));
        theirs.smuggle(Fresh::new(&entry(4, 4)));

        let merged = ours.merge(&theirs.snapshot()).unwrap();
        assert_eq!(merged.gained, 2, "what is signed, and what nobody says to have signed");
        let refused: Vec<Version> = merged.refused.iter().map(|refused| refused.version).collect();
        assert_eq!(refused, [forged.version(), stolen.version()]);
        assert!(matches!(merged.refused[0].why, Unfit::Signature(error) if error.author == key.author()));
        ours.verify().unwrap();
        let error = theirs.verify().unwrap_err();
        assert!(matches!(error, Error::Signature { version, .. } if version == forged.version()), "{error}");

        let friends = Authors([key.author()].into());
        let fresh = Db::in_memory("osm").unwrap();
        let merged = fresh.merge_admitting(&theirs.snapshot(), &friends).unwrap();
        assert_eq!((merged.gained, merged.refused.len()), (1, 3));
        // It was not taken in whole, so it is looked at again.
        assert_eq!(fresh.merge(&theirs.snapshot()).unwrap().gained, 1);
    }
}
