//! What is nearest to a place.
//!
//! Boxes around the place grow until enough is found: each has twice the radius of the one before, so all of
//! them together cost little more than the last. What is handed out at a radius is behind what was handed
//! out before and no farther than the radius: nothing has to be remembered from one box to the next.

use std::collections::{BTreeMap, VecDeque};

use prolly::{PageSource, Step};

use super::places::{HeadsOf, Part, Places, Visit, Wants, damaged};
use super::query::relation_features;
use super::{Feature, Snapshot};
use crate::distance::{FARTHEST, box_around, is_globe};
use crate::error::Error;
use crate::filter::Filter;
use crate::geometry::Window;
use crate::model::{BBox, Coord, ElementId, Kind};
use crate::root::Root;
use crate::views::spatial::{self, Geometry, KEY_BYTES};

/// The radius of the first box, in metres.
const FIRST_RADIUS: f64 = 100.0;

/// No more features than this are kept at once: if a box has more, the nearest are handed out, and the box is
/// looked at again.
const MAX_KEPT: usize = 10_000;

/// Something near a place, as [`Snapshot::nearest`] finds it.
///
/// ```
/// use osmdb::{Coord, Filter};
/// # use osmdb::{Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// # let tags = Tags::from([("amenity", "well")]);
/// # db.create(Payload::Node { coord: Coord::new(0, 10_000_000)?, tags })?;
/// // One degree on the equator:
/// let well = db.snapshot().nearest(Coord::new(0, 0)?, &Filter::new()).next().unwrap()?;
/// assert_eq!(well.feature.tags.get("amenity"), Some("well"));
/// assert!((111_000.0..112_000.0).contains(&well.metres));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// What it is.
    pub feature: Feature,
    /// How far it is, in metres.
    pub metres: f64,
}

impl<S: PageSource> Snapshot<S> {
    /// Finds what passes a filter, the nearest first, without end until all is found.
    ///
    /// The distance is that on a sphere ([`Geometry::distance`]), also across the antimeridian and around the
    /// poles: to a node, to the nearest place of a way's line (to all of it, not only its nodes; a closed way
    /// is a line too, so its inside is as far as its edge), and for a relation to the nearest of its members
    /// that are nodes or ways; nodes that are only vertices of ways do not count by themselves. What is
    /// equally far comes in the order of elements. A forked element comes once for every head that is there.
    ///
    /// Costs the pages of a box around what was found, and a third more for the smaller boxes before; or, if the
    /// filter demands a tag that little has, and no relation, the pages of what has it ([`Query::filter`]).
    /// Where nothing passes another filter, that is all of the tree: [`within`](Nearest::within) sets an end.
    /// Memory: at most 10,000 features, and the relations of the box.
    ///
    /// [`Query::filter`]: crate::Query::filter
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// for lon in [30, 10, 20] {
    ///     db.create(Payload::Node { coord: Coord::new(0, lon)?, tags: Tags::from([("amenity", "well")]) })?;
    /// }
    /// let (snapshot, here) = (db.snapshot(), Coord::new(0, 0)?);
    /// let wells = snapshot.nearest(here, &"amenity=well".parse()?);
    /// let metres: Vec<f64> = wells.map(|well| Ok(well?.metres)).collect::<Result<_, osmdb::Error>>()?;
    /// assert_eq!(metres.len(), 3);
    /// assert!(metres.is_sorted() && metres[0] > 0.11 && metres[0] < 0.12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn nearest(&self, from: Coord, filter: &Filter) -> Nearest<&S> {
        Nearest { source: self.source(), find: FindNearest::new(self.root(), from, filter.clone()) }
    }
}

/// Finds what is nearest to a place, in steps; or, as an iterator, where all pages are at hand. After an
/// error it ends.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// for lon in [300, 100, 200] {
///     db.create(Payload::Node { coord: Coord::new(0, lon)?, tags: Tags::from([("amenity", "well")]) })?;
/// }
/// let snapshot = db.snapshot();
/// let wells = snapshot.nearest(Coord::new(0, 0)?, &"amenity=well".parse()?).take(2);
/// let metres = wells.map(|well| Ok(well?.metres.round())).collect::<Result<Vec<_>, osmdb::Error>>()?;
/// assert_eq!(metres, [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Nearest<S> {
    source: S,
    find: FindNearest,
}

impl<S> Nearest<S> {
    /// Finds only what is at most so many metres away: nothing if that is less than 0, and all if it is more
    /// than half the way around the globe. To be called before the first one is taken.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Filter, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// for lon in [100, 200_000] {
    ///     db.create(Payload::Node { coord: Coord::new(0, lon)?, tags: Tags::from([("amenity", "well")]) })?;
    /// }
    /// let (snapshot, here) = (db.snapshot(), Coord::new(0, 0)?);
    /// assert_eq!(snapshot.nearest(here, &Filter::new()).within(500.0).count(), 1);
    /// assert_eq!(snapshot.nearest(here, &Filter::new()).within(5_000.0).count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn within(mut self, metres: f64) -> Self {
        self.find.within(metres);
        self
    }
}

impl<S: PageSource> Iterator for Nearest<S> {
    type Item = Result<Neighbour, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.find.step(&self.source).and_then(|step| Ok(step.complete()?));
        if next.is_err() {
            self.find.phase = Phase::Ended;
        }
        next.transpose()
    }
}

/// A place in the order in which features are handed out: the distance as bits, which for numbers that are
/// not negative are in the same order; the element; its pair; and which feature of it.
type Rank = (u64, ElementId, [u8; KEY_BYTES], usize);

/// The search itself: knows no source.
#[derive(Debug)]
pub(crate) struct FindNearest {
    root: Root,
    limit: f64,
    /// The radius of the box that is looked at.
    radius: f64,
    phase: Phase,
    ring: Ring,
    found: VecDeque<Neighbour>,
}

#[derive(Debug)]
enum Phase {
    Box(Places),
    Relations(HeadsOf),
    Ended,
}

impl FindNearest {
    pub(crate) fn new(root: &Root, from: Coord, filter: Filter) -> Self {
        let ring = Ring {
            from,
            wants_relations: filter.admits(Kind::Relation),
            filter,
            radius: 0.0,
            after: None,
            until: None,
            kept: BTreeMap::new(),
            relations: BTreeMap::new(),
        };
        let mut find = Self {
            root: root.clone(),
            limit: FARTHEST,
            radius: 0.0,
            phase: Phase::Ended,
            ring,
            found: VecDeque::new(),
        };
        find.begin(FIRST_RADIUS);
        find
    }

    /// Begins to look at a box.
    fn begin(&mut self, radius: f64) {
        self.radius = radius.min(self.limit);
        let bbox: Option<BBox> = box_around(self.ring.from, self.radius);
        // Nothing is farther than what is in all of the globe, whatever was rounded.
        self.ring.radius = if bbox.is_some_and(is_globe) { self.limit } else { self.radius };
        self.ring.until = None;
        self.phase = match bbox {
            Some(bbox) if self.radius >= 0.0 => {
                let Ring { filter, wants_relations, .. } = &self.ring;
                let windows = Window::of(bbox);
                Phase::Box(Places::passing(&self.root, windows, Part::All, filter, *wants_relations))
            }
            _ => Phase::Ended,
        };
    }

    /// Sets how far away anything may be, and begins anew.
    pub(crate) fn within(&mut self, metres: f64) {
        self.limit = if metres < FARTHEST { metres } else { FARTHEST };
        self.begin(FIRST_RADIUS);
    }

    /// Finds the next; `None` at the end.
    pub(crate) fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Option<Neighbour>>, Error> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Ok(Step::Ready(Some(found)));
            }
            match &mut self.phase {
                Phase::Ended => return Ok(Step::Ready(None)),
                Phase::Box(places) => match places.step(source, &mut self.ring)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(true) => {}
                    Step::Ready(false) => {
                        let relations = self.ring.near_relations();
                        self.phase = Phase::Relations(HeadsOf::new(self.root.trees.heads, relations));
                    }
                },
                Phase::Relations(heads) => match heads.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(Some((relation, value))) => self.ring.look_at_relation(relation, &value)?,
                    Step::Ready(None) => self.hand_out(),
                },
            }
        }
    }

    /// Hands out what was kept of a box, and begins the next.
    fn hand_out(&mut self) {
        let ring = &mut self.ring;
        let radius = ring.radius;
        ring.relations.clear();
        for (rank, feature) in std::mem::take(&mut ring.kept) {
            ring.after = Some(rank);
            self.found.push_back(Neighbour { feature, metres: f64::from_bits(rank.0) });
        }
        if ring.until.is_some() {
            self.begin(self.radius);
        } else if radius < self.limit {
            self.begin(self.radius * 2.0);
        } else {
            self.phase = Phase::Ended;
        }
    }
}

/// Keeps the nearest features of a box that are behind those that were handed out.
#[derive(Debug)]
struct Ring {
    from: Coord,
    filter: Filter,
    wants_relations: bool,
    radius: f64,
    /// The last that was handed out.
    after: Option<Rank>,
    /// If too many were found: the first that was not kept.
    until: Option<Rank>,
    kept: BTreeMap<Rank, Feature>,
    /// How far the nearest member of each relation is.
    relations: BTreeMap<u64, f64>,
}

impl Ring {
    /// Tells whether features of a rank are to be kept.
    fn wants_rank(&self, rank: &Rank) -> bool {
        self.after.is_none_or(|after| *rank > after) && self.until.is_none_or(|until| *rank < until)
    }

    fn keep(&mut self, rank: Rank, feature: Feature) {
        if !self.wants_rank(&rank) {
            return;
        }
        self.kept.insert(rank, feature);
        if self.kept.len() > MAX_KEPT
            && let Some((rank, _)) = self.kept.pop_last()
        {
            self.until = Some(rank);
        }
    }

    /// Returns the relations that may have to be handed out now.
    fn near_relations(&self) -> Vec<ElementId> {
        let least = self.after.map_or(0, |after| after.0);
        let most = self.until.map_or(u64::MAX, |until| until.0);
        let is_near = |metres: f64| (least..=most).contains(&metres.to_bits());
        let near = self.relations.iter().filter(|(_, metres)| is_near(**metres));
        near.map(|(id, _)| ElementId::relation(*id)).collect()
    }

    fn look_at_relation(&mut self, relation: ElementId, value: &[u8]) -> Result<(), Error> {
        let Some(metres) = self.relations.get(&relation.id).copied() else { return Ok(()) };
        for (index, feature) in relation_features(relation, value)?.into_iter().enumerate() {
            if self.filter.matches(Kind::Relation, &feature.tags) {
                self.keep((metres.to_bits(), relation, [0; KEY_BYTES], index), feature);
            }
        }
        Ok(())
    }
}

impl Visit for Ring {
    fn wants(&self, key: &[u8], _: &[Window]) -> Wants {
        let admits = spatial::element_of(key).is_none_or(|element| self.filter.admits(element.kind));
        if !self.wants_relations && !admits {
            return Wants::Nothing;
        }
        // A node's place is in its key.
        let is_far = spatial::node_at(key).is_some_and(|coord| self.from.distance(coord) > self.radius);
        if is_far { Wants::Nothing } else { Wants::KeyAndValue }
    }

    fn look(&mut self, key: &[u8], value: &[u8], _: &[Window]) -> Result<(), Error> {
        let Ok(place) = <[u8; KEY_BYTES]>::try_from(key) else { return Err(Error::Key { tree: "spatial" }) };
        let pair = spatial::parse(key, value).map_err(damaged(key))?;
        let element = pair.element;
        for (index, located) in pair.features.into_iter().enumerate() {
            let Some(metres) = located.geometry.distance(self.from).filter(|metres| *metres <= self.radius)
            else {
                continue;
            };
            if self.wants_relations {
                for relation in &pair.relations {
                    let nearest = self.relations.entry(*relation).or_insert(metres);
                    *nearest = nearest.min(metres);
                }
            }
            let rank = (metres.to_bits(), element, place, index);
            if self.wants_rank(&rank) && self.filter.matches(element.kind, &located.tags) {
                let (geometry, tags): (Geometry, _) = (located.geometry, located.tags);
                self.keep(rank, Feature { element, geometry, tags, members: Vec::new() });
            }
        }
        Ok(())
    }
}
