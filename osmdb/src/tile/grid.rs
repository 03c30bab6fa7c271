//! Squares of the world, and places in them.

use crate::geometry::Window;
use crate::model::{BBox, Coord, UNITS_PER_DEGREE};

/// The largest scale. At it, a unit of a tile is 0.6 m at the equator.
///
/// ```
/// use osmdb::tile::{MAX_ZOOM, TileId};
/// assert!(TileId::new(MAX_ZOOM, 0, 0).is_some() && TileId::new(MAX_ZOOM + 1, 0, 0).is_none());
/// ```
pub const MAX_ZOOM: u8 = 14;

/// How many units the side of a tile has.
///
/// ```
/// assert_eq!(osmdb::tile::EXTENT, 4096);
/// ```
pub const EXTENT: u32 = 4096;

/// A tile shows what is at most so many units beyond its sides, so that lines and labels go on in the next one.
///
/// ```
/// assert_eq!(osmdb::tile::BUFFER, 64);
/// ```
pub const BUFFER: u32 = 64;

/// A place in a tile: units to the east and to the south of its north-western corner.
pub(super) type Point = (i64, i64);

/// Web Mercator ends at this latitude, where the world becomes a square; what is beyond it is drawn there.
const MAX_LATITUDE: f64 = 85.051_128_779_806_59;

/// A square of the world.
///
/// ```
/// use osmdb::tile::TileId;
/// let tile = TileId::new(1, 1, 0).ok_or("no such tile")?;
/// let north_east = tile.bbox();
/// assert!(north_east.south_west().lon() == 0 && north_east.north_east().lon() == 1_800_000_000);
/// assert!(TileId::new(1, 2, 0).is_none(), "two by two make up the world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    zoom: u8,
    x: u32,
    y: u32,
}

impl TileId {
    /// Names a square by its zoom, from 0 to [`MAX_ZOOM`], and how many are west and north of it. `None`: there is
    /// no such square.
    ///
    /// ```
    /// assert!(osmdb::tile::TileId::new(0, 0, 0).is_some());
    /// ```
    #[must_use]
    pub fn new(zoom: u8, x: u32, y: u32) -> Option<Self> {
        (zoom <= MAX_ZOOM && x < 1 << zoom && y < 1 << zoom).then_some(Self { zoom, x, y })
    }

    /// Returns the zoom.
    ///
    /// ```
    /// assert_eq!(osmdb::tile::TileId::new(3, 1, 2).map(|tile| tile.zoom()), Some(3));
    /// ```
    #[must_use]
    pub const fn zoom(self) -> u8 {
        self.zoom
    }

    /// Returns the box that the square covers, without what is beyond its sides. The northern- and southernmost
    /// ones end where Web Mercator does, at 85.05 degrees.
    ///
    /// ```
    /// let world = osmdb::tile::TileId::new(0, 0, 0).map(|tile| tile.bbox().to_string());
    /// assert_eq!(world.as_deref(), Some("-180.0000000,-85.0511288,180.0000000,85.0511288"));
    /// ```
    #[must_use]
    pub fn bbox(self) -> BBox {
        self.box_with(0)
    }

    /// Returns the windows of what the tile shows, all that is beyond its sides included.
    pub(super) fn windows(self) -> Vec<Window> {
        Window::of(self.buffered())
    }

    /// Returns the box of what the tile shows. It does not cross the antimeridian.
    pub(super) fn buffered(self) -> BBox {
        // One unit more, for what is rounded into the buffer.
        self.box_with(BUFFER + 1)
    }

    fn box_with(self, beyond: u32) -> BBox {
        let side = i64::from(EXTENT) << self.zoom;
        let beyond = i64::from(beyond);
        let edge = |number: u32, more: i64| {
            let at = (i64::from(number) * i64::from(EXTENT) + more).clamp(0, side);
            to_float(at) / to_float(side)
        };
        let west = lon_at(edge(self.x, -beyond));
        let east = lon_at(edge(self.x + 1, beyond));
        let north = lat_at(edge(self.y, -beyond));
        let south = lat_at(edge(self.y + 1, beyond));
        let corner = |lat, lon| Coord::new(lat, lon);
        let corners = corner(south, west).and_then(|low| Ok((low, corner(north, east)?)));
        let bbox = corners.ok().and_then(|(low, high)| BBox::new(low, high).ok());
        // Edges are clamped to the world, so there is a box.
        bbox.unwrap_or_else(whole_world)
    }

    /// Returns the length of one pixel of a map whose tiles are 512 pixels wide, in 10⁻⁷ degree of longitude.
    pub(super) const fn pixel(self) -> i64 {
        (360 * UNITS_PER_DEGREE as i64 / 512) >> self.zoom
    }
}

fn whole_world() -> BBox {
    let corner = |lat, lon| Coord::new(lat, lon);
    match (corner(-900_000_000, -1_800_000_000), corner(900_000_000, 1_800_000_000)) {
        (Ok(low), Ok(high)) => {
            BBox::new(low, high).unwrap_or_else(|_| unreachable!("south is less than north"))
        }
        _ => unreachable!("these are the corners of the world"),
    }
}

/// Turns places into those of a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// How many units go around the world.
    around: f64,
    west: i64,
    north: i64,
}

impl Grid {
    pub(super) fn of(tile: TileId) -> Self {
        let units = i64::from(EXTENT);
        let around = to_float(units << tile.zoom);
        Self { around, west: i64::from(tile.x) * units, north: i64::from(tile.y) * units }
    }

    /// Returns the unit nearest to a place.
    pub(super) fn project(&self, coord: Coord) -> Point {
        let lon = f64::from(coord.lon()) / f64::from(UNITS_PER_DEGREE);
        let lat = f64::from(coord.lat()) / f64::from(UNITS_PER_DEGREE);
        let sine = lat.clamp(-MAX_LATITUDE, MAX_LATITUDE).to_radians().sin();
        let x = lon / 360.0 + 0.5;
        let y = 0.5 - ((1.0 + sine) / (1.0 - sine)).ln() / (4.0 * std::f64::consts::PI);
        (to_units(x * self.around) - self.west, to_units(y * self.around) - self.north)
    }
}

fn lon_at(x: f64) -> i64 {
    to_units((x - 0.5) * 360.0 * f64::from(UNITS_PER_DEGREE))
}

fn lat_at(y: f64) -> i64 {
    let lat = (std::f64::consts::PI * (1.0 - 2.0 * y)).sinh().atan().to_degrees();
    to_units(lat * f64::from(UNITS_PER_DEGREE))
}

#[expect(clippy::cast_possible_truncation, reason = "the world has less than 2^32 units either way")]
fn to_units(value: f64) -> i64 {
    value.round() as i64
}

#[expect(clippy::cast_precision_loss, reason = "the world has less than 2^32 units either way")]
fn to_float(value: i64) -> f64 {
    value as f64
}
