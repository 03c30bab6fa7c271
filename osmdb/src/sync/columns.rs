//! The body of a message of entries: column by column, so that like stands beside like.
//!
//! What an imported entry says comes apart into numbers, each as the difference to one before that is probably
//! near it, and texts. Who made a changeset is said once in a message. An entry of another form goes as it is.
//! A message can be read without those before it. `spec/sync.md` has the columns and the rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use prolly::cbor::{
    Reader, put_array, put_bytes, put_null, put_optional, put_signed, put_text, put_unsigned,
};

use super::error::SyncError;
use super::limits::{FRAME_BYTES, MAX_BODIES_BYTES};
use super::message::ENTRIES;
use crate::entry::{Entry, Known, Origin, OsmMeta};
use crate::model::{ElementId, Kind, MAX_ID, Payload, Tags};

/// So many changesets are remembered, those named last.
const RECENT: usize = 255;

/// A message ends when the bodies in it have so many bytes, however few they become as columns.
const BODIES_BYTES: usize = 16 * FRAME_BYTES;

/// The columns, in the order in which they stand in a message.
#[derive(Debug, Clone, Copy)]
enum Column {
    /// The kind of each entry.
    Kinds,
    /// How each goes: the sum of what is below.
    Forms,
    Ids,
    /// Those that go as they are.
    Bodies,
    Lats,
    Lons,
    /// How many nodes a way has, or members a relation.
    Lengths,
    Refs,
    MemberKinds,
    Members,
    Roles,
    TagCounts,
    Tags,
    Versions,
    /// Which of the changesets named last.
    Recent,
    Changesets,
    Timestamps,
    Uids,
    Users,
}

const COLUMNS: usize = Column::Users as usize + 1;

// What a form is the sum of.
const APART: u8 = 1;
const DELETED: u8 = 2;
const VERSION: u8 = 4;
const TIMESTAMP: u8 = 8;
const CHANGESET: u8 = 16;
const UID: u8 = 32;
/// Two bits: where the user's name is from.
const USER: u8 = 64 + 128;
/// It stands in its column.
const NAMED: u8 = 64;
/// It is that of the last entry with this uid.
const BY_UID: u8 = 128;
/// Uid and name are those of the last entry with this changeset.
const BY_CHANGESET: u8 = 64 + 128;

/// A changeset that was named.
#[derive(Debug, Clone)]
struct Recent {
    changeset: u64,
    timestamp: i64,
    uid: Option<u64>,
    user: Option<Arc<str>>,
}

/// What was said before in a message.
#[derive(Debug, Default)]
struct Before {
    id: u64,
    lat: i64,
    lon: i64,
    /// The first node of the way before.
    way: u64,
    /// The last member of each kind.
    members: [u64; 4],
    timestamp: i64,
    /// The last one first.
    recent: Vec<Recent>,
    users: BTreeMap<u64, Arc<str>>,
}

impl Before {
    fn member(&mut self, kind: u8) -> Option<&mut u64> {
        self.members.get_mut(usize::from(kind))
    }

    /// Remembers who made a changeset, as the last one named.
    fn name(&mut self, place: Option<usize>, recent: Recent) {
        match place {
            Some(place) => self.recent.get_mut(..=place).into_iter().for_each(|some| some.rotate_right(1)),
            None => {
                self.recent.truncate(RECENT - 1);
                self.recent.insert(0, recent.clone());
            }
        }
        if let Some(first) = self.recent.first_mut() {
            *first = recent;
        }
    }
}

/// Writes 7 bits a byte, the lowest first, 0x80 added to all bytes but the last.
#[expect(clippy::cast_possible_truncation, reason = "the other bits are written by the next byte")]
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a difference: 0, -1, 1, -2 and so on as 0, 1, 2, 3.
fn put_difference(out: &mut Vec<u8>, to: i64, from: i64) {
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

/// Returns where the columns of a message end that are long enough to be compressed each for itself.
pub(crate) fn long_columns(message: &[u8]) -> Vec<usize> {
    /// A table of how frequent bytes are costs about a tenth of this.
    const LONG: usize = 768;
    let mut reader = Reader::new(message);
    let (mut ends, mut last) = (Vec::new(), 0);
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

/// What is left of a column.
#[derive(Debug, Clone, Copy, Default)]
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
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

    fn difference(&mut self, from: i64) -> Option<i64> {
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::entry::tests::entry;
    use crate::model::Coord;

    fn read(message: &[u8]) -> Result<Vec<(ElementId, Vec<u8>)>, SyncError> {
        let (mut reader, mut found) = (EntryReader::new(message), Vec::new());
        while let Some((element, body)) = reader.next()? {
            found.push((element, body.to_vec()));
        }
        Ok(found)
    }

    /// An imported node; what differs from one to the next is numbered.
    fn imported(id: u64, changeset: u64, user: &str) -> Known {
        let coord = Coord::new(425_000_000 + i64::try_from(id).unwrap(), 15_000_000).unwrap();
        let payload = Some(Payload::Node { coord, tags: Tags::new() });
        let user = Some(user.to_owned());
        let meta =
            OsmMeta { version: Some(1), timestamp: Some(7), changeset: Some(changeset), uid: Some(5), user };
        Known::new(Entry { element: ElementId::node(id), payload, origin: Origin::Imported(meta) })
    }

    proptest! {
        #[test]
        fn entries_read_as_they_were_written(
            entries in vec((entry(), 0_u64..4, 0_u64..3, any::<[bool; 3]>(), vec(any::<u8>(), 0..9)), 1..60),
        ) {
            let (mut writer, mut expected) = (EntryWriter::default(), Vec::new());
            for (mut entry, few, fewer, [known, shared, raw], bytes) in entries {
                // Changesets and uids that come again, mostly with the same user.
                if let (Origin::Imported(meta), true) = (&mut entry.origin, known) {
                    (meta.changeset, meta.uid) = (Some(few), (fewer > 0).then_some(fewer));
                    meta.user = if shared { Some("somebody".to_owned()) } else { meta.user.take() };
                }
                let known = Known::new(entry);
                let element = known.entry.element;
                if raw {
                    writer.push_body(element, &bytes);
                    expected.push((element, bytes));
                } else {
                    writer.push(&known);
                    expected.push((element, known.body));
                }
            }
            let message = writer.finish().to_vec();
            prop_assert_eq!(read(&message).unwrap(), expected);
            let cuts = long_columns(&message);
            prop_assert!(cuts.is_sorted_by(|a, b| a < b) && cuts.iter().all(|cut| (1..=message.len()).contains(cut)));
            prop_assert!(writer.finish().is_empty(), "nothing is left for the next message");
        }

        #[test]
        fn any_bytes_are_entries_or_an_error(
            bytes in vec(any::<u8>(), 0..300),
            entries in vec(entry(), 1..20),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let _ = read(&bytes);
            let mut writer = EntryWriter::default();
            entries.into_iter().for_each(|entry| writer.push(&Known::new(entry)));
            let mut message = writer.finish().to_vec();
            let place = place.index(message.len());
            message[place] = byte;
            let mut reader = EntryReader::new(&message);
            while let Ok(Some(_)) = reader.next_known() {}
        }

        #[test]
        fn numbers_have_one_form(number in any::<u64>(), from in any::<i64>(), to in any::<i64>()) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            put_difference(&mut bytes, to, from);
            let mut rest = Rest(&bytes);
            prop_assert_eq!((rest.number(), rest.difference(from)), (Some(number), Some(to)));
            prop_assert!(rest.0.is_empty());
            prop_assert_eq!(Rest(&[0x80 | 1, 0]).number(), None);
            prop_assert_eq!(Rest(&[0xff; 11]).number(), None);
        }
    }

    #[test]
    fn what_an_import_repeats_is_said_once() {
        let mut writer = EntryWriter::default();
        (1..=1_000).for_each(|id| writer.push(&imported(id, 9_000_000 + id % 4, "somebody")));
        // Kind, form, id, two coordinates, no tags, version, changeset, time.
        let len = writer.finish().len();
        assert!((9_000..9_200).contains(&len), "{len} bytes");
    }

    #[test]
    fn a_name_said_once_does_not_fill_memory() {
        let mut writer = EntryWriter::default();
        let name = "n".repeat(FRAME_BYTES / 2);
        (1..=2_000).for_each(|id| writer.push(&imported(id, 3, &name)));
        assert!(writer.is_full());
        let message = writer.finish().to_vec();
        assert!(message.len() < 40_000, "{} bytes", message.len());
        assert!(matches!(read(&message), Err(SyncError::Message { kind: ENTRIES })));
        assert!(matches!(read(&[]), Err(SyncError::Message { .. })), "no columns");
        let nothing = [0x40; COLUMNS];
        assert!(matches!(read(&nothing), Err(SyncError::Message { .. })), "no entries");
    }
}
