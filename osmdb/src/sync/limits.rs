//! The limits of the protocol. Every one is a number that the specification names, and both sides hold
//! each other to it.

use std::time::Duration;

/// The version of the protocol.
///
/// ```
/// assert_eq!(osmdb::sync::PROTOCOL, 1);
/// ```
pub const PROTOCOL: u8 = 1;

/// No message is longer than this, in bytes, after it was decompressed. The longest record of an element has
/// 16 MiB.
///
/// ```
/// assert!(osmdb::sync::MAX_MESSAGE_BYTES > 16 << 20);
/// ```
pub const MAX_MESSAGE_BYTES: usize = (16 << 20) + (64 << 10);

/// No frame is longer than this, in bytes, as it is sent: what does not get smaller may get a little longer.
///
/// ```
/// use osmdb::sync::{MAX_FRAME_BYTES, MAX_MESSAGE_BYTES};
/// assert!(MAX_FRAME_BYTES > MAX_MESSAGE_BYTES);
/// ```
pub const MAX_FRAME_BYTES: usize = MAX_MESSAGE_BYTES + (128 << 10);

/// A message of entries or cells ends when it has grown to about so many bytes. What a cut connection had
/// begun of it is sent again.
///
/// ```
/// assert_eq!(osmdb::sync::FRAME_BYTES, 32_768);
/// ```
pub const FRAME_BYTES: usize = 32 << 10;

/// A message of pages ends when its columns have so many bytes.
///
/// ```
/// use osmdb::sync::{MAX_MESSAGE_BYTES, PAGES_BYTES};
/// assert!(PAGES_BYTES < MAX_MESSAGE_BYTES / 100);
/// ```
pub const PAGES_BYTES: usize = 128 << 10;

/// So many bytes of entries, before they are compressed, may be under way before the receiver gives more
/// credit.
///
/// ```
/// assert!(osmdb::sync::CREDIT_BYTES > 100 * osmdb::sync::FRAME_BYTES as u64);
/// ```
pub const CREDIT_BYTES: u64 = 16 << 20;

/// The bodies of the entries in one message have at most so many bytes together.
///
/// ```
/// use osmdb::sync::{MAX_BODIES_BYTES, MAX_MESSAGE_BYTES};
/// assert!(MAX_BODIES_BYTES > MAX_MESSAGE_BYTES);
/// ```
pub const MAX_BODIES_BYTES: usize = 17 << 20;

/// How many earlier roots are announced.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_EARLIER_ROOTS, 32);
/// ```
pub const MAX_EARLIER_ROOTS: usize = 32;

/// Of so many streams and walks that were cut somebody keeps what came, and says so.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_PARTS, 8);
/// ```
pub const MAX_PARTS: usize = 8;

/// How many cells are sent at most to find a difference.
///
/// ```
/// assert!(osmdb::sync::MAX_CELLS >= 1 << 20);
/// ```
pub const MAX_CELLS: usize = 1 << 22;

/// How often two peers compare what they hold before they give up.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_ROUNDS, 4);
/// ```
pub const MAX_ROUNDS: u32 = 4;

/// All lists of a peer together have at most so many bytes: some forty million entries.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_LISTED_BYTES, 128 << 20);
/// ```
pub const MAX_LISTED_BYTES: u64 = 128 << 20;

/// A peer asks for patience at most so often in a session.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_WAITS, 16);
/// ```
pub const MAX_WAITS: u32 = 16;

/// A connection on which nothing arrives for so long is given up.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_SILENCE.as_secs(), 60);
/// ```
pub const MAX_SILENCE: Duration = Duration::from_secs(60);

/// Who stays connected says at least so often that it is still there.
///
/// ```
/// use osmdb::sync::{KEEP_ALIVE, MAX_SILENCE};
/// assert!(2 * KEEP_ALIVE < MAX_SILENCE);
/// ```
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A reader may think for so long between its questions.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_READER_SILENCE.as_secs(), 3_600);
/// ```
pub const MAX_READER_SILENCE: Duration = Duration::from_secs(3_600);

/// A message that takes longer than this from its first byte to its last is given up.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_MESSAGE_TIME.as_secs(), 600);
/// ```
pub const MAX_MESSAGE_TIME: Duration = Duration::from_secs(600);

/// A reader names at most so many pages that it lacks.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_READ_MISSING, prolly::MAX_FRONTIER);
/// ```
pub const MAX_READ_MISSING: usize = 1024;

/// A reader names at most so many pages that it has.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_HAVE, 16_384);
/// ```
pub const MAX_HAVE: usize = 16 << 10;

/// An answer has at most so many pages.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_READ_PAGES, osmdb::MAX_READ_BYTES / 64);
/// ```
pub const MAX_READ_PAGES: usize = 512 << 10;

/// So many questions of one reader wait to be answered, at most.
///
/// ```
/// assert_eq!(osmdb::sync::MAX_QUESTIONS, 16);
/// ```
pub const MAX_QUESTIONS: usize = 16;

/// No more bytes of entries are taken in in one session, unless [`Options`](super::Options) say otherwise: some
/// ten times the planet.
///
/// ```
/// assert_eq!(osmdb::sync::Options::default().most_bytes, osmdb::sync::DEFAULT_MOST_BYTES);
/// ```
pub const DEFAULT_MOST_BYTES: u64 = 1 << 40;

/// Both sides compress with windows of 2²¹ bytes at most.
pub(crate) const WINDOW_LOG: u32 = 21;
