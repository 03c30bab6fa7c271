//! The body of a message of entries: column by column, so that like stands beside like.
//!
//! What an imported entry says comes apart into numbers, each as the difference to one before that is probably
//! near it, and texts. Who made a changeset is said once in a message. An entry of another form goes as it is.
//! A message can be read without those before it. `spec/sync.md` has the columns and the rules.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use self::reader::EntryReader;
pub(crate) use self::writer::{EntryWriter, long_columns};
use super::limits::FRAME_BYTES;

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
