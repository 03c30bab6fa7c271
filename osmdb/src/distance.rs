//! How far a place is from another, or from a line.
//!
//! Distances are those on a sphere with the mean radius of the Earth. A line is straight in longitude and
//! latitude between its places, as everywhere in this crate, so one that is to cross the antimeridian must end
//! there. Floating point decides nothing here but the order of answers.

use std::f64::consts::PI;

use crate::geometry::Window;
use crate::model::{BBox, Coord, UNITS_PER_DEGREE};
use crate::views::spatial::Geometry;

/// The mean radius of the Earth in metres, as the IUGG defines it.
///
/// ```
/// // A degree of latitude is about 111 kilometres.
/// assert_eq!((osmdb::EARTH_RADIUS * 1_f64.to_radians() / 1000.0).round(), 111.0);
/// ```
pub const EARTH_RADIUS: f64 = 6_371_008.8;

/// Half the way around the globe: no distance is longer.
pub(crate) const FARTHEST: f64 = EARTH_RADIUS * PI;

/// Pieces of a line are looked at one by one if they are longer than this, in degrees.
const PIECE: f64 = 1.0;

/// On a piece shorter than this, in degrees, the nearest place of the chord is that of the line.
const SHORT: f64 = 0.02;

/// A line between two places is cut into at most so many pieces, and a line in all into so many more.
const MAX_PIECES: u32 = 360;

const UNITS_PER_RADIAN: f64 = UNITS_PER_DEGREE as f64 * 180.0 / PI;

/// Longitude and latitude in degrees.
#[derive(Debug, Clone, Copy)]
struct Place {
    lon: f64,
    lat: f64,
}

impl Place {
    fn of(coord: Coord) -> Self {
        let degrees = |units: i32| f64::from(units) / f64::from(UNITS_PER_DEGREE);
        Self { lon: degrees(coord.lon()), lat: degrees(coord.lat()) }
    }

    /// Returns the place at a part of the straight way to another.
    fn towards(self, other: Self, part: f64) -> Self {
        let between = |from: f64, to: f64| from + (to - from) * part;
        Self { lon: between(self.lon, other.lon), lat: between(self.lat, other.lat) }
    }

    /// Returns the place on the unit sphere.
    fn on_sphere(self) -> [f64; 3] {
        let (lon, lat) = (self.lon.to_radians(), self.lat.to_radians());
        [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
    }

    /// Returns the distance in metres, by the haversine formula (R. W. Sinnott, "Virtues of the haversine",
    /// Sky and Telescope 68(2), 1984).
    fn distance(self, other: Self) -> f64 {
        let half_sine = |degrees: f64| (degrees.to_radians() / 2.0).sin();
        let (lat, lon) = (half_sine(other.lat - self.lat), half_sine(other.lon - self.lon));
        let cosines = self.lat.to_radians().cos() * other.lat.to_radians().cos();
        2.0 * EARTH_RADIUS * (lat * lat + cosines * lon * lon).min(1.0).sqrt().asin()
    }

    /// Returns the distance to the nearest place between two others.
    fn distance_to_line(self, from: Self, to: Self) -> f64 {
        let longer = (to.lon - from.lon).abs().max((to.lat - from.lat).abs());
        let mut pieces = 1;
        while f64::from(pieces) * PIECE < longer && pieces < MAX_PIECES {
            pieces += 1;
        }
        let piece = |index: u32| {
            let part = |index: u32| from.towards(to, f64::from(index) / f64::from(pieces));
            self.distance_to_piece(part(index), part(index + 1))
        };
        (0..pieces).map(piece).fold(f64::INFINITY, f64::min)
    }

    /// Looks where the straight chord through the sphere comes nearest, and around there again, until the
    /// chord and the line are the same for all that matters.
    fn distance_to_piece(self, mut from: Self, mut to: Self) -> f64 {
        let here = self.on_sphere();
        // Far away, where all of a piece is about as far, the chord says little: then an end may be nearer.
        let mut least = self.distance(from).min(self.distance(to));
        loop {
            let (a, b) = (from.on_sphere(), to.on_sphere());
            let (mut along, mut length) = (0.0, 0.0);
            for ((here, a), b) in here.into_iter().zip(a).zip(b) {
                along += (here - a) * (b - a);
                length += (b - a) * (b - a);
            }
            let part = if length > 0.0 { (along / length).clamp(0.0, 1.0) } else { 0.0 };
            if (to.lon - from.lon).abs().max((to.lat - from.lat).abs()) <= SHORT {
                return least.min(self.distance(from.towards(to, part)));
            }
            (from, to) = (from.towards(to, (part - 0.25).max(0.0)), from.towards(to, (part + 0.25).min(1.0)));
            least = least.min(self.distance(from)).min(self.distance(to));
        }
    }
}

impl Coord {
    /// Returns the distance to another place in metres: along a great circle of a sphere with the radius
    /// [`EARTH_RADIUS`], which is within 0.6 % of the distance on the ellipsoid.
    ///
    /// ```
    /// use osmdb::Coord;
    /// let (london, paris) = (Coord::new(515_073_000, -1_276_000)?, Coord::new(488_567_000, 23_508_000)?);
    /// assert_eq!((london.distance(paris) / 1_000.0).round(), 343.0);
    /// # Ok::<(), osmdb::CoordError>(())
    /// ```
    #[must_use]
    pub fn distance(self, other: Self) -> f64 {
        Place::of(self).distance(Place::of(other))
    }
}

impl Geometry {
    /// Returns the distance from a place in metres: to the point, or to the nearest place of the line, which is
    /// found to within two parts in a million of the distance; `None` for a relation, which is nowhere by
    /// itself. See [`Coord::distance`].
    ///
    /// ```
    /// use osmdb::{Coord, Geometry};
    /// let at = |lat, lon| Coord::new(lat, lon);
    /// let road = Geometry::Line(vec![at(0, -10_000_000)?, at(0, 10_000_000)?]);
    /// assert_eq!(road.distance(at(10_000, 0)?).map(f64::round), Some(111.0));
    /// # Ok::<(), osmdb::CoordError>(())
    /// ```
    #[must_use]
    pub fn distance(&self, from: Coord) -> Option<f64> {
        let here = Place::of(from);
        match self {
            Self::Point(coord) => Some(here.distance(Place::of(*coord))),
            Self::Line(line) => match line.as_slice() {
                [only] => Some(here.distance(Place::of(*only))),
                line => {
                    let pairs = line.windows(2).filter_map(|pair| <&[Coord; 2]>::try_from(pair).ok());
                    let distances = pairs.map(|[a, b]| here.distance_to_line(Place::of(*a), Place::of(*b)));
                    distances.reduce(f64::min)
                }
            },
            Self::Members => None,
        }
    }
}

/// Returns a box that holds all places within a distance, in metres, and a little more.
pub(crate) fn box_around(center: Coord, metres: f64) -> Option<BBox> {
    const LAT: i64 = 90 * UNITS_PER_DEGREE as i64;
    const LON: i64 = 180 * UNITS_PER_DEGREE as i64;
    let angle = (metres / EARTH_RADIUS).min(PI);
    let reach = units(angle);
    let (south, north) = (i64::from(center.lat()) - reach, i64::from(center.lat()) + reach);
    let (low, high) = (south.max(-LAT), north.min(LAT));
    // The width where the circle touches its meridians; around a pole there is none.
    let cosine = Place::of(center).lat.to_radians().cos();
    let sine = angle.sin() / cosine;
    let is_polar = south <= -LAT || north >= LAT || angle >= PI / 2.0 || sine >= 1.0;
    let (west, east) = if is_polar {
        (-LON, LON)
    } else {
        let reach = units(sine.asin());
        let turned = |lon: i64| (lon + LON).rem_euclid(2 * LON) - LON;
        let (west, east) = (i64::from(center.lon()) - reach, i64::from(center.lon()) + reach);
        if reach >= LON { (-LON, LON) } else { (turned(west), turned(east)) }
    };
    let corner = |lat: i64, lon: i64| Coord::new(lat, lon).ok();
    BBox::new(corner(low, west)?, corner(high, east)?).ok()
}

/// Returns an angle in 10⁻⁷ degree, rounded up, and two units more.
#[expect(clippy::cast_possible_truncation, reason = "an angle of at most π is a small number of units")]
fn units(radians: f64) -> i64 {
    (radians * (1.0 + 1e-9) * UNITS_PER_RADIAN).ceil() as i64 + 2
}

/// Tells whether a box is the whole globe.
pub(crate) fn is_globe(bbox: BBox) -> bool {
    let whole = Window { west: -1_800_000_000, south: -900_000_000, east: 1_800_000_000, north: 900_000_000 };
    let (low, high) = (bbox.south_west(), bbox.north_east());
    whole == Window { west: low.lon(), south: low.lat(), east: high.lon(), north: high.lat() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coord() -> impl Strategy<Value = Coord> {
        let lat = prop_oneof![
            -900_000_000..=900_000_000_i64,
            -2_000_000..=2_000_000_i64,
            Just(900_000_000),
            Just(-899_999_990)
        ];
        let lon =
            prop_oneof![-1_800_000_000..=1_800_000_000_i64, -2_000_000..=2_000_000_i64, Just(1_800_000_000)];
        (lat, lon).prop_map(|(lat, lon)| Coord::new(lat, lon).unwrap())
    }

    /// The angle between two vectors: another way to the distance.
    fn by_vectors(a: Place, b: Place) -> f64 {
        let (a, b) = (a.on_sphere(), b.on_sphere());
        let cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
        let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        EARTH_RADIUS * cross.iter().map(|x| x * x).sum::<f64>().sqrt().atan2(dot)
    }

    /// Looks at many places of a line, and at more of them around the best.
    fn by_sampling(here: Place, from: Place, to: Place) -> f64 {
        let (mut low, mut high, mut best) = (0.0, 1.0, f64::INFINITY);
        for _ in 0..4 {
            let mut at = low;
            for step in 0..=2000 {
                let part = low + (high - low) * f64::from(step) / 2000.0;
                let distance = by_vectors(here, from.towards(to, part));
                if distance < best {
                    (best, at) = (distance, part);
                }
            }
            let width = (high - low) / 500.0;
            (low, high) = ((at - width).max(0.0), (at + width).min(1.0));
        }
        best
    }

    proptest! {
        #[test]
        fn distances_are_those_on_the_sphere(a in coord(), b in coord()) {
            let (distance, expected) = (a.distance(b), by_vectors(Place::of(a), Place::of(b)));
            prop_assert!((distance - expected).abs() <= 0.2, "{} and {}", distance, expected);
            prop_assert!((distance - b.distance(a)).abs() < 1e-6);
        }

        #[test]
        fn the_nearest_place_of_a_line_is_found(here in coord(), a in coord(), b in coord()) {
            let line = Geometry::Line(vec![a, b]);
            let found = line.distance(here).unwrap();
            let expected = by_sampling(Place::of(here), Place::of(a), Place::of(b));
            prop_assert!((found - expected).abs() <= 0.5 + expected * 2e-6, "{} and {}", found, expected);
        }

        #[test]
        fn the_box_around_a_place_holds_what_is_near(here in coord(), there in coord(), metres in prop_oneof![0.0..1e3, 0.0..3e7]) {
            let bbox = box_around(here, metres).unwrap();
            let inside = Window::of(bbox).iter().any(|window| window.contains(there));
            prop_assert!(inside || here.distance(there) > metres);
            let around = box_around(here, here.distance(there)).unwrap();
            prop_assert!(Window::of(around).iter().any(|window| window.contains(there)));
        }
    }

    #[test]
    fn all_is_within_half_the_way_around() {
        for (lat, lon) in [(0, 0), (900_000_000, 7), (-5, 1_800_000_000)] {
            assert!(is_globe(box_around(Coord::new(lat, lon).unwrap(), FARTHEST).unwrap()));
        }
    }
}
