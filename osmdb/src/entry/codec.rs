//! The one encoding of an entry, in deterministic CBOR.
//!
//! The record is `[kind, id, [payload, origin]]`, and its hash is the version. Trees keep kind and
//! id in the key, so what they store is the *body*, `[payload, origin]`:
//!
//! - payload: null for a tombstone; `[lat, lon, tags]`; `[refs, tags]`, each ref as the difference
//!   to the one before; `[[kind, id, role, …], tags]`; or `[tags]` for a changeset. Tags are
//!   `[key, value, …]`. Coordinates are in 10⁻⁷ degree. A changeset that is closed is
//!   `[tags, time, [south, west, north, east]]`, the box null if its edits are nowhere.
//! - origin: `[version, timestamp, changeset, uid, user]` if imported, each null if unknown;
//!   `[links, changeset, timestamp]` if edited, and behind these, if signed, the author's key and the
//!   signature as one byte string of 32 + 64 bytes. Times are in seconds since 1970.
//!
//! What is signed is the hash of the record in which the author's key alone stands for that byte string:
//! see [`DeviceKey`](super::DeviceKey).

use prolly::cbor::{
    CborError, Reader, put_array, put_bytes, put_null, put_optional, put_signed, put_text, put_unsigned,
};

use super::sign::{AUTHOR_BYTES, Author, SIGNATURE_BYTES, Signed};
use super::{EditMeta, Entry, Origin, OsmMeta, Version};
use crate::model::{BBox, Closed, Coord, CoordError, ElementId, Kind, MAX_ID, Member, Payload, Tags};

/// Bytes that are no entry.
///
/// ```
/// use osmdb::{Coord, Db, ElementId, EntryError, Error, Payload, Tags};
/// let node = Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() };
/// match Db::in_memory("osm")?.put(ElementId::node(0), node) {
///     Err(Error::Invalid { source: EntryError::Rule(rule), .. }) => assert!(rule.contains("from 1")),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Not in the one encoding.
    #[error("{0}")]
    Cbor(#[from] CborError),
    /// A place off the globe.
    #[error("{0}")]
    Coord(#[from] CoordError),
    /// An id that is not from 1 to 2⁶³−1, or a number that names no kind.
    #[error("the element named at {at} cannot exist")]
    Element {
        /// The place in the record.
        at: usize,
    },
    /// Something stands at a place where it may not.
    #[error("the record breaks the rule: {0}")]
    Rule(&'static str),
    /// The hash of the record is not the version it is filed under.
    #[error("the record's hash is {found}")]
    Version {
        /// The hash.
        found: Version,
    },
}

/// Appends what comes before the body in the full record.
pub(super) fn put_head(out: &mut Vec<u8>, element: ElementId) {
    put_array(out, 3);
    put_unsigned(out, element.kind.code().into());
    put_unsigned(out, element.id);
}

pub(crate) fn put_tags(out: &mut Vec<u8>, tags: &Tags) {
    put_array(out, 2 * tags.len());
    for (key, value) in tags.iter() {
        put_text(out, key);
        put_text(out, value);
    }
}

fn put_payload(out: &mut Vec<u8>, payload: &Payload) {
    match payload {
        Payload::Node { coord, tags } => {
            put_array(out, 3);
            put_signed(out, coord.lat().into());
            put_signed(out, coord.lon().into());
            put_tags(out, tags);
        }
        Payload::Way { refs, tags } => {
            put_array(out, 2);
            put_array(out, refs.len());
            let mut before = 0;
            for id in refs {
                put_signed(out, id.wrapping_sub(before).cast_signed());
                before = *id;
            }
            put_tags(out, tags);
        }
        Payload::Relation { members, tags } => {
            put_array(out, 2);
            put_array(out, 3 * members.len());
            for Member { element, role } in members {
                put_unsigned(out, element.kind.code().into());
                put_unsigned(out, element.id);
                put_text(out, role);
            }
            put_tags(out, tags);
        }
        Payload::Changeset { tags, closed } => {
            put_array(out, if closed.is_some() { 3 } else { 1 });
            put_tags(out, tags);
            if let Some(Closed { at, bbox }) = closed {
                put_signed(out, *at);
                put_optional(out, bbox.as_ref(), put_bbox);
            }
        }
    }
}

fn put_bbox(out: &mut Vec<u8>, bbox: &BBox) {
    put_array(out, 4);
    for corner in [bbox.south_west(), bbox.north_east()] {
        put_signed(out, corner.lat().into());
        put_signed(out, corner.lon().into());
    }
}

fn put_origin(out: &mut Vec<u8>, origin: &Origin) {
    match origin {
        Origin::Imported(OsmMeta { version, timestamp, changeset, uid, user }) => {
            put_array(out, 5);
            put_optional(out, *version, put_unsigned);
            put_optional(out, *timestamp, put_signed);
            put_optional(out, *changeset, put_unsigned);
            put_optional(out, *uid, put_unsigned);
            put_optional(out, user.as_deref(), put_text);
        }
        Origin::Edited(meta) => put_edit(out, meta, meta.signed.map(Signed::to_bytes)),
    }
}

/// Appends what an edit says of itself, and what stands behind it.
fn put_edit<const N: usize>(out: &mut Vec<u8>, meta: &EditMeta, seal: Option<[u8; N]>) {
    let EditMeta { links, changeset, timestamp, signed: _ } = meta;
    put_array(out, 3 + usize::from(seal.is_some()));
    put_array(out, links.len());
    links.iter().for_each(|link| put_bytes(out, link.as_bytes()));
    put_optional(out, *changeset, put_unsigned);
    put_signed(out, *timestamp);
    if let Some(seal) = seal {
        put_bytes(out, &seal);
    }
}

/// Returns the body that an author signs.
pub(super) fn signable(payload: Option<&Payload>, meta: &EditMeta, author: &Author) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    put_content(&mut out, payload);
    put_edit(&mut out, meta, Some(*author.as_bytes()));
    out
}

fn put_content(out: &mut Vec<u8>, payload: Option<&Payload>) {
    put_array(out, 2);
    match payload {
        Some(payload) => put_payload(out, payload),
        None => put_null(out),
    }
}

impl Entry {
    /// Returns the body of the record, which is all but kind and id; and where the payload ends.
    pub(super) fn encode(&self) -> (Vec<u8>, usize) {
        let mut out = Vec::with_capacity(64);
        let payload_end = self.encode_into(&mut out);
        (out, payload_end)
    }

    /// Appends the body of the record, and returns where the payload ends, counted from its start.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        put_content(out, self.payload.as_ref());
        let payload_end = out.len() - start;
        put_origin(out, &self.origin);
        payload_end
    }

    /// Reads the body of a record; also returns where the payload ends.
    pub(super) fn read(element: ElementId, reader: &mut Reader<'_>) -> Result<(Self, usize), EntryError> {
        reader.array_of(2)?;
        let payload = if reader.null() { None } else { Some(read_payload(element.kind, reader)?) };
        let payload_end = reader.position();
        Ok((Self { element, payload, origin: read_origin(reader)? }, payload_end))
    }
}

pub(crate) fn read_tags(reader: &mut Reader<'_>) -> Result<Tags, EntryError> {
    let items = reader.array()?;
    if items % 2 == 1 {
        return Err(EntryError::Rule("every tag has a key and a value"));
    }
    let mut tags = Tags::new();
    for _ in 0..items / 2 {
        tags.push(reader.text()?, reader.text()?);
    }
    Ok(tags)
}

pub(super) fn read_id(reader: &mut Reader<'_>) -> Result<u64, EntryError> {
    let at = reader.position();
    Some(reader.unsigned()?).filter(|id| (1..=MAX_ID).contains(id)).ok_or(EntryError::Element { at })
}

pub(super) fn read_coord(reader: &mut Reader<'_>) -> Result<Coord, EntryError> {
    let (lat, lon) = (reader.signed()?, reader.signed()?);
    Ok(Coord::new(lat, lon)?)
}

pub(super) fn read_member_kind(reader: &mut Reader<'_>) -> Result<Kind, EntryError> {
    let at = reader.position();
    let kind = u8::try_from(reader.unsigned()?).ok().and_then(Kind::from_code);
    kind.filter(|kind| *kind != Kind::Changeset).ok_or(EntryError::Element { at })
}

pub(super) fn read_payload(kind: Kind, reader: &mut Reader<'_>) -> Result<Payload, EntryError> {
    Ok(match kind {
        Kind::Node => {
            reader.array_of(3)?;
            Payload::Node { coord: read_coord(reader)?, tags: read_tags(reader)? }
        }
        Kind::Way => {
            reader.array_of(2)?;
            let len = reader.array()?;
            let mut refs = Vec::with_capacity(len);
            let mut before: i64 = 0;
            for _ in 0..len {
                let at = reader.position();
                before = before.checked_add(reader.signed()?).ok_or(EntryError::Element { at })?;
                let id = u64::try_from(before).ok().filter(|id| *id > 0);
                refs.push(id.ok_or(EntryError::Element { at })?);
            }
            Payload::Way { refs, tags: read_tags(reader)? }
        }
        Kind::Relation => {
            reader.array_of(2)?;
            let items = reader.array()?;
            if items % 3 != 0 {
                return Err(EntryError::Rule("every member has a kind, an id and a role"));
            }
            let mut members = Vec::with_capacity(items / 3);
            for _ in 0..items / 3 {
                let kind = read_member_kind(reader)?;
                let element = ElementId::new(kind, read_id(reader)?);
                members.push(Member { element, role: reader.text()?.to_owned() });
            }
            Payload::Relation { members, tags: read_tags(reader)? }
        }
        Kind::Changeset => {
            let items = reader.array()?;
            if ![1, 3].contains(&items) {
                return Err(EntryError::Rule("a changeset has one item if open, three if closed"));
            }
            let tags = read_tags(reader)?;
            let closed = if items == 3 { Some(read_closed(reader)?) } else { None };
            Payload::Changeset { tags, closed }
        }
    })
}

fn read_closed(reader: &mut Reader<'_>) -> Result<Closed, EntryError> {
    let at = reader.signed()?;
    if reader.null() {
        return Ok(Closed { at, bbox: None });
    }
    reader.array_of(4)?;
    let (south_west, north_east) = (read_coord(reader)?, read_coord(reader)?);
    let bbox = BBox::new(south_west, north_east);
    Ok(Closed { at, bbox: Some(bbox.map_err(|_| EntryError::Rule("a box's south is not above its north"))?) })
}

fn read_origin(reader: &mut Reader<'_>) -> Result<Origin, EntryError> {
    Ok(match reader.array()? {
        5 => Origin::Imported(OsmMeta {
            version: reader.optional(Reader::unsigned)?,
            timestamp: reader.optional(Reader::signed)?,
            changeset: reader.optional(Reader::unsigned)?,
            uid: reader.optional(Reader::unsigned)?,
            user: reader.optional(Reader::text)?.map(str::to_owned),
        }),
        items @ (3 | 4) => {
            let len = reader.array()?;
            let mut links = Vec::with_capacity(len);
            for _ in 0..len {
                let link = reader.bytes()?.try_into().map_err(|_| EntryError::Rule("a link has 32 bytes"))?;
                links.push(Version(link));
            }
            if !links.is_sorted_by(|a, b| a < b) {
                return Err(EntryError::Rule("links ascend"));
            }
            let changeset = reader.optional(Reader::unsigned)?;
            let timestamp = reader.signed()?;
            let signed = if items == 4 { Some(read_signed(reader)?) } else { None };
            Origin::Edited(EditMeta { links, changeset, timestamp, signed })
        }
        _ => return Err(EntryError::Rule("an origin has five items if imported, three or four if edited")),
    })
}

fn read_signed(reader: &mut Reader<'_>) -> Result<Signed, EntryError> {
    let bytes: Option<&[u8; AUTHOR_BYTES + SIGNATURE_BYTES]> = reader.bytes()?.try_into().ok();
    bytes.map(Signed::of_bytes).ok_or(EntryError::Rule("a key and a signature have 96 bytes"))
}

/// Reads the changeset of an origin, and nothing else of it.
pub(super) fn read_changeset(reader: &mut Reader<'_>) -> Result<Option<u64>, EntryError> {
    Ok(match reader.array()? {
        5 => {
            reader.optional(Reader::unsigned)?;
            reader.optional(Reader::signed)?;
            reader.optional(Reader::unsigned)?
        }
        // An edit: its links come first.
        _ => {
            let links = reader.array()?;
            for _ in 0..links {
                reader.bytes()?;
            }
            reader.optional(Reader::unsigned)?
        }
    })
}

/// Reads no more of a value of the heads tree than a node's place, where it has a single head.
/// `None`: it has several, or is deleted.
pub(crate) fn single_coord(value: &[u8]) -> Result<Option<Coord>, EntryError> {
    let mut reader = Reader::new(value);
    if reader.array()? != 1 {
        return Ok(None);
    }
    reader.array_of(2)?;
    if reader.null() {
        return Ok(None);
    }
    reader.array_of(3)?;
    read_coord(&mut reader).map(Some)
}

/// Appends the live heads in a value of the heads tree, in order of versions, without computing these.
pub(crate) fn live_entries(element: ElementId, value: &[u8], out: &mut Vec<Entry>) -> Result<(), EntryError> {
    let mut reader = Reader::new(value);
    for _ in 0..reader.array()? {
        let (entry, _) = Entry::read(element, &mut reader)?;
        out.extend(entry.payload.is_some().then_some(entry));
    }
    reader.end()?;
    Ok(())
}

/// Reads the contents of the live heads in a value of the heads tree, in order of versions.
pub(crate) fn live_payloads(element: ElementId, value: &[u8]) -> Result<Vec<Payload>, EntryError> {
    let mut reader = Reader::new(value);
    let len = reader.array()?;
    let mut payloads = Vec::with_capacity(1);
    for _ in 0..len {
        payloads.extend(Entry::read(element, &mut reader)?.0.payload);
    }
    reader.end()?;
    Ok(payloads)
}
