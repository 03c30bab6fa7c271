//! The stream of entries to a peer.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map};

use prolly::PageSource;

use super::additions::{Additions, parents_first};
use super::columns::EntryWriter;
use super::error::SyncError;
use super::holdings::entries_of;
use super::message::Cursor;
use crate::entry::{Known, Version};
use crate::error::Error;
use crate::model::ElementId;
use crate::root::Root;

/// Which entries are sent.
enum Which {
    /// Those that came after a root.
    Additions(Box<Additions>),
    /// Those that a peer lacks.
    Chosen(btree_map::IntoIter<ElementId, BTreeSet<Version>>),
}

/// A stream that is being sent.
pub(crate) struct Sending {
    which: Which,
    root: Root,
    /// What is left of an element.
    rest: VecDeque<Known>,
    /// What the peer has of the first element already.
    had: Option<Cursor>,
    writer: EntryWriter,
    pub(crate) sent: u64,
}

impl Sending {
    /// Sends what came after a root, behind a place in that stream.
    pub(crate) fn since(base: &Root, root: &Root, after: Option<Cursor>) -> Result<Self, SyncError> {
        let additions = Additions::new(base, root, after.map(|cursor| cursor.element))?;
        Ok(Self::new(Which::Additions(Box::new(additions)), root, after))
    }

    /// Sends some entries.
    pub(crate) fn chosen(root: &Root, entries: BTreeMap<ElementId, BTreeSet<Version>>) -> Self {
        Self::new(Which::Chosen(entries.into_iter()), root, None)
    }

    fn new(which: Which, root: &Root, had: Option<Cursor>) -> Self {
        let (rest, writer) = (VecDeque::new(), EntryWriter::default());
        Self { which, root: root.clone(), rest, had, writer, sent: 0 }
    }

    fn next<S: PageSource>(&mut self, source: &S) -> Result<Option<Known>, Error> {
        while self.rest.is_empty() {
            let group = match &mut self.which {
                Which::Additions(additions) => additions.next(source)?,
                Which::Chosen(chosen) => match chosen.next() {
                    Some((element, versions)) => {
                        let entries = entries_of(source, &self.root, element, &versions)?;
                        Some((element, parents_first(entries)))
                    }
                    None => None,
                },
            };
            let Some((element, entries)) = group else { return Ok(None) };
            let had = self.had.take().filter(|had| had.element == element);
            let had = had.map_or(0, |had| usize::try_from(had.entries).unwrap_or(usize::MAX));
            self.rest.extend(entries.into_iter().skip(had));
        }
        Ok(self.rest.pop_front())
    }

    /// Returns the next message; `None` at the end.
    pub(crate) fn message<S: PageSource>(&mut self, source: &S) -> Result<Option<&[u8]>, Error> {
        while !self.writer.is_full() {
            let Some(known) = self.next(source)? else { break };
            self.writer.push(&known);
            self.sent += 1;
        }
        Ok(Some(self.writer.finish()).filter(|bytes| !bytes.is_empty()))
    }
}
