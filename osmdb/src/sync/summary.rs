//! What came of a session.

use prolly::Cid;

use crate::db::Refused;
use crate::model::ElementId;

/// How the difference was found.
///
/// ```
/// use osmdb::sync::{Options, Session, Way};
/// let (ours, theirs) = (osmdb::Db::in_memory("osm")?, osmdb::Db::in_memory("osm")?);
/// let mut here = Session::new(&ours, Options::default())?;
/// let mut there = Session::new(&theirs, Options::default())?;
/// while let Some(bytes) = there.send()? {
///     here.receive(&bytes)?;
/// }
/// assert_eq!(here.summary().way, Some(Way::Equal));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// There was none.
    Equal,
    /// Both counted from roots that both had.
    Delta,
    /// By comparing leaves and entries.
    Walk,
}

/// What came of a session.
///
/// ```
/// # use osmdb::sync::{Options, Session};
/// let db = osmdb::Db::in_memory("osm")?;
/// let session = Session::new(&db, Options::default())?;
/// let summary = session.summary();
/// assert_eq!((summary.gained, summary.sent, summary.root), (0, 0, db.root()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// How the difference was found, once that is known.
    pub way: Option<Way>,
    /// The root from which the peer's entries were counted.
    pub base: Option<Cid>,
    /// How many entries came from the peer that were not here.
    pub gained: u64,
    /// How many the peer says it gained.
    pub given: u64,
    /// How many entries came.
    pub received: u64,
    /// How many were sent.
    pub sent: u64,
    /// The elements that have become forks here, in order.
    pub forked: Vec<ElementId>,
    /// What was not taken in.
    pub refused: Vec<Refused>,
    /// How many bytes came.
    pub bytes_in: u64,
    /// How many were sent.
    pub bytes_out: u64,
    /// How often both sides waited for each other: a round trip is two times.
    pub crossings: u32,
    /// Whether all was exchanged, and both sides stayed to tell each other what is new.
    pub follows: bool,
    /// The root here, afterwards.
    pub root: Cid,
    /// The peer's root, as it said last.
    pub their_root: Option<Cid>,
    /// Whether edits went on meanwhile, on either side, and never paused for a round: both have what was there before
    /// the last one, and another session exchanges the rest.
    pub edited: bool,
}
