use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::model::Tags;

fn at((lon, lat): (i64, i64)) -> Coord {
    Coord::new(lat, lon).unwrap()
}

fn line(places: &[(i64, i64)]) -> Vec<Coord> {
    places.iter().copied().map(at).collect()
}

fn area(lines: &[&[(i64, i64)]]) -> Result<Vec<Polygon>, AreaError> {
    let lines: Vec<Vec<Coord>> = lines.iter().map(|places| line(places)).collect();
    assemble(lines.iter().map(Vec::as_slice))
}

fn polygon(outer: &[(i64, i64)], inner: &[&[(i64, i64)]]) -> Polygon {
    Polygon { outer: line(outer), inner: inner.iter().map(|places| line(places)).collect() }
}

const SQUARE: &[(i64, i64)] = &[(0, 0), (8, 0), (8, 8), (0, 8), (0, 0)];

#[test]
fn a_square_runs_counterclockwise_from_its_least_corner() {
    let turned: Vec<_> = SQUARE.iter().rev().copied().collect();
    for square in [SQUARE, &turned, &[(8, 8), (8, 0), (0, 0), (0, 8), (8, 8)]] {
        assert_eq!(area(&[square]).unwrap(), [polygon(SQUARE, &[])]);
    }
}

#[test]
fn holes_islands_and_holes_in_islands() {
    let square = |low: i64, high: i64| vec![(low, low), (high, low), (high, high), (low, high), (low, low)];
    let hole = |low: i64, high: i64| square(low, high).into_iter().rev().collect::<Vec<_>>();
    let rings: Vec<_> = (0..4).map(|depth| square(depth, 20 - depth)).collect();
    let lines: Vec<&[(i64, i64)]> = rings.iter().map(Vec::as_slice).collect();
    let expected = [polygon(&rings[0], &[&hole(1, 19)]), polygon(&rings[2], &[&hole(3, 17)])];
    assert_eq!(area(&lines).unwrap(), expected);
}

#[test]
fn rings_may_touch() {
    // Two squares at a corner.
    let other: &[(i64, i64)] = &[(8, 8), (9, 8), (9, 9), (8, 9), (8, 8)];
    assert_eq!(area(&[SQUARE, other]).unwrap(), [polygon(SQUARE, &[]), polygon(other, &[])]);
    // Two holes that touch each other, and one of them the outer ring.
    let one: &[(i64, i64)] = &[(0, 4), (2, 5), (2, 3), (0, 4)];
    let two: &[(i64, i64)] = &[(2, 3), (4, 4), (4, 2), (2, 3)];
    let touched = [polygon(&[(0, 0), (8, 0), (8, 8), (0, 8), (0, 4), (0, 0)], &[one, two])];
    assert_eq!(area(&[SQUARE, one, two]).unwrap(), touched, "a node on another's line is one of both");
    // As one line that goes around all of them.
    let around: &[(i64, i64)] =
        &[(0, 0), (8, 0), (8, 8), (0, 8), (0, 4), (2, 5), (2, 3), (4, 4), (4, 2), (2, 3), (0, 4), (0, 0)];
    assert_eq!(area(&[around]).unwrap(), touched);
}

#[test]
fn lines_that_are_there_twice_cancel_out() {
    // Two holes side by side become one.
    let one: &[(i64, i64)] = &[(1, 1), (3, 1), (3, 3), (1, 3), (1, 1)];
    let two: &[(i64, i64)] = &[(3, 1), (5, 1), (5, 3), (3, 3), (3, 1)];
    let both = polygon(SQUARE, &[&[(1, 1), (1, 3), (3, 3), (5, 3), (5, 1), (3, 1), (1, 1)]]);
    assert_eq!(area(&[SQUARE, one, two]).unwrap(), [both]);
    // A thorn that goes out and back, past a node.
    assert_eq!(area(&[SQUARE, &[(8, 8), (9, 9), (12, 12), (8, 8)]]).unwrap(), [polygon(SQUARE, &[])]);
    assert_eq!(area(&[SQUARE, SQUARE]), Err(AreaError::Empty));
}

#[test]
fn what_is_no_area_has_a_reason() {
    assert_eq!(area(&[]), Err(AreaError::Empty));
    assert_eq!(area(&[&[(1, 1)], &[(2, 2), (2, 2)]]), Err(AreaError::Empty));
    assert_eq!(area(&[SQUARE, &[(1, 2), (3, 4)]]), Err(AreaError::Unclosed(at((1, 2)))));
    let bow: &[(i64, i64)] = &[(0, 0), (3, 3), (3, 0), (0, 3), (0, 0)];
    assert!(matches!(area(&[bow]), Err(AreaError::Crossing(..))));
    let message = area(&[bow]).unwrap_err().to_string();
    assert!(message.starts_with("two lines cross where they have no node: one from 0.00000"), "{message}");
    // With a node where it crosses, a bow tie is two areas.
    let tied: &[(i64, i64)] = &[(0, 0), (2, 2), (4, 4), (4, 0), (2, 2), (0, 4), (0, 0)];
    assert_eq!(area(&[tied]).unwrap().len(), 2);
    let far: &[(i64, i64)] = &[(-1_790_000_000, 0), (1_790_000_000, 0), (0, 9), (-1_790_000_000, 0)];
    assert!(matches!(area(&[far]), Err(AreaError::Antimeridian(..))));
}

#[test]
fn the_whole_globe_does_not_overflow() {
    let (lon, lat) = (1_800_000_000, 900_000_000);
    let halves: [&[(i64, i64)]; 2] = [
        &[(-lon, -lat), (0, -lat), (lon, -lat), (lon, lat)],
        &[(lon, lat), (0, lat), (-lon, lat), (-lon, -lat)],
    ];
    let hole: &[(i64, i64)] = &[(-1, -1), (1, 0), (0, 1), (-1, -1)];
    let globe = area(&[halves[0], halves[1], hole]).unwrap();
    assert_eq!((globe.len(), globe[0].inner.len()), (1, 1));
}

#[test]
fn too_much_is_refused() {
    let zigzag: Vec<Coord> =
        (0..=i64::try_from(MAX_AREA_SEGMENTS).unwrap() + 1).map(|step| at((step, step % 2))).collect();
    assert_eq!(assemble([zigzag.as_slice()]), Err(AreaError::TooComplex));
    // All of these overlap: comparing them takes the square of their number.
    let long: Vec<Vec<Coord>> = (0..1_000).map(|lat| line(&[(0, lat), (1_000_000, lat + 1_000)])).collect();
    let within = |comparisons| assemble_within(long.iter().map(Vec::as_slice), comparisons);
    assert_eq!(within(400_000), Err(AreaError::TooComplex));
    assert!(matches!(within(600_000), Err(AreaError::Unclosed(_))));
}

#[test]
fn tags_tell_areas_from_lines() {
    let is = |tags: &[(&str, &str)]| is_area(&tags.iter().copied().collect::<Tags>());
    for tags in [&[("natural", "water")][..], &[("waterway", "dock")], &[("highway", "services")]] {
        assert!(is(tags), "{tags:?}");
        assert!(!is(&[tags, &[("area", "no")]].concat()), "{tags:?}");
    }
    for tags in [&[][..], &[("natural", "coastline")], &[("building", "no")], &[("waterway", "river")]] {
        assert!(!is(tags), "{tags:?}");
        assert!(is(&[tags, &[("area", "yes")]].concat()), "{tags:?}");
    }
}

/// Rectangles on a grid, as lines with a node at every unit, so that they meet at nodes only.
fn rectangles() -> impl Strategy<Value = Vec<(i64, i64, i64, i64)>> {
    vec((0..7i64, 0..7i64, 1..5i64, 1..5i64), 0..9)
}

fn outline((west, south, width, height): (i64, i64, i64, i64)) -> Vec<(i64, i64)> {
    let (east, north) = (west + width, south + height);
    let mut places: Vec<(i64, i64)> = (west..east).map(|lon| (lon, south)).collect();
    places.extend((south..north).map(|lat| (east, lat)));
    places.extend((west + 1..=east).rev().map(|lon| (lon, north)));
    places.extend((south..=north).rev().map(|lat| (west, lat)));
    places
}

/// Tells whether a place that is on no line is in a ring, by the angle that the ring turns around it: counted
/// in quarters, between places in different quarters.
fn winds_around(ring: &[Coord], place: (f64, f64)) -> bool {
    let quarter = |coord: &Coord| {
        let (dx, dy) = (f64::from(coord.lon()) - place.0, f64::from(coord.lat()) - place.1);
        match (dx > 0.0, dy > 0.0) {
            (true, true) => 0,
            (false, true) => 1,
            (false, false) => 2,
            (true, false) => 3,
        }
    };
    let mut turn = 0;
    for pair in ring.windows(2) {
        let (from, to) = (quarter(&pair[0]), quarter(&pair[1]));
        turn += match (to - from + 4) % 4 {
            0 => 0,
            1 => 1,
            3 => -1,
            _ => {
                let at = |coord: &Coord| (f64::from(coord.lon()) - place.0, f64::from(coord.lat()) - place.1);
                let ((ax, ay), (bx, by)) = (at(&pair[0]), at(&pair[1]));
                if ax * by - ay * bx > 0.0 { 2 } else { -2 }
            }
        };
    }
    turn != 0
}

/// Tells in how many polygons a place is.
fn holding(polygons: &[Polygon], place: (f64, f64)) -> usize {
    let is_in = |polygon: &&Polygon| {
        winds_around(&polygon.outer, place) && !polygon.inner.iter().any(|hole| winds_around(hole, place))
    };
    polygons.iter().filter(is_in).count()
}

/// What every polygon must be, whatever it was made of.
fn check_shape(polygons: &[Polygon]) {
    let mut edges = BTreeSet::new();
    for polygon in polygons {
        for (ring, sign) in
            std::iter::once((&polygon.outer, 1)).chain(polygon.inner.iter().map(|ring| (ring, -1)))
        {
            assert!(ring.len() >= 4 && ring.first() == ring.last(), "{ring:?}");
            let places: BTreeSet<_> = ring.iter().collect();
            assert_eq!(places.len(), ring.len() - 1, "no ring meets itself: {ring:?}");
            let area: i128 = ring
                .windows(2)
                .map(|pair| {
                    i128::from(pair[0].lon()) * i128::from(pair[1].lat())
                        - i128::from(pair[1].lon()) * i128::from(pair[0].lat())
                })
                .sum();
            assert_eq!(area.signum(), sign, "{ring:?}");
            for pair in ring.windows(2) {
                assert!(edges.insert((pair[0].min(pair[1]), pair[0].max(pair[1]))), "an edge is there once");
            }
        }
    }
}

/// Cuts lines at some places, turns some pieces around, and puts them in another order.
fn shuffled(lines: &[Vec<(i64, i64)>], cuts: &[(Index, Index, bool)]) -> Vec<Vec<Coord>> {
    let mut pieces: Vec<Vec<Coord>> = lines.iter().map(|places| line(places)).collect();
    for (which, place, turn) in cuts {
        if pieces.is_empty() {
            break;
        }
        let index = which.index(pieces.len());
        let piece = pieces.swap_remove(index);
        let place = place.index(piece.len());
        let (mut front, back) = (piece[..=place].to_vec(), piece[place..].to_vec());
        if *turn {
            front.reverse();
        }
        pieces.extend([back, front]);
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A cell of the grid is inside if an odd number of rectangles covers it.
    #[test]
    fn rectangles_make_the_cells_that_an_odd_number_covers(
        rectangles in rectangles(),
        cuts in vec((any::<Index>(), any::<Index>(), any::<bool>()), 0..20),
    ) {
        let lines: Vec<Vec<(i64, i64)>> = rectangles.iter().copied().map(outline).collect();
        let covered = |lon: i64, lat: i64| {
            let covers = |(west, south, width, height): &&(i64, i64, i64, i64)| {
                (*west..west + width).contains(&lon) && (*south..south + height).contains(&lat)
            };
            rectangles.iter().filter(covers).count() % 2 == 1
        };
        let cells = || (-1..12i64).flat_map(|lon| (-1..12i64).map(move |lat| (lon, lat)));
        let pieces = shuffled(&lines, &cuts);
        match assemble(pieces.iter().map(Vec::as_slice)) {
            Ok(polygons) => {
                check_shape(&polygons);
                for (lon, lat) in cells() {
                    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
                    let middle = (lon as f64 + 0.5, lat as f64 + 0.5);
                    prop_assert_eq!(holding(&polygons, middle), usize::from(covered(lon, lat)), "{}, {}", lon, lat);
                }
                let whole: Vec<Vec<Coord>> = lines.iter().map(|places| line(places)).collect();
                prop_assert_eq!(assemble(whole.iter().map(Vec::as_slice)), Ok(polygons));
            }
            Err(error) => {
                prop_assert_eq!(error, AreaError::Empty);
                prop_assert!(cells().all(|(lon, lat)| !covered(lon, lat)));
            }
        }
    }

    /// Any closed lines: a place is inside if a ray from it crosses an odd number of segments.
    #[test]
    fn closed_lines_make_what_a_ray_leaves_an_odd_number_of_times(
        loops in vec(vec((0..9i64, 0..9i64), 3..7), 1..4),
    ) {
        let lines: Vec<Vec<Coord>> = loops
            .iter()
            .map(|places| places.iter().chain(places.first()).copied().map(at).collect())
            .collect();
        let segments = || lines.iter().flat_map(|line| line.windows(2));
        let cross = |a: &Coord, b: &Coord, c: &Coord| {
            (b.lon() - a.lon()) * (c.lat() - a.lat()) - (b.lat() - a.lat()) * (c.lon() - a.lon())
        };
        match assemble(lines.iter().map(Vec::as_slice)) {
            Ok(polygons) => {
                check_shape(&polygons);
                for lon in -1..10i32 {
                    for lat in -1..10i32 {
                        // Near to no line: their slopes are fractions of small numbers.
                        let (x, y) = (f64::from(lon) + 0.501_003, f64::from(lat) + 0.497_301);
                        let is_north = |pair: &&[Coord]| {
                            let ((ax, ay), (bx, by)) = (
                                (f64::from(pair[0].lon()), f64::from(pair[0].lat())),
                                (f64::from(pair[1].lon()), f64::from(pair[1].lat())),
                            );
                            (ax > x) != (bx > x) && ay + (x - ax) / (bx - ax) * (by - ay) > y
                        };
                        let crossed = segments().filter(is_north).count();
                        prop_assert_eq!(holding(&polygons, (x, y)), crossed % 2, "{}, {}", x, y);
                    }
                }
            }
            Err(AreaError::Crossing(one, two)) => {
                let apart = |a: &Coord, b: &Coord, c: &Coord, d: &Coord| {
                    cross(a, b, c).signum() * cross(a, b, d).signum() < 0
                };
                prop_assert!(apart(&one[0], &one[1], &two[0], &two[1]) && apart(&two[0], &two[1], &one[0], &one[1]));
            }
            Err(error) => {
                prop_assert_eq!(error, AreaError::Empty);
            }
        }
    }

    /// Lines of any kind are refused or make sound polygons, and nothing overflows.
    #[test]
    fn any_lines_are_refused_or_sound(
        lines in vec(vec((-1_800_000_000..=1_800_000_000i64, -900_000_000..=900_000_000i64), 0..6), 0..5),
        closed in any::<bool>(),
    ) {
        let lines: Vec<Vec<Coord>> = lines
            .iter()
            .map(|places| places.iter().chain(places.first().filter(|_| closed)).copied().map(at).collect())
            .collect();
        if let Ok(polygons) = assemble(lines.iter().map(Vec::as_slice)) {
            check_shape(&polygons);
        }
    }
}
