//! Areas: polygons put together from the lines of ways, in exact integers.
//!
//! OpenStreetMap has no areas, but closed ways whose tags say that they are one ([`is_area`]), and relations
//! whose ways together bound one ([`is_area_relation`]). [`assemble`] makes polygons of either.
//!
//! What is inside follows from the lines alone: a place from which a ray in any direction crosses an odd number
//! of them. So roles and the order of members mean nothing, a line that is there twice cancels out, and
//! rings may touch each other and themselves. (Most mappers set the roles as they should be; where they do
//! not, the lines are right more often.) This is what
//! <https://wiki.openstreetmap.org/wiki/Relation:multipolygon> describes, and how osmium assembles areas.
//!
//! ```
//! use osmdb::Coord;
//! use osmdb::area::assemble;
//!
//! let line = |places: &[(i64, i64)]| -> Vec<Coord> {
//!     places.iter().map(|(lat, lon)| Coord::new(*lat, *lon).unwrap()).collect()
//! };
//! // A square in two halves, drawn in any direction, and a pond in it.
//! let ways = [
//!     line(&[(0, 0), (0, 9), (9, 9)]),
//!     line(&[(0, 0), (9, 0), (9, 9)]),
//!     line(&[(3, 3), (3, 5), (5, 4), (3, 3)]),
//! ];
//! let area = assemble(ways.iter().map(Vec::as_slice))?;
//! assert_eq!(area.len(), 1);
//! assert_eq!((area[0].outer.len(), area[0].inner.len()), (5, 1));
//! # Ok::<(), osmdb::area::AreaError>(())
//! ```

mod rings;
mod segments;
mod tags;
#[cfg(test)]
mod tests;

pub use self::tags::{is_area, is_area_relation};
use crate::model::{Coord, ElementId};

/// The most segments that an area may have. The largest of OSM have some 100,000.
///
/// ```
/// use osmdb::Coord;
/// use osmdb::area::{AreaError, MAX_AREA_SEGMENTS, assemble};
///
/// let line = [Coord::new(0, 0)?, Coord::new(0, 5)?].repeat(MAX_AREA_SEGMENTS);
/// assert_eq!(assemble([&line[..]]), Err(AreaError::TooComplex));
/// # Ok::<(), osmdb::CoordError>(())
/// ```
pub const MAX_AREA_SEGMENTS: usize = 1 << 20;

/// The most comparisons of two segments that an area may cost: some seconds.
///
/// ```
/// use osmdb::area::{AreaError, MAX_AREA_COMPARISONS};
/// assert!(AreaError::TooComplex.to_string().contains(&format!("{MAX_AREA_COMPARISONS} comparisons")));
/// ```
pub const MAX_AREA_COMPARISONS: u64 = 1 << 30;

/// A polygon as GeoJSON has them (RFC 7946, section 3.1.6): each ring ends where it begins; the outer one runs
/// counterclockwise, those inside clockwise. No ring meets itself; two rings may touch in single places.
///
/// ```
/// use osmdb::Coord;
/// use osmdb::area::assemble;
///
/// let corner = |lat, lon| Coord::new(lat, lon).unwrap();
/// let ring = [corner(0, 0), corner(5, 0), corner(5, 5), corner(0, 0)];
/// let polygons = assemble([&ring[..]])?;
/// // Counterclockwise, whichever way the line was drawn.
/// assert_eq!(polygons[0].outer, [corner(0, 0), corner(5, 5), corner(5, 0), corner(0, 0)]);
/// assert!(polygons[0].inner.is_empty());
/// # Ok::<(), osmdb::area::AreaError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polygon {
    /// What bounds it.
    pub outer: Vec<Coord>,
    /// What bounds its holes.
    pub inner: Vec<Vec<Coord>>,
}

/// Why lines make no area.
///
/// ```
/// use osmdb::Coord;
/// use osmdb::area::{AreaError, assemble};
///
/// let line = [Coord::new(0, 0)?, Coord::new(0, 5)?, Coord::new(5, 5)?];
/// assert_eq!(assemble([&line[..]]), Err(AreaError::Unclosed(line[0])));
/// # Ok::<(), osmdb::CoordError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AreaError {
    /// There is no line, or nothing inside of them.
    #[error("no line bounds anything")]
    Empty,
    /// A way or a node is not here: the map is clipped.
    #[error("{0} is not here")]
    Missing(ElementId),
    /// A line ends where no other goes on.
    #[error("the line ends at {0}, where no other goes on")]
    Unclosed(Coord),
    /// Two lines cross where neither has a node.
    #[error("two lines cross where they have no node: one from {} to {}, one from {} to {}", .0[0], .0[1], .1[0], .1[1])]
    Crossing([Coord; 2], [Coord; 2]),
    /// A line is longer than half around the globe: it is meant to cross the antimeridian.
    #[error("a line crosses the antimeridian between {0} and {1}")]
    Antimeridian(Coord, Coord),
    /// There is more than any real area has.
    #[error(
        "it has more than {MAX_AREA_SEGMENTS} segments, or takes more than {MAX_AREA_COMPARISONS} comparisons"
    )]
    TooComplex,
}

/// Makes polygons of lines, in order of their least corner by longitude, then latitude: the same lines make
/// the same polygons, whatever their order and direction and however they are cut.
///
/// Takes memory for a few words per segment, and time for comparing those whose longitudes overlap, both
/// bounded ([`MAX_AREA_SEGMENTS`], [`MAX_AREA_COMPARISONS`]).
///
/// ```
/// use osmdb::Coord;
/// use osmdb::area::assemble;
///
/// let corner = |lat, lon| Coord::new(lat, lon).unwrap();
/// let east = [corner(0, 0), corner(0, 9), corner(9, 9)];
/// let west = [corner(9, 9), corner(9, 0), corner(0, 0)];
/// let square = assemble([&east[..], &west[..]])?;
/// assert_eq!(square, assemble([&west[..], &east[..]])?);
/// assert_eq!((square.len(), square[0].outer.len()), (1, 5));
/// # Ok::<(), osmdb::area::AreaError>(())
/// ```
///
/// # Errors
/// The lines bound no area: see [`AreaError`]. [`AreaError::Missing`] is none of these: it is for those who
/// look for the lines.
pub fn assemble<'a>(lines: impl IntoIterator<Item = &'a [Coord]>) -> Result<Vec<Polygon>, AreaError> {
    assemble_within(lines, MAX_AREA_COMPARISONS)
}

fn assemble_within<'a>(
    lines: impl IntoIterator<Item = &'a [Coord]>,
    comparisons: u64,
) -> Result<Vec<Polygon>, AreaError> {
    let mut work = Work(comparisons);
    let segments = segments::noded(lines, &mut work)?;
    rings::polygons(&segments, &mut work)
}

/// A place: longitude, then latitude, in 10⁻⁷ degree.
type Point = (i32, i32);

fn coord((lon, lat): Point) -> Result<Coord, AreaError> {
    // Points are made of coordinates; the error is for the compiler.
    Coord::new(lat.into(), lon.into()).map_err(|_| AreaError::Empty)
}

/// Tells on which side of a line from `a` to `b` a place is: positive on the left, 0 on the line.
fn side(a: Point, b: Point, place: Point) -> i128 {
    let wide = |value: i32| i128::from(value);
    (wide(b.0) - wide(a.0)) * (wide(place.1) - wide(a.1))
        - (wide(b.1) - wide(a.1)) * (wide(place.0) - wide(a.0))
}

/// How many comparisons may still be made.
struct Work(u64);

impl Work {
    fn add(&mut self, comparisons: usize) -> Result<(), AreaError> {
        let left = u64::try_from(comparisons).ok().and_then(|comparisons| self.0.checked_sub(comparisons));
        self.0 = left.ok_or(AreaError::TooComplex)?;
        Ok(())
    }
}
