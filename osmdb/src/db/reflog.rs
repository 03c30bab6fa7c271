//! Which roots a database had, and where each came from. Local to it: never hashed, never synced.

use prolly::cbor::{CborError, Reader, put_array, put_link, put_optional, put_signed, put_text};
use prolly::{Cid, Note, PageStore};

use crate::error::Error;

const PREFIX: &[u8] = b"reflog/";

/// What changes a root: the words of the reflog.
pub(super) const CREATE: &str = "create";
pub(super) const IMPORT: &str = "import";
pub(super) const EDIT: &str = "edit";
pub(super) const MERGE: &str = "merge";
pub(super) const UNDO: &str = "undo";
pub(super) const REPAIR: &str = "repair";

/// Why a root changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause<'a> {
    pub(super) what: &'a str,
    /// The root that was merged.
    pub(super) merged: Option<Cid>,
}

impl<'a> Cause<'a> {
    pub(super) const fn new(what: &'a str) -> Self {
        Self { what, merged: None }
    }
}

/// One change of the root.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
/// theirs.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// ours.merge(&theirs.snapshot())?;
/// let last = ours.reflog()?.pop().ok_or("a merge")?;
/// assert_eq!((last.number, last.what.as_str()), (1, "merge"));
/// assert_eq!((last.root, last.merged), (ours.root(), Some(theirs.root())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reflog {
    /// Its number: 0 for the creation.
    pub number: u64,
    /// The root since then.
    pub root: Cid,
    /// What was done: `create`, `import`, `edit`, `merge`, `undo`, `repair`.
    pub what: String,
    /// When, in seconds since 1970.
    pub time: i64,
    /// The root that was merged.
    pub merged: Option<Cid>,
}

impl Reflog {
    pub(crate) fn note(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut out = Vec::with_capacity(100);
        put_array(&mut out, 4);
        put_link(&mut out, &self.root);
        put_text(&mut out, &self.what);
        put_signed(&mut out, self.time);
        put_optional(&mut out, self.merged.as_ref(), put_link);
        ([PREFIX, &self.number.to_be_bytes()].concat(), Some(out))
    }

    fn parse((key, value): &Note) -> Result<Self, Error> {
        let number = key.strip_prefix(PREFIX).and_then(|number| number.try_into().ok());
        let number = number.map_or(u64::MAX, u64::from_be_bytes);
        Self::read(number, value).map_err(|_| Error::Reflog { number })
    }

    fn read(number: u64, value: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(value);
        reader.array_of(4)?;
        let (root, what) = (reader.link()?, reader.text()?.to_owned());
        let (time, merged) = (reader.signed()?, reader.optional(Reader::link)?);
        reader.end()?;
        Ok(Self { number, root, what, time, merged })
    }
}

/// Returns all changes of the root, the oldest first.
pub(crate) fn read<S: PageStore>(store: &S) -> Result<Vec<Reflog>, Error> {
    store.notes(PREFIX)?.iter().map(Reflog::parse).collect()
}

/// Leaves out the changes that were undone: what remains led to the present root, the last of all.
pub(super) fn in_effect(log: Vec<Reflog>) -> Vec<Reflog> {
    let mut kept: Vec<Reflog> = Vec::with_capacity(log.len());
    for entry in log {
        let back = kept.iter().rposition(|earlier| earlier.root == entry.root);
        match back {
            Some(back) if entry.what == UNDO => kept.truncate(back + 1),
            _ => kept.push(entry),
        }
    }
    kept
}

/// Returns the number of the next change, from that of the last one as far as it is known. Costs a look
/// for one note if it is, and else all notes.
pub(crate) fn next_number<S: PageStore>(store: &S, last: Option<u64>) -> Result<u64, Error> {
    if let Some(next) = last.and_then(|last| last.checked_add(1))
        && store.notes(&[PREFIX, &next.to_be_bytes()].concat())?.is_empty()
    {
        return Ok(next);
    }
    Ok(read(store)?.last().map_or(0, |last| last.number + 1))
}
