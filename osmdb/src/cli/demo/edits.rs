//! What each village changes, while the other one does not know of it.

use osmdb::{Coord, Db, ElementId, Kind, Payload, Tags, Write};

use super::village::{self, BRIDGE, COLUMNS, MARKET, PEAK, PEAK_ROW, SPRING};
use crate::cli::failure::Failure;

/// Village A builds its school to the north-east of this crossing.
pub(super) const SCHOOL: (u64, u64) = (7, 12);

/// A house of village B that fell down.
const RUIN: (u64, u64) = (45, 30);

/// Edits that make one commit, with what they are in words.
pub(super) struct Edits {
    pub(super) words: Vec<&'static str>,
    pub(super) writes: Vec<Write>,
}

impl Edits {
    const fn new() -> Self {
        Self { words: Vec::new(), writes: Vec::new() }
    }

    fn say(&mut self, words: &'static str) {
        self.words.push(words);
    }

    fn write(&mut self, element: ElementId, payload: Option<Payload>) {
        self.writes.push(match payload {
            Some(payload) => Write::put(element, payload),
            None => Write::delete(element),
        });
    }
}

/// Village A has a school and a clinic now, and moves its market.
pub(super) fn of_a(db: &Db) -> Result<Edits, Failure> {
    let mut edits = Edits::new();
    edits.say("adds a school (a way and its four nodes) and a clinic");
    let (row, column) = SCHOOL;
    let walls = [(1_200, 1_500), (1_200, 4_000), (2_800, 4_000), (2_800, 1_500)];
    let mut refs = Vec::new();
    for wall in walls {
        let node = db.new_id(Kind::Node)?;
        refs.push(node.id);
        edits.write(node, Some(node_at(at(row, column, wall)?, Tags::new())));
    }
    refs.extend(refs.first().copied());
    let tags = Tags::from([("amenity", "school"), ("name", "Two Rivers School")]);
    edits.write(db.new_id(Kind::Way)?, Some(Payload::Way { refs, tags }));
    let tags = Tags::from([("amenity", "clinic"), ("name", "Clinic")]);
    edits.write(db.new_id(Kind::Node)?, Some(node_at(at(row, column + 1, (500, 700))?, tags)));

    edits.say("moves the market three streets to the north");
    let market = ElementId::node(MARKET);
    let tags = shown(db, market)?.tags().clone();
    edits.write(market, Some(node_at(at(7, 9, (300, 300))?, tags)));

    edits.say("notes at the spring between the villages: the water is good to drink");
    edits.write(ElementId::node(SPRING), Some(tagged(db, SPRING, "drinking_water", "yes")?));
    Ok(edits)
}

/// Village B makes a path to the peak, loses a house, and renames its bridge.
pub(super) fn of_b(db: &Db) -> Result<Edits, Failure> {
    let mut edits = Edits::new();
    edits.say("adds a path from its streets up to a peak");
    let mut refs = vec![village::crossing(PEAK_ROW, 0)];
    for step in 1..=3 {
        let node = db.new_id(Kind::Node)?;
        refs.push(node.id);
        edits.write(node, Some(node_at(at(PEAK_ROW, 0, (step * 400, step * -5_000))?, Tags::new())));
    }
    refs.push(PEAK);
    let tags = Tags::from([("highway", "path"), ("name", "Peak Path")]);
    edits.write(db.new_id(Kind::Way)?, Some(Payload::Way { refs, tags }));

    edits.say("deletes a house that fell down (a way and its four nodes)");
    let (row, column) = RUIN;
    edits.write(ElementId::way(village::house(row, column)), None);
    village::corners(row, column).into_iter().for_each(|corner| edits.write(ElementId::node(corner), None));

    edits.say("moves the bridge to where it is, and gives it its new name");
    let mut bridge = tagged(db, BRIDGE, "name", "Bridge of Stone")?;
    if let Payload::Node { coord, .. } = &mut bridge {
        *coord = at(41, COLUMNS / 2, (0, 2_700))?;
    }
    edits.write(ElementId::node(BRIDGE), Some(bridge));

    edits.say("notes at the spring: do not drink the water");
    edits.write(ElementId::node(SPRING), Some(tagged(db, SPRING, "drinking_water", "no")?));
    Ok(edits)
}

/// Returns what the one head of an element holds.
fn shown(db: &Db, element: ElementId) -> Result<Payload, Failure> {
    let head = db.get(element)?.into_iter().next();
    head.and_then(|head| head.entry.payload).ok_or(Failure::Demo("an element of the valley is missing"))
}

fn tagged(db: &Db, node: u64, key: &str, value: &str) -> Result<Payload, Failure> {
    let mut payload = shown(db, ElementId::node(node))?;
    payload.tags_mut().set(key, value);
    Ok(payload)
}

const fn node_at(coord: Coord, tags: Tags) -> Payload {
    Payload::Node { coord, tags }
}

fn at(row: u64, column: u64, further: (i64, i64)) -> Result<Coord, Failure> {
    village::place(row, column, further).map_err(|_| Failure::Demo("a place is off the globe"))
}
