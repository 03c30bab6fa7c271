//! What a bounding-box query must answer, found by looking at everything.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use osmdb::{BBox, Coord, ElementId, Feature, Geometry, Head, Kind, Member, Payload, Tags};

use crate::{Model, Rng};

/// The sides of a box that does not cross the antimeridian.
#[derive(Debug, Clone, Copy)]
pub struct Rect {
    /// The least longitude, in 10⁻⁷ degree, as the other sides.
    pub west: i64,
    /// The least latitude.
    pub south: i64,
    /// The greatest longitude.
    pub east: i64,
    /// The greatest latitude.
    pub north: i64,
}

/// A fraction whose denominator is positive.
#[derive(Clone, Copy)]
struct Fraction(i128, i128);

impl Fraction {
    fn order(self, other: Self) -> Ordering {
        (self.0 * other.1).cmp(&(other.0 * self.1))
    }
}

impl Rect {
    fn parts(bbox: BBox) -> Vec<Self> {
        let (low, high) = (bbox.south_west(), bbox.north_east());
        let (south, north) = (low.lat().into(), high.lat().into());
        let part = |west: i32, east: i32| Self { west: west.into(), south, east: east.into(), north };
        if low.lon() <= high.lon() {
            vec![part(low.lon(), high.lon())]
        } else {
            vec![part(low.lon(), 1_800_000_000), part(-1_800_000_000, high.lon())]
        }
    }

    fn holds(&self, place: Coord) -> bool {
        let (lat, lon) = (i64::from(place.lat()), i64::from(place.lon()));
        (self.west..=self.east).contains(&lon) && (self.south..=self.north).contains(&lat)
    }

    /// Clips a segment by the four sides, one after another (Liang and Barsky), in exact fractions:
    /// it touches the box if anything is left.
    fn meets(&self, from: Coord, to: Coord) -> bool {
        let (x, y) = (i128::from(from.lon()), i128::from(from.lat()));
        let (dx, dy) = (i128::from(to.lon()) - x, i128::from(to.lat()) - y);
        let sides = [
            (-dx, x - i128::from(self.west)),
            (dx, i128::from(self.east) - x),
            (-dy, y - i128::from(self.south)),
            (dy, i128::from(self.north) - y),
        ];
        let (mut enters, mut leaves) = (Fraction(0, 1), Fraction(1, 1));
        for (towards, room) in sides {
            match towards.cmp(&0) {
                Ordering::Equal if room < 0 => return false,
                Ordering::Equal => {}
                Ordering::Less => {
                    let at = Fraction(-room, -towards);
                    if at.order(enters) == Ordering::Greater {
                        enters = at;
                    }
                }
                Ordering::Greater => {
                    let at = Fraction(room, towards);
                    if at.order(leaves) == Ordering::Less {
                        leaves = at;
                    }
                }
            }
        }
        enters.order(leaves) != Ordering::Greater
    }

    fn touches(&self, line: &[Coord]) -> bool {
        line.first().is_some_and(|first| self.holds(*first))
            || line.iter().zip(line.iter().skip(1)).any(|(from, to)| self.meets(*from, *to))
    }
}

/// Everything that is live, and where it is.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// Nodes that have tags or are in no way.
    nodes: Vec<(u64, Coord, Tags)>,
    ways: Vec<(u64, Vec<Coord>, Tags)>,
    relations: BTreeMap<u64, Vec<(Vec<Member>, Tags)>>,
}

impl Map {
    /// Draws the map of some entries.
    #[must_use]
    pub fn of(model: &Model) -> Self {
        let mut live: Vec<(ElementId, Payload)> = Vec::new();
        let mut places = BTreeMap::new();
        for element in model.elements() {
            let mut heads = model.versions(element).0;
            heads.retain(|head| head.entry.payload.is_some());
            let key = |head: &&Head| (head.entry.timestamp(), head.version);
            if let Some(Payload::Node { coord, .. }) =
                heads.iter().max_by_key(key).and_then(|head| head.entry.payload.as_ref())
            {
                places.insert(element.id, *coord);
            }
            live.extend(heads.into_iter().filter_map(|head| Some((element, head.entry.payload?))));
        }
        let mut in_ways = BTreeSet::new();
        for (_, payload) in &live {
            if let Payload::Way { refs, .. } = payload {
                in_ways.extend(refs.iter().copied());
            }
        }
        let mut map = Self::default();
        for (element, payload) in live {
            match payload {
                Payload::Node { coord, tags } => {
                    if !tags.is_empty() || !in_ways.contains(&element.id) {
                        map.nodes.push((element.id, coord, tags));
                    }
                }
                Payload::Way { refs, tags } => {
                    let line = refs.iter().filter_map(|id| places.get(id).copied()).collect();
                    map.ways.push((element.id, line, tags));
                }
                Payload::Relation { members, tags } => {
                    map.relations.entry(element.id).or_default().push((members, tags));
                }
                Payload::Changeset { .. } => {}
            }
        }
        map
    }

    /// Looks at everything, and returns what touches a box; sorted.
    #[must_use]
    pub fn query(&self, bbox: BBox) -> Vec<Feature> {
        let parts = Rect::parts(bbox);
        let mut found = Vec::new();
        for (id, coord, tags) in &self.nodes {
            if parts.iter().any(|part| part.holds(*coord)) {
                found.push(feature(ElementId::node(*id), Geometry::Point(*coord), tags, &[]));
            }
        }
        for (id, line, tags) in &self.ways {
            if parts.iter().any(|part| part.touches(line)) {
                found.push(feature(ElementId::way(*id), Geometry::Line(line.clone()), tags, &[]));
            }
        }
        let touched: BTreeSet<ElementId> = found.iter().map(|feature| feature.element).collect();
        for (id, heads) in &self.relations {
            let is_touched = |(members, _): &(Vec<Member>, Tags)| {
                members
                    .iter()
                    .any(|member| member.element.kind != Kind::Relation && touched.contains(&member.element))
            };
            if heads.iter().any(is_touched) {
                let all = heads.iter().map(|(members, tags)| {
                    feature(ElementId::relation(*id), Geometry::Members, tags, members)
                });
                found.extend(all);
            }
        }
        sorted(found)
    }

    /// Returns the smallest box around all places; `None` where there are none.
    #[must_use]
    pub fn extent(&self) -> Option<Rect> {
        let nodes = self.nodes.iter().map(|(_, coord, _)| coord);
        let mut places = nodes.chain(self.ways.iter().flat_map(|(_, line, _)| line));
        let first = places.next()?;
        let (lat, lon) = (first.lat().into(), first.lon().into());
        let start = Rect { west: lon, south: lat, east: lon, north: lat };
        Some(places.fold(start, |rect, place| Rect {
            west: rect.west.min(place.lon().into()),
            south: rect.south.min(place.lat().into()),
            east: rect.east.max(place.lon().into()),
            north: rect.north.max(place.lat().into()),
        }))
    }

    /// Returns all places, of nodes and of lines.
    #[must_use]
    pub fn places(&self) -> Vec<Coord> {
        let nodes = self.nodes.iter().map(|(_, coord, _)| *coord);
        nodes.chain(self.ways.iter().flat_map(|(_, line, _)| line.iter().copied())).collect()
    }
}

fn feature(element: ElementId, geometry: Geometry, tags: &Tags, members: &[Member]) -> Feature {
    Feature { element, geometry, tags: tags.clone(), members: members.to_vec() }
}

/// Puts features in an order of their own, whatever order they came in.
#[must_use]
pub fn sorted(mut features: Vec<Feature>) -> Vec<Feature> {
    features.sort_by(|a, b| a.element.cmp(&b.element).then_with(|| format!("{a:?}").cmp(&format!("{b:?}"))));
    features
}

/// Makes random boxes inside an extent, from 10 m a side to the whole, small ones as often as large
/// ones; many of them around places of the map, with sides that pass exactly through one.
#[must_use]
pub fn boxes_around(map: &Map, count: usize, rng: &mut Rng) -> Vec<BBox> {
    let Some(extent) = map.extent() else { return Vec::new() };
    let places = map.places();
    let (wide, high) = (extent.east - extent.west, extent.north - extent.south);
    let doublings = 64 - (wide.max(high).unsigned_abs() / 900).leading_zeros();
    let one = |rng: &mut Rng| {
        let side = 900_i64 << rng.below(u64::from(doublings) + 1);
        let (width, height) = (rng.within(side / 2, side).min(wide), rng.within(side / 2, side).min(high));
        let (west, south) = if rng.chance(60) {
            let place = places[rng.index(places.len())];
            let (west, south) = (i64::from(place.lon()), i64::from(place.lat()));
            match rng.below(4) {
                0 => (west, south),
                1 => (west - width, south - height),
                _ => (west - rng.within(0, width), south - rng.within(0, height)),
            }
        } else {
            (rng.within(extent.west, extent.east - width), rng.within(extent.south, extent.north - height))
        };
        bbox(west, south, west + width, south + height)
    };
    let mut boxes = vec![bbox(extent.west, extent.south, extent.east, extent.north)];
    boxes.extend((1..count).map(|_| one(rng)));
    boxes
}

fn bbox(west: i64, south: i64, east: i64, north: i64) -> BBox {
    let corner = |lat: i64, lon: i64| {
        let place =
            Coord::new(lat.clamp(-900_000_000, 900_000_000), lon.clamp(-1_800_000_000, 1_800_000_000));
        place.expect("it is on the globe")
    };
    BBox::new(corner(south, west), corner(north, east)).expect("south is not above north")
}
