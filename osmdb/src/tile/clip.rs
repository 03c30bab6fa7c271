//! Cutting off what is beyond the sides of a tile and its buffer.

use super::grid::{BUFFER, EXTENT, Point};

const LOW: i64 = -(BUFFER as i64);
const HIGH: i64 = EXTENT as i64 + BUFFER as i64;

/// A side of the buffer, and how far inside of it a place is.
#[derive(Debug, Clone, Copy)]
enum Side {
    West,
    East,
    North,
    South,
}

const SIDES: [Side; 4] = [Side::West, Side::East, Side::North, Side::South];

impl Side {
    const fn inside(self, (x, y): Point) -> i64 {
        match self {
            Self::West => x - LOW,
            Self::East => HIGH - x,
            Self::North => y - LOW,
            Self::South => HIGH - y,
        }
    }

    /// Returns where a line from one side of this side to the other meets it.
    fn meet(self, a: Point, b: Point) -> Point {
        let (from_a, from_b) = (self.inside(a), self.inside(b));
        let between = |a: i64, b: i64| a + rounded((b - a) * from_a, from_a - from_b);
        match self {
            Self::West => (LOW, between(a.1, b.1)),
            Self::East => (HIGH, between(a.1, b.1)),
            Self::North => (between(a.0, b.0), LOW),
            Self::South => (between(a.0, b.0), HIGH),
        }
    }
}

/// Divides, rounding to the nearest. A tile's world has 2^26 units: the product of two fits.
fn rounded(dividend: i64, divisor: i64) -> i64 {
    let (dividend, divisor) = if divisor < 0 { (-dividend, -divisor) } else { (dividend, divisor) };
    (2 * dividend + divisor).div_euclid(2 * divisor.max(1))
}

/// Tells whether a place is in the tile or its buffer.
pub(super) fn contains(point: Point) -> bool {
    SIDES.iter().all(|side| side.inside(point) >= 0)
}

/// Returns the parts of a line that are in the tile or its buffer.
pub(super) fn line(points: &[Point]) -> Vec<Vec<Point>> {
    if points.iter().all(|point| contains(*point)) {
        return vec![points.to_vec()];
    }
    let mut parts: Vec<Vec<Point>> = Vec::new();
    let mut part: Vec<Point> = Vec::new();
    for pair in points.windows(2) {
        let [a, b] = *pair else { continue };
        let Some((from, to)) = segment(a, b) else {
            parts.extend(Some(std::mem::take(&mut part)).filter(|part| part.len() > 1));
            continue;
        };
        if part.last() != Some(&from) {
            parts.extend(Some(std::mem::replace(&mut part, vec![from])).filter(|part| part.len() > 1));
        }
        part.push(to);
    }
    parts.extend(Some(part).filter(|part| part.len() > 1));
    parts
}

/// Returns the part of a straight line that is inside.
fn segment(mut a: Point, mut b: Point) -> Option<(Point, Point)> {
    for side in SIDES {
        match (side.inside(a) >= 0, side.inside(b) >= 0) {
            (true, true) => {}
            (false, false) => return None,
            (false, true) => a = side.meet(a, b),
            (true, false) => b = side.meet(a, b),
        }
    }
    Some((a, b))
}

/// Returns the part of a ring that is inside, by the method of Sutherland and Hodgman: where it leaves and comes
/// back, it runs along the sides. The ring does not repeat its first place.
pub(super) fn ring(points: &[Point]) -> Vec<Point> {
    let mut ring = points.to_vec();
    for side in SIDES {
        if ring.iter().all(|point| side.inside(*point) >= 0) {
            continue;
        }
        let mut kept = Vec::with_capacity(ring.len());
        let before = ring.last().copied().into_iter().chain(ring.iter().copied());
        for (a, b) in before.zip(&ring) {
            match (side.inside(a) >= 0, side.inside(*b) >= 0) {
                (true, true) => kept.push(*b),
                (true, false) => kept.push(side.meet(a, *b)),
                (false, true) => kept.extend([side.meet(a, *b), *b]),
                (false, false) => {}
            }
        }
        ring = kept;
    }
    ring
}
