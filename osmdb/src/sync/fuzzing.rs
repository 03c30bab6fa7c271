//! What a fuzzer is shown of the inside (`tests/fuzz`).

use bytes::Bytes;
use prolly::cbor::Reader;

use super::error::SyncError;
use super::limits::MAX_MESSAGE_BYTES;
use super::message::Message;
use super::page_columns::{PageReader, PageWriter};
use super::wire::Incoming;

/// Takes frames apart that come in pieces, and reads the messages, as far as they are right.
///
/// # Panics
/// A message is longer than the limit.
pub fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(u8, Vec<u8>)> {
    let (mut incoming, mut messages) = (Incoming::new(), Vec::new());
    for piece in pieces {
        incoming.push(piece);
        loop {
            match incoming.pop() {
                Ok(Some((kind, body))) => {
                    assert!(body.len() <= MAX_MESSAGE_BYTES, "{} bytes", body.len());
                    if Message::decode(kind, body.clone()).is_ok() {
                        messages.push((kind, body.to_vec()));
                    }
                }
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
    }
    assert!(incoming.consumed() <= incoming.total);
    messages
}

/// Reads the pages of a message, as far as the columns are right.
pub fn pages(columns: &[u8]) -> Option<Vec<Bytes>> {
    let pages: Result<_, SyncError> = PageReader::new(&mut Reader::new(columns)).ok()?.collect();
    pages.ok()
}

/// Makes a message of pages, and reads it again.
pub fn pages_again(pages: &[Bytes]) -> Option<Vec<Bytes>> {
    let (mut writer, mut columns) = (PageWriter::default(), Vec::new());
    pages.iter().for_each(|page| writer.push(page));
    writer.finish(&mut columns);
    self::pages(&columns)
}
