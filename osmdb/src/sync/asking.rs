//! Asking a dataset over a connection, without I/O.

use bytes::Bytes;
use prolly::Cid;
use prolly::cbor::{CborError, Reader, put_bytes, put_null, put_unsigned};

use super::error::SyncError;
use super::limits::{MAX_HAVE, MAX_READ_MISSING};
use super::message::{Hello, PAGES, READ, READ_END};
use super::reading::have;
use super::wire::{Incoming, Outgoing};
use crate::remote::{Ask, MAX_READ_BYTES};

fn question(
    id: u64,
    root: Option<&Cid>,
    ask: Option<&Ask>,
    missing: &[Cid],
    had: &[Cid],
) -> Result<Vec<u8>, SyncError> {
    let mut out = Vec::new();
    put_unsigned(&mut out, id);
    match root {
        Some(root) => put_bytes(&mut out, root.as_bytes()),
        None => put_null(&mut out),
    }
    match ask {
        Some(ask) => put_bytes(&mut out, &ask.encode().map_err(SyncError::Ask)?),
        None => put_null(&mut out),
    }
    let missing: Vec<u8> = missing.iter().take(MAX_READ_MISSING).flat_map(|cid| *cid.as_bytes()).collect();
    put_bytes(&mut out, &missing);
    let had: Vec<u8> = had.iter().take(MAX_HAVE).flat_map(have).collect();
    put_bytes(&mut out, &had);
    put_unsigned(&mut out, MAX_READ_BYTES as u64);
    Ok(out)
}

/// What came in answer to a question.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    pub(crate) pages: Vec<Bytes>,
    /// At the end: the root that was read, and how it ended.
    pub(crate) end: Option<(Cid, u64)>,
}

/// The side that asks, without I/O: one question at a time.
pub(crate) struct Asker {
    out: Outgoing,
    incoming: Incoming,
    /// The root of the other side when the connection began.
    pub(crate) root: Option<Cid>,
    next: u64,
}

impl Asker {
    pub(crate) fn new() -> Result<Self, SyncError> {
        let mut out = Outgoing::new();
        // It holds nothing, of no dataset.
        let hello = Hello {
            reader: true,
            tag: [0; 4],
            root: Cid::from_hash([0; 32]),
            part: None,
            earlier: Vec::new(),
        };
        out.push(super::message::HELLO, &hello.encode(), false)?;
        Ok(Self { out, incoming: Incoming::new(), root: None, next: 0 })
    }

    /// Asks.
    pub(crate) fn ask(
        &mut self,
        root: Option<&Cid>,
        ask: Option<&Ask>,
        missing: &[Cid],
        had: &[Cid],
    ) -> Result<(), SyncError> {
        self.next += 1;
        let body = question(self.next, root, ask, missing, had)?;
        self.out.push(READ, &body, true)
    }

    /// Returns what is to be sent.
    pub(crate) fn send(&mut self) -> Option<Bytes> {
        self.out.pop()
    }

    /// Takes in what came; adds it to the answer.
    pub(crate) fn receive(&mut self, bytes: &[u8], answer: &mut Answered) -> Result<(), SyncError> {
        self.incoming.push(bytes);
        while let Some((kind, body)) = self.incoming.pop()? {
            match kind {
                super::message::HELLO if self.root.is_none() => self.root = Some(Hello::decode(&body)?.root),
                super::message::STOP => {
                    let reason = Reader::new(&body).text().unwrap_or_default().to_owned();
                    return Err(SyncError::Refused { reason });
                }
                PAGES | READ_END if answer.end.is_none() => {
                    read_answer(kind, &body, self.next, answer).map_err(|_| SyncError::Message { kind })?;
                    let bytes: usize = answer.pages.iter().map(Bytes::len).sum();
                    if bytes > MAX_READ_BYTES {
                        return Err(SyncError::TooMuch { limit: MAX_READ_BYTES as u64 });
                    }
                }
                kind => return Err(SyncError::Turn { kind }),
            }
        }
        Ok(())
    }

    /// How many bytes went out and came in.
    pub(crate) const fn traffic(&self) -> (u64, u64) {
        (self.out.total, self.incoming.total)
    }
}

fn read_answer(kind: u8, body: &Bytes, id: u64, answer: &mut Answered) -> Result<(), CborError> {
    let mut reader = Reader::new(body);
    if reader.unsigned()? != id {
        return Err(CborError::Range { at: 0 });
    }
    if kind == PAGES {
        while reader.end().is_err() {
            answer.pages.push(Bytes::copy_from_slice(reader.bytes()?));
        }
        return Ok(());
    }
    let root = reader.bytes()?.try_into().map_err(|_| CborError::Range { at: 0 })?;
    answer.end = Some((Cid::from_hash(root), reader.unsigned()?));
    reader.end()
}
