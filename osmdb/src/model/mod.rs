//! What a map is made of: elements, their ids, places and tags. Pure data, no storage.

mod coord;
mod element;
mod id;
mod limits;
mod tags;

pub use coord::{BBox, BBoxError, Coord, CoordError, ParseCoordError, UNITS_PER_DEGREE};
pub(crate) use coord::{Degrees, parse_degrees};
pub use element::{Closed, Member, Payload};
pub use id::{ElementId, Kind, MAX_ID, ParseIdError};
pub use limits::{LimitError, MAX_MEMBERS, MAX_TAGS, MAX_TEXT_CHARS, MAX_TEXTS_BYTES, MAX_WAY_NODES};
pub use tags::Tags;
