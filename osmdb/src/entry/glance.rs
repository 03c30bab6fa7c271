//! What an import needs of an entry, borrowed from its body: no text is copied or looked at.

use prolly::cbor::Reader;

use super::EntryError;
use super::codec::{read_changeset, read_coord, read_id, read_member_kind, read_payload};
use crate::model::{Coord, ElementId, Kind};

/// The payload of an entry.
#[derive(Debug, Clone)]
pub(crate) enum Glance<'a> {
    /// A tombstone.
    Deleted,
    /// A point, and where the tags begin in the body.
    Node(Coord, usize),
    /// The way's nodes, and what follows them.
    Way(Refs<'a>),
    /// A relation's members, and what follows them.
    Relation(Members<'a>),
    /// A group of edits.
    Changeset,
}

/// Tells from its body whether an entry is a tombstone.
pub(crate) fn is_deleted(body: &[u8]) -> bool {
    matches!(glance(Kind::Changeset, body), Ok(Glance::Deleted))
}

/// Looks at the body of an entry.
pub(crate) fn glance(kind: Kind, body: &[u8]) -> Result<Glance<'_>, EntryError> {
    let mut reader = Reader::new(body);
    reader.array_of(2)?;
    if reader.null() {
        return Ok(Glance::Deleted);
    }
    Ok(match kind {
        Kind::Node => {
            reader.array_of(3)?;
            Glance::Node(read_coord(&mut reader)?, reader.position())
        }
        Kind::Way => {
            reader.array_of(2)?;
            let left = reader.array()?;
            Glance::Way(Refs { reader, left, before: 0 })
        }
        Kind::Relation => {
            reader.array_of(2)?;
            let left = reader.array()? / 3;
            Glance::Relation(Members { reader, left })
        }
        Kind::Changeset => Glance::Changeset,
    })
}

/// Finds the end of the payload in the body of an entry.
pub(crate) fn payload_end(kind: Kind, body: &[u8]) -> Result<usize, EntryError> {
    let tags = match glance(kind, body)? {
        Glance::Deleted => return Ok(2),
        Glance::Node(_, tags) => tags,
        Glance::Way(mut refs) => {
            while refs.next()?.is_some() {}
            refs.position()
        }
        Glance::Relation(mut members) => {
            while members.next()?.is_some() {}
            members.position()
        }
        // Few and small: read as what they are.
        Glance::Changeset => {
            let mut reader = Reader::new(body);
            reader.array_of(2)?;
            read_payload(kind, &mut reader)?;
            return Ok(reader.position());
        }
    };
    let mut reader = Reader::new(body.get(tags..).unwrap_or_default());
    for _ in 0..reader.array()? {
        reader.text()?;
    }
    Ok(tags + reader.position())
}

/// The body of an entry, and where the payload ends there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoded<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) payload_end: usize,
}

impl<'a> Encoded<'a> {
    /// Returns the rest of the payload from a place on.
    pub(crate) fn rest(&self, from: usize) -> &'a [u8] {
        self.body.get(from..self.payload_end).unwrap_or_default()
    }

    /// Reads the changeset.
    pub(crate) fn changeset(&self) -> Result<Option<u64>, EntryError> {
        read_changeset(&mut Reader::new(self.body.get(self.payload_end..).unwrap_or_default()))
    }
}

/// Iterates over the ids of a way's nodes.
#[derive(Debug, Clone)]
pub(crate) struct Refs<'a> {
    reader: Reader<'a>,
    left: usize,
    before: i64,
}

impl Refs<'_> {
    pub(crate) fn next(&mut self) -> Result<Option<u64>, EntryError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let at = self.reader.position();
        self.before = self.before.checked_add(self.reader.signed()?).ok_or(EntryError::Element { at })?;
        u64::try_from(self.before).map(Some).map_err(|_| EntryError::Element { at })
    }

    /// Returns where the tags begin in the body, when all ids were taken.
    pub(crate) const fn position(&self) -> usize {
        self.reader.position()
    }
}

/// Iterates over a relation's members.
#[derive(Debug, Clone)]
pub(crate) struct Members<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl Members<'_> {
    pub(crate) fn next(&mut self) -> Result<Option<ElementId>, EntryError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let kind = read_member_kind(&mut self.reader)?;
        let element = ElementId::new(kind, read_id(&mut self.reader)?);
        self.reader.text()?;
        Ok(Some(element))
    }

    /// Returns where the tags begin in the body, when all members were taken.
    pub(crate) const fn position(&self) -> usize {
        self.reader.position()
    }
}
