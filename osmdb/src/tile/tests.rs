//! Tiles, read again and compared with what is there by other means.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use prost::Message;

use super::clip;
use super::gather::TOLERANCE;
use super::mvt::{GeometryKind, TileMessage};
use super::*;
use crate::{Coord, Db, ElementId, Payload, Tags, Write};

type Place = (f64, f64);

/// A feature of a tile, read again.
#[derive(Debug, Clone)]
struct Seen {
    kind: GeometryKind,
    /// Rings repeat their first place.
    parts: Vec<Vec<Place>>,
    properties: BTreeMap<String, String>,
}

fn read(tile: &[u8]) -> BTreeMap<String, Vec<(String, Seen)>> {
    let mut found: BTreeMap<String, Vec<(String, Seen)>> = BTreeMap::new();
    for layer in TileMessage::decode(tile).unwrap().layers {
        assert_eq!((layer.version, layer.extent), (2, EXTENT));
        assert!(!layer.features.is_empty(), "a layer without features");
        for feature in &layer.features {
            let properties: BTreeMap<String, String> = feature
                .tags
                .chunks_exact(2)
                .map(|pair| {
                    let value = &layer.values[pair[1] as usize];
                    let shown = value.text.clone().or(value.number.map(|number| number.to_string()));
                    let shown =
                        shown.or(value.is.map(|is| is.to_string())).or(value.signed.map(|n| n.to_string()));
                    (layer.keys[pair[0] as usize].clone(), shown.unwrap())
                })
                .collect();
            let parts = parts(&feature.geometry);
            let seen = Seen { kind: feature.kind(), parts, properties };
            let element = seen.properties["element"].clone();
            found.entry(element).or_default().push((layer.name.clone(), seen));
        }
    }
    found
}

/// Reads commands, as the format describes them.
fn parts(commands: &[u32]) -> Vec<Vec<Place>> {
    let mut parts: Vec<Vec<Place>> = Vec::new();
    let (mut x, mut y) = (0_i64, 0_i64);
    let mut commands = commands.iter();
    while let Some(command) = commands.next() {
        let (name, count) = (command & 7, command >> 3);
        if name == 7 {
            let part = parts.last_mut().unwrap();
            part.push(part[0]);
            continue;
        }
        for _ in 0..count {
            let mut next = || {
                let value = i64::from(*commands.next().unwrap());
                (value >> 1) ^ -(value & 1)
            };
            (x, y) = (x + next(), y + next());
            if name == 1 {
                parts.push(Vec::new());
            }
            parts.last_mut().unwrap().push((x as f64, y as f64));
        }
    }
    parts
}

/// Projects by another formula than the code does.
fn project(tile: TileId, (x, y): (u32, u32), coord: Coord) -> Place {
    let tiles = f64::from(1_u32 << tile.zoom());
    let (lat, lon) = (f64::from(coord.lat()) / 1e7, f64::from(coord.lon()) / 1e7);
    let down = lat.to_radians().tan().asinh() / std::f64::consts::PI;
    let east = (lon + 180.0) / 360.0 * tiles - f64::from(x);
    let south = (1.0 - down) / 2.0 * tiles - f64::from(y);
    (east * f64::from(EXTENT), south * f64::from(EXTENT))
}

fn to_segment(at: Place, a: Place, b: Place) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let along = if length == 0.0 { 0.0 } else { ((at.0 - a.0) * dx + (at.1 - a.1) * dy) / length };
    let along = along.clamp(0.0, 1.0);
    (at.0 - a.0 - along * dx).hypot(at.1 - a.1 - along * dy)
}

fn to_line(at: Place, line: &[Place]) -> f64 {
    let one = line.first().map_or(f64::INFINITY, |only| to_segment(at, *only, *only));
    line.windows(2).map(|pair| to_segment(at, pair[0], pair[1])).fold(one, f64::min)
}

fn is_inside(at: Place, beyond: f64) -> bool {
    let high = f64::from(EXTENT) + beyond;
    (-beyond..=high).contains(&at.0) && (-beyond..=high).contains(&at.1)
}

/// Walks along a line, a quarter of a unit at a time but no more than 4,000 steps for each segment.
fn walk(line: &[Place]) -> Vec<Place> {
    let mut out = Vec::new();
    for pair in line.windows(2) {
        let length = (pair[0].0 - pair[1].0).hypot(pair[0].1 - pair[1].1);
        let steps = (length * 4.0).clamp(1.0, 4_000.0).floor();
        out.extend((0..=4_000).map(f64::from).take_while(|step| *step <= steps).map(|step| {
            let part = step / steps;
            (pair[0].0 + part * (pair[1].0 - pair[0].0), pair[0].1 + part * (pair[1].1 - pair[0].1))
        }));
    }
    out
}

const WAY_TAGS: [(&str, &str); 8] = [
    ("highway", "motorway"),
    ("highway", "path"),
    ("building", "yes"),
    ("natural", "water"),
    ("landuse", "forest"),
    ("waterway", "stream"),
    ("boundary", "administrative"),
    ("barrier", "wall"),
];

#[derive(Debug, Clone)]
struct World {
    nodes: Vec<(i64, i64)>,
    ways: Vec<(Vec<usize>, bool, usize)>,
}

/// Nodes around a tile of zoom 14 at 42.5 degrees north, whose side is 0.022 degree; some far away.
fn worlds() -> impl Strategy<Value = World> {
    let place = prop_oneof![
        8 => (424_700_000..425_300_000_i64, 14_800_000..15_400_000_i64),
        1 => (400_000_000..450_000_000_i64, -10_000_000..30_000_000_i64),
    ];
    proptest::collection::vec(place, 4..40).prop_flat_map(|nodes| {
        let way = (proptest::collection::vec(0..nodes.len(), 2..9), any::<bool>(), 0..WAY_TAGS.len());
        let ways = proptest::collection::vec(way, 0..12);
        ways.prop_map(move |ways| World { nodes: nodes.clone(), ways })
    })
}

/// What there is: each element, with its places.
fn fill(db: &Db<prolly::MemoryStore>, world: &World) -> BTreeMap<ElementId, (Vec<Coord>, Tags)> {
    let mut all = BTreeMap::new();
    let mut batch = db.batch();
    for (id, (lat, lon)) in (1..).zip(&world.nodes) {
        let (coord, tags) = (Coord::new(*lat, *lon).unwrap(), Tags::from([("amenity", "bench")]));
        batch.push(Write::put(ElementId::node(id), Payload::Node { coord, tags: tags.clone() }));
        all.insert(ElementId::node(id), (vec![coord], tags));
    }
    for (id, (refs, is_closed, tag)) in (1..).zip(&world.ways) {
        let mut refs = refs.clone();
        if *is_closed {
            refs.push(refs[0]);
        }
        let coords = refs.iter().map(|node| all[&ElementId::node(*node as u64 + 1)].0[0]).collect();
        let tags = Tags::from([WAY_TAGS[*tag]]);
        let refs = refs.into_iter().map(|node| node as u64 + 1).collect();
        batch.push(Write::put(ElementId::way(id), Payload::Way { refs, tags: tags.clone() }));
        all.insert(ElementId::way(id), (coords, tags));
    }
    batch.lenient();
    batch.commit().unwrap();
    all
}

/// Returns the tile of a zoom that has the middle of the world in it.
fn middle(zoom: u8) -> (TileId, (u32, u32)) {
    let (x, y) = (8_260_u32 >> (14 - zoom), 6_051_u32 >> (14 - zoom));
    (TileId::new(zoom, x, y).unwrap(), (x, y))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// What a tile shows is where it is said to be, and nothing is beyond the buffer; at the largest zoom nothing
    /// that can be seen is left out.
    #[test]
    fn tiles_show_what_is_there(world in worlds(), zoom in prop_oneof![3 => Just(14_u8), 1 => 0..14_u8]) {
        let db = Db::in_memory("osm").unwrap();
        let all = fill(&db, &world);
        let (tile, xy) = middle(zoom);
        let bytes = db.snapshot().tile(tile).unwrap();
        prop_assert!(bytes.len() <= MAX_TILE_BYTES);
        let seen = read(&bytes);
        let tolerance = if zoom == MAX_ZOOM { 1.5 } else { TOLERANCE as f64 + 1.5 };
        let edge = f64::from(BUFFER);
        for (name, drawn) in &seen {
            let (coords, tags) = &all[&name.parse::<ElementId>().unwrap()];
            let line: Vec<Place> = coords.iter().map(|coord| project(tile, xy, *coord)).collect();
            prop_assert_eq!(drawn.len(), 1, "{} is drawn twice", name);
            let (layer, drawn) = &drawn[0];
            prop_assert!(!drawn.parts.is_empty());
            for at in drawn.parts.iter().flatten() {
                prop_assert!(is_inside(*at, edge), "{} at {:?} is beyond the buffer", name, at);
                let on_edge = [at.0, at.1].iter().any(|side| *side == -edge || *side == f64::from(EXTENT) + edge);
                let off = to_line(*at, &line);
                let is_area = drawn.kind == GeometryKind::Polygons;
                prop_assert!(off <= tolerance || is_area && on_edge, "{} of {} is {} off", name, layer, off);
            }
            for ring in drawn.parts.iter().filter(|_| drawn.kind == GeometryKind::Polygons) {
                let doubled: f64 = ring.windows(2).map(|pair| pair[0].0 * pair[1].1 - pair[1].0 * pair[0].1).sum();
                prop_assert!(doubled > 0.0, "an outer ring runs the other way");
            }
            // What is in the tile of the original is drawn, but for what a ring encloses nothing by.
            if drawn.kind != GeometryKind::Polygons {
                let there: Vec<Place> = drawn.parts.iter().flat_map(|part| {
                    if part.len() > 1 { walk(part) } else { part.clone() }
                }).collect();
                let here = if line.len() > 1 { walk(&line) } else { line.clone() };
                for at in here.into_iter().filter(|at| is_inside(*at, edge - 8.0)).step_by(37) {
                    let near = there.iter().any(|drawn| (drawn.0 - at.0).hypot(drawn.1 - at.1) <= tolerance + 1.5);
                    prop_assert!(near, "{} has a gap at {:?} ({:?})", name, at, tags);
                }
            }
        }
        if zoom == MAX_ZOOM {
            for (element, (coords, _)) in &all {
                let line: Vec<Place> = coords.iter().map(|coord| project(tile, xy, *coord)).collect();
                let inside = |at: &Place| is_inside(*at, -1.0);
                let is_here = if line.len() > 1 { walk(&line).iter().any(inside) } else { inside(&line[0]) };
                // A ring that goes to and fro on one line encloses nothing, and neither does a single place.
                let is_ring = line.len() > 3 && line.first() == line.last();
                let is_dot = line.len() > 1 && line.iter().all(|at| (at.0 - line[0].0).hypot(at.1 - line[0].1) < 2.0);
                if is_here && !is_ring && !is_dot {
                    prop_assert!(seen.contains_key(&element.to_string()), "{} is not drawn", element);
                }
            }
        }
    }

    /// A cache that has seen one root gives the tiles of the next as if it had seen none.
    #[test]
    fn remembered_tiles_are_those_of_the_root(
        world in worlds(),
        edits in proptest::collection::vec((1..40_u64, 424_700_000..425_300_000_i64, any::<bool>()), 1..6),
    ) {
        let db = Db::in_memory("osm").unwrap();
        fill(&db, &world);
        let relation = Payload::Relation {
            members: vec![crate::Member { element: ElementId::way(1), role: "outer".into() }],
            tags: Tags::from([("type", "multipolygon"), ("landuse", "meadow")]),
        };
        let mut batch = db.batch();
        batch.lenient().push(Write::put(ElementId::relation(1), relation));
        batch.commit().unwrap();
        let tiles = Tiles::new();
        let ids: Vec<TileId> = (0..=14).map(|zoom| middle(zoom).0)
            .chain(TileId::new(14, 8_261, 6_051)).chain(TileId::new(14, 8_258, 6_053)).collect();
        let check = || {
            for id in &ids {
                let made = db.snapshot().tile(*id).unwrap();
                let tile = tiles.get(&db.snapshot(), *id).unwrap();
                prop_assert_eq!(tile.bytes(), &made, "{:?}", id);
            }
            Ok(())
        };
        check()?;
        for (id, lat, fork) in edits {
            let node = ElementId::node(id.min(world.nodes.len() as u64));
            let first = db.snapshot().history(node).unwrap()[0].version;
            let coord = Coord::new(lat, 15_100_000).unwrap();
            let write = Write::put(node, Payload::Node { coord, tags: Tags::from([("shop", "bakery")]) });
            let mut batch = db.batch();
            batch.push(if fork { write.replacing([first]) } else { write });
            batch.commit().unwrap();
            check()?;
        }
    }
}

#[test]
fn a_ring_around_the_tile_fills_it() {
    let ring = [(-9_000, -9_000), (9_000, -9_000), (9_000, 9_000), (-9_000, 9_000)];
    let clipped: BTreeSet<_> = clip::ring(&ring).into_iter().collect();
    assert_eq!(clipped, BTreeSet::from([(-64, -64), (4_160, -64), (4_160, 4_160), (-64, 4_160)]));
}

#[test]
fn a_line_comes_in_the_parts_that_are_inside() {
    let line = [(100, 100), (100, 9_000), (200, 9_000), (200, 100), (-500, 100)];
    let parts = [vec![(100, 100), (100, 4_160)], vec![(200, 4_160), (200, 100), (-64, 100)]];
    assert_eq!(clip::line(&line), parts);
    assert!(clip::line(&[(5_000, 0), (5_000, 9_000)]).is_empty());
}

#[test]
fn a_full_tile_leaves_out_what_matters_least() {
    let db = Db::in_memory("osm").unwrap();
    let mut batch = db.batch();
    let text = "a name that is rather long, as few are ".repeat(6);
    for number in 0..6_000_i64 {
        let coord = Coord::new(425_000_000 + number, 15_100_000).unwrap();
        let tags = Tags::from([("amenity", "bench".to_owned()), ("name", format!("{text}{number}"))]);
        batch.create(Payload::Node { coord, tags }).unwrap();
    }
    let town = Tags::from([("place", "town"), ("name", "Encamp")]);
    batch.create(Payload::Node { coord: Coord::new(425_000_000, 15_100_000).unwrap(), tags: town }).unwrap();
    batch.commit().unwrap();
    let bytes = db.snapshot().tile(middle(14).0).unwrap();
    assert!((MAX_TILE_BYTES / 2..=MAX_TILE_BYTES).contains(&bytes.len()), "{} bytes", bytes.len());
    let seen = read(&bytes);
    assert!(seen.len() > 2_000 && seen.values().flatten().any(|(layer, _)| layer == "places"));
}

#[test]
fn forks_are_marked_and_borders_drawn_once() {
    let db = Db::in_memory("osm").unwrap();
    let mut batch = db.batch();
    let nodes: Vec<u64> = (0..3)
        .map(|n| {
            let coord = Coord::new(425_000_000 + n * 10_000, 15_100_000 + n * n * 9_000).unwrap();
            batch.create(Payload::Node { coord, tags: Tags::new() }).unwrap().id
        })
        .collect();
    let way = batch.create(Payload::Way { refs: nodes, tags: Tags::new() }).unwrap();
    let border = |level: &str| Payload::Relation {
        members: vec![crate::Member { element: way, role: "outer".into() }],
        tags: Tags::from([("type", "boundary"), ("boundary", "administrative"), ("admin_level", level)]),
    };
    batch.create(border("8")).unwrap();
    batch.create(border("2")).unwrap();
    batch.commit().unwrap();
    let first = db.get(way).unwrap()[0].clone();
    let seen = read(&db.snapshot().tile(middle(14).0).unwrap());
    let drawn: Vec<_> = seen[&way.to_string()].iter().map(|(layer, seen)| (layer.as_str(), seen)).collect();
    let level =
        drawn.iter().find(|(layer, _)| *layer == "boundaries").map(|(_, seen)| &seen.properties["level"]);
    assert_eq!(level.map(String::as_str), Some("2"));

    let refs =
        first.entry.payload.iter().flat_map(Payload::references).map(|node| node.id).collect::<Vec<_>>();
    let put = |value: &str| {
        let tags = Tags::from([("highway", value)]);
        let write = Write::put(way, Payload::Way { refs: refs.clone(), tags }).replacing([first.version]);
        let mut batch = db.batch();
        batch.push(write);
        batch.commit().unwrap();
    };
    put("path");
    put("track");
    let seen = read(&db.snapshot().tile(middle(14).0).unwrap());
    let roads: Vec<_> = seen[&way.to_string()].iter().filter(|(layer, _)| layer == "roads").collect();
    assert_eq!(roads.len(), 2);
    assert!(roads.iter().all(|(_, road)| road.properties["forked"] == "true"), "{roads:?}");
}
