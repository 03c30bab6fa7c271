//! Messages: what peers say to each other. `spec/sync.md` describes every byte.

use bytes::Bytes;
use prolly::Cid;
use prolly::cbor::{CborError, Reader, put_bytes, put_text, put_unsigned};

use super::error::SyncError;
use super::limits::{MAX_EARLIER_ROOTS, MAX_PARTS, PROTOCOL};
use super::reading::Wanted;
use super::sketch::{CELL_BYTES, Cell};
use super::transcript::Extent;
use crate::model::{ElementId, Kind, MAX_ID};

pub(crate) const HELLO: u8 = 1;
pub(crate) const DELTA: u8 = 2;
pub(crate) const ENTRIES: u8 = 3;
pub(crate) const END: u8 = 4;
pub(crate) const CELLS: u8 = 5;
pub(crate) const LEAVES: u8 = 6;
pub(crate) const WANT: u8 = 7;
pub(crate) const LIST: u8 = 8;
pub(crate) const DONE: u8 = 9;
pub(crate) const CREDIT: u8 = 10;
pub(crate) const WAIT: u8 = 11;
pub(crate) const STOP: u8 = 12;
pub(crate) const PUSH: u8 = 13;
pub(crate) const ALIVE: u8 = 14;
pub(crate) const ANEW: u8 = 15;
pub(crate) const READ: u8 = 16;
pub(crate) const PAGES: u8 = 17;
pub(crate) const READ_END: u8 = 18;
pub(crate) const SIGNED: u8 = 19;

/// In the first byte of a reader's tag: it reads signed roots.
pub(crate) const READS_SIGNED: u8 = 1;

/// The bytes of a root by which it is recognized among a few thousand.
pub(crate) const SHORT_BYTES: usize = 5;

/// A root, shortened.
pub(crate) type Short = [u8; SHORT_BYTES];

pub(crate) fn short(root: &Cid) -> Short {
    root.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// The peer only asks, and takes part in no exchange.
const READER: u8 = 0x80;
const PARTIAL: u8 = 0x40;
/// The peer stays when all is exchanged, and wants to hear what is new.
const FOLLOWS: u8 = 0x20;

/// How far a stream of entries had come: the last element, and how many of its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) element: ElementId,
    pub(crate) entries: u32,
}

const CURSOR_BYTES: usize = 13;

impl Cursor {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.element.kind.code());
        out.extend(self.element.id.to_be_bytes());
        out.extend(self.entries.to_be_bytes());
    }

    fn read(bytes: &[u8; CURSOR_BYTES]) -> Option<Self> {
        let [kind, rest @ ..] = bytes;
        let (id, entries) = rest.split_first_chunk::<8>()?;
        let element = ElementId::new(Kind::from_code(*kind)?, u64::from_be_bytes(*id));
        (1..=MAX_ID).contains(&element.id).then_some(())?;
        Some(Self { element, entries: u32::from_be_bytes(entries.try_into().ok()?) })
    }
}

/// What somebody holds of a stream or walk that was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// That of the sender.
    pub(crate) root: Short,
    /// That from which the sender counted; in a walk, that of who holds it.
    pub(crate) base: Short,
    pub(crate) had: Had,
}

/// How much somebody holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Had {
    /// A stream up to here.
    Cursor(Cursor),
    /// These messages of a walk.
    Messages(Extent),
}

/// Stands where a cursor has its kind.
const OF_WALK: u8 = 0xff;

impl Part {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.root);
        out.extend(self.base);
        match &self.had {
            Had::Cursor(cursor) => cursor.write(out),
            Had::Messages(Extent { messages, hash }) => {
                out.push(OF_WALK);
                out.extend(messages.to_be_bytes());
                out.extend(hash);
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (root, rest) = bytes.split_first_chunk()?;
        let (base, rest) = rest.split_first_chunk()?;
        let (had, rest) = rest.split_first_chunk::<CURSOR_BYTES>()?;
        let had = match had {
            [OF_WALK, had @ ..] => {
                let (messages, hash) = had.split_first_chunk()?;
                let messages = u32::from_be_bytes(*messages);
                Had::Messages(Extent { messages, hash: hash.try_into().ok()? })
            }
            cursor => Had::Cursor(Cursor::read(cursor)?),
        };
        Some((Self { root: *root, base: *base, had }, rest))
    }
}

/// What came of all that was sent to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) root: Cid,
    /// So many entries were new.
    pub(crate) gained: u64,
    /// So many were not let in.
    pub(crate) refused: u64,
}

impl Done {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, self.root.as_bytes());
        put_unsigned(&mut out, self.gained);
        put_unsigned(&mut out, self.refused);
        out
    }
}

/// Who somebody is, and what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) reader: bool,
    /// Stays when all is exchanged. A reader does not.
    pub(crate) follows: bool,
    /// The start of the hash of the dataset's name and configuration.
    pub(crate) tag: [u8; 4],
    pub(crate) root: Cid,
    pub(crate) parts: Vec<Part>,
    pub(crate) earlier: Vec<Short>,
}

impl Hello {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
        let flags =
            flag(self.reader, READER) | flag(!self.parts.is_empty(), PARTIAL) | flag(self.follows, FOLLOWS);
        let mut out = vec![PROTOCOL | flags];
        out.extend(self.tag);
        out.extend(self.root.as_bytes());
        if !self.parts.is_empty() {
            out.push(u8::try_from(self.parts.len()).unwrap_or(u8::MAX));
            self.parts.iter().for_each(|part| part.write(&mut out));
        }
        self.earlier.iter().for_each(|root| out.extend(root));
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, SyncError> {
        let (flags, rest) = bytes.split_first().ok_or(SyncError::Message { kind: HELLO })?;
        let theirs = flags & !(READER | PARTIAL | FOLLOWS);
        if theirs != PROTOCOL {
            return Err(SyncError::Version { ours: PROTOCOL, theirs });
        }
        Self::read(*flags, rest).ok_or(SyncError::Message { kind: HELLO })
    }

    fn read(flags: u8, bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first_chunk()?;
        let (root, mut rest) = rest.split_first_chunk()?;
        let mut parts = Vec::new();
        if flags & PARTIAL != 0 {
            let (count, behind) = rest.split_first()?;
            (1..=MAX_PARTS).contains(&usize::from(*count)).then_some(())?;
            rest = behind;
            for _ in 0..*count {
                let (part, behind) = Part::read(rest)?;
                parts.push(part);
                rest = behind;
            }
        }
        let (earlier, behind) = rest.as_chunks::<SHORT_BYTES>();
        let (reader, follows) = (flags & READER != 0, flags & FOLLOWS != 0);
        let whole = behind.is_empty() && earlier.len() <= MAX_EARLIER_ROOTS && !(reader && follows);
        whole.then(|| Self {
            reader,
            follows,
            tag: *tag,
            root: Cid::from_hash(*root),
            parts,
            earlier: earlier.to_vec(),
        })
    }
}

/// What is being compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The leaves of the log.
    Leaves,
    /// The entries in leaves that differ.
    Entries,
}

/// A message that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Hello(Hello),
    /// Entries follow, which the sender's root has and the base has not.
    Delta {
        base: Cid,
        after: Option<Cursor>,
    },
    Entries(Bytes),
    /// The stream of entries has ended; it had so many, with those that the receiver had already.
    End {
        entries: u64,
    },
    Cells {
        phase: Phase,
        members: u64,
        start: u64,
        cells: Vec<Cell>,
    },
    /// A piece of a list, or of what is wanted of one; and whether more of it follows.
    Piece {
        kind: u8,
        more: bool,
        bytes: Bytes,
    },
    /// The sender has taken in all that came.
    Done(Done),
    /// Entries follow which a new root of the sender has and the base has not.
    Push {
        root: Cid,
        base: Cid,
    },
    /// The sender is still there.
    Alive,
    /// What came of the walk before does not fit: both forget it.
    Anew,
    /// A reader's question.
    Read(Box<Wanted>),
    Credit {
        bytes: u64,
    },
    /// Expect no message for so many seconds.
    Wait {
        seconds: u64,
    },
    Stop {
        reason: String,
    },
}

impl Message {
    pub(crate) fn decode(kind: u8, body: Bytes) -> Result<Self, SyncError> {
        let malformed = || SyncError::Message { kind };
        match kind {
            HELLO => Hello::decode(&body).map(Self::Hello),
            DELTA => {
                let (base, rest) = body.split_first_chunk().ok_or_else(malformed)?;
                let after = match rest.first_chunk() {
                    Some(cursor) if rest.len() == CURSOR_BYTES => {
                        Some(Cursor::read(cursor).ok_or_else(malformed)?)
                    }
                    _ if rest.is_empty() => None,
                    _ => return Err(malformed()),
                };
                Ok(Self::Delta { base: Cid::from_hash(*base), after })
            }
            ENTRIES => Ok(Self::Entries(body)),
            PUSH => match body.as_chunks() {
                ([root, base], []) => {
                    Ok(Self::Push { root: Cid::from_hash(*root), base: Cid::from_hash(*base) })
                }
                _ => Err(malformed()),
            },
            ALIVE if body.is_empty() => Ok(Self::Alive),
            ANEW if body.is_empty() => Ok(Self::Anew),
            READ => Ok(Self::Read(Box::new(Wanted::decode(&body)?))),
            LEAVES | LIST | WANT => {
                let more = match body.first() {
                    Some(0) => false,
                    Some(1) => true,
                    _ => return Err(malformed()),
                };
                // Nothing, and more of it, has no end.
                if more && body.len() == 1 {
                    return Err(malformed());
                }
                Ok(Self::Piece { kind, more, bytes: body.slice(1..) })
            }
            _ => Self::read(kind, &body).map_err(|_| malformed())?.ok_or_else(malformed),
        }
    }

    fn read(kind: u8, body: &[u8]) -> Result<Option<Self>, CborError> {
        let mut reader = Reader::new(body);
        let message = match kind {
            END => Self::End { entries: reader.unsigned()? },
            CELLS => {
                let phase = match reader.unsigned()? {
                    1 => Phase::Leaves,
                    2 => Phase::Entries,
                    _ => return Ok(None),
                };
                let (members, start) = (reader.unsigned()?, reader.unsigned()?);
                let (cells, rest) = reader.bytes()?.as_chunks::<CELL_BYTES>();
                if !rest.is_empty() {
                    return Ok(None);
                }
                Self::Cells { phase, members, start, cells: cells.iter().map(Cell::read).collect() }
            }
            DONE => {
                let Ok(root) = reader.bytes()?.try_into() else { return Ok(None) };
                let root = Cid::from_hash(root);
                Self::Done(Done { root, gained: reader.unsigned()?, refused: reader.unsigned()? })
            }
            CREDIT => Self::Credit { bytes: reader.unsigned()? },
            WAIT => Self::Wait { seconds: reader.unsigned()? },
            STOP => Self::Stop { reason: reader.text()?.to_owned() },
            _ => return Ok(None),
        };
        reader.end()?;
        Ok(Some(message))
    }
}

pub(crate) fn delta(base: &Cid, after: Option<&Cursor>) -> Vec<u8> {
    let mut out = base.as_bytes().to_vec();
    after.into_iter().for_each(|cursor| cursor.write(&mut out));
    out
}

pub(crate) fn push(root: &Cid, base: &Cid) -> Vec<u8> {
    [root.as_bytes().as_slice(), base.as_bytes()].concat()
}

pub(crate) fn number(number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_unsigned(&mut out, number);
    out
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_text(&mut out, text);
    out
}

pub(crate) fn cells(phase: Phase, members: usize, start: usize, cells: &[Cell]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(cells.len() * CELL_BYTES);
    cells.iter().for_each(|cell| cell.write(&mut bytes));
    let mut out = Vec::with_capacity(bytes.len() + 16);
    put_unsigned(&mut out, if phase == Phase::Leaves { 1 } else { 2 });
    put_unsigned(&mut out, members as u64);
    put_unsigned(&mut out, start as u64);
    put_bytes(&mut out, &bytes);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = Part> {
        let cursor = (0_u8..4, 1..=MAX_ID, any::<u32>()).prop_map(|(kind, id, entries)| {
            Had::Cursor(Cursor { element: ElementId::new(Kind::from_code(kind).unwrap(), id), entries })
        });
        let messages = (any::<u32>(), any::<[u8; 8]>())
            .prop_map(|(messages, hash)| Had::Messages(Extent { messages, hash }));
        (any::<Short>(), any::<Short>(), prop_oneof![cursor, messages]).prop_map(|(root, base, had)| Part {
            root,
            base,
            had,
        })
    }

    proptest! {
        #[test]
        fn hellos_read_as_they_were_written(
            (reader, follows) in (any::<bool>(), any::<bool>()).prop_map(|(reader, follows)| (reader, follows && !reader)),
            tag in any::<[u8; 4]>(),
            root in any::<[u8; 32]>(),
            parts in prop::collection::vec(part(), 0..=MAX_PARTS),
            earlier in prop::collection::vec(any::<Short>(), 0..=MAX_EARLIER_ROOTS),
        ) {
            let hello = Hello { reader, follows, tag, root: Cid::from_hash(root), parts, earlier };
            prop_assert_eq!(Hello::decode(&hello.encode()).unwrap(), hello);
        }

        #[test]
        fn any_body_is_a_message_or_an_error(kind in 0_u8..20, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::decode(kind, body.clone().into());
        }
    }

    #[test]
    fn a_short_hello_is_short() {
        let hello = Hello {
            reader: false,
            follows: false,
            tag: [1; 4],
            root: Cid::of(b""),
            parts: Vec::new(),
            earlier: Vec::new(),
        };
        assert_eq!(hello.encode().len(), 37);
        let error = Hello::decode(&[2 | READER]).unwrap_err();
        assert!(matches!(error, SyncError::Version { ours: 1, theirs: 2 }));
        let mut reader = Hello { reader: true, ..hello }.encode();
        assert!(Hello::decode(&reader).is_ok());
        reader[0] |= FOLLOWS;
        assert!(Hello::decode(&reader).is_err(), "a reader has nothing to give");
        // Parts are some, and not too many.
        let walk = [&[7; 10][..], &[OF_WALK, 0, 0, 0, 1], &[9; 8]].concat();
        let with = |count: u8, parts: &[u8]| {
            let mut bytes = vec![PROTOCOL | PARTIAL];
            bytes.extend([1; 36]);
            bytes.push(count);
            Hello::decode(&[&bytes, parts].concat())
        };
        assert_eq!(with(1, &walk).unwrap().parts.len(), 1);
        assert!(with(0, &[]).is_err() && with(2, &walk).is_err() && with(1, &walk[1..]).is_err());
        assert!(with(9, &walk.repeat(9)).is_err() && with(8, &walk.repeat(8)).is_ok());
    }
}
