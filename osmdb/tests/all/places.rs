//! What is near a place, and the map call of the OSM API, against a plain look at everything.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::maps::{bbox, database, entries, place};
use osmdb::{
    BBox, Coord, Db, EARTH_RADIUS, ElementId, Feature, Filter, Geometry, Head, Kind, Payload, Snapshot,
};
use prolly::PageSource;
use proptest::prelude::*;

type Vector = [f64; 3];

fn vector(lat: f64, lon: f64) -> Vector {
    let (lat, lon) = (lat.to_radians(), lon.to_radians());
    [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
}

fn degrees(coord: Coord) -> (f64, f64) {
    (f64::from(coord.lat()) / 1e7, f64::from(coord.lon()) / 1e7)
}

/// The distance by the angle between vectors.
fn apart(a: Vector, b: Vector) -> f64 {
    let cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    EARTH_RADIUS * cross.iter().map(|x| x * x).sum::<f64>().sqrt().atan2(dot)
}

/// The distance to a line, by looking at many of its places, and more around the best.
fn to_line(here: Vector, line: &[Coord]) -> f64 {
    let mut least = f64::INFINITY;
    for pair in line.windows(2) {
        let ((lat, lon), (to_lat, to_lon)) = (degrees(pair[0]), degrees(pair[1]));
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        let is_short = (to_lat - lat).abs().max((to_lon - lon).abs()) < 0.01;
        let steps = if is_short { 20 } else { 800 };
        for _ in 0..4 {
            let (mut best, mut at) = (f64::INFINITY, low);
            for step in 0..=steps {
                let part = low + (high - low) * f64::from(step) / f64::from(steps);
                let there = vector(lat + (to_lat - lat) * part, lon + (to_lon - lon) * part);
                let metres = apart(here, there);
                if metres < best {
                    (best, at) = (metres, part);
                }
            }
            least = least.min(best);
            let width = (high - low) / f64::from(steps / 4);
            (low, high) = ((at - width).max(0.0), (at + width).min(1.0));
        }
    }
    line.iter()
        .map(|coord| degrees(*coord))
        .map(|(lat, lon)| apart(here, vector(lat, lon)))
        .fold(least, f64::min)
}

/// All features with their distances: those of relations by their members.
fn distances<S: PageSource>(snapshot: &Snapshot<S>, from: Coord, filter: &Filter) -> Vec<(f64, Feature)> {
    let (lat, lon) = degrees(from);
    let here = vector(lat, lon);
    let all: Vec<Feature> = snapshot.query("-180,-90,180,90".parse().unwrap()).map(Result::unwrap).collect();
    let mut nearest: BTreeMap<ElementId, f64> = BTreeMap::new();
    for feature in &all {
        let metres = match &feature.geometry {
            Geometry::Point(coord) => to_line(here, &[*coord]),
            Geometry::Line(line) => to_line(here, line),
            Geometry::Members => continue,
        };
        for user in snapshot.refs(feature.element).unwrap() {
            let least = nearest.entry(user).or_insert(metres);
            *least = least.min(metres);
        }
    }
    let metres = |feature: &Feature| match &feature.geometry {
        Geometry::Point(coord) => to_line(here, &[*coord]),
        Geometry::Line(line) => to_line(here, line),
        Geometry::Members => nearest[&feature.element],
    };
    let passing = all.into_iter().filter(|feature| filter.matches(feature.element.kind, &feature.tags));
    passing.map(|feature| (metres(&feature), feature)).collect()
}

/// How much two ways to reckon may differ, in metres.
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 0.5 + a * 1e-6
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_nearest_come_first(
        entries in entries(),
        from in place(),
        filter in prop::sample::select(vec!["", "node", "way|relation", "kind", "relation and !kind", "changeset"]),
        within in prop_oneof![Just(f64::INFINITY), 0.0..3.0, 0.0..2e7, Just(-1.0), Just(f64::NAN)],
    ) {
        let db = database(&entries);
        let (snapshot, filter) = (db.snapshot(), filter.parse().unwrap());
        let found: Vec<_> = snapshot.nearest(from, &filter).within(within).map(Result::unwrap).collect();
        prop_assert!(found.iter().map(|neighbour| neighbour.metres).is_sorted());
        let mut expected = distances(&snapshot, from, &filter);
        for neighbour in &found {
            let same = |(metres, feature): &(f64, Feature)| close(*metres, neighbour.metres) && *feature == neighbour.feature;
            let at = expected.iter().position(same);
            prop_assert!(at.is_some(), "{:?}", neighbour);
            expected.remove(at.unwrap());
        }
        for (metres, feature) in expected {
            let is_far = metres >= within || close(metres, within) || within < 0.0;
            prop_assert!(is_far, "{} {:?}", metres, feature);
        }
    }

    #[test]
    fn the_map_of_a_box_is_what_the_api_answers(entries in entries(), bbox in bbox()) {
        let db = database(&entries);
        check_map(&db.snapshot(), &Everything::of(&db.snapshot()), bbox);
    }
}

#[test]
fn around_the_ends_of_the_globe() {
    let db = Db::in_memory("osm").unwrap();
    let peak = |lat, lon| {
        let tags = osmdb::Tags::from([("natural", "peak")]);
        db.create(Payload::Node { coord: Coord::new(lat, lon).unwrap(), tags }).unwrap()
    };
    let east = peak(-170_000_000, 1_799_999_000);
    let west = peak(-170_000_000, -1_799_999_500);
    let pole = peak(899_990_000, 900_000_000);
    let snapshot = db.snapshot();
    let order = |lat, lon| -> Vec<ElementId> {
        let found = snapshot.nearest(Coord::new(lat, lon).unwrap(), &Filter::new());
        found.map(|neighbour| neighbour.unwrap().feature.element).collect()
    };
    assert_eq!(order(-170_000_000, 1_800_000_000), [west, east, pole]);
    assert_eq!(order(-170_000_000, -1_800_000_000), [west, east, pole]);
    let over_the_pole =
        snapshot.nearest(Coord::new(899_990_000, -900_000_000).unwrap(), &Filter::new()).next();
    let over_the_pole = over_the_pole.unwrap().unwrap();
    assert_eq!(over_the_pole.feature.element, pole);
    assert!((over_the_pole.metres - 222.39).abs() < 0.01, "{}", over_the_pole.metres);
}

#[test]
fn more_neighbours_than_are_kept_at_once_come_in_order() {
    let db = Db::in_memory("osm").unwrap();
    // All at a few distances, so that a box is looked at again in the middle of equals.
    let entries: Vec<_> = (1..=25_000_u64)
        .map(|id| {
            crate::maps::entry_of(
                ElementId::node(id),
                Payload::Node {
                    coord: Coord::new(0, (id % 3).cast_signed()).unwrap(),
                    tags: osmdb::Tags::new(),
                },
            )
        })
        .collect();
    crate::maps::add(&db, &entries);
    let found: Vec<(u64, ElementId)> = db
        .snapshot()
        .nearest(Coord::new(0, 0).unwrap(), &Filter::new())
        .map(|neighbour| neighbour.map(|found| (found.metres.to_bits(), found.feature.element)).unwrap())
        .collect();
    assert_eq!(found.len(), 25_000);
    assert!(found.is_sorted() && found.iter().collect::<BTreeSet<_>>().len() == 25_000);
}

/// Everything in a database, as the map call needs it.
struct Everything {
    live: BTreeMap<ElementId, Vec<Head>>,
    shown: BTreeMap<u64, Coord>,
    in_way: BTreeSet<u64>,
}

impl Everything {
    fn of<S: PageSource>(snapshot: &Snapshot<S>) -> Self {
        let mut everything = Self { live: BTreeMap::new(), shown: BTreeMap::new(), in_way: BTreeSet::new() };
        for heads in snapshot.heads() {
            let mut heads = heads.unwrap();
            heads.retain(|head| head.entry.payload.is_some());
            let Some(shown) = heads.iter().max_by_key(|head| (head.entry.timestamp(), head.version)) else {
                continue;
            };
            let element = shown.entry.element;
            if let Some(Payload::Node { coord, .. }) = &shown.entry.payload {
                everything.shown.insert(element.id, *coord);
            }
            for head in &heads {
                if let Some(Payload::Way { refs, .. }) = &head.entry.payload {
                    everything.in_way.extend(refs);
                }
            }
            everything.live.insert(element, heads);
        }
        everything
    }

    fn map(&self, inside: impl Fn(Coord) -> bool) -> BTreeSet<ElementId> {
        let mut found = BTreeSet::new();
        for (element, heads) in &self.live {
            for head in heads {
                match &head.entry.payload {
                    Some(Payload::Node { coord, tags }) => {
                        let is_vertex = self.in_way.contains(&element.id);
                        let here = (!is_vertex || !tags.is_empty()) && inside(*coord);
                        let shown_here = is_vertex && inside(self.shown[&element.id]);
                        found.extend((here || shown_here).then_some(*element));
                    }
                    Some(Payload::Way { refs, .. })
                        if refs.iter().filter_map(|id| self.shown.get(id)).any(|coord| inside(*coord)) =>
                    {
                        found.insert(*element);
                    }
                    _ => {}
                }
            }
        }
        let ways: Vec<ElementId> =
            found.iter().copied().filter(|element| element.kind == Kind::Way).collect();
        for head in ways.iter().flat_map(|way| &self.live[way]) {
            found.extend(head.entry.payload.iter().flat_map(Payload::references));
        }
        for _ in 0..2 {
            let relations: Vec<ElementId> = self
                .live
                .iter()
                .filter(|(element, heads)| {
                    let mut named = heads
                        .iter()
                        .filter_map(|head| head.entry.payload.as_ref())
                        .flat_map(Payload::references);
                    element.kind == Kind::Relation && named.any(|member| found.contains(&member))
                })
                .map(|(element, _)| *element)
                .collect();
            found.extend(relations);
        }
        found
    }
}

fn check_map<S: PageSource>(snapshot: &Snapshot<S>, everything: &Everything, bbox: BBox) -> usize {
    let (low, high) = (bbox.south_west(), bbox.north_east());
    let inside = |coord: Coord| {
        let (west, east) = (low.lon() <= coord.lon(), coord.lon() <= high.lon());
        let lon = if bbox.crosses_antimeridian() { west || east } else { west && east };
        lon && low.lat() <= coord.lat() && coord.lat() <= high.lat()
    };
    let map = snapshot.map(bbox).unwrap();
    let found: Vec<ElementId> = map.elements().collect();
    assert!(found.is_sorted_by(|a, b| a < b), "{bbox}: in order, each once");
    let expected = everything.map(inside);
    let found: BTreeSet<ElementId> = found.into_iter().collect();
    assert_eq!(found.difference(&expected).next(), None, "{bbox}: too much");
    assert_eq!(expected.difference(&found).next(), None, "{bbox}: too little");
    assert_eq!(map.nodes(), found.iter().filter(|element| element.kind == Kind::Node).count());
    let heads: Vec<Vec<Head>> = map.heads().map(Result::unwrap).collect();
    let live: Vec<Vec<Head>> =
        found.iter().filter_map(|element| everything.live.get(element).cloned()).collect();
    assert!(heads == live, "{bbox}: contents");
    found.len()
}

fn check_extract(path: &Path, boxes: usize) {
    let db = Db::in_memory("osm").unwrap();
    db.import(&[path], |_, _| {}).unwrap();
    let snapshot = db.snapshot();
    let everything = Everything::of(&snapshot);
    let places: Vec<Coord> = everything.shown.values().copied().collect();
    let mut found = 0;
    for (turn, at) in (0..boxes).map(|turn| places[turn * 7919 % places.len()]).enumerate() {
        let half = [0, 5_000, 50_000, 250_000][turn % 4];
        let corner = |by: i64| Coord::new(i64::from(at.lat()) + by, i64::from(at.lon()) + by).unwrap();
        found += check_map(&snapshot, &everything, BBox::new(corner(-half), corner(half)).unwrap());
    }
    println!("{}: {boxes} boxes, {found} elements", path.display());
}

#[test]
fn maps_of_real_extracts_are_complete() {
    for name in ["monaco-2023.osm.pbf", "grid.osm", "bristol-2019.osm.pbf"] {
        if let Some(path) = crate::program::real_data(name) {
            check_extract(&path, 40);
        }
    }
}

#[test]
fn nearest_in_a_real_extract() {
    let Some(path) = crate::program::real_data("monaco-2023.osm.pbf") else { return };
    let db = Db::in_memory("osm").unwrap();
    db.import(&[path], |_, _| {}).unwrap();
    let snapshot = db.snapshot();
    let here = Coord::new(437_340_000, 74_210_000).unwrap();
    for filter in ["amenity=restaurant", "highway=bus_stop", "relation and route", "building and name"] {
        let filter: Filter = filter.parse().unwrap();
        let mut expected: Vec<f64> =
            distances(&snapshot, here, &filter).into_iter().map(|(metres, _)| metres).collect();
        expected.sort_by(f64::total_cmp);
        let found: Vec<f64> = snapshot.nearest(here, &filter).map(|found| found.unwrap().metres).collect();
        assert_eq!(found.len(), expected.len(), "{filter}");
        assert!(found.iter().zip(&expected).all(|(a, b)| close(*a, *b)), "{filter}");
        assert!(!found.is_empty(), "{filter}");
    }
}
