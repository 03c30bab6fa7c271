//! Sparse queries on a dataset that is not here.
//!
//! A question ([`Ask`]) is run in steps over the pages that are here; what it lacks is asked of one or several
//! origins, every page is checked, and the question goes on.

pub(crate) mod answering;
mod answers;
mod ask;
mod asking;
mod blocking;
pub(crate) mod origin;
mod pins;
mod questions;
mod reader;
mod shelf;
#[cfg(test)]
mod tests;
mod trust;

pub use self::answers::Answers;
pub use self::ask::{
    Ask, AskError, AskNearest, MAX_ASK_BYTES, MAX_ASK_IDS, MAX_ASK_TREES, MAX_TREE_NAME_BYTES,
};
pub use self::blocking::{BlockingAnswers, BlockingRemote, RemotePages, block_on};
pub use self::origin::{Incoming, MAX_READ_BYTES, OriginError, PageOrigin, Request, Traffic};
pub use self::pins::{MAX_PINS, Pins};
pub use self::reader::{DEFAULT_CACHE_PAGES, Dropped, Remote, RemoteError, RemoteOptions};
pub use self::trust::{Announced, Signers, TrustError};
