//! Sorted entries, the versions of one element together.

use super::sorter::{Merge, Sorted};
use crate::entry::{Encoded, Entry, Known, superseded};
use crate::error::Error;
use crate::model::{ElementId, Kind};
use crate::views::keys::{self, ELEMENT_BYTES};

/// Walks over elements with all their entries.
pub(crate) struct Groups<'a> {
    merge: Merge<'a, ELEMENT_BYTES>,
    bodies: Vec<Body>,
    /// How many of `bodies` belong to the element; the next one is read ahead.
    len: usize,
    key: [u8; ELEMENT_BYTES],
    ahead: Option<[u8; ELEMENT_BYTES]>,
}

/// An element, and the bodies of its entries; the same one may come twice.
pub(crate) struct Group<'a> {
    pub(crate) element: ElementId,
    pub(crate) bodies: &'a [Body],
}

/// The body of an entry.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(super) payload_end: usize,
}

impl Body {
    pub(super) fn encoded(&self) -> Encoded<'_> {
        Encoded { body: &self.bytes, payload_end: self.payload_end }
    }
}

impl Body {
    /// Returns what the sorter keeps.
    pub(crate) fn record(&self) -> Vec<u8> {
        join(self.payload_end, &self.bytes)
    }
}

/// Returns the body in a record.
pub(crate) fn body_of(record: &[u8]) -> &[u8] {
    record.get(END_BYTES..).unwrap_or_default()
}

/// Puts a record together.
pub(super) fn join(payload_end: usize, body: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload_end).unwrap_or(u32::MAX).to_le_bytes(), body].concat()
}

/// Puts together what the sorter keeps of an entry: where the payload ends in four bytes, and the body.
pub(super) fn record(entry: &Entry, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0; END_BYTES]);
    // No body is longer: the limits on what a file may hold see to it.
    let payload_end = u32::try_from(entry.encode_into(out)).unwrap_or(u32::MAX);
    out.iter_mut().zip(payload_end.to_le_bytes()).for_each(|(to, from)| *to = from);
}

const END_BYTES: usize = size_of::<u32>();

impl<'a> Groups<'a> {
    pub(crate) fn new(entries: &'a Sorted<ELEMENT_BYTES>) -> Result<Self, Error> {
        Self::from_kind(entries, Kind::Node)
    }

    /// Reads the next entry behind the bodies of the element.
    fn read(&mut self) -> Result<(), Error> {
        let next = self.merge.next()?;
        self.ahead = next.map(|(key, _)| *key);
        let Some((_, body)) = next else { return Ok(()) };
        if self.bodies.len() == self.len {
            self.bodies.push(Body::default());
        }
        if let (Some(buffer), Some((end, body))) =
            (self.bodies.get_mut(self.len), body.split_first_chunk::<END_BYTES>())
        {
            buffer.payload_end = usize::try_from(u32::from_le_bytes(*end)).unwrap_or(usize::MAX);
            buffer.bytes.clear();
            buffer.bytes.extend_from_slice(body);
        }
        Ok(())
    }

    /// Walks over the elements of this kind and those behind it.
    pub(super) fn from_kind(entries: &'a Sorted<ELEMENT_BYTES>, kind: Kind) -> Result<Self, Error> {
        let mut groups =
            Self { merge: entries.iter()?, bodies: Vec::new(), len: 0, key: [0; ELEMENT_BYTES], ahead: None };
        loop {
            groups.read()?;
            if groups.ahead.is_none_or(|[first, ..]| first >= kind.code()) {
                return Ok(groups);
            }
        }
    }

    /// Returns the next element.
    pub(crate) fn next(&mut self) -> Result<Option<Group<'_>>, Error> {
        let Some(key) = self.ahead else { return Ok(None) };
        if self.len < self.bodies.len() {
            self.bodies.swap(0, self.len);
        }
        (self.key, self.len) = (key, 1);
        self.read()?;
        while self.ahead == Some(key) {
            self.len += 1;
            self.read()?;
        }
        let element = keys::parse_element(&key).ok_or(Error::Key { tree: "heads" })?;
        Ok(Some(Group { element, bodies: self.bodies.get(..self.len).unwrap_or_default() }))
    }
}

/// The entries of an element, taken apart.
pub(super) struct Resolved {
    /// The heads, sorted by version.
    pub(super) heads: Vec<Known>,
    /// All others, sorted by version.
    pub(super) replaced: Vec<Known>,
}

impl Group<'_> {
    /// Finds out which of several entries are heads.
    pub(super) fn resolve(&self) -> Result<Resolved, Error> {
        let element = self.element;
        let known = |body: &Body| Known::decode(element, &body.bytes).map_err(Error::entry(element));
        let mut all = self.bodies.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        all.sort_unstable_by_key(|known| known.version);
        all.dedup_by_key(|known| known.version);
        let superseded = superseded(&all);
        let (mut heads, mut replaced) = (Vec::new(), Vec::new());
        for (known, superseded) in all.into_iter().zip(superseded) {
            if superseded { replaced.push(known) } else { heads.push(known) }
        }
        Ok(Resolved { heads, replaced })
    }
}

/// Returns the record that is sorted for an entry.
pub(crate) fn record_of(known: &Known) -> Vec<u8> {
    join(known.encoded().payload_end, &known.body)
}
