//! Places and boxes, as integers of 10⁻⁷ degree.

use std::fmt;
use std::str::FromStr;

/// Coordinates are counted in 10⁻⁷ degree, as OSM stores them: about 1.1 cm on the ground.
///
/// ```
/// use osmdb::{Coord, UNITS_PER_DEGREE};
/// assert_eq!("42,0".parse::<Coord>()?.lat(), 42 * UNITS_PER_DEGREE);
/// # Ok::<(), osmdb::ParseCoordError>(())
/// ```
pub const UNITS_PER_DEGREE: i32 = 10_000_000;

const MAX_LAT: i32 = 90 * UNITS_PER_DEGREE;
const MAX_LON: i32 = 180 * UNITS_PER_DEGREE;

/// A place on the globe.
///
/// ```
/// use osmdb::Coord;
/// let summit = Coord::new(425_921_960, 15_655_240)?;
/// assert_eq!(summit.to_string(), "42.5921960,1.5655240");
/// assert!(Coord::new(900_000_001, 0).is_err());
/// # Ok::<(), osmdb::CoordError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coord {
    lat: i32,
    lon: i32,
}

/// A place that is not on the globe. Values are in 10⁻⁷ degree.
///
/// ```
/// use osmdb::{Coord, CoordError};
/// assert_eq!(Coord::new(900_000_001, 0), Err(CoordError::Latitude(900_000_001)));
/// let error = Coord::new(0, -1_800_000_001).unwrap_err();
/// assert_eq!(error.to_string(), "longitude -180.0000001 is not between -180 and 180");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoordError {
    /// The latitude is beyond a pole.
    #[error("latitude {} is not between -90 and 90", Degrees(*.0))]
    Latitude(i64),
    /// The longitude is beyond the antimeridian.
    #[error("longitude {} is not between -180 and 180", Degrees(*.0))]
    Longitude(i64),
}

impl Coord {
    /// Makes a place from latitude and longitude in 10⁻⁷ degree.
    ///
    /// ```
    /// // 42.51215° north, 1.5029° east.
    /// let coord = osmdb::Coord::new(425_121_500, 15_029_000)?;
    /// assert_eq!(coord, "42.51215,1.5029".parse().unwrap());
    /// # Ok::<(), osmdb::CoordError>(())
    /// ```
    ///
    /// # Errors
    /// The latitude is not within ±90 degrees, or the longitude not within ±180.
    pub fn new(lat: i64, lon: i64) -> Result<Self, CoordError> {
        let within = |value: i64, limit: i32| i32::try_from(value).ok().filter(|v| v.abs() <= limit);
        Ok(Self {
            lat: within(lat, MAX_LAT).ok_or(CoordError::Latitude(lat))?,
            lon: within(lon, MAX_LON).ok_or(CoordError::Longitude(lon))?,
        })
    }

    /// Returns the latitude in 10⁻⁷ degree, from -900,000,000 to 900,000,000; north is positive.
    ///
    /// ```
    /// let coord: osmdb::Coord = "42.51,-1.52".parse()?;
    /// assert_eq!(coord.lat(), 425_100_000);
    /// # Ok::<(), osmdb::ParseCoordError>(())
    /// ```
    #[must_use]
    pub const fn lat(self) -> i32 {
        self.lat
    }

    /// Returns the longitude in 10⁻⁷ degree, from -1,800,000,000 to 1,800,000,000; east is positive.
    ///
    /// ```
    /// let coord: osmdb::Coord = "42.51,-1.52".parse()?;
    /// assert_eq!(coord.lon(), -15_200_000);
    /// # Ok::<(), osmdb::ParseCoordError>(())
    /// ```
    #[must_use]
    pub const fn lon(self) -> i32 {
        self.lon
    }
}

/// A text that names no place.
///
/// ```
/// use osmdb::{Coord, CoordError, ParseCoordError};
/// let parse = |text: &str| text.parse::<Coord>().unwrap_err();
/// assert_eq!(parse("42.51 1.52"), ParseCoordError::Syntax("42.51 1.52".to_owned()));
/// assert_eq!(parse("0,181"), ParseCoordError::OffGlobe(CoordError::Longitude(1_810_000_000)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseCoordError {
    /// It is not two numbers with a comma between them.
    #[error("`{0}` is no place: write latitude,longitude in degrees, such as 42.51,1.52")]
    Syntax(String),
    /// It is not on the globe.
    #[error(transparent)]
    OffGlobe(#[from] CoordError),
}

impl FromStr for Coord {
    type Err = ParseCoordError;

    /// Reads `latitude,longitude` in degrees, as [`Display`](fmt::Display) writes it. Digits behind the
    /// seventh are rounded, half away from zero.
    ///
    /// # Errors
    /// It is not two numbers with a comma between them, or not on the globe.
    fn from_str(text: &str) -> Result<Self, ParseCoordError> {
        let degrees = |part: &str| parse_degrees(part.trim());
        let parts = text.split_once(',').and_then(|(lat, lon)| Some((degrees(lat)?, degrees(lon)?)));
        let (lat, lon) = parts.ok_or_else(|| ParseCoordError::Syntax(text.to_owned()))?;
        Ok(Self::new(lat, lon)?)
    }
}

impl fmt::Display for Coord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", Degrees(self.lat.into()), Degrees(self.lon.into()))
    }
}

/// Shows units of 10⁻⁷ degree as degrees with seven decimals.
pub(crate) struct Degrees(pub(crate) i64);

impl fmt::Display for Degrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let per_degree = u64::from(UNITS_PER_DEGREE.unsigned_abs());
        write!(f, "{sign}{}.{:07}", units / per_degree, units % per_degree)
    }
}

/// Reads decimal degrees as units of 10⁻⁷ degree, rounding further digits half away from zero.
///
/// Exponents (`1e-3`) are read too, because some programs write them. Returns `None` where the
/// text is no number, or a number beyond any coordinate.
pub(crate) fn parse_degrees(text: &str) -> Option<i64> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let point = i64::try_from(whole.len()).ok()?.checked_add(i64::from(exponent))?.checked_add(7)?;
    let mut units: i64 = 0;
    let mut seen: i64 = 0;
    for byte in digits() {
        let digit = i64::from(byte - b'0');
        if seen < point {
            units = units.checked_mul(10)?.checked_add(digit)?;
        } else {
            if seen == point && digit >= 5 {
                units = units.checked_add(1)?;
            }
            break;
        }
        seen += 1;
    }
    while seen < point && units != 0 {
        units = units.checked_mul(10)?;
        seen += 1;
    }
    Some(if negative { -units } else { units })
}

/// A box of longitudes and latitudes. All four sides belong to it.
///
/// Where west is greater than east, the box crosses the antimeridian.
///
/// ```
/// use osmdb::BBox;
/// let valley: BBox = "1.50,42.50,1.55,42.52".parse()?;
/// assert!(!valley.crosses_antimeridian());
/// let fiji: BBox = "177,-20,-178,-16".parse()?;
/// assert!(fiji.crosses_antimeridian());
/// # Ok::<(), osmdb::BBoxError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BBox {
    south_west: Coord,
    north_east: Coord,
}

/// A box that cannot be.
///
/// ```
/// use osmdb::{BBox, BBoxError};
/// let parse = |text: &str| text.parse::<BBox>().unwrap_err();
/// assert_eq!(parse("1.5,42.5"), BBoxError::Syntax("1.5,42.5".to_owned()));
/// assert!(matches!(parse("1.5,42.5,1.6,90.1"), BBoxError::OffGlobe(_)));
/// assert_eq!(parse("1.5,2,1.6,1"), BBoxError::Inverted { south: 20_000_000, north: 10_000_000 });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BBoxError {
    /// It is not four numbers with commas between them.
    #[error("`{0}` is no box: write west,south,east,north in degrees, such as 1.5,42.5,1.6,42.6")]
    Syntax(String),
    /// A corner is not on the globe.
    #[error("the box leaves the globe: {0}")]
    OffGlobe(#[from] CoordError),
    /// South is greater than north.
    #[error("the box's south {} is above its north {}: swap them", Degrees((*south).into()), Degrees((*north).into()))]
    Inverted {
        /// The southern latitude, in 10⁻⁷ degree.
        south: i32,
        /// The northern latitude, in 10⁻⁷ degree.
        north: i32,
    },
}

impl BBox {
    /// Makes a box from its corners.
    ///
    /// ```
    /// use osmdb::{BBox, Coord};
    /// let south_west = Coord::new(425_000_000, 15_000_000)?;
    /// let north_east = Coord::new(425_200_000, 15_500_000)?;
    /// assert_eq!(BBox::new(south_west, north_east)?, "1.50,42.50,1.55,42.52".parse()?);
    /// assert!(BBox::new(north_east, south_west).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// South is greater than north.
    pub fn new(south_west: Coord, north_east: Coord) -> Result<Self, BBoxError> {
        let (south, north) = (south_west.lat, north_east.lat);
        if south > north {
            return Err(BBoxError::Inverted { south, north });
        }
        Ok(Self { south_west, north_east })
    }

    /// Returns the south-western corner.
    ///
    /// ```
    /// let valley: osmdb::BBox = "1.50,42.50,1.55,42.52".parse()?;
    /// assert_eq!(valley.south_west().to_string(), "42.5000000,1.5000000");
    /// # Ok::<(), osmdb::BBoxError>(())
    /// ```
    #[must_use]
    pub const fn south_west(self) -> Coord {
        self.south_west
    }

    /// Returns the north-eastern corner.
    ///
    /// ```
    /// let valley: osmdb::BBox = "1.50,42.50,1.55,42.52".parse()?;
    /// assert_eq!(valley.north_east().to_string(), "42.5200000,1.5500000");
    /// # Ok::<(), osmdb::BBoxError>(())
    /// ```
    #[must_use]
    pub const fn north_east(self) -> Coord {
        self.north_east
    }

    /// Tells whether the box reaches over the 180th meridian.
    ///
    /// ```
    /// let fiji: osmdb::BBox = "177,-20,-178,-16".parse()?;
    /// assert!(fiji.crosses_antimeridian());
    /// # Ok::<(), osmdb::BBoxError>(())
    /// ```
    #[must_use]
    pub const fn crosses_antimeridian(self) -> bool {
        self.south_west.lon > self.north_east.lon
    }
}

impl FromStr for BBox {
    type Err = BBoxError;

    /// Reads `west,south,east,north` in degrees. Digits behind the seventh are rounded, half away from zero.
    ///
    /// # Errors
    /// It is not four numbers with commas between them, a corner is not on the globe, or south is greater
    /// than north.
    fn from_str(text: &str) -> Result<Self, BBoxError> {
        let numbers: Option<Vec<i64>> = text.split(',').map(|part| parse_degrees(part.trim())).collect();
        let Some([west, south, east, north]) = numbers.as_deref() else {
            return Err(BBoxError::Syntax(text.to_owned()));
        };
        Self::new(Coord::new(*south, *west)?, Coord::new(*north, *east)?)
    }
}

impl fmt::Display for BBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sw, ne) = (self.south_west, self.north_east);
        let degrees = |value: i32| Degrees(value.into());
        write!(f, "{},{},{},{}", degrees(sw.lon), degrees(sw.lat), degrees(ne.lon), degrees(ne.lat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_round_half_away_from_zero() {
        let cases = [
            ("1", 10_000_000),
            ("-0.00000005", -1),
            ("0.00000004", 0),
            ("42.12345678", 421_234_568),
            ("+7.5", 75_000_000),
            ("1e1", 100_000_000),
            ("15e-1", 15_000_000),
            ("5e-8", 1),
            (".5", 5_000_000),
            ("180.", 1_800_000_000),
        ];
        for (text, units) in cases {
            assert_eq!(parse_degrees(text), Some(units), "{text}");
        }
        for text in
            ["", "-", ".", "1,5", "nan", "inf", "1e", "--1", "1.2.3", "99999999999999999999", "1e99999999999"]
        {
            assert_eq!(parse_degrees(text), None, "{text}");
        }
    }
}
