//! The stream of entries from a peer.

use std::collections::BTreeSet;

use bytes::Bytes;
use prolly::PageStore;

use super::error::SyncError;
use super::holdings::Salt;
use super::inbox::{Inbox, Partial};
use super::message::EntryReader;
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
    /// The ids that are to come, if that is known.
    expected: Option<(Salt, BTreeSet<Id>)>,
    last: Option<ElementId>,
    /// The versions of the last element.
    versions: BTreeSet<Version>,
    /// How many have come, without those that had come before.
    pub(crate) count: u64,
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
        Ok(Self { base: Some(base), into, expected: None, last, versions, count: 0 })
    }

    /// Takes a stream of entries of which the ids are known.
    pub(crate) fn expecting<S: PageStore + Sync>(
        db: &Db<S>,
        salt: Salt,
        ids: &[Id],
    ) -> Result<Self, SyncError> {
        let (into, expected) = (Into::Heap(db.heap()?), Some((salt, ids.iter().copied().collect())));
        Ok(Self { base: None, into, expected, last: None, versions: BTreeSet::new(), count: 0 })
    }

    /// Takes in a message, as a whole or not at all.
    pub(crate) fn take(&mut self, message: &Bytes) -> Result<(), SyncError> {
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
            if let Some((salt, expected)) = &mut self.expected
                && !expected.remove(&salt.entry(&version))
            {
                return Err(SyncError::Unasked { element, version });
            }
            self.count += 1;
            all.push(known);
        }
        match &mut self.into {
            Into::Heap(heap) => all.iter().try_for_each(|known| heap.push(known)).map_err(SyncError::from),
            Into::Part(part) => part.push(message),
        }
    }

    /// Checks that all has come, and returns it.
    pub(crate) fn finish<S: PageStore + Sync>(
        self,
        db: &Db<S>,
        said: u64,
    ) -> Result<(Option<Root>, Heap), SyncError> {
        if said != self.count {
            return Err(SyncError::Count { expected: said, found: self.count });
        }
        if let Some((_, left)) = self.expected.filter(|(_, left)| !left.is_empty()) {
            return Err(SyncError::Count { expected: self.count + left.len() as u64, found: self.count });
        }
        let heap = match self.into {
            Into::Heap(heap) => heap,
            Into::Part(mut part) => {
                let mut heap = db.heap()?;
                part.each(|message| {
                    let mut reader = EntryReader::new(message);
                    while let Some(known) = reader.next_known()? {
                        heap.push(&known)?;
                    }
                    Ok(())
                })?;
                part.discard();
                heap
            }
        };
        Ok((self.base, heap))
    }

    /// Keeps what came of a stream that was cut.
    pub(crate) fn keep(self, inbox: &Inbox) {
        if let Into::Part(part) = self.into {
            inbox.keep(part);
        }
    }
}
