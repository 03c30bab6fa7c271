//! A country that never was, as large as wanted.

use osmdb::{Coord, ElementId, Entry, Member, Origin, OsmMeta, Payload, Tags};

/// Of a thousand elements, so many are ways, and so many relations; the rest are nodes, as in Andorra.
const WAYS: u64 = 66;
const RELATIONS: u64 = 4;

/// So many nodes that follow one another are near the same place.
const TOWN_NODES: u64 = 20_000;

/// Numbers that look random and are the same everywhere (splitmix64, by Sebastiano Vigna).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn within(&mut self, limit: i64) -> i64 {
        self.below(2 * limit.unsigned_abs()).cast_signed() - limit
    }
}

/// Makes about so many elements in the order of a file: nodes, ways, relations, each by id. They have
/// what public extracts have: few tags, versions and times, no users.
pub fn generated(count: u64) -> impl Iterator<Item = Entry> {
    let (ways, relations) = (count * WAYS / 1000, count * RELATIONS / 1000);
    let nodes = count.saturating_sub(ways + relations);
    let mut rng = Rng(count);
    let mut town = (0, 0);
    let mut at = (0, 0);
    let nodes_made = (1..=nodes).map(move |number| {
        if number % TOWN_NODES == 1 {
            town = (425_000_000 + rng.within(40_000_000), 15_000_000 + rng.within(40_000_000));
        }
        // Lines of nodes some metres apart, each line somewhere in the town.
        at = if number % 16 == 1 {
            (town.0 + rng.within(150_000), town.1 + rng.within(150_000))
        } else {
            (at.0 + rng.within(1_500), at.1 + rng.within(1_500))
        };
        let coord = Coord::new(at.0, at.1).expect("it is far from the poles");
        let tags = match rng.below(60) {
            0 => Tags::from([
                ("amenity".to_owned(), "bench".to_owned()),
                ("ref".to_owned(), number.to_string()),
            ]),
            1 => Tags::from([("highway", "crossing"), ("crossing", "marked")]),
            2 => Tags::from([
                ("addr:housenumber".to_owned(), rng.below(200).to_string()),
                ("addr:street".to_owned(), name(rng.below(5_000))),
            ]),
            _ => Tags::new(),
        };
        made(ElementId::node(node_id(number)), Payload::Node { coord, tags }, rng.next())
    });
    let mut rng = Rng(count ^ 1);
    let ways_made = (1..=ways).map(move |number| {
        // Ways go through nodes made together; some cross others, and some are rings.
        let len = 2 + rng.below(22);
        let first = (number * (nodes / ways.max(1))).min(nodes.saturating_sub(len)) + 1;
        let mut refs: Vec<u64> = (first..first + len).filter(|node| *node <= nodes).map(node_id).collect();
        if rng.below(3) == 0 {
            refs.push(node_id(first.saturating_sub(rng.below(3_000)).max(1)));
        }
        if rng.below(2) == 0 {
            refs.extend(refs.first().copied());
        }
        let tags = match rng.below(3) {
            0 => Tags::from([("building", "yes")]),
            1 => Tags::from([
                ("highway".to_owned(), "residential".to_owned()),
                ("name".to_owned(), name(rng.below(5_000))),
                ("surface".to_owned(), "asphalt".to_owned()),
            ]),
            _ => Tags::from([
                ("landuse".to_owned(), "forest".to_owned()),
                ("leaf_type".to_owned(), "mixed".to_owned()),
            ]),
        };
        made(ElementId::way(number * 7), Payload::Way { refs, tags }, rng.next())
    });
    let mut rng = Rng(count ^ 2);
    let relations_made = (1..=relations).map(move |number| {
        let members = (0..2 + rng.below(30)).map(|_| Member {
            element: ElementId::way((1 + rng.below(ways)) * 7),
            role: if rng.below(3) == 0 { "inner" } else { "outer" }.to_owned(),
        });
        let tags = Tags::from([("type".to_owned(), "route".to_owned()), ("name".to_owned(), name(number))]);
        made(
            ElementId::relation(number * 3),
            Payload::Relation { members: members.collect(), tags },
            rng.next(),
        )
    });
    nodes_made.chain(ways_made).chain(relations_made)
}

/// Ids ascend with gaps, as what is deleted leaves them.
const fn node_id(number: u64) -> u64 {
    50_000_000 + number * 9 + number % 5
}

fn name(number: u64) -> String {
    format!("Carrer {number}")
}

fn made(element: ElementId, payload: Payload, bits: u64) -> Entry {
    let meta = OsmMeta {
        version: Some(1 + bits % 7),
        timestamp: Some(1_300_000_000 + ((bits >> 8) % 400_000_000).cast_signed()),
        ..OsmMeta::default()
    };
    Entry { element, payload: Some(payload), origin: Origin::Imported(meta) }
}
