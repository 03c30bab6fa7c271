//! Lines cut into segments that meet at their ends only, each there once.

use super::{AreaError, MAX_AREA_SEGMENTS, Point, Work, coord, side};
use crate::model::{Coord, UNITS_PER_DEGREE};

/// A straight line from the lesser place to the greater one.
pub(super) type Segment = (Point, Point);

/// Cuts lines into segments. Where one has a node on another, both end there; what is there an even number
/// of times is gone. Sorted.
pub(super) fn noded<'a>(
    lines: impl IntoIterator<Item = &'a [Coord]>,
    work: &mut Work,
) -> Result<Vec<Segment>, AreaError> {
    let mut segments = Vec::new();
    for pair in lines.into_iter().flat_map(|line| line.windows(2)) {
        let [from, to] = pair else { continue };
        if from.lon().abs_diff(to.lon()) > (180 * UNITS_PER_DEGREE).unsigned_abs() {
            return Err(AreaError::Antimeridian(*from, *to));
        }
        let (from, to) = ((from.lon(), from.lat()), (to.lon(), to.lat()));
        if from != to {
            segments.push((from.min(to), from.max(to)));
        }
        if segments.len() > MAX_AREA_SEGMENTS {
            return Err(AreaError::TooComplex);
        }
    }
    cancel_pairs(&mut segments);
    let mut found = compare(&segments, work)?;
    if !found.cuts.is_empty() {
        cut(&mut segments, &mut found.cuts)?;
        cancel_pairs(&mut segments);
        // What crossed may have cancelled out. No cut makes another one needed: they are at nodes that were
        // there before.
        found = compare(&segments, work)?;
    }
    check_closed(&segments)?;
    match found.crossing {
        Some(((a, b), (c, d))) => Err(AreaError::Crossing([coord(a)?, coord(b)?], [coord(c)?, coord(d)?])),
        None if segments.is_empty() => Err(AreaError::Empty),
        None => Ok(segments),
    }
}

/// Sorts segments, and keeps one of those that are there an odd number of times.
fn cancel_pairs(segments: &mut Vec<Segment>) {
    segments.sort_unstable();
    let odd = segments.chunk_by(|a, b| a == b).filter(|same| same.len() % 2 == 1);
    *segments = odd.filter_map(|same| same.first().copied()).collect();
}

/// What comparing all segments has found.
#[derive(Default)]
struct Found {
    /// A segment by its place in the list, and a node that lies on it.
    cuts: Vec<(usize, Point)>,
    /// Two segments that cross between their ends.
    crossing: Option<(Segment, Segment)>,
}

/// Compares all segments that overlap. They are sorted.
fn compare(segments: &[Segment], work: &mut Work) -> Result<Found, AreaError> {
    let mut found = Found::default();
    // Segments that reach as far east as the one that is looked at begins.
    let mut active: Vec<(usize, Segment)> = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        work.add(active.len())?;
        active.retain(|(_, (_, end))| end.0 >= segment.0.0);
        for (other_index, other) in &active {
            compare_two((index, *segment), (*other_index, *other), &mut found);
        }
        active.push((index, *segment));
        if found.cuts.len() > MAX_AREA_SEGMENTS {
            return Err(AreaError::TooComplex);
        }
    }
    Ok(found)
}

fn compare_two(one: (usize, Segment), other: (usize, Segment), found: &mut Found) {
    let ((a, b), (c, d)) = (one.1, other.1);
    let (low, high) = (a.1.min(b.1), a.1.max(b.1));
    if low > c.1.max(d.1) || high < c.1.min(d.1) {
        return;
    }
    let (c_side, d_side) = (side(a, b, c), side(a, b, d));
    let (a_side, b_side) = (side(c, d, a), side(c, d, b));
    let are_apart = |one: i128, other: i128| one.signum() * other.signum() < 0;
    if are_apart(c_side, d_side) && are_apart(a_side, b_side) {
        found.crossing.get_or_insert((one.1, other.1));
    }
    // Ends are sorted, so that a place of the same line is inside if it is between them.
    let mut cut = |(index, (from, to)): (usize, Segment), side: i128, place: Point| {
        if side == 0 && from < place && place < to {
            found.cuts.push((index, place));
        }
    };
    cut(one, c_side, c);
    cut(one, d_side, d);
    cut(other, a_side, a);
    cut(other, b_side, b);
}

/// Cuts segments in pieces.
fn cut(segments: &mut Vec<Segment>, cuts: &mut Vec<(usize, Point)>) -> Result<(), AreaError> {
    cuts.sort_unstable();
    cuts.dedup();
    let mut pieces = Vec::with_capacity(segments.len().saturating_add(cuts.len()));
    let mut cuts = cuts.iter().peekable();
    for (index, (from, to)) in segments.iter().enumerate() {
        let mut from = *from;
        while let Some((_, place)) = cuts.next_if(|(cut, _)| *cut == index) {
            pieces.push((from, *place));
            from = *place;
        }
        pieces.push((from, *to));
    }
    *segments = pieces;
    if segments.len() <= MAX_AREA_SEGMENTS { Ok(()) } else { Err(AreaError::TooComplex) }
}

/// Makes sure that an even number of segments meets at every place.
fn check_closed(segments: &[Segment]) -> Result<(), AreaError> {
    let mut ends: Vec<Point> = segments.iter().flat_map(|(from, to)| [*from, *to]).collect();
    ends.sort_unstable();
    let odd = ends.chunk_by(|a, b| a == b).find(|same| same.len() % 2 == 1);
    match odd.and_then(|same| same.first()) {
        Some(end) => Err(AreaError::Unclosed(coord(*end)?)),
        None => Ok(()),
    }
}
