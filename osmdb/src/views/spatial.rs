//! The spatial tree: what is where, with all that a map needs.
//!
//! It holds every live node that has tags or stands alone (is in no way), and every live way. A way is filed under the lower-left corner of its bounding box and a *size
//! class*, the number of bits that the box's larger side needs: so whatever touches a box has its
//! corner within one side of it, per class. Nodes and small ways share the class 0. A way none of whose nodes
//! is known is *nowhere*: it has the class 255, which no box looks at, and zeros for its place.
//!
//! Key: class (1 byte), geohash of the corner (8), extent (2), kind, id. A node's place is read back
//! from it. The extent is the width and the height of the box, each as the upper 8 of the bits that the
//! class has: so what lies near a box without touching it is told apart before its value is read, which
//! for long lines lives out of line.
//! Value: `[relations, [feature, …]]`: the ids of the relations that name the element, ascending,
//! each as the difference to the one before; and one feature for each head at this key, in order of
//! versions. A node's feature is its tags; a way's is `[[lat, lon, Δlat, Δlon, …], tags]`.

use prolly::cbor::{Reader, put_array, put_signed, put_unsigned};

use super::keys::{self, ELEMENT_BYTES};
use crate::entry::{EntryError, put_tags, read_tags};
use crate::geohash::{Cell, Rect, cover};
use crate::geometry::Window;
use crate::model::{Coord, ElementId, Kind, Tags};

/// Boxes whose larger side needs at most this many bits, in 10⁻⁷ degree, are of class 0: 180 m.
const SMALL_BITS: u32 = 14;

/// The greatest class, each being one bit wider than the one before: a way around the globe needs 32.
const MAX_CLASS: u8 = 18;

/// The class of what is nowhere.
const NOWHERE: u8 = u8::MAX;

/// A query uses at most this many key ranges for each size class.
const RANGES_PER_CLASS: usize = 24;

/// Nearly all ways are of this class or a smaller one: their sides have at most 730 m.
const ROUGH_CLASS: u8 = 2;

/// So many ranges for each of these classes say roughly how much there is in a box.
const ROUGH_RANGES: usize = 4;

/// The bytes of a spatial key.
pub(crate) const KEY_BYTES: usize = ELEMENT_AT + ELEMENT_BYTES;

/// Where the kind and the id stand in a spatial key.
pub(crate) const ELEMENT_AT: usize = 1 + 8 + 2;

/// Where an element is, as a [`Feature`](crate::Feature) says it.
///
/// ```
/// use osmdb::Geometry;
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// # let mut refs = Vec::new();
/// # for lon in 1..=3 {
/// #     refs.push(db.create(Payload::Node { coord: Coord::new(0, lon)?, tags: Tags::new() })?.id);
/// # }
/// db.create(Payload::Way { refs, tags: Tags::from([("highway", "path")]) })?;
/// let path = db.snapshot().query("-1,-1,1,1".parse()?).next().unwrap()?;
/// let places = match path.geometry {
///     Geometry::Point(_) => 1,
///     Geometry::Line(line) => line.len(),
///     Geometry::Members => 0,
/// };
/// assert_eq!(places, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Geometry {
    /// The place of a node.
    Point(Coord),
    /// The known places of a way's nodes, in order. A clipped way may have one; empty only if
    /// [`Snapshot::find`](crate::Snapshot::find) found a way none of whose nodes is known.
    Line(Vec<Coord>),
    /// A relation is where its members are.
    Members,
}

/// What the spatial tree says of one head of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) geometry: Geometry,
    pub(crate) tags: Tags,
}

fn class_of(window: &Window) -> u8 {
    let side = window.east.abs_diff(window.west).max(window.north.abs_diff(window.south));
    let bits = u32::BITS - side.leading_zeros();
    u8::try_from(bits.saturating_sub(SMALL_BITS)).unwrap_or(MAX_CLASS)
}

/// Returns the longest side that a box of this class may have, in 10⁻⁷ degree.
fn longest_side(class: u8) -> i64 {
    longest_extent(class, u8::MAX)
}

/// Returns the upper 8 of the bits of a side.
fn extent(class: u8, side: u32) -> u8 {
    u8::try_from(side >> (SMALL_BITS + u32::from(class) - u8::BITS)).unwrap_or(u8::MAX)
}

/// Returns the longest side that has these upper 8 bits, in 10⁻⁷ degree.
fn longest_extent(class: u8, extent: u8) -> i64 {
    ((i64::from(extent) + 1) << (SMALL_BITS + u32::from(class) - u8::BITS)) - 1
}

/// Tells whether what is filed under a key may touch one of these windows. Certain only if not. No windows are
/// everywhere, and nowhere too.
pub(crate) fn may_touch(key: &[u8], windows: &[Window]) -> bool {
    if windows.is_empty() {
        return true;
    }
    let Some((&[class], rest)) = key.split_first_chunk::<1>() else { return true };
    let (Some((hash, rest)), true) = (rest.split_first_chunk::<8>(), class <= MAX_CLASS) else { return true };
    let Some((&[width, height], _)) = rest.split_first_chunk::<2>() else { return true };
    let Ok(corner) = Cell::of_hash(u64::from_be_bytes(*hash)).coord() else { return true };
    let overlaps = |low: i32, extent: u8, from: i32, to: i32| {
        low <= to && i64::from(low) + longest_extent(class, extent) >= i64::from(from)
    };
    windows.iter().any(|window| {
        overlaps(corner.lon(), width, window.west, window.east)
            && overlaps(corner.lat(), height, window.south, window.north)
    })
}

/// Tells whether what is filed under a key touches one of these windows for certain: it is the place of a
/// node in it, or its whole box is. Unsure if not.
pub(crate) fn surely_touches(key: &[u8], windows: &[Window]) -> bool {
    if windows.is_empty() {
        return true;
    }
    let Some((&[class], rest)) = key.split_first_chunk::<1>() else { return false };
    let (Some((hash, rest)), true) = (rest.split_first_chunk::<8>(), class <= MAX_CLASS) else {
        return false;
    };
    let Some((&[width, height], element)) = rest.split_first_chunk::<2>() else { return false };
    let Ok(corner) = Cell::of_hash(u64::from_be_bytes(*hash)).coord() else { return false };
    if element.first() == Some(&Kind::Node.code()) {
        return windows.iter().any(|window| window.contains(corner));
    }
    let inside = |low: i32, extent: u8, from: i32, to: i32| {
        low >= from && i64::from(low) + longest_extent(class, extent) <= i64::from(to)
    };
    windows.iter().any(|window| {
        inside(corner.lon(), width, window.west, window.east)
            && inside(corner.lat(), height, window.south, window.north)
    })
}

/// Returns a window around what is filed under a key. `None`: it is nowhere.
pub(crate) fn window_of(key: &[u8]) -> Option<Window> {
    let class = *key.first().filter(|class| **class <= MAX_CLASS)?;
    let corner = Cell::of_hash(u64::from_be_bytes(key.get(1..9)?.try_into().ok()?)).coord().ok()?;
    let far = |low: i32, extent: u8| {
        i32::try_from(i64::from(low) + longest_extent(class, extent)).unwrap_or(i32::MAX)
    };
    let (east, north) = (far(corner.lon(), *key.get(9)?), far(corner.lat(), *key.get(10)?));
    Some(Window { west: corner.lon(), south: corner.lat(), east, north })
}

/// Returns the longest that the larger side may be of what is filed under a key, in 10⁻⁷ degree. `None`: it is nowhere.
pub(crate) fn side_of(key: &[u8]) -> Option<i64> {
    let class = key.first().filter(|class| **class <= MAX_CLASS)?;
    let extent = key.get(9)?.max(key.get(10)?);
    Some(longest_extent(*class, *extent))
}

/// Returns the least class in which anything has a side of this length, in 10⁻⁷ degree.
pub(crate) fn least_class(side: i64) -> u8 {
    (0..MAX_CLASS).find(|class| longest_side(*class) >= side).unwrap_or(MAX_CLASS)
}

/// Returns where the node is that a key names. `None`: it names something else.
pub(crate) fn node_at(key: &[u8]) -> Option<Coord> {
    element_of(key).filter(|element| element.kind == Kind::Node)?;
    let hash = key.get(1..9)?.try_into().ok()?;
    Cell::of_hash(u64::from_be_bytes(hash)).coord().ok()
}

/// Returns the element that a key names.
pub(crate) fn element_of(key: &[u8]) -> Option<ElementId> {
    keys::parse_element(key.get(ELEMENT_AT..)?)
}

/// Reads no more of a value than the relations that name the element.
pub(crate) fn relations_of(value: &[u8]) -> Result<Vec<u64>, EntryError> {
    let mut reader = Reader::new(value);
    reader.array_of(2)?;
    read_relations(&mut reader)
}

/// Tells whether a place of a way's line is in one of these windows. Reads no tags but those between lines.
pub(crate) fn has_place_in(value: &[u8], windows: &[Window]) -> Result<bool, EntryError> {
    let mut reader = Reader::new(value);
    reader.array_of(2)?;
    read_relations(&mut reader)?;
    for left in (0..reader.array()?).rev() {
        reader.array_of(2)?;
        let places = reader.array()? / 2;
        let (mut lat, mut lon): (i64, i64) = (0, 0);
        for _ in 0..places {
            lat = lat.saturating_add(reader.signed()?);
            lon = lon.saturating_add(reader.signed()?);
            let coord = Coord::new(lat, lon)?;
            if windows.iter().any(|window| window.contains(coord)) {
                return Ok(true);
            }
        }
        if left > 0 {
            read_tags(&mut reader)?;
        }
    }
    Ok(false)
}

/// Returns the key under which a feature is filed.
pub(crate) fn key(of: ElementId, geometry: &Geometry) -> [u8; KEY_BYTES] {
    match geometry {
        Geometry::Point(coord) => key_around(of, &[*coord]),
        Geometry::Line(line) => key_around(of, line),
        Geometry::Members => nowhere(of),
    }
}

/// Returns the key of something without a place: the class 255 and zeros.
pub(crate) fn nowhere(of: ElementId) -> [u8; KEY_BYTES] {
    keys::joined(&[&[NOWHERE], &[0; ELEMENT_AT - 1], &keys::element(of)])
}

/// Returns what the keys of all elements of a kind without a place begin with.
pub(crate) fn nowhere_of(kind: Kind) -> [u8; ELEMENT_AT + 1] {
    keys::joined(&[&[NOWHERE], &[0; ELEMENT_AT - 1], &[kind.code()]])
}

/// Returns the key under which something at these places is filed.
pub(crate) fn key_around(of: ElementId, coords: &[Coord]) -> [u8; KEY_BYTES] {
    let Some(window) = Window::around(coords) else { return nowhere(of) };
    let class = class_of(&window);
    let corner = Cell::of(window.west, window.south).hash();
    let width = extent(class, window.east.abs_diff(window.west));
    let height = extent(class, window.north.abs_diff(window.south));
    keys::joined(&[&[class], &corner.to_be_bytes(), &[width, height], &keys::element(of)])
}

/// Returns the value for the features at one key, and the relations that name the element.
pub(crate) fn value(relations: &[u64], features: &[Located]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    put_front(&mut out, relations, features.len());
    for Located { geometry, tags } in features {
        if let Geometry::Line(line) = geometry {
            put_line(&mut out, line);
        }
        put_tags(&mut out, tags);
    }
    out
}

/// Appends what comes before the features of a value.
pub(crate) fn put_front(out: &mut Vec<u8>, relations: &[u64], features: usize) {
    put_array(out, 2);
    put_array(out, relations.len());
    let mut before = 0;
    for id in relations {
        put_unsigned(out, id.saturating_sub(before));
        before = *id;
    }
    put_array(out, features);
}

/// Appends what comes before the tags of a way's feature.
pub(crate) fn put_line(out: &mut Vec<u8>, line: &[Coord]) {
    put_array(out, 2);
    put_array(out, 2 * line.len());
    let (mut lat, mut lon) = (0, 0);
    for coord in line {
        put_signed(out, i64::from(coord.lat()) - lat);
        put_signed(out, i64::from(coord.lon()) - lon);
        (lat, lon) = (coord.lat().into(), coord.lon().into());
    }
}

/// A pair of the spatial tree.
#[derive(Debug)]
pub(crate) struct SpatialPair {
    pub(crate) element: ElementId,
    pub(crate) relations: Vec<u64>,
    pub(crate) features: Vec<Located>,
}

/// Reads a pair of the spatial tree.
pub(crate) fn parse(key: &[u8], value: &[u8]) -> Result<SpatialPair, EntryError> {
    let bad_key = EntryError::Rule("a spatial key is a class, a geohash, an extent, a kind and an id");
    let (hash, element) = split_key(key).ok_or(bad_key)?;
    let mut reader = Reader::new(value);
    reader.array_of(2)?;
    let relations = read_relations(&mut reader)?;
    let len = reader.array()?;
    let mut features = Vec::with_capacity(len);
    for _ in 0..len {
        let geometry = match element.kind {
            Kind::Node => Geometry::Point(Cell::of_hash(hash).coord()?),
            Kind::Way => {
                reader.array_of(2)?;
                Geometry::Line(read_line(&mut reader)?)
            }
            Kind::Relation | Kind::Changeset => {
                return Err(EntryError::Rule("only nodes and ways are somewhere"));
            }
        };
        features.push(Located { geometry, tags: read_tags(&mut reader)? });
    }
    reader.end()?;
    Ok(SpatialPair { element, relations, features })
}

fn split_key(key: &[u8]) -> Option<(u64, ElementId)> {
    let key: &[u8; KEY_BYTES] = key.try_into().ok()?;
    let (place, element) = key.split_first_chunk::<ELEMENT_AT>()?;
    let hash = u64::from_be_bytes(place.get(1..9)?.try_into().ok()?);
    Some((hash, keys::parse_element(element)?))
}

fn read_relations(reader: &mut Reader<'_>) -> Result<Vec<u64>, EntryError> {
    let len = reader.array()?;
    let mut relations = Vec::with_capacity(len);
    let mut before: u64 = 0;
    for _ in 0..len {
        let at = reader.position();
        before = before.checked_add(reader.unsigned()?).ok_or(EntryError::Element { at })?;
        relations.push(before);
    }
    Ok(relations)
}

fn read_line(reader: &mut Reader<'_>) -> Result<Vec<Coord>, EntryError> {
    let len = reader.array()? / 2;
    let mut line = Vec::with_capacity(len);
    let (mut lat, mut lon): (i64, i64) = (0, 0);
    for _ in 0..len {
        lat = lat.saturating_add(reader.signed()?);
        lon = lon.saturating_add(reader.signed()?);
        line.push(Coord::new(lat, lon)?);
    }
    Ok(line)
}

/// Returns the key ranges (first and last key prefix) under which everything lies that can touch a
/// window.
pub(crate) fn ranges(window: &Window) -> Vec<prolly::KeyRange> {
    (0..=MAX_CLASS).flat_map(|class| class_ranges(window, class, RANGES_PER_CLASS)).collect()
}

/// Returns a few ranges under which nearly all lies that can touch a window, and more: to reckon how much
/// that is. They do not overlap.
pub(crate) fn rough_ranges(window: &Window) -> Vec<prolly::KeyRange> {
    (0..=ROUGH_CLASS).flat_map(|class| class_ranges(window, class, ROUGH_RANGES)).collect()
}

fn class_ranges(window: &Window, class: u8, most: usize) -> impl Iterator<Item = prolly::KeyRange> {
    let back = |value: i32, limit: i32| {
        let least = i64::from(value) - longest_side(class);
        i32::try_from(least).unwrap_or(i32::MIN).max(-limit * crate::model::UNITS_PER_DEGREE)
    };
    let low = Cell::of(back(window.west, 180), back(window.south, 90));
    let high = Cell::of(window.east, window.north);
    cover(&Rect { low, high }, most).into_iter().map(move |(first, last)| {
        let prefix = |hash: u64| [&[class][..], &hash.to_be_bytes()].concat();
        let to = last.checked_add(1).map_or_else(|| vec![class + 1], prefix);
        prolly::KeyRange { from: prefix(first).into(), to: Some(to.into()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_side_has_a_class_that_is_wide_enough() {
        for side in [0, 1, 8_191, 8_192, 32_767, 32_768, 1_000_000, 1_800_000_000, 3_600_000_000_u32] {
            let east = i32::try_from(i64::from(side) - 1_800_000_000).unwrap();
            let window = Window { west: -1_800_000_000, south: 0, east, north: 0 };
            let class = class_of(&window);
            assert!(class <= MAX_CLASS && i64::from(side) <= longest_side(class), "{side} in {class}");
            assert!(class == 0 || i64::from(side) > longest_side(class - 1), "{side} in {class}");
        }
    }

    #[test]
    fn a_pair_can_be_read_back() {
        let at = |lat, lon| Coord::new(lat, lon).unwrap();
        let way = Located {
            geometry: Geometry::Line(vec![at(5, -7), at(900_000_000, 1_800_000_000)]),
            tags: Tags::from([("highway", "path")]),
        };
        let node = Located { geometry: Geometry::Point(at(-5, 7)), tags: Tags::new() };
        for (element, located) in [(ElementId::way(3), way), (ElementId::node(9), node)] {
            let key = key(element, &located.geometry);
            let pair = parse(&key, &value(&[3, 900], std::slice::from_ref(&located))).unwrap();
            assert_eq!((pair.element, pair.relations, pair.features), (element, vec![3, 900], vec![located]));
        }
    }
}
