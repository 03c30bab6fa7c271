//! Messages of entries, column by column: section 10 of `spec/sync.md`.

use std::collections::BTreeMap;

use super::cbor::{Reader, byte_string, ensure};
use super::entry::{CHANGESET, Element, Entry, Imported, NODE, Origin, Payload, RELATION, Tags, WAY};
use super::sync::leb128;

/// How many columns there are.
pub const COLUMNS: usize = 19;
const RECENT: usize = 255;

/// Writes entries of form 0, which any entry may have.
#[must_use]
pub fn write(entries: &[Entry]) -> Vec<u8> {
    let bodies: Vec<_> = entries.iter().map(|entry| (entry.element, entry.body())).collect();
    join(&of_bodies(&bodies))
}

/// The columns of elements and their bodies, in form 0.
#[must_use]
pub fn of_bodies(all: &[(Element, Vec<u8>)]) -> [Vec<u8>; COLUMNS] {
    let mut columns: [Vec<u8>; COLUMNS] = Default::default();
    let mut before = 0_u64;
    for ((kind, id), body) in all {
        columns[0].push(*kind);
        columns[1].push(0);
        columns[2].extend(number(id.wrapping_sub(before)));
        columns[3].extend([&leb128(body.len()), &body[..]].concat());
        before = *id;
    }
    columns
}

/// Makes a message of columns.
#[must_use]
pub fn join(columns: &[Vec<u8>]) -> Vec<u8> {
    columns.iter().flat_map(|column| byte_string(column)).collect()
}

fn number(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let (low, rest) = (u8::try_from(n % 128).unwrap_or(0), n / 128);
        bytes.push(if rest == 0 { low } else { low | 128 });
        if rest == 0 {
            return bytes;
        }
        n = rest;
    }
}

/// A column that is read from its beginning.
struct Column(std::vec::IntoIter<u8>);

impl Column {
    fn byte(&mut self) -> Result<u8, String> {
        self.0.next().ok_or_else(|| "a column that ends early".to_owned())
    }

    fn number(&mut self) -> Result<u64, String> {
        let mut sum = 0_u128;
        for place in 0..10 {
            let byte = self.byte()?;
            sum += u128::from(byte & 127) << (7 * place);
            if byte < 128 {
                ensure(byte > 0 || place == 0, "a number that is longer than it need be")?;
                return u64::try_from(sum).map_err(|_| "a number beyond 64 bits".to_owned());
            }
        }
        Err("a number beyond 64 bits".to_owned())
    }

    fn count(&mut self) -> Result<usize, String> {
        usize::try_from(self.number()?).map_err(|_| "too many".to_owned())
    }

    /// Adds a difference to what was before.
    fn step(&mut self, before: u64) -> Result<u64, String> {
        let number = self.number()?;
        let half = number / 2;
        Ok(before.wrapping_add(if number % 2 == 0 { half } else { !half }))
    }

    fn signed_step(&mut self, before: i64) -> Result<i64, String> {
        self.step(before.cast_unsigned()).map(u64::cast_signed)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, String> {
        let len = self.count()?;
        ensure(len <= self.0.len(), "a text that ends early")?;
        Ok(self.0.by_ref().take(len).collect())
    }

    fn text(&mut self) -> Result<String, String> {
        String::from_utf8(self.bytes()?).map_err(|_| "a text that is none".to_owned())
    }
}

/// Who made a changeset, and when.
#[derive(Clone)]
struct Made {
    changeset: u64,
    time: i64,
    uid: Option<u64>,
    user: Option<String>,
}

/// What was said before in the message.
#[derive(Default)]
struct Said {
    place: (i64, i64),
    way: u64,
    members: BTreeMap<u8, u64>,
    time: i64,
    recent: Vec<Made>,
    names: BTreeMap<u64, String>,
}

/// Reads a message.
///
/// # Errors
/// It is no such message, or an entry in it cannot be.
pub fn read(message: &[u8]) -> Result<Vec<Entry>, String> {
    let mut reader = Reader(message);
    let mut columns = Vec::new();
    for _ in 0..COLUMNS {
        columns.push(Column(reader.bytes()?.into_iter()));
    }
    ensure(reader.0.is_empty(), "something behind the columns")?;
    let mut columns: [Column; COLUMNS] = columns.try_into().map_err(|_| "other columns".to_owned())?;
    let (mut said, mut entries, mut id) = (Said::default(), Vec::new(), 0_u64);
    while columns[0].0.len() > 0 {
        let (kind, form) = (columns[0].byte()?, columns[1].byte()?);
        id = id.wrapping_add(columns[2].number()?);
        let entry = if form == 0 {
            Entry::of_body((kind, id), &columns[3].bytes()?)?
        } else {
            apart((kind, id), form, &mut columns, &mut said)?
        };
        entries.push(entry);
    }
    ensure(!entries.is_empty(), "no entries")?;
    ensure(columns.iter().all(|column| column.0.len() == 0), "something left in a column")?;
    Ok(entries)
}

fn apart(
    element: (u8, u64),
    form: u8,
    columns: &mut [Column; COLUMNS],
    said: &mut Said,
) -> Result<Entry, String> {
    let has = |bit| form & bit != 0;
    ensure(has(1), "an unknown form")?;
    let payload = if has(2) { None } else { Some(payload(element.0, columns, said)?) };
    let version = has(4).then(|| columns[13].number()).transpose()?;
    let mut known = None;
    let changeset = if has(16) {
        let place = columns[14].count()?;
        Some(if place == 0 {
            columns[15].step(said.recent.first().map_or(0, |made| made.changeset))?
        } else {
            ensure(place <= said.recent.len(), "a changeset that was not named")?;
            known.insert(said.recent.remove(place - 1)).changeset
        })
    } else {
        None
    };
    let from = known.as_ref().map_or(said.time, |made: &Made| made.time);
    let timestamp = has(8).then(|| columns[16].signed_step(from)).transpose()?;
    said.time = timestamp.unwrap_or(said.time);
    let (uid, user) = if form & 192 == 192 {
        ensure(!has(32), "a uid that is said twice")?;
        let made = known.ok_or("a changeset that was not named")?;
        (made.uid, made.user)
    } else {
        let uid = has(32).then(|| columns[17].number()).transpose()?;
        let user = if has(64) {
            let user = columns[18].text()?;
            said.names.extend(uid.map(|uid| (uid, user.clone())));
            Some(user)
        } else if has(128) {
            Some(uid.and_then(|uid| said.names.get(&uid)).ok_or("a name that was not said")?.clone())
        } else {
            None
        };
        (uid, user)
    };
    if let Some(changeset) = changeset {
        let made = Made { changeset, time: timestamp.unwrap_or(from), uid, user: user.clone() };
        said.recent.insert(0, made);
        said.recent.truncate(RECENT);
    }
    let origin = Origin::Imported(Imported { version, timestamp, changeset, uid, user });
    let entry = Entry { element, payload, origin };
    entry.check()?;
    Ok(entry)
}

fn payload(kind: u8, columns: &mut [Column; COLUMNS], said: &mut Said) -> Result<Payload, String> {
    match kind {
        NODE => {
            let (lat, lon) = said.place;
            said.place = (columns[4].signed_step(lat)?, columns[5].signed_step(lon)?);
            Ok(Payload::Node(said.place.0, said.place.1, tags(columns)?))
        }
        WAY => {
            let mut nodes: Vec<u64> = Vec::new();
            for _ in 0..columns[6].count()? {
                let before = nodes.last().copied().unwrap_or(said.way);
                nodes.push(columns[7].step(before)?);
            }
            said.way = nodes.first().copied().unwrap_or(said.way);
            Ok(Payload::Way(nodes, tags(columns)?))
        }
        RELATION => {
            let mut members = Vec::new();
            for _ in 0..columns[6].count()? {
                let kind = columns[8].byte()?;
                ensure(kind < CHANGESET, "a member that cannot be")?;
                let before = said.members.entry(kind).or_default();
                *before = columns[9].step(*before)?;
                members.push(((kind, *before), columns[10].text()?));
            }
            Ok(Payload::Relation(members, tags(columns)?))
        }
        _ => Err("an element that cannot come apart".to_owned()),
    }
}

fn tags(columns: &mut [Column; COLUMNS]) -> Result<Tags, String> {
    (0..columns[11].count()?).map(|_| Ok((columns[12].text()?, columns[12].text()?))).collect()
}
