//! The stream of entries from a peer.

use std::collections::BTreeSet;

use bytes::Bytes;
use prolly::PageStore;

use super::columns::EntryReader;
use super::error::SyncError;
use super::holdings::Salt;
use super::inbox::{Inbox, Partial};
use super::sketch::Id;
use crate::db::{Db, Heap};
use crate::entry::Version;
use crate::model::ElementId;
use crate::root::Root;

/// A stream that is coming.
pub(crate) struct Receiving {
    /// What the entries came after, if the peer counts from a root.
    pub(crate) base: Option<Root>,
    into: Into,
    /// How ids are made, where they matter.
    salt: Option<Salt>,
    expected: Expected,
    last: Option<ElementId>,
    /// The versions of the last element.
    versions: BTreeSet<Version>,
    /// How many have come of this stream, without those that had come before.
    count: u64,
    /// How many have come of streams that are whole.
    pub(crate) total: u64,
}

/// What is to come.
enum Expected {
    /// Nobody knows; the ids of what came.
    Anything(Vec<Id>),
    /// What is left of it.
    These(BTreeSet<Id>),
}

enum Into {
    Heap(Heap),
    /// Kept if the connection is cut.
    Part(Partial),
}

impl Receiving {
    /// Takes a stream of what came after a root.
    pub(crate) fn since<S: PageStore + Sync>(
        db: &Db<S>,
        base: Root,
        part: Option<Partial>,
    ) -> Result<Self, SyncError> {
        let last = part.as_ref().and_then(Partial::cursor).map(|cursor| cursor.element);
        let into = match part {
            Some(part) => Into::Part(part),
            None => Into::Heap(db.heap()?),
        };
        let versions = BTreeSet::new();
        let expected = Expected::Anything(Vec::new());
        Ok(Self { base: Some(base), into, salt: None, expected, last, versions, count: 0, total: 0 })
    }

    /// Takes a stream of entries, and notes their ids.
    pub(crate) fn noting<S: PageStore + Sync>(db: &Db<S>, salt: Salt) -> Result<Self, SyncError> {
        let (into, expected) = (Into::Heap(db.heap()?), Expected::Anything(Vec::new()));
        let versions = BTreeSet::new();
        Ok(Self { base: None, into, salt: Some(salt), expected, last: None, versions, count: 0, total: 0 })
    }

    /// Goes on with a stream of entries with these ids and no others.
    pub(crate) fn expect(&mut self, ids: &[Id]) {
        self.expected = Expected::These(ids.iter().copied().collect());
        self.last = None;
    }

    /// Returns the ids of what came.
    pub(crate) fn noted(&self) -> &[Id] {
        match &self.expected {
            Expected::Anything(ids) => ids,
            Expected::These(_) => &[],
        }
    }

    /// Returns how many have come so far.
    pub(crate) const fn come(&self) -> u64 {
        self.total + self.count
    }

    /// Takes in a message, as a whole or not at all. Returns how many bytes the bodies in it have.
    pub(crate) fn take(&mut self, message: &Bytes) -> Result<u64, SyncError> {
        let mut reader = EntryReader::new(message);
        let mut all = Vec::new();
        while let Some(known) = reader.next_known()? {
            let element = known.entry.element;
            if self.last.is_some_and(|last| last > element) {
                return Err(SyncError::Order { element });
            }
            if self.last != Some(element) {
                self.versions.clear();
            }
            self.last = Some(element);
            if !self.versions.insert(known.version) {
                return Err(SyncError::Order { element });
            }
            let version = known.version;
            if let Err(source) = known.entry.check_signature() {
                return Err(SyncError::Forged { element, version, source });
            }
            if let Some(salt) = &self.salt {
                let id = salt.entry(&version);
                match &mut self.expected {
                    Expected::Anything(ids) => ids.push(id),
                    Expected::These(ids) => {
                        if !ids.remove(&id) {
                            return Err(SyncError::Unasked { element, version });
                        }
                    }
                }
            }
            self.count += 1;
            all.push(known);
        }
        // A message without entries has no use, and a stream of them no end.
        if all.is_empty() {
            return Err(SyncError::Message { kind: super::message::ENTRIES });
        }
        match &mut self.into {
            Into::Heap(heap) => all.iter().try_for_each(|known| heap.push(known))?,
            Into::Part(part) => part.push(super::message::ENTRIES, message)?,
        }
        Ok(reader.bodies as u64)
    }

    /// Checks at the end of a stream that all has come.
    pub(crate) fn check(&mut self, said: u64) -> Result<(), SyncError> {
        let found = std::mem::take(&mut self.count);
        self.total += found;
        let left = match &self.expected {
            Expected::Anything(_) => 0,
            Expected::These(left) => left.len() as u64,
        };
        if said != found || left > 0 {
            return Err(SyncError::Count { expected: said.max(found + left), found });
        }
        Ok(())
    }

    /// Returns all that came.
    pub(crate) fn finish<S: PageStore + Sync>(self, db: &Db<S>) -> Result<(Option<Root>, Heap), SyncError> {
        let heap = match self.into {
            Into::Heap(heap) => heap,
            Into::Part(part) => {
                let mut heap = db.heap()?;
                for message in part.messages()? {
                    let (_, message) = message?;
                    let mut reader = EntryReader::new(&message);
                    while let Some(known) = reader.next_known()? {
                        heap.push(&known)?;
                    }
                }
                part.discard();
                heap
            }
        };
        Ok((self.base, heap))
    }

    /// Forgets what came.
    pub(crate) fn discard(self) {
        if let Into::Part(part) = self.into {
            part.discard();
        }
    }

    /// Keeps what came of a stream that was cut.
    pub(crate) fn keep(self, inbox: &Inbox) {
        if let Into::Part(part) = self.into {
            inbox.keep(part);
        }
    }
}
