//! The messages of the format, and how geometries stand in them.

use super::grid::{EXTENT, Point};

/// A whole tile.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TileMessage {
    #[prost(message, repeated, tag = "3")]
    pub(super) layers: Vec<Layer>,
}

/// Features of one sort.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Layer {
    #[prost(uint32, tag = "15")]
    pub(super) version: u32,
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) features: Vec<Feature>,
    #[prost(string, repeated, tag = "3")]
    pub(super) keys: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub(super) values: Vec<Value>,
    #[prost(uint32, tag = "5")]
    pub(super) extent: u32,
}

/// One feature. Its tags are pairs of places in the keys and values of its layer.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Feature {
    #[prost(uint32, repeated, tag = "2")]
    pub(super) tags: Vec<u32>,
    #[prost(enumeration = "GeometryKind", tag = "3")]
    pub(super) kind: i32,
    #[prost(uint32, repeated, tag = "4")]
    pub(super) geometry: Vec<u32>,
}

/// A value; one of these.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct Value {
    #[prost(string, optional, tag = "1")]
    pub(super) text: Option<String>,
    #[prost(uint64, optional, tag = "5")]
    pub(super) number: Option<u64>,
    #[prost(sint64, optional, tag = "6")]
    pub(super) signed: Option<i64>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is: Option<bool>,
}

/// What a geometry is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum GeometryKind {
    Unknown = 0,
    Points = 1,
    Lines = 2,
    Polygons = 3,
}

impl Layer {
    pub(super) fn named(name: &str) -> Self {
        Self { version: 2, name: name.to_owned(), extent: EXTENT, ..Self::default() }
    }
}

const MOVE_TO: u32 = 1;
const LINE_TO: u32 = 2;
const CLOSE_PATH: u32 = 7;

/// Writes a geometry: commands with their counts, and places as differences to the one before.
#[derive(Debug, Default)]
pub(super) struct Pen {
    at: Point,
    out: Vec<u32>,
    doubled_area: i64,
}

impl Pen {
    /// Returns what was written, and twice the area of its rings.
    pub(super) fn finish(self) -> (Vec<u32>, i64) {
        (self.out, self.doubled_area)
    }

    pub(super) fn point(&mut self, point: Point) {
        self.command(MOVE_TO, 1);
        self.go(point);
    }

    pub(super) fn line(&mut self, points: &[Point]) {
        let [first, rest @ ..] = points else { return };
        self.point(*first);
        self.command(LINE_TO, rest.len());
        rest.iter().for_each(|point| self.go(*point));
    }

    /// Writes a ring that does not repeat its first place.
    pub(super) fn ring(&mut self, points: &[Point]) {
        self.line(points);
        self.doubled_area += doubled_area(points);
        self.command(CLOSE_PATH, 1);
    }

    fn command(&mut self, command: u32, count: usize) {
        self.out.push(u32::try_from(count).unwrap_or(u32::MAX >> 3) << 3 | command);
    }

    fn go(&mut self, to: Point) {
        self.out.extend([zigzag(to.0 - self.at.0), zigzag(to.1 - self.at.1)]);
        self.at = to;
    }
}

/// Differences within a tile and its buffer have 14 bits.
fn zigzag(value: i64) -> u32 {
    u32::try_from(value << 1 ^ value >> 63).unwrap_or(0)
}

/// Returns twice the area of a ring: positive if it runs clockwise where y grows to the south, as an outer ring
/// does.
pub(super) fn doubled_area(ring: &[Point]) -> i64 {
    let next = ring.iter().skip(1).chain(ring.first());
    ring.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum()
}
