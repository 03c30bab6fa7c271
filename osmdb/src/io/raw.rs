//! Reading in two parts: what must come in order, and what any thread can do.

use std::path::Path;
use std::sync::Arc;

use super::error::{Place, ReadError};
use super::pbf::{self, Blob};
use super::reader::{Decoder, Reader};
use crate::entry::Entry;
use crate::model::Payload;

/// Entries are handed out together up to about so many bytes, where a file is not cut into blobs.
const PORTION_BYTES: usize = 1 << 20;

/// A part of a file that is yet to be decoded.
pub(crate) struct Raw {
    path: Arc<Path>,
    place: Place,
    content: Content,
}

enum Content {
    Blob(Blob),
    Entries(Vec<Entry>),
}

impl Reader {
    /// Reads the next part of the file. Not for a reader that has given single entries.
    pub(crate) fn next_raw(&mut self) -> Option<Result<Raw, ReadError>> {
        let (decoder, path) = self.parts();
        let path = Arc::clone(path);
        let (next, place) = match decoder? {
            Decoder::Pbf(pbf) => (pbf.next_blob().map(|blob| blob.map(Content::Blob)), pbf.place()),
            Decoder::Xml(xml) => {
                let (mut entries, mut bytes) = (Vec::new(), 0);
                let next = loop {
                    match xml.next_entry() {
                        Ok(Some(entry)) => {
                            bytes += weight(&entry);
                            entries.push(entry);
                        }
                        Ok(None) => break Ok(()),
                        Err(problem) => break Err(problem),
                    }
                    if bytes >= PORTION_BYTES {
                        break Ok(());
                    }
                };
                (next.map(|()| (!entries.is_empty()).then_some(Content::Entries(entries))), xml.place())
            }
        };
        let raw = match next {
            Ok(Some(content)) => return Some(Ok(Raw { path, place, content })),
            Ok(None) => None,
            Err(problem) => Some(Err(ReadError::new(&path, place, problem))),
        };
        self.end();
        raw
    }
}

impl Raw {
    /// Decodes the entries.
    pub(crate) fn entries(self) -> Result<Vec<Entry>, ReadError> {
        match self.content {
            Content::Blob(blob) => {
                pbf::decode(&blob).map_err(|problem| ReadError::new(&self.path, self.place, problem))
            }
            Content::Entries(entries) => Ok(entries),
        }
    }
}

/// About how many bytes an entry takes in memory.
fn weight(entry: &Entry) -> usize {
    let Some(payload) = &entry.payload else { return size_of::<Entry>() };
    let text = |text: &str| text.len() + size_of::<String>();
    let parts = match payload {
        Payload::Way { refs, .. } => size_of_val(refs.as_slice()),
        Payload::Relation { members, .. } => {
            members.iter().map(|member| size_of_val(member) + member.role.len()).sum()
        }
        Payload::Node { .. } | Payload::Changeset { .. } => 0,
    };
    let tags: usize = payload.tags().iter().map(|(key, value)| text(key) + text(value)).sum();
    size_of::<Entry>() + parts + tags
}
