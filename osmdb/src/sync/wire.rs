//! Frames: how messages are cut from a stream of bytes, and how they are compressed.
//!
//! A frame is the length of what follows (LEB128, at most [`MAX_LENGTH_BYTES`]), then one byte that says the
//! kind of message, then its body. If the byte's highest bit is set, the body is the next piece of this
//! direction's one zstd stream, flushed at its end; so what one message said costs the next ones little.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

use super::columns::long_columns;
use super::error::SyncError;
use super::limits::{MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, WINDOW_LOG};

/// A length below 2²⁸.
const MAX_LENGTH_BYTES: usize = 4;

const COMPRESSED: u8 = 0x80;

/// Bodies shorter than this are not worth compressing.
const SHORT_BYTES: usize = 48;

/// How hard the compressor tries.
const LEVEL: i32 = 6;

/// Makes frames.
pub(crate) struct Outgoing {
    stream: Option<Encoder<'static>>,
    ready: VecDeque<Bytes>,
    ready_bytes: usize,
    /// All bytes ever made.
    pub(crate) total: u64,
}

impl Outgoing {
    pub(crate) const fn new() -> Self {
        Self { stream: None, ready: VecDeque::new(), ready_bytes: 0, total: 0 }
    }

    /// How many bytes wait to be sent.
    pub(crate) const fn waiting(&self) -> usize {
        self.ready_bytes
    }

    /// Adds a message of columns, compressed column by column.
    pub(crate) fn push_columns(&mut self, kind: u8, body: &[u8]) -> Result<(), SyncError> {
        self.push_cut(kind, body, true, &long_columns(body))
    }

    pub(crate) fn push(&mut self, kind: u8, body: &[u8], compress: bool) -> Result<(), SyncError> {
        self.push_cut(kind, body, compress, &[])
    }

    /// Adds a message, compressed as several blocks if it is cut.
    fn push_cut(&mut self, kind: u8, body: &[u8], compress: bool, cuts: &[usize]) -> Result<(), SyncError> {
        let mut frame = Vec::with_capacity(body.len() / 2 + 16);
        let compressed =
            if compress && body.len() >= SHORT_BYTES { Some(self.compress(body, cuts)?) } else { None };
        let (kind, body) = match &compressed {
            Some(compressed) => (kind | COMPRESSED, compressed.as_slice()),
            None => (kind, body),
        };
        let mut len = body.len() + 1;
        while len >= 0x80 {
            frame.push(low_bits(len) | 0x80);
            len >>= 7;
        }
        frame.push(low_bits(len));
        frame.push(kind);
        frame.extend_from_slice(body);
        self.ready_bytes += frame.len();
        self.total += frame.len() as u64;
        self.ready.push_back(frame.into());
        Ok(())
    }

    fn compress(&mut self, body: &[u8], cuts: &[usize]) -> Result<Vec<u8>, SyncError> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let mut stream = Encoder::new(LEVEL).map_err(SyncError::Compressor)?;
                stream.set_parameter(CParameter::WindowLog(WINDOW_LOG)).map_err(SyncError::Compressor)?;
                self.stream.insert(stream)
            }
        };
        let mut out = Vec::with_capacity(body.len() / 2 + 64);
        let mut begin = 0;
        for end in cuts.iter().copied().chain([body.len()]) {
            let block = body.get(begin..end).unwrap_or_default();
            begin = end;
            let mut input = InBuffer::around(block);
            while input.pos() < block.len() {
                grow(&mut out, |output| stream.run(&mut input, output).map(drop))
                    .map_err(SyncError::Compressor)?;
            }
            let mut left = 1;
            while left > 0 {
                grow(&mut out, |output| stream.flush(output).map(|more| left = more))
                    .map_err(SyncError::Compressor)?;
            }
        }
        Ok(out)
    }

    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        let frame = self.ready.pop_front()?;
        self.ready_bytes -= frame.len();
        Some(frame)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the other bits are written by the next byte")]
const fn low_bits(number: usize) -> u8 {
    (number & 0x7f) as u8
}

/// Lets an operation write behind what is there.
fn grow(
    out: &mut Vec<u8>,
    run: impl FnOnce(&mut OutBuffer<'_, Vec<u8>>) -> io::Result<()>,
) -> io::Result<()> {
    const PIECE: usize = 16 << 10;
    out.reserve(PIECE);
    let pos = out.len();
    let mut output = OutBuffer::around_pos(out, pos);
    run(&mut output)
}

/// Takes frames apart.
pub(crate) struct Incoming {
    stream: Option<Decoder<'static>>,
    bytes: Vec<u8>,
    /// Where the next frame begins.
    at: usize,
    /// All bytes ever taken in.
    pub(crate) total: u64,
}

impl Incoming {
    pub(crate) const fn new() -> Self {
        Self { stream: None, bytes: Vec::new(), at: 0, total: 0 }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
        self.total += bytes.len() as u64;
    }

    /// Tells whether a frame has begun that is not yet whole.
    pub(crate) const fn is_inside(&self) -> bool {
        self.at < self.bytes.len()
    }

    /// How many bytes the frames had that were taken out.
    pub(crate) const fn consumed(&self) -> u64 {
        self.total - (self.bytes.len() - self.at) as u64
    }

    /// Returns the next message, if it is there as a whole.
    pub(crate) fn pop(&mut self) -> Result<Option<(u8, Bytes)>, SyncError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (mut len, mut used) = (0_usize, 0);
        loop {
            let Some(byte) = rest.get(used) else { return Ok(None) };
            if used == MAX_LENGTH_BYTES || (used > 0 && *byte == 0) {
                return Err(SyncError::Frame { what: "the length of a frame is not in its one form" });
            }
            len |= usize::from(byte & 0x7f) << (7 * used);
            used += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        if len == 0 || len > MAX_FRAME_BYTES {
            return Err(SyncError::Frame { what: "a frame is empty or longer than the limit" });
        }
        let Some((kind, body)) = rest.get(used..used + len).and_then(<[u8]>::split_first) else {
            return Ok(None);
        };
        self.at += used + len;
        let compressed = kind & COMPRESSED != 0;
        let message = if compressed { decompress(&mut self.stream, body)? } else { body.to_vec() };
        Ok(Some((kind & !COMPRESSED, message.into())))
    }
}

fn decompress(stream: &mut Option<Decoder<'static>>, body: &[u8]) -> Result<Vec<u8>, SyncError> {
    let stream = match stream {
        Some(stream) => stream,
        None => {
            let mut new = Decoder::new().map_err(SyncError::Compressor)?;
            new.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(SyncError::Compressor)?;
            stream.insert(new)
        }
    };
    let mut out = Vec::with_capacity((4 * body.len()).min(MAX_MESSAGE_BYTES));
    let mut input = InBuffer::around(body);
    loop {
        let before = (input.pos(), out.len());
        grow(&mut out, |output| stream.run(&mut input, output).map(drop))
            .map_err(|_| SyncError::Frame { what: "a compressed message is damaged" })?;
        if out.len() > MAX_MESSAGE_BYTES {
            return Err(SyncError::Frame { what: "a message is longer than the limit when decompressed" });
        }
        // With room left, all that the piece holds has been written.
        if input.pos() == body.len() && out.len() < out.capacity() {
            return Ok(out);
        }
        if before == (input.pos(), out.len()) {
            return Err(SyncError::Frame { what: "a compressed message is damaged" });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn messages_arrive_as_they_were_sent(
            messages in prop::collection::vec((0_u8..0x80, prop::collection::vec(0_u8..4, 0..3_000), any::<bool>()), 0..20),
            cuts in prop::collection::vec(1_usize..2_000, 1..20),
        ) {
            let mut out = Outgoing::new();
            for (kind, body, compress) in &messages {
                out.push(*kind, body, *compress).unwrap();
            }
            let mut all = Vec::new();
            while let Some(frame) = out.pop() {
                all.extend_from_slice(&frame);
            }
            prop_assert_eq!((out.waiting(), out.total), (0, all.len() as u64));
            let (mut incoming, mut found) = (Incoming::new(), Vec::new());
            let (mut rest, mut cuts) = (all.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                incoming.push(piece);
                rest = behind;
                while let Some(message) = incoming.pop().unwrap() {
                    found.push(message);
                }
            }
            prop_assert!(!incoming.is_inside());
            let expected: Vec<_> = messages.into_iter().map(|(kind, body, _)| (kind, Bytes::from(body))).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut incoming = Incoming::new();
            incoming.push(&bytes);
            while let Ok(Some(_)) = incoming.pop() {}
        }
    }

    #[test]
    fn bombs_and_endless_lengths_are_refused() {
        let mut out = Outgoing::new();
        out.push(1, &vec![0; MAX_MESSAGE_BYTES + 1], true).unwrap();
        let frame = out.pop().unwrap();
        assert!(frame.len() < 100_000);
        let mut incoming = Incoming::new();
        incoming.push(&frame);
        assert!(matches!(incoming.pop(), Err(SyncError::Frame { .. })));
        for bytes in [&[0xff, 0xff, 0xff, 0xff, 1][..], &[0x81, 0x00], &[0], &[0xff, 0xff, 0xff, 0x7f]] {
            let mut incoming = Incoming::new();
            incoming.push(bytes);
            assert!(matches!(incoming.pop(), Err(SyncError::Frame { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn what_was_said_before_costs_little() {
        let mut out = Outgoing::new();
        let body: Vec<u8> =
            (0..2_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        out.push(1, &body, true).unwrap();
        let first = out.total;
        out.push(1, &body, true).unwrap();
        assert!(out.total - first < 100, "{} bytes for what was said before", out.total - first);
    }
}
