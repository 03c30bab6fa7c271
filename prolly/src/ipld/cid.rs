//! Addresses of blocks of any kind. See <https://github.com/multiformats/cid>.

use std::fmt;

use sha2::Digest as _;

use super::varint;
use crate::cid::{CID_PREFIX, Cid};

/// No binary CID is longer than this, in bytes.
pub const MAX_CID_BYTES: usize = 4 * varint::MAX_VARINT_BYTES + MAX_DIGEST_BYTES;

/// No digest is longer than this, in bytes.
pub const MAX_DIGEST_BYTES: usize = 64;

/// No digest is shorter than this, in bytes. The Go implementation of published trees cuts SHA2-256 to 16
/// bytes by default; fewer bytes let strangers make blocks that pass for others.
pub const MIN_DIGEST_BYTES: usize = 16;

/// The codec DAG-CBOR.
pub(crate) const DAG_CBOR: u64 = 0x71;
const DAG_PB: u64 = 0x70;
const SHA2_256: u64 = 0x12;
const IDENTITY: u64 = 0;

/// The hash functions that are known, by their codes in the multicodec table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashKind {
    /// 0x12.
    Sha2_256,
    /// 0x13.
    Sha2_512,
    /// 0x14.
    Sha3_512,
    /// 0x15.
    Sha3_384,
    /// 0x16.
    Sha3_256,
    /// 0x17.
    Sha3_224,
    /// 0x1e.
    Blake3,
    /// 0xb201 to 0xb240: the length of the digest in bytes.
    Blake2b(u8),
}

impl HashKind {
    fn of(code: u64) -> Option<Self> {
        Some(match code {
            SHA2_256 => Self::Sha2_256,
            0x13 => Self::Sha2_512,
            0x14 => Self::Sha3_512,
            0x15 => Self::Sha3_384,
            0x16 => Self::Sha3_256,
            0x17 => Self::Sha3_224,
            0x1e => Self::Blake3,
            0xb201..=0xb240 => Self::Blake2b(u8::try_from(code - 0xb200).ok()?),
            _ => return None,
        })
    }

    /// Returns how many bytes the whole digest has; a CID may hold the front of it.
    fn digest_bytes(self) -> usize {
        match self {
            Self::Sha2_256 | Self::Sha3_256 => 32,
            Self::Sha2_512 | Self::Sha3_512 | Self::Blake3 => 64,
            Self::Sha3_384 => 48,
            Self::Sha3_224 => 28,
            Self::Blake2b(len) => len.into(),
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha2_256 => sha2::Sha256::digest(bytes).to_vec(),
            Self::Sha2_512 => sha2::Sha512::digest(bytes).to_vec(),
            Self::Sha3_512 => sha3::Sha3_512::digest(bytes).to_vec(),
            Self::Sha3_384 => sha3::Sha3_384::digest(bytes).to_vec(),
            Self::Sha3_256 => sha3::Sha3_256::digest(bytes).to_vec(),
            Self::Sha3_224 => sha3::Sha3_224::digest(bytes).to_vec(),
            Self::Blake3 => {
                let mut digest = vec![0; 64];
                blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut digest);
                digest
            }
            Self::Blake2b(len) => {
                blake2b_simd::Params::new().hash_length(len.into()).hash(bytes).as_bytes().to_vec()
            }
        }
    }
}

/// Bytes that are no CID, or a CID that cannot be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidError {
    /// They end too early, or a number in them has no or another encoding.
    #[error("the bytes are no CID")]
    Malformed,
    /// Neither version 0 nor 1.
    #[error("a CID of version {0} is not known")]
    Version(u64),
    /// A hash function that is not one of [`HashKind`].
    #[error("the hash function {0:#x} is not known")]
    UnknownHash(u64),
    /// The data instead of a hash of it, which proves nothing.
    #[error("a CID that holds its data (the identity hash) is refused")]
    Identity,
    /// The digest is longer than its function makes it, or shorter than [`MIN_DIGEST_BYTES`].
    #[error("a digest of {len} bytes does not go with the hash function {code:#x}")]
    Digest {
        /// The hash function.
        code: u64,
        /// The length in bytes.
        len: u64,
    },
    /// Bytes follow.
    #[error("bytes follow the CID")]
    Trailing,
}

/// The address of a block of any codec and hash, in its binary form. At most [`MAX_CID_BYTES`].
///
/// ```
/// use prolly::{Cid, ipld::BlockCid};
/// let ours = BlockCid::from(Cid::of(b"page"));
/// assert_eq!(BlockCid::from_bytes(ours.as_bytes())?, ours);
/// assert_eq!(ours.page(), Some(Cid::of(b"page")));
/// assert!(ours.hash_matches(b"page"));
/// # Ok::<(), prolly::ipld::CidError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockCid {
    bytes: Vec<u8>,
    codec: u64,
    code: u64,
    /// Where the digest begins.
    digest: usize,
}

impl BlockCid {
    /// Reads a CID.
    ///
    /// # Errors
    /// The bytes are no CID, or one whose hash cannot be checked.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CidError> {
        let (cid, len) = Self::read(bytes)?;
        if len == bytes.len() { Ok(cid) } else { Err(CidError::Trailing) }
    }

    /// Reads a CID from the front of some bytes, and returns it with its length.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, usize), CidError> {
        let mut at = 0;
        let mut next = || -> Result<u64, CidError> {
            let rest = bytes.get(at..).ok_or(CidError::Malformed)?;
            let (value, len) = varint::read(rest).ok_or(CidError::Malformed)?;
            at += len;
            Ok(value)
        };
        let (codec, code, len) = match next()? {
            1 => (next()?, next()?, next()?),
            // Version 0 is a bare multihash, always this one.
            SHA2_256 => match next()? {
                32 => (DAG_PB, SHA2_256, 32),
                len => return Err(CidError::Digest { code: SHA2_256, len }),
            },
            version => return Err(CidError::Version(version)),
        };
        if code == IDENTITY {
            return Err(CidError::Identity);
        }
        let kind = HashKind::of(code).ok_or(CidError::UnknownHash(code))?;
        let digest_bytes = usize::try_from(len)
            .ok()
            .filter(|len| (MIN_DIGEST_BYTES..=kind.digest_bytes()).contains(len))
            .ok_or(CidError::Digest { code, len })?;
        let whole = bytes.get(..at + digest_bytes).ok_or(CidError::Malformed)?;
        Ok((Self { bytes: whole.to_vec(), codec, code, digest: at }, whole.len()))
    }

    /// Tells whether bytes have the form of a CID, whatever its hash function.
    pub(crate) fn has_form(bytes: &[u8]) -> bool {
        let mut rest = bytes;
        let mut next = || {
            let (value, len) = varint::read(rest)?;
            rest = rest.get(len..)?;
            Some(value)
        };
        match next() {
            Some(1) => {}
            Some(SHA2_256) => return bytes.len() == 34 && bytes.get(1) == Some(&32),
            _ => return false,
        }
        let len = next().and_then(|_| next()).and_then(|_| next());
        len == Some(rest.len() as u64)
    }

    /// Makes the CID, version 1, of a block.
    ///
    /// # Errors
    /// The hash function is not known.
    pub fn of(codec: u64, hash: u64, block: &[u8]) -> Result<Self, CidError> {
        let kind = HashKind::of(hash).ok_or(CidError::UnknownHash(hash))?;
        let len = if kind == HashKind::Blake3 { 32 } else { kind.digest_bytes() };
        let mut bytes = vec![1];
        for number in [codec, hash, len as u64] {
            varint::put(&mut bytes, number);
        }
        bytes.extend(kind.digest(block).get(..len).unwrap_or_default());
        Self::from_bytes(&bytes)
    }

    /// Returns the binary form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the code of the codec in the multicodec table: 0x71 for DAG-CBOR.
    #[must_use]
    pub const fn codec(&self) -> u64 {
        self.codec
    }

    /// Returns the hash function.
    #[must_use]
    pub fn hash(&self) -> Option<HashKind> {
        HashKind::of(self.code)
    }

    /// Returns the address as one of ours. `None`: another version, codec or hash.
    #[must_use]
    pub fn page(&self) -> Option<Cid> {
        let hash = self.bytes.strip_prefix(&CID_PREFIX)?;
        hash.try_into().ok().map(Cid::from_hash)
    }

    /// Tells whether a block is the one that this CID names. Costs hashing it.
    #[must_use]
    pub fn hash_matches(&self, block: &[u8]) -> bool {
        let expected = self.bytes.get(self.digest..).unwrap_or_default();
        !expected.is_empty() && self.hash().is_some_and(|kind| kind.digest(block).starts_with(expected))
    }
}

impl From<Cid> for BlockCid {
    fn from(cid: Cid) -> Self {
        let bytes = [&CID_PREFIX[..], cid.as_bytes()].concat();
        Self { bytes, codec: DAG_CBOR, code: 0x1e, digest: CID_PREFIX.len() }
    }
}

impl fmt::Display for BlockCid {
    /// Writes the binary form in base 16 (multibase `f`); a CID of version 0 as one of version 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.bytes.first() == Some(&1) { "f" } else { "f0170" })?;
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlockCid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockCid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_table() {
        // Digests of the empty string, from the documents that define the functions.
        let known = [
            (0x12, "e3b0c44298fc1c149afbf4c8996fb924"),
            (0x13, "cf83e1357eefb8bdf1542850d66d8007"),
            (0x14, "a69f73cca23a9ac5c8b567dc185a756e"),
            (0x16, "a7ffc6f8bf1ed76651c14756a061d662"),
            (0xb220, "0e5751c026e543b2e8ab2eb06099daa1"),
            (0xb240, "786a02f742015903c6c6fd852552d272"),
            (0x1e, "af1349b9f5f9a1a6a0404dea36dcc949"),
        ];
        for (code, digest) in known {
            let cid = BlockCid::of(DAG_CBOR, code, b"").unwrap();
            assert!(cid.to_string().contains(digest), "{cid}");
            assert!(cid.hash_matches(b"") && !cid.hash_matches(b"x"));
        }
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        let read = BlockCid::from_bytes;
        assert_eq!(read(&[]), Err(CidError::Malformed));
        assert_eq!(read(&[2, 0x71, 0x12, 0]), Err(CidError::Version(2)));
        assert_eq!(read(&[1, 0x71, 0x00, 1, 9]), Err(CidError::Identity));
        assert_eq!(read(&[1, 0x71, 0x11, 1, 9]), Err(CidError::UnknownHash(0x11)));
        assert_eq!(read(&[1, 0x71, 0x12, 1, 9]), Err(CidError::Digest { code: 0x12, len: 1 }));
        assert_eq!(read(&[0x12, 16]), Err(CidError::Digest { code: 0x12, len: 16 }));
        let long = [vec![1, 0x71, 0x12, 33], vec![0; 33]].concat();
        assert_eq!(read(&long), Err(CidError::Digest { code: 0x12, len: 33 }));
        let ours = BlockCid::from(Cid::of(b""));
        assert_eq!(read(&ours.as_bytes()[..35]), Err(CidError::Malformed));
        assert_eq!(read(&[ours.as_bytes(), &[0]].concat()), Err(CidError::Trailing));
        assert!(BlockCid::has_form(ours.as_bytes()) && BlockCid::has_form(&[1, 0x71, 0x00, 1, 9]));
        for bad in
            [&[][..], &[2, 0x71, 0x12, 0], &[1, 0x71, 0, 2, 9], &[1, 0x71], &[0x12, 32], &[1, 1, 1, 0x81, 0]]
        {
            assert!(!BlockCid::has_form(bad), "{bad:?}");
        }
    }
}
