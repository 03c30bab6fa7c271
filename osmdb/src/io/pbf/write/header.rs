//! What the header of a file says, which is known only at its end.

use std::io;

use bytes::Bytes;
use prost::Message;

use super::super::proto::Blob;
use super::message::HeaderBlock;
use super::{Checked, framed};
use crate::model::Kind;

/// The room that is left for the header: more than it ever needs.
pub(super) const HEADER_BYTES: usize = 160;

/// What is known of all elements of a file so far.
#[derive(Debug, Default)]
pub(super) struct Nature {
    last: Option<(Kind, i64, Option<u64>)>,
    is_unsorted: bool,
    has_history: bool,
}

impl Nature {
    pub(super) fn new(has_history: bool) -> Self {
        Self { has_history, ..Self::default() }
    }

    /// Looks at the next element.
    pub(super) fn note(&mut self, element: &Checked<'_>) {
        let this = (element.kind, element.id, element.meta.version);
        self.is_unsorted |= self.last.is_some_and(|last| last > this);
        // Several versions of an element are side by side, if the file is sorted; in another one nobody
        // can rely on finding them.
        let again = self.last.is_some_and(|(kind, id, _)| (kind, id) == (this.0, this.1));
        self.has_history |= again || element.content.is_none();
        self.last = Some(this);
    }

    /// Returns the whole blob of the header, [`HEADER_BYTES`] long.
    pub(super) fn header(&self) -> io::Result<Vec<u8>> {
        let mut required_features = vec!["OsmSchema-V0.6".to_owned(), "DenseNodes".to_owned()];
        if self.has_history {
            required_features.push("HistoricalInformation".to_owned());
        }
        let sorted = (!self.is_unsorted).then(|| "Sort.Type_then_ID".to_owned());
        let writingprogram = concat!("osmdb ", env!("CARGO_PKG_VERSION")).to_owned();
        let content = HeaderBlock {
            required_features,
            optional_features: sorted.into_iter().collect(),
            writingprogram,
        };
        let blob = Blob { raw: Some(content.encode_to_vec().into()), ..Blob::default() };
        let header = framed("OSMHeader", None, &blob)?;
        // What is left over is filled with a field that readers pass over: two bytes and its content.
        let filling = HEADER_BYTES.checked_sub(header.len() + 2);
        let filling = filling.filter(|length| *length < 128).map(|length| Bytes::from(vec![0; length]));
        let header = framed("OSMHeader", filling, &blob)?;
        if header.len() == HEADER_BYTES {
            return Ok(header);
        }
        Err(io::Error::other("the header does not fit into its room"))
    }
}
