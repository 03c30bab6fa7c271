//! Boxes at the edges of the globe and of themselves.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

use osmdb::{BBox, Coord, Db, ElementId, Entry, Feature, Member, Origin, OsmMeta, Payload, Tags};
use prolly::MemoryStore;
use tests::{Map, Model, Rng, boxes_around, node, sorted, to_pbf};

fn way(id: u64, refs: &[u64]) -> Entry {
    let payload = Payload::Way { refs: refs.to_vec(), tags: Tags::new() };
    let origin = Origin::Imported(OsmMeta { version: Some(1), ..OsmMeta::default() });
    Entry { element: ElementId::way(id), payload: Some(payload), origin }
}

fn relation(id: u64, members: &[ElementId]) -> Entry {
    let members = members.iter().map(|element| Member { element: *element, role: String::new() }).collect();
    let payload = Payload::Relation { members, tags: Tags::new() };
    let origin = Origin::Imported(OsmMeta { version: Some(1), ..OsmMeta::default() });
    Entry { element: ElementId::relation(id), payload: Some(payload), origin }
}

struct Globe {
    db: Db<MemoryStore>,
    map: Map,
}

impl Globe {
    fn of(entries: Vec<Entry>) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), to_pbf(&entries)).unwrap();
        let db = Db::in_memory("osm").unwrap();
        db.import(&[file.path()], |_, _| {}).unwrap();
        Self { db, map: Map::of(&Model::of(entries)) }
    }

    /// Answers a query, after comparing the answer with a scan.
    fn query(&self, bbox: BBox) -> Vec<Feature> {
        let answer = sorted(self.db.snapshot().query(bbox).collect::<Result<_, _>>().unwrap());
        assert_eq!(answer, self.map.query(bbox), "box {bbox}");
        answer
    }

    fn ids(&self, bbox: &str) -> Vec<String> {
        let answer = self.query(bbox.parse().unwrap());
        answer.iter().map(|feature| feature.element.to_string()).collect()
    }
}

/// Corners, poles, both sides of the antimeridian, giant ways, and a way that is only a place.
fn globe() -> Globe {
    let (top, side) = (900_000_000, 1_800_000_000);
    Globe::of(vec![
        node(1, top, side, &[]),
        node(2, top, -side, &[]),
        node(3, -top, side, &[]),
        node(4, -top, -side, &[]),
        node(5, top, 0, &[("pole", "north")]),
        node(6, -top, 0, &[("pole", "south")]),
        node(7, 0, side, &[("island", "east")]),
        node(8, 0, -side, &[("island", "west")]),
        node(9, -175_000_000, 1_799_000_000, &[]),
        node(10, -175_000_000, -1_799_000_000, &[]),
        node(11, 0, 0, &[("null", "island")]),
        node(12, -175_000_000, side, &[]),
        way(1, &[4, 1]),
        way(2, &[3, 2]),
        way(3, &[9, 12]),
        way(4, &[10]),
        way(5, &[1, 2, 4, 3, 1]),
        way(6, &[]),
        way(7, &[99]),
        relation(1, &[ElementId::way(3), ElementId::node(99)]),
        relation(2, &[ElementId::node(5), ElementId::relation(1)]),
        relation(3, &[ElementId::relation(2)]),
    ])
}

#[test]
fn boxes_over_the_antimeridian() {
    let globe = globe();
    assert_eq!(globe.ids("179.5,-18,-179.5,-17"), ["way/3", "way/4", "way/5", "relation/1"]);
    assert_eq!(globe.ids("179.5,-1,-179.5,1"), ["node/7", "node/8", "way/5"]);
    assert_eq!(globe.ids("180,0,-180,0"), ["node/7", "node/8", "way/5"]);
    assert_eq!(globe.ids("180,0,180,0"), ["node/7", "way/5"]);
    assert_eq!(globe.ids("-180,0,-180,0"), ["node/8", "way/5"]);
    // All longitudes but a gap in which the diagonals cross.
    assert_eq!(globe.ids("0.0000001,0,-0.0000001,0"), ["node/7", "node/8", "way/5"]);
}

#[test]
fn boxes_at_the_poles() {
    let globe = globe();
    assert_eq!(globe.ids("-1,89,1,90"), ["node/5", "way/5", "relation/2"]);
    assert_eq!(globe.ids("0,90,0,90"), ["node/5", "way/5", "relation/2"]);
    assert_eq!(globe.ids("-1,-90,1,-89"), ["node/6", "way/5"]);
    assert_eq!(globe.ids("-180,90,180,90"), ["node/5", "way/1", "way/2", "way/5", "relation/2"]);
    assert_eq!(globe.ids("-180,-90,180,90").len(), 5 + 5 + 2);
}

#[test]
fn boxes_of_no_size() {
    let globe = globe();
    assert_eq!(globe.ids("0,0,0,0"), ["node/11", "way/1", "way/2"]);
    assert_eq!(globe.ids("0.0000001,0,0.0000001,0"), Vec::<String>::new());
    // The diagonal passes at half of every second unit of longitude.
    assert_eq!(globe.ids("0.0000002,0.0000001,0.0000002,0.0000001"), ["way/1"]);
    for place in globe.map.places() {
        let answer = globe.query(BBox::new(place, place).unwrap());
        assert!(!answer.is_empty(), "{place}");
    }
}

#[test]
fn boxes_whose_sides_pass_through_places() {
    let mut rng = Rng::new(5);
    let mut entries: Vec<Entry> =
        (1..=60).map(|id| node(id, rng.within(-9, 9), rng.within(-9, 9), &[])).collect();
    for id in 1..=25 {
        let refs: Vec<u64> = (0..rng.below(5)).map(|_| rng.below(62) + 1).collect();
        entries.push(way(id, &refs));
    }
    let globe = Globe::of(entries);
    for _ in 0..2_000 {
        let corner = |lat: i64, lon: i64| Coord::new(lat, lon).unwrap();
        let (a, b) = (rng.within(-10, 10), rng.within(-10, 10));
        let (west, east) = (rng.within(-10, 10), rng.within(-10, 10));
        globe.query(BBox::new(corner(a.min(b), west), corner(a.max(b), east)).unwrap());
    }
}

#[test]
fn random_boxes_on_random_lines_of_every_length() {
    let mut rng = Rng::new(6);
    let mut entries = Vec::new();
    for id in 1..=400_u64 {
        let reach = 1_i64 << rng.below(32);
        let lat = rng.within(-reach.min(900_000_000), reach.min(900_000_000));
        let lon = rng.within(-reach.min(1_800_000_000), reach.min(1_800_000_000));
        entries.push(node(id, lat, lon, &[]));
    }
    for id in 1..=300 {
        let refs: Vec<u64> = (0..rng.below(4) + 1).map(|_| rng.below(400) + 1).collect();
        entries.push(way(id, &refs));
    }
    let globe = Globe::of(entries);
    for bbox in boxes_around(&globe.map, 600, &mut rng) {
        globe.query(bbox);
    }
}
