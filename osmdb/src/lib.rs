//! A peer-to-peer OpenStreetMap database.

mod entry;
pub mod io;
mod model;

pub use entry::{Entry, Origin, OsmMeta};
pub use model::{
    BBox, BBoxError, Coord, CoordError, ElementId, Kind, MAX_ID, Member, ParseIdError, Payload, Tags,
    UNITS_PER_DEGREE,
};
