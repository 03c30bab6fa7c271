//! Whether lines touch boxes, in exact integers.

use crate::model::{BBox, Coord};

/// A box that does not cross the antimeridian, in 10⁻⁷ degree; all four sides belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) west: i32,
    pub(crate) south: i32,
    pub(crate) east: i32,
    pub(crate) north: i32,
}

impl Window {
    /// Returns the one or two windows that make up a box.
    pub(crate) fn of(bbox: BBox) -> Vec<Self> {
        let (sw, ne) = (bbox.south_west(), bbox.north_east());
        let part = |west, east| Self { west, south: sw.lat(), east, north: ne.lat() };
        let antimeridian = 180 * crate::model::UNITS_PER_DEGREE;
        if bbox.crosses_antimeridian() {
            vec![part(-antimeridian, ne.lon()), part(sw.lon(), antimeridian)]
        } else {
            vec![part(sw.lon(), ne.lon())]
        }
    }

    /// Returns the smallest window around some places; `None` around none.
    pub(crate) fn around(coords: &[Coord]) -> Option<Self> {
        let first = coords.first()?;
        let start = Self { west: first.lon(), south: first.lat(), east: first.lon(), north: first.lat() };
        Some(coords.iter().fold(start, |window, coord| Self {
            west: window.west.min(coord.lon()),
            south: window.south.min(coord.lat()),
            east: window.east.max(coord.lon()),
            north: window.north.max(coord.lat()),
        }))
    }

    pub(crate) const fn contains(&self, coord: Coord) -> bool {
        self.west <= coord.lon()
            && coord.lon() <= self.east
            && self.south <= coord.lat()
            && coord.lat() <= self.north
    }

    pub(crate) const fn overlaps(&self, other: &Self) -> bool {
        self.west <= other.east
            && other.west <= self.east
            && self.south <= other.north
            && other.south <= self.north
    }

    /// Tells whether a line through these places touches the window. A single place is a line too.
    pub(crate) fn touches(&self, line: &[Coord]) -> bool {
        if !Self::around(line).is_some_and(|around| self.overlaps(&around)) {
            return false;
        }
        line.iter().any(|coord| self.contains(*coord))
            || line.windows(2).any(|pair| matches!(pair, [a, b] if self.is_crossed(*a, *b)))
    }

    /// Tells whether a straight line crosses the window: there is no axis that separates the two.
    fn is_crossed(&self, a: Coord, b: Coord) -> bool {
        if !Self::around(&[a, b]).is_some_and(|around| self.overlaps(&around)) {
            return false;
        }
        let (dx, dy) = (wide(b.lon()) - wide(a.lon()), wide(b.lat()) - wide(a.lat()));
        let side = |lon: i32, lat: i32| dx * (wide(lat) - wide(a.lat())) - dy * (wide(lon) - wide(a.lon()));
        let corners = [
            side(self.west, self.south),
            side(self.west, self.north),
            side(self.east, self.south),
            side(self.east, self.north),
        ];
        corners.iter().any(|side| *side >= 0) && corners.iter().any(|side| *side <= 0)
    }
}

fn wide(value: i32) -> i128 {
    value.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lat: i64, lon: i64) -> Coord {
        Coord::new(lat, lon).unwrap()
    }

    #[test]
    fn a_line_may_cross_without_a_place_inside() {
        let window = Window { west: 0, south: 0, east: 10, north: 10 };
        assert!(window.touches(&[at(-5, 5), at(15, 5)]));
        assert!(window.touches(&[at(-5, 0), at(5, -10), at(30, -30), at(0, 10)]));
        assert!(window.touches(&[at(20, 0), at(0, 20)]), "it meets the corner 10,10");
        assert!(!window.touches(&[at(21, 0), at(0, 21)]), "it passes beside the corner");
        assert!(!window.touches(&[at(-1, -1), at(-1, 20), at(20, 20)]));
        assert!(window.touches(&[at(10, 10)]));
        assert!(!window.touches(&[]));
        let globe = [at(-900_000_000, -1_800_000_000), at(900_000_000, 1_800_000_000)];
        assert!(window.touches(&globe));
    }
}
