//! Asking a dataset over a connection, without I/O.

use std::time::Duration;

use bytes::Bytes;
use prolly::Cid;
use prolly::cbor::{CborError, Reader, put_bytes, put_null, put_unsigned};

use super::clock::Clock;
use super::error::SyncError;
use super::limits::{MAX_HAVE, MAX_READ_MISSING, MAX_READ_PAGES, MAX_SILENCE};
use super::message::{Hello, PAGES, READ, READ_END, READS_SIGNED, SIGNED};
use super::page_columns::PageReader;
use super::reading::have;
use super::wire::{Incoming, Outgoing};
use crate::remote::{Ask, MAX_READ_BYTES};
use crate::signed_root::SignedRoot;

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
    /// How many bytes they have.
    bytes: usize,
    /// The root of the other side, with its signature, if it was asked for what it has now.
    pub(crate) signed: Option<SignedRoot>,
    /// At the end: the root that was read, and how it ended.
    pub(crate) end: Option<(Cid, u64)>,
}

/// The side that asks, without I/O: one question at a time.
pub(crate) struct Asker {
    out: Outgoing,
    incoming: Incoming,
    /// The root of the other side when the connection began.
    pub(crate) root: Option<Cid>,
    /// The number of the last question.
    next: u64,
    /// The number of the last question whose answer has ended. Nobody waits any more for those between it and the
    /// last one, but their answers still come.
    ended: u64,
    /// How many bytes came in answer to a question for which nobody waits any more.
    passed_over: usize,
    clock: Clock,
    /// How long the peer may be silent.
    pub(crate) patience: Duration,
}

impl Asker {
    pub(crate) fn new() -> Result<Self, SyncError> {
        let mut out = Outgoing::new();
        // It holds nothing, of no dataset. What it understands stands in place of the tag.
        let hello = Hello {
            reader: true,
            follows: false,
            tag: [READS_SIGNED, 0, 0, 0],
            root: Cid::from_hash([0; 32]),
            parts: Vec::new(),
            earlier: Vec::new(),
        };
        out.push(super::message::HELLO, &hello.encode(), false)?;
        Ok(Self {
            out,
            incoming: Incoming::new(),
            root: None,
            next: 0,
            ended: 0,
            passed_over: 0,
            clock: Clock::default(),
            patience: MAX_SILENCE,
        })
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
        self.clock = Clock::default();
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
            self.clock.ends_message();
            match kind {
                super::message::HELLO if self.root.is_none() => self.root = Some(Hello::decode(&body)?.root),
                super::message::STOP => {
                    let reason = Reader::new(&body).text().unwrap_or_default().to_owned();
                    return Err(SyncError::Refused { reason });
                }
                SIGNED if self.root.is_some() && answer.end.is_none() && answer.signed.is_none() => {
                    answer.signed = Some(SignedRoot::decode(&body)?);
                }
                PAGES | READ_END if self.root.is_some() && answer.end.is_none() => {
                    self.take(kind, &body, answer)?;
                }
                kind => return Err(SyncError::Turn { kind }),
            }
        }
        self.clock.is_inside(self.incoming.is_inside());
        Ok(())
    }

    /// Takes in a part of an answer.
    fn take(&mut self, kind: u8, body: &Bytes, answer: &mut Answered) -> Result<(), SyncError> {
        let malformed = |_: CborError| SyncError::Message { kind };
        let mut reader = Reader::new(body);
        let id = reader.unsigned().map_err(malformed)?;
        // Answers come in the order of the questions.
        if id != self.ended + 1 || id > self.next {
            return Err(SyncError::Turn { kind });
        }
        let is_wanted = id == self.next;
        if kind == READ_END {
            let root =
                reader.bytes().map_err(malformed)?.try_into().map_err(|_| SyncError::Message { kind })?;
            let end = reader.unsigned().map_err(malformed)?;
            reader.end().map_err(malformed)?;
            (self.ended, self.passed_over) = (id, 0);
            let root = Cid::from_hash(root);
            answer.signed =
                answer.signed.map(|signed| signed.of_root(root)).transpose()?.filter(|_| is_wanted);
            answer.end = is_wanted.then_some((root, end));
            return Ok(());
        }
        let too_much = SyncError::TooMuch { limit: MAX_READ_BYTES as u64 };
        if !is_wanted {
            self.passed_over += body.len();
            return if self.passed_over > 2 * MAX_READ_BYTES { Err(too_much) } else { Ok(()) };
        }
        for page in PageReader::new(&mut reader)? {
            let page = page?;
            // No page is empty, and no message is without pages: so there is an end to what can come.
            answer.bytes += page.len();
            if answer.bytes > MAX_READ_BYTES || answer.pages.len() == MAX_READ_PAGES {
                return Err(too_much);
            }
            answer.pages.push(page);
        }
        Ok(())
    }

    /// Tells how late it is, and that nothing has come: the time since the question was asked.
    pub(crate) fn tick(&mut self, now: Duration) -> Result<(), SyncError> {
        self.clock.tick(now, self.patience)
    }

    /// Tells how late it is, and that the peer has taken or given something.
    pub(crate) fn tick_alive(&mut self, now: Duration) -> Result<(), SyncError> {
        self.clock.hear_at(now);
        self.clock.tick(now, self.patience)
    }

    /// How many bytes went out and came in.
    pub(crate) const fn traffic(&self) -> (u64, u64) {
        (self.out.total, self.incoming.total)
    }
}
