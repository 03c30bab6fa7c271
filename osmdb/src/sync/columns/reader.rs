//! Reading the columns.

use std::sync::Arc;

use prolly::cbor::{Reader, put_array, put_null, put_optional, put_signed, put_text, put_unsigned};

use super::super::error::SyncError;
use super::super::limits::MAX_BODIES_BYTES;
use super::super::message::ENTRIES;
use super::*;
use crate::entry::Known;
use crate::model::{ElementId, Kind, MAX_ID};

/// What is left of a column.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0_u64, 0);
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // Ten bytes hold 70 bits.
            let fits = shift < 63 || (shift == 63 && bits < 2);
            number |= if fits { bits << shift } else { return None };
            if byte & 0x80 == 0 {
                return (byte > 0 || shift == 0).then_some(number);
            }
            shift += 7;
        }
    }

    pub(super) fn difference(&mut self, from: i64) -> Option<i64> {
        let number = self.number()?;
        let difference = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        Some(from.wrapping_add(difference))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn words(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Returns how many of something follow, each of which has a byte at least in another column.
    fn length(&mut self, column: Self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|length| *length <= column.0.len())
    }
}

/// Reads the entries of a message, one by one.
pub(crate) struct EntryReader<'a> {
    /// `None` if these are no columns.
    columns: Option<[Rest<'a>; COLUMNS]>,
    before: Before,
    body: Vec<u8>,
    /// The bytes of all bodies.
    pub(crate) bodies: usize,
}

impl<'a> EntryReader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { columns: split(message), before: Before::default(), body: Vec::new(), bodies: 0 }
    }

    /// Returns the next element and its body, which is not decoded yet.
    pub(crate) fn next(&mut self) -> Result<Option<(ElementId, &[u8])>, SyncError> {
        let malformed = SyncError::Message { kind: ENTRIES };
        let Some(columns) = &mut self.columns else { return Err(malformed) };
        if columns.iter().all(|column| column.0.is_empty()) {
            return Ok(None);
        }
        self.body.clear();
        let Some(element) = read_entry(columns, &mut self.before, &mut self.body) else {
            return Err(malformed);
        };
        self.bodies += self.body.len();
        // A name that is said once may stand in many bodies.
        if self.bodies > MAX_BODIES_BYTES {
            return Err(malformed);
        }
        Ok(Some((element, &self.body)))
    }

    /// Returns the next entry, decoded.
    pub(crate) fn next_known(&mut self) -> Result<Option<Known>, SyncError> {
        let Some((element, body)) = self.next()? else { return Ok(None) };
        Known::decode(element, body).map(Some).map_err(SyncError::entry(element))
    }
}

fn split(message: &[u8]) -> Option<[Rest<'_>; COLUMNS]> {
    let (mut reader, mut columns) = (Reader::new(message), [Rest::default(); COLUMNS]);
    for column in &mut columns {
        *column = Rest(reader.bytes().ok()?);
    }
    // A message of no entries is none.
    let whole = reader.end().is_ok() && columns.first().is_some_and(|kinds| !kinds.0.is_empty());
    whole.then_some(columns)
}

/// Reads an entry, and writes its body. What a body may not say is found when it is decoded.
fn read_entry(
    columns: &mut [Rest<'_>; COLUMNS],
    before: &mut Before,
    body: &mut Vec<u8>,
) -> Option<ElementId> {
    let [
        kinds,
        forms,
        ids,
        bodies,
        lats,
        lons,
        lengths,
        refs,
        member_kinds,
        members,
        roles,
        tag_counts,
        tags,
        origin @ ..,
    ] = columns;
    let kind = Kind::from_code(kinds.byte()?)?;
    let form = forms.byte()?;
    let id = before.id.wrapping_add(ids.number()?);
    before.id = Some(id).filter(|id| (1..=MAX_ID).contains(id))?;
    let element = ElementId::new(kind, id);
    if form == 0 {
        body.extend_from_slice(bodies.bytes()?);
        return Some(element);
    }
    if form & APART == 0 {
        return None;
    }
    put_array(body, 2);
    if form & DELETED != 0 {
        put_null(body);
        read_origin(form, origin, before, body)?;
        return Some(element);
    }
    match kind {
        Kind::Node => {
            (before.lat, before.lon) = (lats.difference(before.lat)?, lons.difference(before.lon)?);
            put_array(body, 3);
            put_signed(body, before.lat);
            put_signed(body, before.lon);
        }
        Kind::Way => {
            let length = lengths.length(*refs)?;
            put_array(body, 2);
            put_array(body, length);
            let (mut from, mut written) = (before.way, 0_u64);
            for place in 0..length {
                from = refs.difference(from.cast_signed())?.cast_unsigned();
                if place == 0 {
                    before.way = from;
                }
                put_signed(body, from.wrapping_sub(written).cast_signed());
                written = from;
            }
        }
        Kind::Relation => {
            let length = lengths.length(*member_kinds)?;
            put_array(body, 2);
            put_array(body, 3 * length);
            for _ in 0..length {
                let kind = member_kinds.byte()?;
                let last = before.member(kind)?;
                *last = members.difference(last.cast_signed())?.cast_unsigned();
                put_unsigned(body, kind.into());
                put_unsigned(body, *last);
                put_text(body, roles.words()?);
            }
        }
        Kind::Changeset => return None,
    }
    let count = tag_counts.length(*tags)?;
    put_array(body, 2 * count);
    for _ in 0..2 * count {
        put_text(body, tags.words()?);
    }
    read_origin(form, origin, before, body)?;
    Some(element)
}

fn read_origin(form: u8, columns: &mut [Rest<'_>; 6], before: &mut Before, body: &mut Vec<u8>) -> Option<()> {
    let [versions, recents, changesets, timestamps, uids, users] = columns;
    let has = |bit: u8| form & bit != 0;
    let version = if has(VERSION) { Some(versions.number()?) } else { None };
    let (mut changeset, mut place, mut recent) = (None, None, None);
    if has(CHANGESET) {
        match usize::try_from(recents.number()?).ok()?.checked_sub(1) {
            Some(found) => {
                let some = before.recent.get(found)?.clone();
                (changeset, place, recent) = (Some(some.changeset), Some(found), Some(some));
            }
            None => {
                let from = before.recent.first().map_or(0, |recent| recent.changeset);
                changeset = Some(changesets.difference(from.cast_signed())?.cast_unsigned());
            }
        }
    }
    let from = recent.as_ref().map_or(before.timestamp, |recent| recent.timestamp);
    let mut timestamp = None;
    if has(TIMESTAMP) {
        before.timestamp = timestamps.difference(from)?;
        timestamp = Some(before.timestamp);
    }
    let (uid, user) = if form & USER == BY_CHANGESET {
        let recent = recent.filter(|_| !has(UID))?;
        (recent.uid, recent.user)
    } else {
        let uid = if has(UID) { Some(uids.number()?) } else { None };
        let user = match form & USER {
            0 => None,
            BY_UID => Some(Arc::clone(before.users.get(&uid?)?)),
            _ => {
                let user: Arc<str> = Arc::from(users.words()?);
                if let Some(uid) = uid {
                    before.users.insert(uid, Arc::clone(&user));
                }
                Some(user)
            }
        };
        (uid, user)
    };
    put_array(body, 5);
    put_optional(body, version, put_unsigned);
    put_optional(body, timestamp, put_signed);
    put_optional(body, changeset, put_unsigned);
    put_optional(body, uid, put_unsigned);
    put_optional(body, user.as_deref(), put_text);
    if let Some(changeset) = changeset {
        before.name(place, Recent { changeset, timestamp: timestamp.unwrap_or(from), uid, user });
    }
    Some(())
}
