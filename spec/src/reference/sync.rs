//! Frames and messages as `spec/sync.md` describes them: enough to write what a peer says, and to read what
//! another one said.

use std::collections::{BTreeMap, BTreeSet};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::cbor::{Reader, UNSIGNED, byte_string, ensure, head, optional, text};
use super::entry::{Edited, Element, Entry, Origin};
use super::{Address, Config, address};
use super::{columns, pages};

/// Kinds of messages (3).
pub const HELLO: u8 = 1;
/// From which root the stream counts.
pub const DELTA: u8 = 2;
/// Entries.
pub const ENTRIES: u8 = 3;
/// The end of a stream.
pub const END: u8 = 4;
/// Cells of a sketch.
pub const CELLS: u8 = 5;
/// What the sender holds after uniting.
pub const DONE: u8 = 9;
/// More bytes of entries may come.
pub const CREDIT: u8 = 10;
/// The sender is busy.
pub const WAIT: u8 = 11;
/// The sender gives up.
pub const STOP: u8 = 12;
/// What came of a walk before does not fit (12).
pub const ANEW: u8 = 15;
/// A reader's question (9).
pub const READ: u8 = 16;
/// Pages for a reader.
pub const PAGES: u8 = 17;
/// The end of an answer.
pub const READ_END: u8 = 18;

const COMPRESSED: u8 = 0x80;
/// The longest frame, without its length (2).
pub const MAX_FRAME_BYTES: usize = 16_973_824;
/// The longest body (2).
pub const MAX_MESSAGE_BYTES: usize = 16_842_752;
const FRAME_BYTES: usize = 32_768;
const WINDOW_LOG: u32 = 21;

/// A kind and a body.
pub type Message = (u8, Vec<u8>);

/// Writes a length (1).
#[must_use]
pub fn leb128(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(u8::try_from(n % 0x80).unwrap_or(0) | 0x80);
        n /= 0x80;
    }
    bytes.push(u8::try_from(n).unwrap_or(0));
    bytes
}

/// Writes a frame (2), uncompressed.
#[must_use]
pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    [&leb128(body.len() + 1)[..], &[kind], body].concat()
}

/// Takes frames apart (2).
#[derive(Default)]
pub struct Frames {
    bytes: Vec<u8>,
    stream: Option<Decoder<'static>>,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Frames {
    /// Takes in bytes, and returns the messages that are whole.
    ///
    /// # Errors
    /// The bytes are no frames.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Vec<Message>, String> {
        self.bytes.extend_from_slice(bytes);
        let mut messages = Vec::new();
        while let Some(message) = self.next()? {
            messages.push(message);
        }
        Ok(messages)
    }

    /// Tells whether a frame has begun and not ended.
    #[must_use]
    pub const fn is_inside(&self) -> bool {
        !self.bytes.is_empty()
    }

    fn next(&mut self) -> Result<Option<Message>, String> {
        let Some(used) = self.bytes.iter().position(|byte| byte & 0x80 == 0).map(|place| place + 1) else {
            ensure(self.bytes.len() < 4, "a frame with too long a length")?;
            return Ok(None);
        };
        let groups = self.bytes[..used].iter().rev();
        let len = groups.fold(0_u64, |n, byte| n << 7 | u64::from(byte & 0x7f));
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        ensure(used <= 4 && leb128(len).len() == used, "a length in another form than the one there is")?;
        ensure((1..=MAX_FRAME_BYTES).contains(&len), "a frame that is empty or too long")?;
        if self.bytes.len() < used + len {
            return Ok(None);
        }
        let rest = self.bytes.split_off(used + len);
        let frame = std::mem::replace(&mut self.bytes, rest);
        let (kind, body) = (frame[used], &frame[used + 1..]);
        let body = if kind & COMPRESSED == 0 { body.to_vec() } else { self.decompress(body)? };
        ensure(body.len() <= MAX_MESSAGE_BYTES, "a body that is too long")?;
        Ok(Some((kind & !COMPRESSED, body)))
    }

    fn decompress(&mut self, body: &[u8]) -> Result<Vec<u8>, String> {
        let failed = |error: std::io::Error| format!("a damaged body: {error}");
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let mut stream = Decoder::new().map_err(failed)?;
                stream.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(failed)?;
                stream
            }
        };
        let (mut input, mut whole) = (InBuffer::around(body), Vec::new());
        loop {
            let mut piece = vec![0; 1 << 16];
            let mut output = OutBuffer::around(&mut piece[..]);
            stream.run(&mut input, &mut output).map_err(failed)?;
            let written = output.pos();
            whole.extend_from_slice(&piece[..written]);
            ensure(whole.len() <= MAX_MESSAGE_BYTES, "a body that is too long")?;
            if input.pos() == body.len() && written < piece.len() {
                self.stream = Some(stream);
                return Ok(whole);
            }
        }
    }
}

/// The first bytes of a HELLO (4): of the configuration and the name.
#[must_use]
pub fn tag(config: &Config, name: &str) -> [u8; 4] {
    let mut hasher = blake3::Hasher::new_derive_key("osmdb sync 1: the dataset");
    hasher.update(&address(&config.record())).update(name.as_bytes());
    let hash = *hasher.finalize().as_bytes();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The body of a HELLO without parts (4).
#[must_use]
pub fn hello(tag: [u8; 4], root: &Address, earlier: &[Address]) -> Vec<u8> {
    let earlier: Vec<u8> = earlier.iter().flat_map(|root| root[..5].to_vec()).collect();
    [&[1][..], &tag, root, &earlier].concat()
}

/// The body of a reader's HELLO (9).
#[must_use]
pub fn reader_hello() -> Vec<u8> {
    [&[0x81][..], &[0; 36]].concat()
}

/// The messages of a stream (5).
#[must_use]
pub fn stream(entries: &[Entry]) -> Vec<Message> {
    let mut messages = Vec::new();
    let sorted = in_order(entries);
    let (mut some, mut bytes) = (Vec::new(), 0);
    for entry in &sorted {
        bytes += entry.body().len();
        some.push(entry.clone());
        if bytes >= FRAME_BYTES {
            messages.push((ENTRIES, columns::write(&some)));
            (some, bytes) = (Vec::new(), 0);
        }
    }
    if !some.is_empty() {
        messages.push((ENTRIES, columns::write(&some)));
    }
    messages.push((END, head(UNSIGNED, sorted.len() as u64)));
    messages
}

/// Orders entries: by element, what is replaced before what replaces it, each once.
fn in_order(entries: &[Entry]) -> Vec<Entry> {
    let mut elements: BTreeMap<Element, BTreeMap<Address, &Entry>> = BTreeMap::new();
    for entry in entries {
        elements.entry(entry.element).or_default().insert(entry.version(), entry);
    }
    let mut sorted = Vec::new();
    for mut left in elements.into_values() {
        while !left.is_empty() {
            let waits = |entry: &Entry| match &entry.origin {
                Origin::Edited(Edited { links, .. }) => links.iter().any(|link| left.contains_key(link)),
                Origin::Imported(_) => false,
            };
            // What waits for itself is not there: a version is a hash of its links.
            let next = left.iter().find(|(_, entry)| !waits(entry)).map(|(version, _)| *version);
            let Some(entry) = next.and_then(|version| left.remove(&version)) else { break };
            sorted.push(entry.clone());
        }
    }
    sorted
}

/// The body of a DONE (8).
#[must_use]
pub fn done(root: &Address, gained: u64, refused: u64) -> Vec<u8> {
    [byte_string(root), head(UNSIGNED, gained), head(UNSIGNED, refused)].concat()
}

/// The body of a message that is a number.
#[must_use]
pub fn number(n: u64) -> Vec<u8> {
    head(UNSIGNED, n)
}

/// The body of a message that is a text.
#[must_use]
pub fn words(words: &str) -> Vec<u8> {
    text(words)
}

/// The body of a CELLS (6).
#[must_use]
pub fn cells(phase: u64, members: u64, start: u64, cells: &[u8]) -> Vec<u8> {
    let numbers = [phase, members, start].map(|n| head(UNSIGNED, n)).concat();
    [numbers, byte_string(cells)].concat()
}

/// The body of a READ (9).
#[must_use]
pub fn read(
    id: u64,
    root: Option<&Address>,
    question: Option<&[u8]>,
    lacking: &[Address],
    budget: u64,
) -> Vec<u8> {
    [
        head(UNSIGNED, id),
        optional(root, |root| byte_string(root)),
        optional(question, byte_string),
        byte_string(&lacking.concat()),
        byte_string(&[]),
        head(UNSIGNED, budget),
    ]
    .concat()
}

/// What a message says, apart from what its sender may say in one way or another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The first byte, the tag and the root. Which earlier roots are named is free.
    Hello(u8, Vec<u8>, Vec<u8>),
    /// The base.
    Delta(Vec<u8>),
    /// Entries as elements and versions. How many come in one message is free.
    Entries(Vec<(Element, Address)>),
    /// How many entries there were.
    End(u64),
    /// Phase, members, cells.
    Cells(u64, u64, Vec<u8>),
    /// The root, how many were gained and refused.
    Done(Vec<u8>, u64, u64),
    /// It gives up.
    Stop,
    /// The question's number, and the addresses of the pages.
    Pages(u64, BTreeSet<Address>),
    /// The question's number, the root, and how it ended.
    ReadEnd(u64, Vec<u8>, u64),
    /// Another message.
    Other(u8, Vec<u8>),
}

/// Returns what messages say: those that continue one another together, without CREDIT and WAIT.
///
/// # Errors
/// A message is malformed.
pub fn meanings(messages: &[Message]) -> Result<Vec<Meaning>, String> {
    let mut all: Vec<Meaning> = Vec::new();
    for (kind, body) in messages {
        if [CREDIT, WAIT].contains(kind) {
            continue;
        }
        match (all.last_mut(), meaning(*kind, body)?) {
            (Some(Meaning::Entries(before)), Meaning::Entries(more)) => before.extend(more),
            (Some(Meaning::Cells(phase, _, before)), Meaning::Cells(same, _, more)) if *phase == same => {
                before.extend(more);
            }
            (Some(Meaning::Pages(id, before)), Meaning::Pages(same, more)) if *id == same => {
                before.extend(more);
            }
            (_, meaning) => all.push(meaning),
        }
    }
    Ok(all)
}

fn meaning(kind: u8, body: &[u8]) -> Result<Meaning, String> {
    let mut reader = Reader(body);
    let number = |reader: &mut Reader<'_>| reader.head(UNSIGNED);
    let meaning = match kind {
        HELLO => {
            ensure(body.len() >= 37, "a HELLO too short")?;
            return Ok(Meaning::Hello(body[0], body[1..5].to_vec(), body[5..37].to_vec()));
        }
        DELTA => return Ok(Meaning::Delta(body.to_vec())),
        ENTRIES => {
            let entries = columns::read(body)?;
            return Ok(Meaning::Entries(
                entries.iter().map(|entry| (entry.element, entry.version())).collect(),
            ));
        }
        END => Meaning::End(number(&mut reader)?),
        CELLS => {
            let (phase, members, _) = (number(&mut reader)?, number(&mut reader)?, number(&mut reader)?);
            Meaning::Cells(phase, members, reader.bytes()?)
        }
        DONE => Meaning::Done(reader.bytes()?, number(&mut reader)?, number(&mut reader)?),
        STOP => {
            reader.text()?;
            Meaning::Stop
        }
        PAGES => {
            let id = number(&mut reader)?;
            let columns = (0..pages::COLUMNS).map(|_| reader.bytes()).collect::<Result<_, _>>()?;
            Meaning::Pages(id, pages::read(columns)?.iter().map(|page| address(page)).collect())
        }
        READ_END => Meaning::ReadEnd(number(&mut reader)?, reader.bytes()?, number(&mut reader)?),
        _ => return Ok(Meaning::Other(kind, body.to_vec())),
    };
    ensure(reader.0.is_empty(), "a message with more in it than it should have")?;
    Ok(meaning)
}
