//! Writing the columns.

use std::sync::Arc;

use prolly::cbor::{Reader, put_bytes};

use super::*;
use crate::entry::{Entry, Known, Origin, OsmMeta};
use crate::model::{ElementId, Payload, Tags};

/// Writes 7 bits a byte, the lowest first, 0x80 added to all bytes but the last.
#[expect(clippy::cast_possible_truncation, reason = "the other bits are written by the next byte")]
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a difference: 0, -1, 1, -2 and so on as 0, 1, 2, 3.
pub(super) fn put_difference(out: &mut Vec<u8>, to: i64, from: i64) {
    let difference = to.wrapping_sub(from);
    put_number(out, (difference.wrapping_shl(1) ^ (difference >> 63)).cast_unsigned());
}

fn put_words(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Writes the body of a message of entries.
#[derive(Debug, Default)]
pub(crate) struct EntryWriter {
    columns: [Vec<u8>; COLUMNS],
    before: Before,
    /// The bytes of the bodies.
    bodies: usize,
    message: Vec<u8>,
}

impl EntryWriter {
    fn column(&mut self, column: Column) -> &mut Vec<u8> {
        &mut self.columns[column as usize]
    }

    /// Adds an entry.
    pub(crate) fn push(&mut self, known: &Known) {
        let Entry { element, payload, origin } = &known.entry;
        let long = known.body.len() > FRAME_BYTES;
        match (payload, origin) {
            (Some(Payload::Changeset { .. }), _) => self.push_body(*element, &known.body),
            (payload, Origin::Imported(meta)) if !long => {
                self.bodies += known.body.len();
                self.push_element(*element);
                self.push_apart(payload.as_ref(), meta);
            }
            _ => self.push_body(*element, &known.body),
        }
    }

    /// Adds an entry as it is.
    pub(crate) fn push_body(&mut self, element: ElementId, body: &[u8]) {
        self.bodies += body.len();
        self.push_element(element);
        self.column(Column::Forms).push(0);
        put_number(self.column(Column::Bodies), body.len() as u64);
        self.column(Column::Bodies).extend_from_slice(body);
    }

    fn push_element(&mut self, element: ElementId) {
        self.column(Column::Kinds).push(element.kind.code());
        let difference = element.id.wrapping_sub(self.before.id);
        put_number(self.column(Column::Ids), difference);
        self.before.id = element.id;
    }

    fn push_apart(&mut self, payload: Option<&Payload>, meta: &OsmMeta) {
        let mut form = APART;
        match payload {
            None => form |= DELETED,
            Some(payload) => self.push_payload(payload),
        }
        let OsmMeta { version, timestamp, changeset, uid, user } = meta;
        if let Some(version) = version {
            form |= VERSION;
            put_number(self.column(Column::Versions), *version);
        }
        let recent = changeset.and_then(|changeset| {
            let place = self.before.recent.iter().position(|recent| recent.changeset == changeset)?;
            Some((place, self.before.recent.get(place)?.clone()))
        });
        let place = recent.as_ref().map(|(place, _)| *place);
        if let Some(changeset) = changeset {
            form |= CHANGESET;
            put_number(self.column(Column::Recent), place.map_or(0, |place| place as u64 + 1));
            if place.is_none() {
                let from = self.before.recent.first().map_or(0, |recent| recent.changeset);
                put_difference(self.column(Column::Changesets), changeset.cast_signed(), from.cast_signed());
            }
        }
        let from = recent.as_ref().map_or(self.before.timestamp, |(_, recent)| recent.timestamp);
        if let Some(timestamp) = timestamp {
            form |= TIMESTAMP;
            put_difference(self.column(Column::Timestamps), *timestamp, from);
            self.before.timestamp = *timestamp;
        }
        let (by_changeset, user) = match recent {
            Some((_, Recent { uid: same, user: name, .. }))
                if same == *uid && name.as_deref() == user.as_deref() =>
            {
                (true, name)
            }
            _ => (false, user.as_deref().map(Arc::from)),
        };
        if by_changeset {
            form |= BY_CHANGESET;
        } else {
            if let Some(uid) = uid {
                form |= UID;
                put_number(self.column(Column::Uids), *uid);
            }
            form |= self.push_user(*uid, user.as_ref());
        }
        if let Some(changeset) = *changeset {
            let timestamp = timestamp.unwrap_or(from);
            self.before.name(place, Recent { changeset, timestamp, uid: *uid, user });
        }
        self.column(Column::Forms).push(form);
    }

    fn push_user(&mut self, uid: Option<u64>, user: Option<&Arc<str>>) -> u8 {
        let Some(user) = user else { return 0 };
        if let Some(uid) = uid {
            if self.before.users.get(&uid) == Some(user) {
                return BY_UID;
            }
            self.before.users.insert(uid, Arc::clone(user));
        }
        put_words(self.column(Column::Users), user);
        NAMED
    }

    fn push_payload(&mut self, payload: &Payload) {
        match payload {
            Payload::Node { coord, tags } => {
                let (lat, lon) = (coord.lat().into(), coord.lon().into());
                let Before { lat: from_lat, lon: from_lon, .. } = self.before;
                put_difference(self.column(Column::Lats), lat, from_lat);
                put_difference(self.column(Column::Lons), lon, from_lon);
                (self.before.lat, self.before.lon) = (lat, lon);
                self.push_tags(tags);
            }
            Payload::Way { refs, tags } => {
                put_number(self.column(Column::Lengths), refs.len() as u64);
                let mut from = self.before.way;
                for id in refs {
                    put_difference(self.column(Column::Refs), id.cast_signed(), from.cast_signed());
                    from = *id;
                }
                self.before.way = refs.first().copied().unwrap_or(self.before.way);
                self.push_tags(tags);
            }
            Payload::Relation { members, tags } => {
                put_number(self.column(Column::Lengths), members.len() as u64);
                for member in members {
                    let (kind, id) = (member.element.kind.code(), member.element.id);
                    self.column(Column::MemberKinds).push(kind);
                    let from = self.before.member(kind).map_or(0, |from| std::mem::replace(from, id));
                    put_difference(self.column(Column::Members), id.cast_signed(), from.cast_signed());
                    put_words(self.column(Column::Roles), &member.role);
                }
                self.push_tags(tags);
            }
            // Goes as it is.
            Payload::Changeset { .. } => {}
        }
    }

    fn push_tags(&mut self, tags: &Tags) {
        put_number(self.column(Column::TagCounts), tags.len() as u64);
        for (key, value) in tags.iter() {
            let column = self.column(Column::Tags);
            put_words(column, key);
            put_words(column, value);
        }
    }

    /// Tells whether the message is long enough.
    pub(crate) fn is_full(&self) -> bool {
        self.bodies >= BODIES_BYTES || self.columns.iter().map(Vec::len).sum::<usize>() >= FRAME_BYTES
    }

    /// Returns the message, empty if there is nothing in it, and begins another one.
    pub(crate) fn finish(&mut self) -> &[u8] {
        self.message.clear();
        if self.column(Column::Kinds).is_empty() {
            return &self.message;
        }
        for column in &mut self.columns {
            put_bytes(&mut self.message, column);
            column.clear();
        }
        (self.before, self.bodies) = (Before::default(), 0);
        &self.message
    }
}

/// Returns where the columns of a message end that are long enough to be compressed each for itself. A number may stand
/// before them.
pub(crate) fn long_columns(message: &[u8]) -> Vec<usize> {
    /// A table of how frequent bytes are costs about a tenth of this.
    const LONG: usize = 768;
    let mut reader = Reader::new(message);
    let (mut ends, mut last) = (Vec::new(), 0);
    let _ = reader.unsigned();
    while let Ok(column) = reader.bytes() {
        let begin = reader.position() - column.len();
        // What is long stands alone, what is short stands together.
        if column.len() >= LONG && begin > last + LONG {
            ends.push(begin);
            last = begin;
        }
        if reader.position() > last + LONG {
            last = reader.position();
            ends.push(last);
        }
    }
    ends
}
