//! Villages that never were.

use osmdb::{Coord, ElementId, Entry, Member, Origin, OsmMeta, Payload, Tags};

use crate::Rng;

fn entry(element: ElementId, payload: Payload, version: u64) -> Entry {
    let timestamp = i64::try_from(1_600_000_000 + version * 1_000).ok();
    let meta = OsmMeta { version: Some(version), timestamp, ..OsmMeta::default() };
    Entry { element, payload: Some(payload), origin: Origin::Imported(meta) }
}

/// Makes a node as a file may have it: at a place in 10⁻⁷ degree.
#[must_use]
pub fn node(id: u64, lat: i64, lon: i64, tags: &[(&str, &str)]) -> Entry {
    let coord = Coord::new(lat, lon).expect("it is on the globe");
    let tags = tags.iter().copied().collect();
    entry(ElementId::node(id), Payload::Node { coord, tags }, 1)
}

fn place(rng: &mut Rng) -> Coord {
    let (lat, lon) = (rng.within(424_500_000, 425_500_000), rng.within(15_000_000, 16_000_000));
    Coord::new(lat, lon).expect("it is on the globe")
}

fn line(rng: &mut Rng, nodes: u64) -> Vec<u64> {
    let start = rng.below(nodes) + 1;
    // A few refer to nodes beyond the last: real extracts are clipped.
    (0..rng.below(8) + 2).map(|step| start + step).collect()
}

/// Makes a village with so many nodes, a tenth as many ways and a hundredth as many relations; the
/// same for the same seed.
#[must_use]
pub fn village(seed: u64, nodes: u64) -> Vec<Entry> {
    let mut rng = Rng::new(seed);
    let mut entries = Vec::new();
    for id in 1..=nodes {
        let tags = if rng.chance(10) { Tags::from([("amenity", "bench")]) } else { Tags::new() };
        entries.push(entry(ElementId::node(id), Payload::Node { coord: place(&mut rng), tags }, 1));
    }
    for id in 1..=nodes / 10 {
        let tags =
            Tags::from([("highway".to_owned(), "path".to_owned()), ("ref".to_owned(), id.to_string())]);
        let refs = line(&mut rng, nodes);
        entries.push(entry(ElementId::way(id), Payload::Way { refs, tags }, 1));
    }
    for id in 1..=nodes / 100 {
        let member = |rng: &mut Rng| {
            let element = match rng.below(3) {
                0 => ElementId::node(rng.below(nodes) + 1),
                1 => ElementId::relation(rng.below(nodes / 100) + 1),
                _ => ElementId::way(rng.below(nodes / 10) + 1),
            };
            Member { element, role: "part".to_owned() }
        };
        let members = (0..rng.below(5) + 1).map(|_| member(&mut rng)).collect();
        let tags = Tags::from([("type", "site")]);
        entries.push(entry(ElementId::relation(id), Payload::Relation { members, tags }, 1));
    }
    entries
}

/// Returns the village as it is later: some elements have a next version.
#[must_use]
pub fn later(entries: &[Entry], seed: u64, percent: u64) -> Vec<Entry> {
    let mut rng = Rng::new(seed);
    let mut entries = entries.to_vec();
    for entry in &mut entries {
        let Origin::Imported(meta) = &mut entry.origin else { continue };
        let Some(payload) = entry.payload.as_mut().filter(|_| rng.chance(percent)) else { continue };
        meta.version = meta.version.map(|version| version + 1);
        match payload {
            Payload::Node { coord, .. } => *coord = place(&mut rng),
            other => other.tags_mut().set("note", seed.to_string()),
        }
    }
    entries
}
