//! A root that a device stands for: the proof that the holder of a key had it, and how late (`spec/remote.md`).

use prolly::Cid;
use prolly::cbor::{CborError, Reader, put_array, put_bytes, put_text, put_unsigned};

use crate::entry::{Author, DeviceKey, Signature};

/// What every signed message begins with: a key that signs other things too signs no root by mistake.
const CONTEXT: &[u8] = b"osmdb root 1\n";

/// What a signed root begins with. No page and no record begins with a text.
const NAME: &str = "osmdb signed root";

/// A root, and the signature of somebody who stands for it. There is none whose signature does not hold.
///
/// The number of each is greater than those of the roots that the same device signed before: so a reader that
/// remembers the last one notices when it is given an older one.
///
/// ```
/// use osmdb::SignedRoot;
/// # use osmdb::{Coord, Db, Payload, Tags};
/// let db = Db::in_memory("osm")?;
/// let before = db.sign_root()?;
/// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let after = db.sign_root()?;
/// assert_eq!((after.root(), after.author()), (db.root(), db.author()?));
/// assert!(after.number() > before.number());
/// assert_eq!(SignedRoot::decode(&after.encode())?, after);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedRoot {
    root: Cid,
    number: u64,
    author: Author,
    signature: Signature,
}

/// What is said to be a signed root is none.
///
/// ```
/// use osmdb::{SignedRoot, SignedRootError};
/// let db = osmdb::Db::in_memory("osm")?;
/// let mut bytes = db.sign_root()?.encode();
/// assert!(matches!(SignedRoot::decode(&bytes[1..]), Err(SignedRootError::Malformed(_))));
/// *bytes.last_mut().unwrap() ^= 1;
/// let author = db.author()?;
/// assert!(matches!(SignedRoot::decode(&bytes), Err(SignedRootError::Forged { author: of }) if of == author));
/// # Ok::<(), osmdb::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignedRootError {
    /// It is not in its encoding.
    #[error("the signed root is malformed: {0}")]
    Malformed(CborError),
    /// Something has not the length that it must have, or another name.
    #[error("the signed root is malformed: {what}")]
    Form {
        /// What is wrong.
        what: &'static str,
    },
    /// Somebody else made the signature, or for something else.
    #[error("the signature under the root is not {author}'s")]
    Forged {
        /// Who is said to have signed.
        author: Author,
    },
    /// It is a signature under another root than the one that is given.
    #[error("the root {root} is given with a signature under another, {signed}")]
    OtherRoot {
        /// The root that is given.
        root: Cid,
        /// The one that was signed.
        signed: Cid,
    },
}

fn message(root: &Cid, number: u64) -> Vec<u8> {
    [CONTEXT, root.as_bytes(), &number.to_be_bytes()].concat()
}

impl SignedRoot {
    /// Signs a root. The number must be greater than that of every root that the key has signed before: best
    /// the seconds since 1970, as [`Db::sign_root`](crate::Db::sign_root) does.
    ///
    /// ```
    /// use osmdb::{DeviceKey, SignedRoot};
    /// let root = osmdb::Db::in_memory("osm")?.root();
    /// let signed = SignedRoot::sign(&DeviceKey::generate()?, root, 1_795_000_000);
    /// assert_eq!((signed.root(), signed.number()), (root, 1_795_000_000));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn sign(key: &DeviceKey, root: Cid, number: u64) -> Self {
        let signature = key.sign_message(&message(&root, number));
        Self { root, number, author: key.author(), signature }
    }

    /// Returns the root.
    ///
    /// ```
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// assert_eq!(db.sign_root()?.root(), db.root());
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub const fn root(&self) -> Cid {
        self.root
    }

    /// Returns the number: greater than those of roots that were signed before, and about the time of signing,
    /// in seconds since 1970, as far as the signer's clock is right.
    ///
    /// ```
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// assert!(db.sign_root()?.number() > 1_700_000_000);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns who signed.
    ///
    /// ```
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// assert_eq!(db.sign_root()?.author(), db.author()?);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub const fn author(&self) -> Author {
        self.author
    }

    /// Returns the bytes that are published or sent: about 160.
    ///
    /// ```
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// assert!(db.sign_root()?.encode().len() < 170);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(168);
        put_array(&mut out, 5);
        put_text(&mut out, NAME);
        put_unsigned(&mut out, self.number);
        put_bytes(&mut out, self.root.as_bytes());
        put_bytes(&mut out, self.author.as_bytes());
        put_bytes(&mut out, self.signature.as_bytes());
        out
    }

    /// Reads a signed root, and makes sure of the signature.
    ///
    /// ```
    /// # use osmdb::SignedRoot;
    /// assert!(SignedRoot::decode(b"not signed").is_err());
    /// ```
    ///
    /// # Errors
    /// It is malformed, or the signature is not that of whom it names.
    pub fn decode(bytes: &[u8]) -> Result<Self, SignedRootError> {
        let malformed = SignedRootError::Malformed;
        let form = |what| SignedRootError::Form { what };
        let mut reader = Reader::new(bytes);
        reader.array_of(5).map_err(malformed)?;
        if reader.text().map_err(malformed)? != NAME {
            return Err(form("it has another name"));
        }
        let number = reader.unsigned().map_err(malformed)?;
        let root = reader.bytes().map_err(malformed)?;
        let root = Cid::from_hash(root.try_into().map_err(|_| form("a root has 32 bytes"))?);
        let author = reader.bytes().map_err(malformed)?;
        let author = Author::new(author.try_into().map_err(|_| form("a key has 32 bytes"))?);
        let signature = reader.bytes().map_err(malformed)?;
        let signature = Signature::new(signature.try_into().map_err(|_| form("a signature has 64 bytes"))?);
        reader.end().map_err(malformed)?;
        if !author.has_signed(&message(&root, number), &signature) {
            return Err(SignedRootError::Forged { author });
        }
        Ok(Self { root, number, author, signature })
    }

    /// Tells whether bytes are meant to be a signed root, rather than a page or a record.
    pub(crate) fn is_meant(bytes: &[u8]) -> bool {
        let mut reader = Reader::new(bytes);
        reader.array_of(5).is_ok() && reader.text().is_ok_and(|name| name == NAME)
    }

    /// Makes sure that it is this root that was signed.
    pub(crate) fn of_root(self, root: Cid) -> Result<Self, SignedRootError> {
        if self.root == root { Ok(self) } else { Err(SignedRootError::OtherRoot { root, signed: self.root }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bit_of_a_signed_root_can_change() {
        let signed = SignedRoot::sign(&DeviceKey::new(&[7; 32]), Cid::of(b"root"), 1_795_000_000);
        let bytes = signed.encode();
        assert_eq!(SignedRoot::decode(&bytes).unwrap(), signed);
        assert!(SignedRoot::is_meant(&bytes));
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(SignedRoot::decode(&other).is_err(), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert!(SignedRoot::decode(&bytes[..end]).is_err());
        }
        assert!(SignedRoot::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn what_a_key_signs_otherwise_is_no_root() {
        let key = DeviceKey::new(&[7; 32]);
        let signed = SignedRoot::sign(&key, Cid::of(b"root"), 7);
        let signature = key.sign_message(&[Cid::of(b"root").as_bytes(), &7_u64.to_be_bytes()[..]].concat());
        let other = SignedRoot { signature, ..signed };
        assert!(matches!(SignedRoot::decode(&other.encode()), Err(SignedRootError::Forged { .. })));
    }
}
