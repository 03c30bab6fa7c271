//! Rings from segments that meet at their ends only, and polygons from rings.
//!
//! Each segment has the inside on one of its sides. It is found by counting what lies south of one place of
//! each group of segments that hang together, and passed on from there: around a place, inside and outside
//! take turns. Walking along segments with the inside on the left, and at each place on to the next one
//! clockwise, goes around one piece of the inside. Such a walk may come to a place several times; it is
//! taken apart there, and what is left are rings that do not meet themselves: counterclockwise around the
//! inside, clockwise around holes.

use std::collections::HashMap;

use super::segments::Segment;
use super::{AreaError, Point, Polygon, Work, coord, side};
use crate::model::Coord;

/// Makes polygons of sorted segments, an even number of which meets at each place.
pub(super) fn polygons(segments: &[Segment], work: &mut Work) -> Result<Vec<Polygon>, AreaError> {
    let graph = Graph::new(segments);
    let inside_left = graph.inside_left(segments, work)?;
    let rings = graph.rings(&inside_left);
    nest(rings, work)
}

/// One direction of a segment.
#[derive(Debug, Clone, Copy)]
struct Half {
    from: Point,
    to: Point,
    /// Twice the place of the segment, and 1 for the way back: the other direction has the other lowest bit.
    id: usize,
}

/// Directions of segments by where they begin, and counterclockwise around there.
struct Graph {
    halves: Vec<Half>,
    /// Where the half of an id is.
    places: Vec<usize>,
    /// Of each half: where those that begin where it does begin, and how many these are.
    groups: Vec<(usize, usize)>,
}

// Indices are made here, of lists of one length: none comes from outside.
impl Graph {
    fn new(segments: &[Segment]) -> Self {
        let both = |(index, (from, to)): (usize, &Segment)| {
            [Half { from: *from, to: *to, id: 2 * index }, Half { from: *to, to: *from, id: 2 * index + 1 }]
        };
        let mut halves: Vec<Half> = segments.iter().enumerate().flat_map(both).collect();
        halves.sort_unstable_by(|one, other| {
            one.from.cmp(&other.from).then_with(|| {
                let turn =
                    |half: &Half| half.to < half.from && half.to.1 == half.from.1 || half.to.1 < half.from.1;
                // First those to the west and south, then those to the east and north.
                turn(other).cmp(&turn(one)).then_with(|| 0.cmp(&side(one.from, one.to, other.to)))
            })
        });
        let mut places = vec![0; halves.len()];
        halves.iter().enumerate().for_each(|(place, half)| places[half.id] = place);
        let mut groups = Vec::with_capacity(halves.len());
        for group in halves.chunk_by(|one, other| one.from == other.from) {
            groups.extend(std::iter::repeat_n((groups.len(), group.len()), group.len()));
        }
        Self { halves, places, groups }
    }

    /// Returns the other direction of a half.
    fn twin(&self, half: usize) -> usize {
        self.places[self.halves[half].id ^ 1]
    }

    /// Tells for each half whether the inside is on its left.
    fn inside_left(&self, segments: &[Segment], work: &mut Work) -> Result<Vec<bool>, AreaError> {
        let mut sides: Vec<Option<bool>> = vec![None; self.halves.len()];
        let mut south = South { segments: segments.iter(), active: Vec::new() };
        for half in 0..self.halves.len() {
            if sides[half].is_some() {
                continue;
            }
            // The least place of a group that hangs together: it has nothing to the west, so that what is
            // there lies before its first half.
            let is_inside = south.count(self.halves[half].from, work)? % 2 == 1;
            let mut open = vec![(half, !is_inside)];
            while let Some((half, left)) = open.pop() {
                let (start, len) = self.groups[half];
                for step in 0..len {
                    let next = start + (half - start + step) % len;
                    if sides[next].is_none() {
                        let left = left ^ (step % 2 == 1);
                        sides[next] = Some(left);
                        open.push((self.twin(next), !left));
                    }
                }
            }
        }
        Ok(sides.into_iter().map(|side| side == Some(true)).collect())
    }

    /// Walks along all halves that have the inside on the left.
    fn rings(&self, inside_left: &[bool]) -> Vec<Vec<Point>> {
        let mut rings = Vec::new();
        let mut is_walked = vec![false; self.halves.len()];
        for first in 0..self.halves.len() {
            if !inside_left[first] || is_walked[first] {
                continue;
            }
            let mut walk = Walk::default();
            let mut half = first;
            while !is_walked[half] {
                is_walked[half] = true;
                rings.extend(walk.come_to(self.halves[half].from));
                let back = self.twin(half);
                let (start, len) = self.groups[back];
                half = start + (back - start + len - 1) % len;
            }
            rings.extend(walk.come_to(self.halves[first].from));
        }
        rings
    }
}

/// Counts segments south of places that come from the west to the east.
struct South<'a> {
    segments: std::slice::Iter<'a, Segment>,
    active: Vec<Segment>,
}

impl South<'_> {
    /// Counts those that pass south of just left of a place.
    fn count(&mut self, place: Point, work: &mut Work) -> Result<usize, AreaError> {
        while let Some(segment) = self.segments.as_slice().first().filter(|(from, _)| from.0 < place.0) {
            self.active.push(*segment);
            self.segments.next();
        }
        work.add(self.active.len())?;
        self.active.retain(|(_, to)| to.0 >= place.0);
        Ok(self.active.iter().filter(|(from, to)| side(*from, *to, place) > 0).count())
    }
}

/// A way along segments, without what it has come around.
#[derive(Default)]
struct Walk {
    path: Vec<Point>,
    /// Where a place stands in the path. Looked up only: its order means nothing.
    seen: HashMap<Point, usize>,
}

impl Walk {
    /// Goes on to a place. If it was there before, what lies between is a ring.
    fn come_to(&mut self, place: Point) -> Option<Vec<Point>> {
        let Some(start) = self.seen.get(&place).copied() else {
            self.seen.insert(place, self.path.len());
            self.path.push(place);
            return None;
        };
        let ring = self.path.split_off(start);
        for place in &ring {
            self.seen.remove(place);
        }
        self.seen.insert(place, self.path.len());
        self.path.push(place);
        Some(ring)
    }
}

/// A ring, with what is needed to tell what lies in it.
struct Ring {
    /// Begins with the least place, which is not repeated.
    places: Vec<Point>,
    /// Twice what it encloses.
    area: u128,
    south_west: Point,
    north_east: Point,
}

impl Ring {
    fn new(places: Vec<Point>, area: u128) -> Self {
        let fold = |choose: fn(i32, i32) -> i32| {
            let least = |one: Point, other: &Point| (choose(one.0, other.0), choose(one.1, other.1));
            places.iter().fold(places.first().copied().unwrap_or_default(), least)
        };
        let (south_west, north_east) = (fold(i32::min), fold(i32::max));
        Self { area, south_west, north_east, places }
    }

    fn edges(&self) -> impl Iterator<Item = (Point, Point)> + '_ {
        self.places.iter().copied().zip(self.places.iter().copied().cycle().skip(1))
    }

    /// Tells whether the middle of an edge of another ring lies in this one.
    fn contains(&self, edge: (Point, Point), work: &mut Work) -> Result<bool, AreaError> {
        let (low, high) = (self.south_west, self.north_east);
        let is_near =
            |place: Point| (low.0..=high.0).contains(&place.0) && (low.1..=high.1).contains(&place.1);
        work.add(1)?;
        if !is_near(edge.0) || !is_near(edge.1) {
            return Ok(false);
        }
        work.add(self.places.len())?;
        // Twice the middle, so that it is a whole number.
        let wide = |place: Point| (i128::from(place.0), i128::from(place.1));
        let (from, to) = (wide(edge.0), wide(edge.1));
        let (x, y) = (from.0 + to.0, from.1 + to.1);
        let is_east = |(a, b): (Point, Point)| {
            let ((ax, ay), (bx, by)) = (wide(a), wide(b));
            let (ax, ay, bx, by) = (2 * ax, 2 * ay, 2 * bx, 2 * by);
            let side = (bx - ax) * (y - ay) - (by - ay) * (x - ax);
            (ay > y) != (by > y) && (side > 0) == (by > ay)
        };
        Ok(self.edges().filter(|edge| is_east(*edge)).count() % 2 == 1)
    }

    fn closed(&self) -> Result<Vec<Coord>, AreaError> {
        self.places.iter().chain(self.places.first()).map(|place| coord(*place)).collect()
    }
}

/// Puts each hole into the smallest ring around it.
fn nest(rings: Vec<Vec<Point>>, work: &mut Work) -> Result<Vec<Polygon>, AreaError> {
    let (mut outer, mut inner) = (Vec::new(), Vec::new());
    for mut places in rings {
        let least = places.iter().enumerate().min_by_key(|(_, place)| **place);
        let start = least.map_or(0, |(index, _)| index);
        places.rotate_left(start);
        let area = doubled_area(&places);
        let list = if area > 0 { &mut outer } else { &mut inner };
        list.push(Ring::new(places, area.unsigned_abs()));
    }
    let by_places = |one: &Ring, other: &Ring| one.places.cmp(&other.places);
    outer.sort_unstable_by(|one, other| one.area.cmp(&other.area).then_with(|| by_places(one, other)));
    inner.sort_unstable_by(by_places);
    let mut polygons = Vec::with_capacity(outer.len());
    for ring in &outer {
        polygons.push(Polygon { outer: ring.closed()?, inner: Vec::new() });
    }
    for hole in &inner {
        let Some(edge) = hole.edges().next() else { continue };
        for (ring, polygon) in outer.iter().zip(&mut polygons) {
            if ring.area > hole.area && ring.contains(edge, work)? {
                polygon.inner.push(hole.closed()?);
                break;
            }
        }
    }
    polygons.sort_unstable_by(|one, other| {
        let places = |place: &Coord| (place.lon(), place.lat());
        one.outer.iter().map(places).cmp(other.outer.iter().map(places))
    });
    Ok(polygons)
}

/// Returns twice the area that a ring encloses, positive if it runs counterclockwise.
fn doubled_area(places: &[Point]) -> i128 {
    let next = places.iter().cycle().skip(1);
    let product = |((ax, ay), (bx, by)): (&Point, &Point)| {
        i128::from(*ax) * i128::from(*by) - i128::from(*bx) * i128::from(*ay)
    };
    places.iter().zip(next).map(product).sum()
}
