//! Which versions of an element are its heads.
//!
//! An entry is superseded if
//! - an edit links to it;
//! - it is imported, and an imported entry has a higher OSM version;
//! - it is imported, and an imported entry of the same version and content carries more metadata
//!   (on a tie, has the greater hash): one file was stripped of users, say;
//! - it is imported, and an edit links to an imported entry of the same version and content: the
//!   edit was made knowing that content, whoever's file it came from.
//!
//! Adding entries only ever supersedes more, so what is history stays history.

use std::collections::{BTreeMap, BTreeSet};

use prolly::cbor::{Reader, put_array};

use super::{Encoded, Entry, EntryError, Origin, OsmMeta, Version, version_of};
use crate::model::{ElementId, MAX_ID, Payload};

/// An entry with its encoding and its version.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) version: Version,
    pub(crate) body: Vec<u8>,
    pub(crate) entry: Entry,
    /// Where the payload ends in the body.
    payload_end: usize,
}

/// An entry on its way into a database: only its encoding, because there may be millions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fresh {
    pub(crate) element: ElementId,
    pub(crate) version: Version,
    pub(crate) body: Box<[u8]>,
}

impl Fresh {
    pub(crate) fn new(entry: &Entry) -> Self {
        let (body, _) = entry.encode();
        Self::of_body(entry.element, body.into())
    }

    /// Takes an entry's body as it was encoded here.
    pub(crate) fn of_body(element: ElementId, body: Box<[u8]>) -> Self {
        Self { element, version: version_of(element, &body), body }
    }

    /// Makes sure that the record can be read back: not every payload can.
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        if !(1..=MAX_ID).contains(&self.element.id) {
            return Err(EntryError::Rule("an id is from 1 to 9223372036854775807"));
        }
        Known::decode(self.element, &self.body).map(drop)
    }
}

impl From<Known> for Fresh {
    fn from(known: Known) -> Self {
        Self { element: known.entry.element, version: known.version, body: known.body.into() }
    }
}

/// Returns the body of the only head in a value of the heads tree. `None`: there are several.
pub(crate) fn only_head(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(&[ONE_HEAD])
}

/// What a value of the heads tree must be.
const HEADS_ASCEND: EntryError = EntryError::Rule("an element has at least one head, and heads ascend");

/// How a value of the heads tree with one head begins: an array of one. The head's body follows.
pub(crate) const ONE_HEAD: u8 = 0x81;

impl Known {
    #[cfg(test)]
    pub(crate) fn new(entry: Entry) -> Self {
        let (body, payload_end) = entry.encode();
        Self { version: version_of(entry.element, &body), body, entry, payload_end }
    }

    /// Reads one entry's body.
    pub(crate) fn decode(element: ElementId, body: &[u8]) -> Result<Self, EntryError> {
        let mut reader = Reader::new(body);
        let known = Self::read(element, body, &mut reader)?;
        reader.end()?;
        Ok(known)
    }

    /// Decodes an entry that is on its way.
    pub(crate) fn of(fresh: Fresh) -> Result<Self, EntryError> {
        let Fresh { element, version, body } = fresh;
        let mut reader = Reader::new(&body);
        let (entry, payload_end) = Entry::read(element, &mut reader)?;
        reader.end()?;
        Ok(Self { version, body: body.into(), entry, payload_end })
    }

    /// Reads the bodies of an element's heads.
    pub(crate) fn decode_heads(element: ElementId, value: &[u8]) -> Result<Vec<Self>, EntryError> {
        let mut reader = Reader::new(value);
        let len = reader.array()?;
        let heads =
            (0..len).map(|_| Self::read(element, value, &mut reader)).collect::<Result<Vec<_>, _>>()?;
        reader.end()?;
        if heads.is_empty() || !heads.is_sorted_by(|a, b| a.version < b.version) {
            return Err(HEADS_ASCEND);
        }
        Ok(heads)
    }

    /// Reads the bodies of an element's heads, and keeps no copy of them.
    pub(crate) fn decode_versions(
        element: ElementId,
        value: &[u8],
    ) -> Result<Vec<(Version, Entry)>, EntryError> {
        let mut reader = Reader::new(value);
        // Nearly all elements have one head; for more the list grows.
        let mut heads: Vec<(Version, Entry)> = Vec::with_capacity(1);
        for _ in 0..reader.array()? {
            let start = reader.position();
            let (entry, _) = Entry::read(element, &mut reader)?;
            let version = version_of(element, value.get(start..reader.position()).unwrap_or_default());
            heads.push((version, entry));
        }
        reader.end()?;
        if heads.is_empty() || !heads.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(HEADS_ASCEND);
        }
        Ok(heads)
    }

    fn read(element: ElementId, bytes: &[u8], reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        let start = reader.position();
        let (entry, payload_end) = Entry::read(element, reader)?;
        let body = bytes.get(start..reader.position()).unwrap_or_default().to_vec();
        Ok(Self { version: version_of(element, &body), body, entry, payload_end: payload_end - start })
    }

    /// Returns the value of the heads tree for heads that ascend by version.
    pub(crate) fn encode_heads<'a>(heads: impl ExactSizeIterator<Item = &'a Self>) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put_array(&mut out, heads.len());
        heads.for_each(|head| out.extend_from_slice(&head.body));
        out
    }

    pub(crate) fn encoded(&self) -> Encoded<'_> {
        Encoded { body: &self.body, payload_end: self.payload_end }
    }

    pub(super) fn content(&self) -> &[u8] {
        self.body.get(..self.payload_end).unwrap_or_default()
    }

    pub(super) const fn imported(&self) -> Option<&OsmMeta> {
        match &self.entry.origin {
            Origin::Imported(meta) => Some(meta),
            Origin::Edited(_) => None,
        }
    }
}

/// How much is known of an imported version.
pub(super) fn metadata(meta: &OsmMeta) -> usize {
    let known = [meta.timestamp.is_some(), meta.changeset.is_some(), meta.uid.is_some(), meta.user.is_some()];
    known.into_iter().filter(|known| *known).count()
}

/// Imported entries of one version and one content.
struct Same {
    best: (usize, Version),
    linked: bool,
}

/// Tells for each entry of an element whether another one supersedes it.
pub(crate) fn superseded(entries: &[Known]) -> Vec<bool> {
    if let [_] = entries {
        return vec![false];
    }
    let linked: BTreeSet<&Version> = entries.iter().flat_map(|known| known.entry.links()).collect();
    let newest = entries.iter().filter_map(|known| Some(known.imported()?.version)).max();
    let mut groups: BTreeMap<(Option<u64>, &[u8]), Same> = BTreeMap::new();
    for known in entries {
        let Some(meta) = known.imported() else { continue };
        let rank = (metadata(meta), known.version);
        let is_linked = linked.contains(&known.version);
        let group = groups.entry((meta.version, known.content()));
        let group = group.or_insert(Same { best: rank, linked: false });
        group.best = group.best.max(rank);
        group.linked |= is_linked;
    }
    let is_superseded = |known: &Known| {
        let by_import = known.imported().is_some_and(|meta| {
            let group = groups.get(&(meta.version, known.content()));
            let in_group = group.is_some_and(|group| group.linked || group.best.1 != known.version);
            newest.is_some_and(|newest| meta.version < newest) || in_group
        });
        by_import || linked.contains(&known.version)
    };
    entries.iter().map(is_superseded).collect()
}

/// Returns the content of the live head that a map shows.
pub(crate) fn shown(heads: &[Known]) -> Option<&Payload> {
    shown_of(heads, |known| (known.version, &known.entry))?.entry.payload.as_ref()
}

/// Returns the live head that a map shows where there are several: the latest, then the one with
/// the greatest version.
pub(crate) fn shown_of<T>(heads: &[T], parts: impl Fn(&T) -> (Version, &Entry)) -> Option<&T> {
    let live = heads.iter().filter(|head| parts(head).1.payload.is_some());
    live.max_by_key(|head| {
        let (version, entry) = parts(head);
        (entry.timestamp(), version)
    })
}
