//! Replication: two peers find out what differs between them, exchange that, and arrive at one root.
//!
//! A [`Session`] is one exchange, over any two-way stream of bytes, and knows of no stream: bytes that came
//! go in, bytes that are to be sent come out, and the time is told to it. What peers say to each other is
//! described, byte by byte, in `spec/sync.md`; in short:
//!
//! 1. Both say which root they have, and which they had. If the roots are equal, that was all.
//! 2. Who knows a root that both had sends the entries that came after it. That takes one round trip, and as
//!    many bytes as the entries have.
//! 3. If there is no such root, both send [cells](self) of the leaves of their logs, then of the entries in
//!    those leaves that differ, from which both see what the other lacks: at the price of the difference.
//!
//! What comes is checked before any of it is kept: its form, its signatures, that nothing replaces what is
//! not there, and that it makes the root that the peer announced. It is added in one commit.
//!
//! ```
//! use osmdb::sync::{Options, Session};
//! use osmdb::{Coord, Db, Payload, Tags};
//! let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
//! let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
//! ours.create(node(1))?;
//! theirs.create(node(2))?;
//!
//! let mut here = Session::new(&ours, Options::default())?;
//! let mut there = Session::new(&theirs, Options::default())?;
//! while !(here.is_finished() && there.is_finished()) {
//!     while let Some(bytes) = here.send()? {
//!         there.receive(&bytes)?;
//!     }
//!     while let Some(bytes) = there.send()? {
//!         here.receive(&bytes)?;
//!     }
//! }
//! assert_eq!(ours.root(), theirs.root());
//! assert_eq!(here.summary().gained, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod additions;
#[cfg(feature = "net")]
pub(crate) mod asking;
mod bases;
mod bulk;
mod clock;
mod columns;
mod error;
mod following;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod holdings;
mod inbox;
mod limits;
mod message;
mod options;
mod page_columns;
mod reading;
mod receiving;
mod sending;
mod session;
mod sketch;
mod summary;
#[cfg(test)]
mod tests;
mod transcript;
mod walk;
mod wire;

pub(crate) use self::bases::Bases;
pub use self::error::SyncError;
pub use self::inbox::Inbox;
pub use self::limits::{
    CREDIT_BYTES, DEFAULT_MOST_BYTES, FRAME_BYTES, KEEP_ALIVE, MAX_BODIES_BYTES, MAX_CELLS,
    MAX_EARLIER_ROOTS, MAX_FRAME_BYTES, MAX_HAVE, MAX_LISTED_BYTES, MAX_MESSAGE_BYTES, MAX_MESSAGE_TIME,
    MAX_PARTS, MAX_QUESTIONS, MAX_READ_MISSING, MAX_READ_PAGES, MAX_READER_SILENCE, MAX_ROUNDS, MAX_SILENCE,
    MAX_WAITS, PAGES_BYTES, PROTOCOL,
};
pub(crate) use self::message::ENTRIES;
pub use self::options::Options;
pub(crate) use self::receiving::Receiving;
pub(crate) use self::sending::Sending;
pub use self::session::Session;
pub(crate) use self::session::tag;
pub use self::summary::{Summary, Way};
pub(crate) use self::wire::{Incoming, Outgoing};
