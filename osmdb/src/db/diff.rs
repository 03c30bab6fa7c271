//! What differs between two roots, element by element.

use bytes::Bytes;
use prolly::{KeyRange, Layered, PageSource, ReadValue, Step, Tree};

use super::{Head, Snapshot};
use crate::entry::{Known, shown_of};
use crate::error::Error;
use crate::io::Action;
use crate::model::ElementId;
use crate::root::Root;
use crate::views::keys;

/// An element whose heads differ between two roots.
///
/// ```
/// use osmdb::io::Action;
/// use osmdb::{Coord, Db, Payload, Tags};
/// let db = Db::in_memory("osm")?;
/// let spring = |water| {
///     let tags = Tags::from([("natural", "spring"), ("drinking_water", water)]);
///     Payload::Node { coord: Coord::new(425_000_000, 15_000_000).unwrap(), tags }
/// };
/// let node = db.create(spring("unknown"))?;
/// let before = db.snapshot();
/// db.put(node, spring("yes"))?;
/// let difference = db.snapshot().changes_since(&before)?.next().unwrap()?;
/// assert_eq!(difference.action(), Some(Action::Modify));
/// let shown = difference.shown_after().and_then(|head| head.entry.payload.as_ref());
/// assert_eq!(shown.and_then(|payload| payload.tags().get("drinking_water")), Some("yes"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The element.
    pub element: ElementId,
    /// Its heads at the older root, sorted by version; none if it was not there.
    pub before: Vec<Head>,
    /// Its heads at the newer root.
    pub after: Vec<Head>,
}

impl Difference {
    /// Returns what it means for the map; `None` if the map shows the same version as before, and only
    /// other heads came or went, or only tombstones.
    ///
    /// An element is created where there was no head of it, and modified where there was one, be it a
    /// tombstone.
    ///
    /// ```
    /// use osmdb::io::Action;
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// # let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let before = db.snapshot();
    /// db.delete(node)?;
    /// let difference = db.snapshot().changes_since(&before)?.next().unwrap()?;
    /// assert_eq!(difference.action(), Some(Action::Delete));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        match (shown(&self.before), shown(&self.after)) {
            (None, None) => None,
            (None, Some(_)) if self.before.is_empty() => Some(Action::Create),
            (None, Some(_)) => Some(Action::Modify),
            (Some(_), None) => Some(Action::Delete),
            (Some(before), Some(after)) => (before.version != after.version).then_some(Action::Modify),
        }
    }

    /// Returns the version that a map showed before: of several live heads the latest, then the one with
    /// the greatest version. `None` if there was none.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let element = db.create(node(1))?;
    /// let before = db.snapshot();
    /// db.put(element, node(2))?;
    /// let difference = db.snapshot().changes_since(&before)?.next().unwrap()?;
    /// let shown = difference.shown_before().and_then(|head| head.entry.payload.clone());
    /// assert_eq!(shown, Some(node(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn shown_before(&self) -> Option<&Head> {
        shown(&self.before)
    }

    /// Returns the version that a map shows now, chosen as [`shown_before`](Self::shown_before) says.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let element = db.create(node(1))?;
    /// let before = db.snapshot();
    /// let version = db.put(element, node(2))?;
    /// let difference = db.snapshot().changes_since(&before)?.next().unwrap()?;
    /// assert_eq!(difference.shown_after().map(|head| head.version), Some(version));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn shown_after(&self) -> Option<&Head> {
        shown(&self.after)
    }
}

/// Returns the head that a map shows.
pub(super) fn shown(heads: &[Head]) -> Option<&Head> {
    shown_of(heads, |head| (head.version, &head.entry))
}

/// An iterator over what differs between two roots. Made by [`Snapshot::changes_since`], where an example is.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// let before = db.snapshot();
/// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let now = db.snapshot();
/// for difference in now.changes_since(&before)? {
///     assert_eq!(difference?.element, node);
/// }
/// assert_eq!(now.changes_since(&now)?.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Diff<A, B> {
    source: Layered<A, B>,
    compare: Compare,
    ended: bool,
}

impl<S: PageSource> Snapshot<S> {
    /// Finds all elements whose heads differ from those at an older root: nodes, ways, relations, changesets,
    /// each by id. The order of the two is yours: from a newer root to an older one, what was created comes
    /// as deleted. Ends after the first error.
    ///
    /// Costs the pages of `heads` that only one of the two roots has, and the memory of a few.
    ///
    /// ```
    /// use osmdb::io::Action;
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let before = db.snapshot();
    /// let spring = db.create(Payload::Node { coord: Coord::new(1, 2)?, tags: Tags::new() })?;
    /// let differences: Vec<_> = db.snapshot().changes_since(&before)?.collect::<Result<_, _>>()?;
    /// assert_eq!(differences.len(), 1);
    /// assert_eq!((differences[0].element, differences[0].action()), (spring, Some(Action::Create)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The roots are of datasets with different names or configurations.
    pub fn changes_since<'a, T: PageSource>(
        &'a self,
        older: &'a Snapshot<T>,
    ) -> Result<Diff<&'a T, &'a S>, Error> {
        let compare = Compare::new(older.root(), self.root())?;
        Ok(Diff { source: Layered(older.source(), self.source()), compare, ended: false })
    }
}

impl<A: PageSource, B: PageSource> Iterator for Diff<A, B> {
    type Item = Result<Difference, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.compare.step(&self.source).and_then(|step| Ok(step.complete()?));
        self.ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

/// The comparison itself: knows no source.
#[derive(Debug)]
pub(super) struct Compare {
    diff: prolly::Diff,
    reading: Option<Reading>,
}

/// A pair that differs, whose values may live out of line.
#[derive(Debug)]
struct Reading {
    element: ElementId,
    before: Side,
    after: Side,
}

/// The value on one side, if there is one.
#[derive(Debug)]
enum Side {
    Absent,
    Reading(ReadValue),
    Read(Bytes),
}

impl Side {
    fn new(value: Option<prolly::Value>) -> Self {
        value.map_or(Self::Absent, |value| Self::Reading(ReadValue::new(value)))
    }

    /// Reads on; returns the pages that are missing.
    fn step<S: PageSource>(&mut self, source: &S) -> Result<Vec<prolly::Cid>, Error> {
        if let Self::Reading(value) = self {
            match value.step(source)? {
                Step::Ready(bytes) => *self = Self::Read(bytes),
                Step::Missing(cids) => return Ok(cids),
            }
        }
        Ok(Vec::new())
    }

    fn heads(self, element: ElementId) -> Result<Vec<Head>, Error> {
        match self {
            Self::Read(value) => heads(element, &value),
            _ => Ok(Vec::new()),
        }
    }
}

/// Reads the heads of an element.
pub(super) fn heads(element: ElementId, value: &[u8]) -> Result<Vec<Head>, Error> {
    let heads = Known::decode_heads(element, value).map_err(Error::entry(element))?;
    Ok(heads.into_iter().map(Head::from).collect())
}

impl Compare {
    fn new(older: &Root, newer: &Root) -> Result<Self, Error> {
        let (before, after) = (older.trees.heads, newer.trees.heads);
        if older.name != newer.name || before.config != after.config {
            return Err(Error::OtherDataset { ours: newer.name.clone(), theirs: older.name.clone() });
        }
        Self::of_heads(before, after)
    }

    /// Compares two heads trees of one dataset.
    pub(super) fn of_heads(before: Tree, after: Tree) -> Result<Self, Error> {
        Ok(Self { diff: prolly::Diff::new(before, after)?, reading: None })
    }

    /// Looks at one element alone.
    pub(super) fn within(self, element: ElementId) -> Self {
        Self { diff: self.diff.within(KeyRange::point(&keys::element(element))), ..self }
    }

    pub(super) fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Option<Difference>>, Error> {
        loop {
            if let Some(mut reading) = self.reading.take() {
                let mut missing = reading.before.step(source)?;
                missing.extend(reading.after.step(source)?);
                if !missing.is_empty() {
                    self.reading = Some(reading);
                    return Ok(Step::Missing(missing));
                }
                let Reading { element, before, after } = reading;
                let (before, after) = (before.heads(element)?, after.heads(element)?);
                return Ok(Step::Ready(Some(Difference { element, before, after })));
            }
            match self.diff.step(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(None) => return Ok(Step::Ready(None)),
                Step::Ready(Some(change)) => {
                    let element = keys::parse_element(&change.key).ok_or(Error::Key { tree: "heads" })?;
                    let (before, after) = (Side::new(change.left), Side::new(change.right));
                    self.reading = Some(Reading { element, before, after });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prolly::{Cid, MemoryStore, PageSink};

    use super::*;
    use crate::model::{Coord, Member, Payload, Tags};
    use crate::{Db, Write};

    fn node(lat: i64) -> Payload {
        Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() }
    }

    /// A comparison whose pages arrive one frontier after another, as from a peer, ends as one where all
    /// are at hand; and nothing is asked for twice.
    #[test]
    fn pages_may_come_later() {
        let db = Db::in_memory("osm").unwrap();
        for lat in 0..600 {
            db.create(node(lat)).unwrap();
        }
        let older = db.snapshot();
        let long: Vec<Member> =
            (1..3_000).map(|id| Member { element: ElementId::node(id), role: "a role".into() }).collect();
        let mut batch = db.batch();
        batch
            .lenient()
            .push(Write::put(ElementId::relation(1), Payload::Relation { members: long, tags: Tags::new() }));
        batch.commit().unwrap();
        db.create(node(7)).unwrap();
        let newer = db.snapshot();
        let expected: Vec<_> = newer.changes_since(&older).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(expected.len(), 2);

        let here = MemoryStore::new();
        let mut compare = Compare::new(older.root(), newer.root()).unwrap();
        let (mut found, mut rounds, mut asked) = (Vec::new(), 0, std::collections::BTreeSet::<Cid>::new());
        loop {
            match compare.step(&here).unwrap() {
                Step::Ready(Some(difference)) => found.push(difference),
                Step::Ready(None) => break,
                Step::Missing(cids) => {
                    rounds += 1;
                    for cid in cids {
                        assert!(asked.insert(cid), "asked for twice");
                        here.put(cid, db.store().load(&cid).unwrap().unwrap()).unwrap();
                    }
                }
            }
        }
        assert_eq!(found, expected);
        assert!((2..12).contains(&rounds), "{rounds} rounds");
        // Far less than all pages: only what differs was read.
        assert!(asked.len() * 3 < db.store().cids().len(), "{} pages", asked.len());
    }

    #[test]
    fn other_datasets_are_refused() {
        let (a, b) = (Db::in_memory("a").unwrap(), Db::in_memory("b").unwrap());
        let refused = b.snapshot().changes_since(&a.snapshot()).map(drop).unwrap_err();
        assert!(matches!(refused, Error::OtherDataset { .. }), "{refused}");
    }
}
