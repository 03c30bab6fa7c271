//! The bytes of a bundle, as `spec/bundle.md` has them.

use prolly::Cid;

use crate::entry::{Author, DeviceKey, Signature};

/// What a bundle begins with: text that a transfer as text would change.
pub(super) const MAGIC: &[u8; 15] = b"osmdb bundle\r\n\x1a";
pub(super) const VERSION: u8 = 1;

/// Magic, version, and the tag of the dataset.
pub(super) const FILE_HEAD: usize = 20;
pub(super) const FILE_HEAD_BYTES: u64 = FILE_HEAD as u64;

/// The kinds of frames beside that of entries.
pub(super) const HEAD: u8 = 0x20;
pub(super) const END: u8 = 0x21;

pub(super) const HEAD_BYTES: usize = 32 + 32 + 32 + 8 + 4;
pub(super) const END_BYTES: usize = UNSIGNED_BYTES + 64;
const UNSIGNED_BYTES: usize = 1 + 8 + 8 + 32;

/// Frames have a length and a kind in front, of one byte each.
pub(super) const HEAD_FRAME: usize = HEAD_BYTES + 2;
pub(super) const END_FRAME: usize = END_BYTES + 2;

/// What a signed message begins with.
const CONTEXT: &[u8] = b"osmdb bundle 1\n";

pub(super) fn file_head(tag: [u8; 4]) -> Vec<u8> {
    [&MAGIC[..], &[VERSION], &tag].concat()
}

/// What a section begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) base: Cid,
    pub(super) root: Cid,
    pub(super) author: Author,
    /// Seconds since 1970.
    pub(super) time: i64,
    /// Which part of the entries these are, from 0: a long section stands in several files.
    pub(super) part: u32,
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { base, root, author, time, part } = self;
        let (time, part) = (time.to_be_bytes(), part.to_be_bytes());
        [&base.as_bytes()[..], root.as_bytes(), author.as_bytes(), &time, &part].concat()
    }

    /// Returns the whole frame.
    pub(super) fn frame(&self) -> Vec<u8> {
        framed(HEAD, &self.encode())
    }

    /// Reads a whole frame.
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        let rest = body(frame, HEAD, HEAD_BYTES)?;
        let (base, rest) = rest.split_first_chunk()?;
        let (root, rest) = rest.split_first_chunk()?;
        let (author, rest) = rest.split_first_chunk()?;
        let (time, rest) = rest.split_first_chunk()?;
        let part = u32::from_be_bytes(rest.try_into().ok()?);
        let (base, root) = (Cid::from_hash(*base), Cid::from_hash(*root));
        Some(Self { base, root, author: Author::new(*author), time: i64::from_be_bytes(*time), part })
    }
}

/// What a section ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// Whether another part follows, in another file.
    pub(super) more: bool,
    pub(super) entries: u64,
    /// The bytes of the section before the end.
    pub(super) length: u64,
    /// Their BLAKE3 hash.
    pub(super) digest: [u8; 32],
    pub(super) signature: Signature,
}

impl End {
    /// Signs what was written.
    pub(super) fn new(key: &DeviceKey, head: &Head, more: bool, entries: u64, sum: (u64, [u8; 32])) -> Self {
        let mut end =
            Self { more, entries, length: sum.0, digest: sum.1, signature: Signature::new([0; 64]) };
        end.signature = key.sign_message(&message(head, &end));
        end
    }

    fn unsigned(&self) -> Vec<u8> {
        let Self { more, entries, length, digest, .. } = self;
        [&[u8::from(*more)][..], &entries.to_be_bytes(), &length.to_be_bytes(), digest].concat()
    }

    /// Returns the whole frame.
    pub(super) fn frame(&self) -> Vec<u8> {
        framed(END, &[&self.unsigned()[..], self.signature.as_bytes()].concat())
    }

    /// Reads a whole frame.
    pub(super) fn read(frame: &[u8]) -> Option<Self> {
        let (more, rest) = body(frame, END, END_BYTES)?.split_first()?;
        let (entries, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (digest, signature) = rest.split_first_chunk()?;
        let end = Self {
            more: *more == 1,
            entries: u64::from_be_bytes(*entries),
            length: u64::from_be_bytes(*length),
            digest: *digest,
            signature: Signature::new(signature.try_into().ok()?),
        };
        (*more <= 1).then_some(end)
    }

    /// Tells whether the author signed the section.
    pub(super) fn is_signed(&self, head: &Head) -> bool {
        head.author.has_signed(&message(head, self), &self.signature)
    }
}

fn message(head: &Head, end: &End) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&head.encode());
    hasher.update(&end.unsigned());
    [CONTEXT, hasher.finalize().as_bytes()].concat()
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    // Both are shorter than 127 bytes: the length is one byte.
    let length = u8::try_from(body.len() + 1).unwrap_or(0);
    [&[length, kind][..], body].concat()
}

fn body(frame: &[u8], kind: u8, bytes: usize) -> Option<&[u8]> {
    let [length, found, rest @ ..] = frame else { return None };
    let fits = usize::from(*length) == bytes + 1 && *found == kind && rest.len() == bytes;
    fits.then_some(rest)
}
