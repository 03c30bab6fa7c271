//! Leaving out places of lines that nobody would see.

use super::grid::Point;

/// Places are compared only within runs of so many: so the work grows with the length of a line, not with its
/// square.
const RUN: usize = 512;

/// Leaves out places of a line that are no farther than `tolerance` units from the line without them, by the method
/// of Ramer, Douglas and Peucker; with 0, those on a straight line and those that come twice in a row.
pub(super) fn line(mut points: Vec<Point>, tolerance: i64) -> Vec<Point> {
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let mut keep = vec![false; points.len()];
    let last = points.len() - 1;
    let mut from = 0;
    while from < last {
        let to = (from + RUN).min(last);
        keep_in(&points, from, to, tolerance, &mut keep);
        from = to;
    }
    let mut keep = keep.into_iter();
    points.retain(|_| keep.next().unwrap_or(true));
    points
}

/// Simplifies a ring that does not repeat its first place: from there to the place farthest from it, and back.
pub(super) fn ring(points: &[Point], tolerance: i64) -> Vec<Point> {
    let Some(first) = points.first().copied() else { return Vec::new() };
    let far = (0..).zip(points).max_by_key(|(_, point)| square(**point, first)).map_or(0, |(index, _)| index);
    let (there, back) = points.split_at(far);
    let mut out = line([there, back.get(..1).unwrap_or_default()].concat(), tolerance);
    out.pop();
    out.extend(line([back, &[first]].concat(), tolerance));
    out.pop();
    out.dedup();
    if out.len() > 1 && out.first() == out.last() {
        out.pop();
    }
    out
}

fn keep_in(points: &[Point], from: usize, to: usize, tolerance: i64, keep: &mut [bool]) {
    let mut stack = vec![(from, to)];
    let mut mark = |index: usize| keep.get_mut(index).into_iter().for_each(|keep| *keep = true);
    mark(from);
    mark(to);
    while let Some((from, to)) = stack.pop() {
        let (Some(a), Some(b), Some(between)) =
            (points.get(from), points.get(to), points.get(from + 1..to.max(from + 1)))
        else {
            continue;
        };
        let farthest =
            (from + 1..).zip(between).map(|(index, point)| (distance(*point, *a, *b), index)).max();
        // 2^26 units around the world: the square of a distance times that of a length fits in 128 bits.
        if let Some((far, index)) = farthest
            && far > i128::from(tolerance * tolerance) * i128::from(square(*a, *b).max(1))
        {
            mark(index);
            stack.extend([(from, index), (index, to)]);
        }
    }
}

fn square(a: Point, b: Point) -> i64 {
    (a.0 - b.0).pow(2) + (a.1 - b.1).pow(2)
}

/// Returns the square of the distance of a place from a straight line of some length, times the square of that.
fn distance(point: Point, a: Point, b: Point) -> i128 {
    let length = square(a, b);
    let along = (b.0 - a.0) * (point.0 - a.0) + (b.1 - a.1) * (point.1 - a.1);
    if along <= 0 {
        return i128::from(square(point, a)) * i128::from(length.max(1));
    }
    if along >= length {
        return i128::from(square(point, b)) * i128::from(length.max(1));
    }
    let across = i128::from((b.0 - a.0) * (point.1 - a.1) - (b.1 - a.1) * (point.0 - a.0));
    across * across
}
