//! Geohashes of 64 bits, and the key ranges that cover a rectangle.
//!
//! The standard geohash (Niemeyer 2008) halves longitude and latitude in turn, longitude first. At
//! 64 bits a cell is smaller than 10⁻⁷ degree on both axes, so a place can be read back exactly,
//! and every shorter geohash, written in base 32 or not, is a prefix of these bits.

use crate::model::{BBox, Coord, CoordError, UNITS_PER_DEGREE};

const LON_SPAN: u64 = 360 * UNITS_PER_DEGREE.unsigned_abs() as u64;
const LAT_SPAN: u64 = 180 * UNITS_PER_DEGREE.unsigned_abs() as u64;

/// A cover is made of at most this many squares for each range that it may have.
const SQUARES_PER_RANGE: usize = 16;

/// A column and a row of the grid of 2³² × 2³² cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) x: u32,
    pub(crate) y: u32,
}

/// Returns the cell on one axis, for an offset from its lower end. The upper end shares the last cell.
fn axis(offset: u64, span: u64) -> u32 {
    u32::try_from((offset << 32) / span).unwrap_or(u32::MAX)
}

/// Returns the only offset that lies in a cell: the cells are narrower than one unit.
fn offset(cell: u32, span: u64) -> u64 {
    (u64::from(cell) * span).div_ceil(1 << 32)
}

/// Returns the last offset that lies in a cell. The upper end shares the last cell.
fn last_offset(cell: u32, span: u64) -> u64 {
    cell.checked_add(1).map_or(span, |next| offset(next, span).saturating_sub(1))
}

/// The digits of a geohash: 0 to 9 and the letters without a, i, l and o.
const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// A geohash has at most this many digits, each of 5 bits.
///
/// ```
/// use osmdb::{MAX_GEOHASH_DIGITS, geohash_bbox};
/// assert!(geohash_bbox(&"s".repeat(MAX_GEOHASH_DIGITS)).is_ok());
/// assert!(geohash_bbox(&"s".repeat(MAX_GEOHASH_DIGITS + 1)).is_err());
/// ```
pub const MAX_GEOHASH_DIGITS: usize = 12;

/// A text that is no geohash.
///
/// ```
/// let error = osmdb::geohash_bbox("spa").unwrap_err();
/// assert_eq!(error.text, "spa", "there is no digit a");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no geohash: write 1 to {MAX_GEOHASH_DIGITS} of the digits and letters 0-9, b-h, j, k, m, n, p-z"
)]
pub struct GeohashError {
    /// What was given; its beginning, if it is longer than a message should be.
    pub text: String,
}

/// Returns the box of all places whose geohash begins with some digits, in either case: exactly those, for
/// all places that OSM can store.
///
/// ```
/// let valley = osmdb::geohash_bbox("sp91f")?;
/// assert_eq!(valley.to_string(), "1.4941407,42.4951172,1.5380859,42.5390624");
/// # Ok::<(), osmdb::GeohashError>(())
/// ```
///
/// # Errors
/// This is no geohash, or it has more than [`MAX_GEOHASH_DIGITS`] digits.
pub fn geohash_bbox(prefix: &str) -> Result<BBox, GeohashError> {
    let error = || GeohashError { text: prefix.chars().take(2 * MAX_GEOHASH_DIGITS).collect() };
    let len = u32::try_from(prefix.len()).ok().filter(|_| (1..=MAX_GEOHASH_DIGITS).contains(&prefix.len()));
    let bits = 5 * len.ok_or_else(error)?;
    let mut hash = 0;
    for byte in prefix.bytes() {
        let byte = byte.to_ascii_lowercase();
        let digit = (0_u64..).zip(DIGITS).find(|(_, digit)| **digit == byte).ok_or_else(error)?.0;
        hash = (hash << 5) | digit;
    }
    let low = hash << (u64::BITS - bits);
    let (low, high) = (Cell::of_hash(low), Cell::of_hash(low | (u64::MAX >> bits)));
    let corner = |x: u64, y: u64| {
        let (lon, lat) = (x.cast_signed(), y.cast_signed());
        Coord::new(lat - (LAT_SPAN / 2).cast_signed(), lon - (LON_SPAN / 2).cast_signed())
    };
    let south_west = corner(offset(low.x, LON_SPAN), offset(low.y, LAT_SPAN));
    let north_east = corner(last_offset(high.x, LON_SPAN), last_offset(high.y, LAT_SPAN));
    let (Ok(south_west), Ok(north_east)) = (south_west, north_east) else { return Err(error()) };
    BBox::new(south_west, north_east).map_err(|_| error())
}

impl Cell {
    /// Returns the cell of a longitude and a latitude in 10⁻⁷ degree, both on the globe.
    pub(crate) fn of(lon: i32, lat: i32) -> Self {
        let above = |value: i32, span: u64| u64::try_from(i64::from(value) + (span / 2).cast_signed());
        let x = above(lon, LON_SPAN).map_or(0, |offset| axis(offset, LON_SPAN));
        let y = above(lat, LAT_SPAN).map_or(0, |offset| axis(offset, LAT_SPAN));
        Self { x, y }
    }

    /// Returns the geohash: the bits of column and row in turn.
    pub(crate) fn hash(self) -> u64 {
        (spread(self.x) << 1) | spread(self.y)
    }

    pub(crate) fn of_hash(hash: u64) -> Self {
        Self { x: gather(hash >> 1), y: gather(hash) }
    }

    /// Returns the place that lies in the cell, if one does.
    pub(crate) fn coord(self) -> Result<Coord, CoordError> {
        let lon = offset(self.x, LON_SPAN).cast_signed() - (LON_SPAN / 2).cast_signed();
        let lat = offset(self.y, LAT_SPAN).cast_signed() - (LAT_SPAN / 2).cast_signed();
        Coord::new(lat, lon)
    }
}

/// Puts a zero before every bit.
fn spread(value: u32) -> u64 {
    let mut bits = u64::from(value);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        bits = (bits | (bits << shift)) & mask;
    }
    bits
}

/// Takes every second bit.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | (bits >> shift)) & mask;
    }
    u32::try_from(bits).unwrap_or(u32::MAX)
}

/// A rectangle of cells; all four sides belong to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rect {
    pub(crate) low: Cell,
    pub(crate) high: Cell,
}

/// A square of 2^(32−depth) cells a side, which is a range of geohashes.
#[derive(Debug, Clone, Copy)]
struct Square {
    x: u32,
    y: u32,
    depth: u32,
    /// The least geohash in it.
    first: u64,
}

impl Square {
    /// The square that holds everything.
    const ALL: Self = Self { x: 0, y: 0, depth: 0, first: 0 };

    const fn mask(self) -> u32 {
        match u32::MAX.checked_shr(self.depth) {
            Some(mask) => mask,
            None => 0,
        }
    }

    /// Returns the least and the greatest geohash in it: they share two bits for each level.
    fn range(self) -> (u64, u64) {
        (self.first, self.first | u64::MAX.checked_shr(2 * self.depth).unwrap_or(0))
    }

    const fn touches(self, rect: &Rect) -> bool {
        self.x <= rect.high.x
            && self.x | self.mask() >= rect.low.x
            && self.y <= rect.high.y
            && self.y | self.mask() >= rect.low.y
    }

    const fn inside(self, rect: &Rect) -> bool {
        self.x >= rect.low.x
            && self.x | self.mask() <= rect.high.x
            && self.y >= rect.low.y
            && self.y | self.mask() <= rect.high.y
    }

    fn quarters(self) -> [Self; 4] {
        let depth = self.depth + 1;
        let half = 1_u32.checked_shl(32 - depth).unwrap_or(0);
        let quarter = 1_u64.checked_shl(2 * (32 - depth)).unwrap_or(0);
        let at = |right: bool, up: bool| Self {
            x: if right { self.x | half } else { self.x },
            y: if up { self.y | half } else { self.y },
            depth,
            first: self.first + quarter * (2 * u64::from(right) + u64::from(up)),
        };
        [at(false, false), at(false, true), at(true, false), at(true, true)]
    }
}

/// Returns at most `most` ranges of geohashes (first and last) that together cover a rectangle, in
/// order. They may cover more: who uses them looks at each place again.
pub(crate) fn cover(rect: &Rect, most: usize) -> Vec<(u64, u64)> {
    // A side close to that of a large square is split into ever more squares which join to one range.
    let most_squares = SQUARES_PER_RANGE * most;
    let mut squares = first_squares(rect, most);
    let begin = squares.first().map_or(0, |square| square.depth);
    let mut ranges = joined(&squares);
    for depth in begin + 1..=32 {
        let mut finer = Vec::with_capacity(2 * squares.len());
        for square in &squares {
            if square.inside(rect) {
                finer.push(*square);
            } else {
                finer.extend(square.quarters().into_iter().filter(|quarter| quarter.touches(rect)));
            }
        }
        let finer_ranges = joined(&finer);
        if finer_ranges.len() > most || finer.len() > most_squares {
            break;
        }
        (squares, ranges) = (finer, finer_ranges);
        if squares.iter().all(|square| square.depth < depth) {
            break;
        }
    }
    ranges
}

/// Returns the smallest squares of which four or fewer hold the rectangle, in order; the one that holds
/// everything, if there may be fewer than four. To begin with these saves going down to them level by level.
fn first_squares(rect: &Rect, most: usize) -> Vec<Square> {
    let side = rect.high.x.abs_diff(rect.low.x).max(rect.high.y.abs_diff(rect.low.y));
    // A square of this depth is at least as wide as the rectangle, so that it touches two in a row at most.
    let depth = side.leading_zeros();
    if most < 4 || depth == 0 {
        return vec![Square::ALL];
    }
    let corner = |value: u32| {
        let mask = u32::MAX.checked_shr(depth).unwrap_or(0);
        value & !mask
    };
    let columns = [corner(rect.low.x), corner(rect.high.x)];
    let rows = [corner(rect.low.y), corner(rect.high.y)];
    let all = columns
        .into_iter()
        .flat_map(|x| rows.into_iter().map(move |y| Square { x, y, depth, first: Cell { x, y }.hash() }));
    let mut squares: Vec<Square> = all.collect();
    squares.sort_unstable_by_key(|square| square.first);
    squares.dedup_by_key(|square| square.first);
    squares
}

/// Joins ranges that follow one another.
fn joined(squares: &[Square]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::with_capacity(squares.len());
    for (first, last) in squares.iter().map(|square| square.range()) {
        match ranges.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(first) => *end = last,
            _ => ranges.push((first, last)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes the first digits of the geohash of a place.
    fn written(lon: i32, lat: i32, len: usize) -> String {
        let hash = Cell::of(lon, lat).hash();
        (0..len).map(|i| char::from(DIGITS[usize::try_from((hash >> (59 - 5 * i)) & 31).unwrap()])).collect()
    }

    #[test]
    fn is_the_standard_geohash() {
        // The example of the geohash documentation: 57.64911, 10.40744 is u4pruydqqvj.
        assert_eq!(written(104_074_400, 576_491_100, 11), "u4pruydqqvj");
    }

    #[test]
    fn what_is_no_geohash_is_refused() {
        for text in ["", "a", "sp9i", "sp 1", "é", "0123456789012", "sp91f-"] {
            assert_eq!(geohash_bbox(text), Err(GeohashError { text: text.to_owned() }));
        }
        assert_eq!(geohash_bbox("SP91F"), geohash_bbox("sp91f"));
    }

    #[test]
    fn a_side_close_to_a_large_squares_side_is_covered_at_once() {
        let low = Cell::of(-1_800_000_000, -900_000_000);
        for (lon, lat) in [(1_799_999_999, -1), (-1, 899_999_999), (-3, -3), (2, 2)] {
            let ranges = cover(&Rect { low, high: Cell::of(lon, lat) }, 24);
            assert!(!ranges.is_empty() && ranges.len() <= 24);
        }
    }

    proptest! {
        #[test]
        fn a_place_can_be_read_back(
            lat in prop_oneof![Just(-900_000_000), Just(900_000_000), -900_000_000..=900_000_000],
            lon in prop_oneof![Just(-1_800_000_000), Just(1_800_000_000), -1_800_000_000..=1_800_000_000],
        ) {
            let cell = Cell::of(lon, lat);
            prop_assert_eq!(Cell::of_hash(cell.hash()), cell);
            prop_assert_eq!(cell.coord().unwrap(), Coord::new(lat.into(), lon.into()).unwrap());
        }

        #[test]
        fn the_box_of_a_geohash_holds_the_places_that_begin_with_it(
            lat in prop_oneof![Just(-900_000_000), Just(900_000_000), -900_000_000..=900_000_000],
            lon in prop_oneof![Just(-1_800_000_000), Just(1_800_000_000), -1_800_000_000..=1_800_000_000],
            len in 1..=MAX_GEOHASH_DIGITS,
        ) {
            let prefix = written(lon, lat, len);
            let bbox = geohash_bbox(&prefix).unwrap();
            let (low, high) = (bbox.south_west(), bbox.north_east());
            prop_assert!((low.lat()..=high.lat()).contains(&lat) && (low.lon()..=high.lon()).contains(&lon));
            // The corners begin with it too, and the places beside them do not.
            for (lon, lat, step) in [(low.lon(), low.lat(), -1), (high.lon(), high.lat(), 1)] {
                prop_assert_eq!(&written(lon, lat, len), &prefix);
                if lon.abs() < 1_800_000_000 {
                    prop_assert_ne!(&written(lon + step, lat, len), &prefix);
                }
                if lat.abs() < 900_000_000 {
                    prop_assert_ne!(&written(lon, lat + step, len), &prefix);
                }
            }
        }

        #[test]
        fn the_range_of_a_square_is_that_of_its_corners(at in any::<(u32, u32)>(), depth in 0..=32_u32) {
            let mut square = Square::ALL;
            for _ in 0..depth {
                let holds = |quarter: &Square| quarter.touches(&Rect { low: Cell { x: at.0, y: at.1 }, high: Cell { x: at.0, y: at.1 } });
                square = square.quarters().into_iter().find(holds).unwrap();
            }
            let corner = Cell { x: square.x | square.mask(), y: square.y | square.mask() };
            prop_assert_eq!(square.range(), (Cell { x: square.x, y: square.y }.hash(), corner.hash()));
        }

        #[test]
        fn ranges_cover_the_rectangle(
            a in any::<(u32, u32)>(),
            size in (0u32..100_000, 0u32..100_000),
            inside in any::<(u32, u32)>(),
            most in 1usize..40,
        ) {
            let high = Cell { x: a.0.saturating_add(size.0), y: a.1.saturating_add(size.1) };
            let rect = Rect { low: Cell { x: a.0, y: a.1 }, high };
            let ranges = cover(&rect, most);
            prop_assert!(ranges.len() <= most && ranges.is_sorted());
            let within = |low: u32, high: u32, pick: u32| low + pick % (high - low + 1).max(1);
            let cell = Cell { x: within(a.0, high.x, inside.0), y: within(a.1, high.y, inside.1) };
            let hash = cell.hash();
            prop_assert!(ranges.iter().any(|(first, last)| (*first..=*last).contains(&hash)));
        }
    }
}
