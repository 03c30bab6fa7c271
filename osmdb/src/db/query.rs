//! Finding what touches a box, or what passes a filter, wherever it is.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};

use prolly::{PageSource, Step};

use super::by_tag::RelationsByTag;
use super::count::Count;
use super::cursor::{Cursor, CursorError, Listing, numbers};
use super::places::{HeadsOf, Part, Places, Visit, Wants, damaged};
use crate::entry::{Entry, Known};
use crate::error::Error;
use crate::filter::Filter;
use crate::geometry::Window;
use crate::model::{BBox, ElementId, Kind, MAX_ID, Payload, Tags};
use crate::root::Root;
use crate::views::spatial::{self, Geometry, KEY_BYTES};

/// What a map needs of one head of an element.
///
/// ```
/// use osmdb::Geometry;
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// let (coord, tags) = (Coord::new(425_900_000, 15_600_000)?, Tags::from([("natural", "peak")]));
/// let peak = db.create(Payload::Node { coord, tags })?;
/// let feature = db.snapshot().query("1.5,42.5,1.6,42.6".parse()?).next().unwrap()?;
/// assert_eq!((feature.element, feature.geometry), (peak, Geometry::Point(coord)));
/// assert_eq!(feature.tags.get("natural"), Some("peak"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// The element.
    pub element: ElementId,
    /// Where it is.
    pub geometry: Geometry,
    /// What it is.
    pub tags: Tags,
    /// The members, if it is a relation.
    pub members: Vec<crate::model::Member>,
}

/// Finds what touches a box, or what is anywhere, in steps; or, as an iterator, where all pages are at hand. After an error
/// it ends.
///
/// A page of results is what [`take`](Iterator::take) takes, and [`save`](Self::save) says where the next
/// one begins:
///
/// ```
/// use osmdb::{Coord, Db, Filter, Payload, Tags};
/// let db = Db::in_memory("osm")?;
/// for place in 1..=5 {
///     let tags = Tags::from([("natural", "peak")]);
///     db.create(Payload::Node { coord: Coord::new(place, 0)?, tags })?;
/// }
/// let (snapshot, bbox) = (db.snapshot(), "-1,-1,1,1".parse()?);
/// let peaks: Filter = "node and natural=peak".parse()?;
/// let mut query = snapshot.query(bbox).filter(&peaks);
/// assert_eq!(query.by_ref().take(3).count(), 3);
/// let cursor = query.save();
/// // Later, perhaps in another program:
/// assert_eq!(snapshot.query(bbox).filter(&peaks).after(&cursor)?.count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Query<S> {
    source: S,
    root: Root,
    /// `None`: everywhere.
    bbox: Option<BBox>,
    find: Find,
    ended: bool,
    /// Behind what was handed out.
    place: Place,
}

impl<S> Query<S> {
    pub(crate) fn new(source: S, root: &Root, bbox: Option<BBox>) -> Self {
        let find = Find::new(root, bbox, Filter::new(), Place::Begin);
        Self { source, root: root.clone(), bbox, find, ended: false, place: Place::Begin }
    }

    /// Finds only what passes a filter, and what passed the filters before. The query begins anew.
    ///
    /// The answer is that of the query without a filter, less what does not pass: a relation is found
    /// because of a member in the box, whether or not that member passes. A filter without relations, as
    /// `node|way`, saves looking for them.
    ///
    /// If it demands a tag (`amenity=hospital`, `highway`, `name~=spring`), a few pages of the trees tell how
    /// many elements have it, and how much is in the box; and what has the tag is looked up instead of walking
    /// over the box, if that is less. Relations are found through their members all the same: so if one has the
    /// tag and may pass, the box is walked over. The answer and its order do not depend on that.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// for value in ["peak", "spring"] {
    ///     db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::from([("natural", value)]) })?;
    /// }
    /// let (snapshot, bbox) = (db.snapshot(), "-1,-1,1,1".parse()?);
    /// assert_eq!(snapshot.query(bbox).filter(&"natural".parse()?).count(), 2);
    /// let query = snapshot.query(bbox).filter(&"natural".parse()?).filter(&"natural!=peak".parse()?);
    /// assert_eq!(query.count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn filter(mut self, filter: &Filter) -> Self {
        self.begin(Some(filter), Place::Begin);
        self
    }

    /// Goes on where [`save`](Self::save) was called, on a query for the same box and filter at the same
    /// root.
    ///
    /// Costs no page of those that were read before, unless relations are looked for: these come last, and
    /// to know which they are, the pages that were read before are read once more.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// # for lat in 1..=3 {
    /// #     db.create(Payload::Node { coord: Coord::new(lat, 0)?, tags: Tags::new() })?;
    /// # }
    /// let (snapshot, bbox) = (db.snapshot(), "-1,-1,1,1".parse()?);
    /// let mut query = snapshot.query(bbox);
    /// let first = query.next().unwrap()?;
    /// let mut rest = snapshot.query(bbox).after(&query.save())?;
    /// assert!(rest.all(|feature| feature.is_ok_and(|feature| feature != first)));
    /// assert!(snapshot.query("0,0,1,1".parse()?).after(&query.save()).is_err(), "this is another box");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The cursor belongs to another root, box, filter or listing, or is damaged.
    pub fn after(mut self, cursor: &Cursor) -> Result<Self, CursorError> {
        let place = cursor.place(Listing::Query, self.root.cid(), &self.question())?;
        let place = Place::parse(place).ok_or(CursorError::Place)?;
        self.begin(None, place);
        Ok(self)
    }

    /// Says where the query is: behind the last feature that was handed out. Costs no page.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// # db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let (snapshot, bbox) = (db.snapshot(), "-1,-1,1,1".parse()?);
    /// let mut query = snapshot.query(bbox);
    /// let begin = query.save();
    /// assert!(query.next().is_some());
    /// assert_ne!(query.save(), begin);
    /// assert_eq!(snapshot.query(bbox).after(&begin)?.count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn save(&self) -> Cursor {
        Cursor::new(Listing::Query, self.root.cid(), &self.question(), self.place.encode())
    }

    fn begin(&mut self, filter: Option<&Filter>, place: Place) {
        let before = std::mem::take(&mut self.find.visit.filter);
        let filter = filter.cloned().unwrap_or_default();
        self.find = Find::new(&self.root, self.bbox, before.and(filter), place);
        self.place = place;
    }

    /// Returns what is asked, for the cursor.
    fn question(&self) -> Vec<u8> {
        let place = self.bbox.map_or_else(
            // No text has this byte.
            || vec![u8::MAX],
            |bbox| {
                let (low, high) = (bbox.south_west(), bbox.north_east());
                numbers(&[low.lon(), low.lat(), high.lon(), high.lat()].map(i64::from))
            },
        );
        [&place, self.find.visit.filter.to_string().as_bytes()].concat()
    }
}

impl<S: PageSource> Query<S> {
    /// Counts the elements that the query finds, from its beginning; a forked one counts once.
    ///
    /// Costs the pages that the query costs, less those of relations if the filter asks for no tags; but
    /// decodes only what the count depends on: no tags that nobody asks for, and no line of a way that is
    /// inside of the box as a whole. In a database with forks it remembers what it has counted, at 16 bytes
    /// for an element.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::from([("natural", "peak")]) })?;
    /// let (snapshot, bbox) = (db.snapshot(), "-1,-1,1,1".parse()?);
    /// assert_eq!(snapshot.query(bbox).count_elements()?, 1);
    /// assert_eq!(snapshot.query(bbox).filter(&"highway".parse()?).count_elements()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn count_elements(self) -> Result<u64, Error> {
        let mut count = Count::new(&self.root, self.bbox, self.find.visit.filter);
        Ok(count.step(&self.source)?.complete()?)
    }
}

impl<S: PageSource> Iterator for Query<S> {
    type Item = Result<Feature, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.find.step(&self.source).and_then(|step| Ok(step.complete()?));
        match next {
            Ok(Some((place, feature))) => {
                self.place = place;
                Some(Ok(feature))
            }
            Ok(None) => {
                (self.ended, self.place) = (true, Place::End);
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

/// A place in the order in which a query finds features: behind one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Begin,
    /// Behind so many features of the pair with this key.
    Spatial([u8; KEY_BYTES], u32),
    /// Behind so many heads of this relation.
    Relation(u64, u32),
    End,
}

impl Place {
    fn encode(self) -> Vec<u8> {
        match self {
            Self::Begin => Vec::new(),
            Self::Spatial(key, count) => [&[1][..], &key, &count.to_be_bytes()].concat(),
            Self::Relation(id, count) => [&[2][..], &id.to_be_bytes(), &count.to_be_bytes()].concat(),
            Self::End => vec![3],
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let Some((which, rest)) = bytes.split_first() else { return Some(Self::Begin) };
        let place = match which {
            1 => {
                let (key, count) = rest.split_first_chunk()?;
                spatial::element_of(key)?;
                Self::Spatial(*key, u32::from_be_bytes(count.try_into().ok()?))
            }
            2 => {
                let (id, count) = rest.split_first_chunk()?;
                let id = Some(u64::from_be_bytes(*id)).filter(|id| (1..=MAX_ID).contains(id))?;
                Self::Relation(id, u32::from_be_bytes(count.try_into().ok()?))
            }
            3 if rest.is_empty() => Self::End,
            _ => return None,
        };
        Some(place)
    }
}

/// The query itself: knows no source.
#[derive(Debug)]
pub(crate) struct Find {
    root: Root,
    /// None are everywhere.
    windows: Vec<Window>,
    phase: Phase,
    visit: Gather,
    /// Heads of relations that were handed out: of this one, so many.
    passed: Option<(u64, u32)>,
}

#[derive(Debug)]
enum Phase {
    /// What is in the box, from the place on where the query begins.
    Spatial(Places, Place),
    /// What is before that place: only for the relations.
    Before(Places),
    /// Which relations may pass, if it does not matter where they are.
    Tagged(RelationsByTag),
    Relations(HeadsOf),
    Ended,
}

impl Find {
    /// Begins a query for a box, or everywhere.
    pub(crate) fn whole(root: &Root, bbox: Option<BBox>, filter: Filter) -> Self {
        Self::new(root, bbox, filter, Place::Begin)
    }

    fn new(root: &Root, bbox: Option<BBox>, filter: Filter, place: Place) -> Self {
        let windows = bbox.map(Window::of).unwrap_or_default();
        let visit = Gather::new(filter, bbox.is_none());
        let mut find = Self { root: root.clone(), windows, phase: Phase::Ended, visit, passed: None };
        let has_places = find.visit.wants_relations || find.visit.filter.admits_places();
        find.phase = match place {
            Place::Begin if has_places => Phase::Spatial(find.places(Part::All), place),
            Place::Begin => find.relations_anywhere(),
            Place::Spatial(key, count) => {
                find.visit.passed = Some((key, count));
                Phase::Spatial(find.places(Part::From(&key)), place)
            }
            Place::Relation(id, count) => {
                find.passed = Some((id, count));
                find.visit.only_relations = true;
                match bbox {
                    Some(_) => Phase::Before(find.places(Part::All)),
                    None => find.relations_anywhere(),
                }
            }
            Place::End => Phase::Ended,
        };
        find
    }

    fn places(&self, part: Part<'_>) -> Places {
        let Gather { filter, wants_relations, .. } = &self.visit;
        Places::passing(&self.root, self.windows.clone(), part, filter, *wants_relations)
    }

    fn relations_anywhere(&self) -> Phase {
        match self.visit.filter.admits(Kind::Relation) {
            true => Phase::Tagged(RelationsByTag::new(&self.root, &self.visit.filter)),
            false => Phase::Ended,
        }
    }

    /// Finds the next feature; `None` at the end.
    pub(crate) fn next<S: PageSource>(&mut self, source: &S) -> Result<Step<Option<Feature>>, Error> {
        Ok(self.step(source)?.map(|found| found.map(|(_, feature)| feature)))
    }

    fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Option<(Place, Feature)>>, Error> {
        loop {
            if let Some(found) = self.visit.found.pop_front() {
                return Ok(Step::Ready(Some(found)));
            }
            let more = match &mut self.phase {
                Phase::Spatial(places, _) | Phase::Before(places) => places.step(source, &mut self.visit)?,
                Phase::Tagged(relations) => match relations.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(relations) => {
                        let from = self.passed.map_or(0, |(id, _)| id);
                        self.phase = Phase::Relations(relations_from(&self.root, relations, from));
                        Step::Ready(true)
                    }
                },
                Phase::Relations(heads) => match heads.step(source)? {
                    Step::Missing(cids) => return Ok(Step::Missing(cids)),
                    Step::Ready(None) => Step::Ready(false),
                    Step::Ready(Some((relation, value))) => {
                        self.look_at_relation(relation, &value)?;
                        Step::Ready(true)
                    }
                },
                Phase::Ended => return Ok(Step::Ready(None)),
            };
            match more {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(true) => {}
                Step::Ready(false) => self.go_on(),
            }
        }
    }

    fn go_on(&mut self) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Spatial(..) if self.windows.is_empty() => self.relations_anywhere(),
            Phase::Spatial(places, _) | Phase::Before(places)
                if !self.visit.wants_relations || places.no_relations() =>
            {
                Phase::Ended
            }
            Phase::Spatial(_, Place::Spatial(key, _)) => {
                self.visit.only_relations = true;
                Phase::Before(self.places(Part::Before(&key)))
            }
            Phase::Spatial(..) | Phase::Before(_) => {
                let from = self.passed.map_or(0, |(id, _)| id);
                let relations = self.visit.relations.split_off(&from).into_iter().map(ElementId::relation);
                Phase::Relations(HeadsOf::new(self.root.trees.heads, relations))
            }
            Phase::Tagged(_) | Phase::Relations(_) | Phase::Ended => Phase::Ended,
        };
    }

    fn look_at_relation(&mut self, relation: ElementId, value: &[u8]) -> Result<(), Error> {
        let passed = self.passed.filter(|(id, _)| *id == relation.id).map_or(0, |(_, count)| count);
        for (count, feature) in (1..).zip(relation_features(relation, value)?) {
            if count > passed && self.visit.filter.matches(Kind::Relation, &feature.tags) {
                self.visit.found.push_back((Place::Relation(relation.id, count), feature));
            }
        }
        Ok(())
    }
}

/// Looks up the heads of some relations, or of all, from an id on.
pub(crate) fn relations_from(root: &Root, relations: Option<Vec<ElementId>>, from: u64) -> HeadsOf {
    let heads = root.trees.heads;
    match relations {
        Some(some) => HeadsOf::new(heads, some.into_iter().filter(|relation| relation.id >= from)),
        None => HeadsOf::of_kind(heads, Kind::Relation, from),
    }
}

/// Returns the live heads of a relation.
pub(crate) fn relation_features(relation: ElementId, value: &[u8]) -> Result<Vec<Feature>, Error> {
    if relation.kind != Kind::Relation {
        return Err(Error::Key { tree: "heads" });
    }
    let heads = Known::decode_heads(relation, value).map_err(Error::entry(relation))?;
    let feature = |Known { entry: Entry { payload, .. }, .. }| match payload {
        Some(Payload::Relation { members, tags }) => {
            Some(Feature { element: relation, geometry: Geometry::Members, tags, members })
        }
        _ => None,
    };
    Ok(heads.into_iter().filter_map(feature).collect())
}

/// Gathers the features of the pairs, and which relations name them.
#[derive(Debug)]
struct Gather {
    filter: Filter,
    /// Whether relations are found through their members.
    wants_relations: bool,
    /// Whether no features are gathered.
    only_relations: bool,
    /// How many features of this pair were handed out before.
    passed: Option<([u8; KEY_BYTES], u32)>,
    found: VecDeque<(Place, Feature)>,
    relations: BTreeSet<u64>,
}

impl Gather {
    fn new(filter: Filter, everywhere: bool) -> Self {
        let wants_relations = !everywhere && filter.admits(Kind::Relation);
        let (found, relations) = (VecDeque::new(), BTreeSet::new());
        Self { filter, wants_relations, only_relations: false, passed: None, found, relations }
    }
}

impl Visit for Gather {
    fn wants(&self, key: &[u8], _: &[Window]) -> Wants {
        let admits = spatial::element_of(key).is_none_or(|element| self.filter.admits(element.kind));
        if self.wants_relations || admits { Wants::KeyAndValue } else { Wants::Nothing }
    }

    fn look(&mut self, key: &[u8], value: &[u8], windows: &[Window]) -> Result<(), Error> {
        let Ok(place) = <[u8; KEY_BYTES]>::try_from(key) else { return Err(Error::Key { tree: "spatial" }) };
        if self.only_relations && spatial::surely_touches(key, windows) {
            self.relations.extend(spatial::relations_of(value).map_err(damaged(key))?);
            return Ok(());
        }
        let pair = spatial::parse(key, value).map_err(damaged(key))?;
        let passed = self.passed.filter(|(key, _)| *key == place).map_or(0, |(_, count)| count);
        let mut touched = false;
        for (count, located) in (1..).zip(pair.features) {
            if !meets(windows, &located.geometry) {
                continue;
            }
            touched = true;
            let passes = || self.filter.matches(pair.element.kind, &located.tags);
            if !self.only_relations && count > passed && passes() {
                let (geometry, tags) = (located.geometry, located.tags);
                let feature = Feature { element: pair.element, geometry, tags, members: Vec::new() };
                self.found.push_back((Place::Spatial(place, count), feature));
            }
        }
        if touched && self.wants_relations {
            self.relations.extend(pair.relations);
        }
        Ok(())
    }
}

/// Tells whether a geometry touches one of these windows. No windows are everywhere, and nowhere too.
pub(crate) fn meets(windows: &[Window], geometry: &Geometry) -> bool {
    windows.is_empty() || windows.iter().any(|window| window.meets(geometry))
}

impl Window {
    /// Tells whether a geometry touches the window. A relation is nowhere by itself.
    pub(crate) fn meets(&self, geometry: &Geometry) -> bool {
        match geometry {
            Geometry::Point(coord) => self.contains(*coord),
            Geometry::Line(line) => self.touches(line),
            Geometry::Members => false,
        }
    }
}
