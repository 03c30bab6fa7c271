//! A valley that does not exist, as OSM files: the same on every machine.
//!
//! Streets run west to east (rows) and north to south (columns) and share a node at every crossing.
//! Between four crossings stands a house. A river runs through it all, a bus goes along four streets,
//! and peaks stand around.

use std::fmt::Write as _;
use std::ops::Range;

use osmdb::{BBox, BBoxError, Coord, CoordError};

/// Streets from west to east.
const ROWS: u64 = 61;

/// Streets from north to south.
pub(super) const COLUMNS: u64 = 61;

/// Village A has the streets to the south of this one, village B the others.
const FIRST_ROW_OF_B: u64 = 30;

/// The spring between the villages, from which both drink.
pub(super) const SPRING: u64 = 11;

/// The market of village A.
pub(super) const MARKET: u64 = 12;

/// The bridge, a place with a name.
pub(super) const BRIDGE: u64 = 13;

/// A peak in the west of village B, beside this street.
pub(super) const PEAK: u64 = 111;
pub(super) const PEAK_ROW: u64 = 50;

/// The route of the bus.
const BUS: u64 = 1;

const STOPS: Range<u64> = 51..59;
const PEAKS: Range<u64> = 101..113;
const RIVER_NODES: Range<u64> = 1000..1080;
const RIVER: u64 = 1;

/// The south-western crossing, in 10⁻⁷ degree.
const ORIGIN: (i64, i64) = (425_000_000, 15_000_000);

/// From one street to the next: about 45 m.
const STEP: (i64, i64) = (4_000, 5_500);

/// Returns the node where two streets cross.
pub(super) const fn crossing(row: u64, column: u64) -> u64 {
    10_000 + row * COLUMNS + column
}

/// Returns the street of a row.
const fn street(row: u64) -> u64 {
    100 + row
}

/// Returns the street of a column.
const fn lane(column: u64) -> u64 {
    200 + column
}

/// Returns the house to the north-east of a crossing.
pub(super) const fn house(row: u64, column: u64) -> u64 {
    10_000 + row * COLUMNS + column
}

/// Returns the corners of that house.
pub(super) fn corners(row: u64, column: u64) -> [u64; 4] {
    [0, 1, 2, 3].map(|corner| 100_000 + house(row, column) * 4 + corner)
}

/// Returns a place: so many steps from the south-western crossing, and a little further north and east.
pub(super) fn place(row: u64, column: u64, further: (i64, i64)) -> Result<Coord, CoordError> {
    let steps = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let along = |origin: i64, count: u64, step: i64, further: i64| {
        origin.saturating_add(steps(count).saturating_mul(step)).saturating_add(further)
    };
    Coord::new(along(ORIGIN.0, row, STEP.0, further.0), along(ORIGIN.1, column, STEP.1, further.1))
}

/// Returns the box from one crossing to another.
pub(super) fn between(south_west: (u64, u64), north_east: (u64, u64)) -> Result<BBox, BBoxError> {
    let corner = |(row, column)| place(row, column, (0, 0));
    BBox::new(corner(south_west)?, corner(north_east)?)
}

/// Returns the file of what nature made: the river and the peaks.
pub(super) fn land() -> Result<String, CoordError> {
    let mut xml = Xml::new();
    for (index, id) in PEAKS.enumerate() {
        let index = index as u64;
        let name = format!("Peak {}", index + 1);
        let tags = [("natural", "peak"), ("name", &name), ("ele", &(1800 + index * 37).to_string())];
        // In the west and in the east by turns, away from the streets.
        let (column, further) = if index.is_multiple_of(2) { (0, -20_000) } else { (COLUMNS, 20_000) };
        xml.node(id, place(index * 5, column, (wobble(id), further))?, &tags);
    }
    for (index, id) in RIVER_NODES.enumerate() {
        let along = index as u64;
        let bend = (0, STEP.1 / 2 + wobble(id) * 3);
        xml.node(id, place(along * ROWS / RIVER_NODES.count() as u64, COLUMNS / 2, bend)?, &[]);
    }
    xml.way(RIVER, RIVER_NODES, &[("waterway", "river"), ("name", "Long River")]);
    Ok(xml.finish())
}

/// Returns the file of what people made: streets, houses, the bus, and a few places.
pub(super) fn villages() -> Result<String, CoordError> {
    let mut xml = Xml::new();
    let spring = [("natural", "spring"), ("name", "Old Spring")];
    xml.node(SPRING, place(FIRST_ROW_OF_B, 5, (1_500, 1_500))?, &spring);
    xml.node(MARKET, place(4, 8, (300, 300))?, &[("amenity", "marketplace"), ("name", "Market")]);
    let bridge = [("man_made", "bridge"), ("name", "Bridge of Planks")];
    xml.node(BRIDGE, place(40, COLUMNS / 2, (0, STEP.1 / 2))?, &bridge);
    for (index, id) in STOPS.enumerate() {
        let name = format!("Stop {}", index + 1);
        let tags = [("highway", "bus_stop"), ("name", &*name)];
        xml.node(id, place(7, index as u64 * 5, (400, 0))?, &tags);
    }
    for (row, column) in grid(ROWS, COLUMNS) {
        let id = crossing(row, column);
        xml.node(id, place(row, column, (wobble(id), wobble(id * 7)))?, &[]);
    }
    for (row, column) in grid(ROWS - 1, COLUMNS - 1) {
        let (south, west) = (STEP.0 / 4, STEP.1 / 4);
        let walls = [(south, west), (south, 3 * west), (3 * south, 3 * west), (3 * south, west)];
        for (id, (lat, lon)) in corners(row, column).into_iter().zip(walls) {
            xml.node(id, place(row, column, (lat + wobble(id), lon + wobble(id * 7)))?, &[]);
        }
    }
    for row in 0..ROWS {
        let nodes = (0..COLUMNS).map(|column| crossing(row, column));
        xml.way(street(row), nodes, &[("highway", "residential"), ("name", &format!("Street {}", row + 1))]);
    }
    for column in 0..COLUMNS {
        let nodes = (0..ROWS).map(|row| crossing(row, column));
        let name = format!("Lane {}", column + 1);
        xml.way(lane(column), nodes, &[("highway", "residential"), ("name", &name)]);
    }
    for (row, column) in grid(ROWS - 1, COLUMNS - 1) {
        let [a, b, c, d] = corners(row, column);
        let (number, street) = ((column + 1).to_string(), format!("Street {}", row + 1));
        let tags = [("building", "house"), ("addr:housenumber", &*number), ("addr:street", &*street)];
        xml.way(house(row, column), [a, b, c, d, a], &tags);
    }
    let streets = [7, 8, 52, 53].map(|row| ("way", street(row), ""));
    let stops = STOPS.map(|id| ("node", id, "stop"));
    let route = [("type", "route"), ("route", "bus"), ("ref", "1"), ("name", "Valley Bus")];
    xml.relation(BUS, streets.into_iter().chain(stops), &route);
    Ok(xml.finish())
}

fn grid(rows: u64, columns: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

/// Moves things off the grid by up to four metres, for each id the same way.
fn wobble(id: u64) -> i64 {
    let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    i64::try_from(mixed % 801).unwrap_or(0) - 400
}

/// Writes an OSM file. What is written here needs no escapes.
struct Xml(String);

impl Xml {
    fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<osm version=\"0.6\">\n".to_owned())
    }

    fn node(&mut self, id: u64, coord: Coord, tags: &[(&str, &str)]) {
        let place = coord.to_string();
        let (lat, lon) = place.split_once(',').unwrap_or_default();
        self.element("node", id, &format!(" lat=\"{lat}\" lon=\"{lon}\""), "", tags);
    }

    fn way(&mut self, id: u64, nodes: impl IntoIterator<Item = u64>, tags: &[(&str, &str)]) {
        let nodes: String = nodes.into_iter().map(|node| format!("    <nd ref=\"{node}\"/>\n")).collect();
        self.element("way", id, "", &nodes, tags);
    }

    fn relation<'a>(
        &mut self,
        id: u64,
        members: impl Iterator<Item = (&'a str, u64, &'a str)>,
        tags: &[(&str, &str)],
    ) {
        let member = |(kind, id, role): (&str, u64, &str)| {
            format!("    <member type=\"{kind}\" ref=\"{id}\" role=\"{role}\"/>\n")
        };
        let members: String = members.map(member).collect();
        self.element("relation", id, "", &members, tags);
    }

    fn element(&mut self, kind: &str, id: u64, place: &str, inside: &str, tags: &[(&str, &str)]) {
        let out = &mut self.0;
        // Writing to a string cannot fail.
        let _ = write!(out, "  <{kind} id=\"{id}\" version=\"1\" timestamp=\"2025-05-01T08:00:00Z\"{place}");
        if inside.is_empty() && tags.is_empty() {
            out.push_str("/>\n");
            return;
        }
        let _ = writeln!(out, ">");
        out.push_str(inside);
        for (key, value) in tags {
            let _ = writeln!(out, "    <tag k=\"{key}\" v=\"{value}\"/>");
        }
        let _ = writeln!(out, "  </{kind}>");
    }

    fn finish(mut self) -> String {
        self.0.push_str("</osm>\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valley_is_a_sound_map() {
        let db = osmdb::Db::in_memory("osm").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let [land_file, villages_file] = ["land.osm", "villages.osm"].map(|name| dir.path().join(name));
        std::fs::write(&land_file, land().unwrap()).unwrap();
        std::fs::write(&villages_file, villages().unwrap()).unwrap();
        let imported = db.import(&[land_file, villages_file], |_, _| {}).unwrap();
        assert_eq!(imported.read, imported.gained, "every id is given once");
        assert!(imported.forked.is_empty());
        let way = db.get(osmdb::ElementId::way(house(3, 4))).unwrap();
        let nodes = way[0].entry.payload.as_ref().unwrap().references();
        assert!(nodes.into_iter().all(|node| !db.get(node).unwrap().is_empty()), "no reference dangles");
        db.verify().unwrap();
    }
}
