//! Deterministic CBOR, written and read one item at a time.
//!
//! The subset of RFC 8949 that DAG-CBOR allows, with exactly one encoding per value: integers and
//! lengths as short as they can be, definite lengths only, no floats. The [`Reader`] borrows what
//! it reads and refuses every other encoding, so bytes that decode are bytes that would be written
//! again. It never allocates and never looks beyond its input.

use crate::cid::{CID_PREFIX, Cid};

/// The encoded size of a link: tag 42, a byte string of 37 bytes (a zero, then the binary CID).
pub const LINK_BYTES: usize = 41;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const NULL: u8 = 0xf6;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;

/// What comes before the 32 bytes of the hash in a link.
const LINK_PREFIX: [u8; 9] =
    [0xd8, 0x2a, 0x58, 0x25, 0x00, CID_PREFIX[0], CID_PREFIX[1], CID_PREFIX[2], CID_PREFIX[3]];

/// Bytes that are not the one encoding of what was expected.
///
/// ```
/// use prolly::cbor::{self, Reader};
/// use prolly::cbor::CborError;
/// // 1 in two bytes, though it fits one.
/// assert_eq!(Reader::new(&[0x18, 0x01]).unsigned(), Err(CborError::NotShortest { at: 0 }));
/// assert_eq!(Reader::new(&[]).unsigned(), Err(CborError::End { at: 0 }));
/// # Ok::<(), cbor::CborError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborError {
    /// The input ends inside an item.
    #[error("the bytes end at {at} inside an item")]
    End {
        /// Where the item begins.
        at: usize,
    },
    /// Another kind of item stands where one was expected.
    #[error("byte {found:#04x} at {at} does not begin {expected}")]
    Type {
        /// Where the item begins.
        at: usize,
        /// Its first byte.
        found: u8,
        /// What should stand there.
        expected: &'static str,
    },
    /// An integer or length in more bytes than it needs.
    #[error("the number at {at} is not in its shortest form")]
    NotShortest {
        /// Where the item begins.
        at: usize,
    },
    /// A text that is not UTF-8.
    #[error("the text at {at} is not UTF-8")]
    NotUtf8 {
        /// Where the item begins.
        at: usize,
    },
    /// A number outside of what the place allows.
    #[error("the number at {at} is out of range")]
    Range {
        /// Where the item begins.
        at: usize,
    },
    /// Bytes follow the last item.
    #[error("{count} bytes too many follow the last item")]
    Trailing {
        /// How many.
        count: usize,
    },
}

/// Reads one item after another.
///
/// ```
/// use prolly::cbor::{self, Reader};
/// let mut out = Vec::new();
/// cbor::put_array(&mut out, 2);
/// cbor::put_text(&mut out, "well");
/// cbor::put_unsigned(&mut out, 7);
/// let mut reader = Reader::new(&out);
/// reader.array_of(2)?;
/// assert_eq!((reader.text()?, reader.unsigned()?), ("well", 7));
/// reader.end()?;
/// # Ok::<(), cbor::CborError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of these bytes.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// assert_eq!(Reader::new(&[0x07]).unsigned()?, 7);
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns the place of the next item.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// let mut reader = Reader::new(&[0x18, 0x64, 0x07]);
    /// reader.unsigned()?;
    /// assert_eq!(reader.position(), 2);
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    fn first(&self, expected: &'static str) -> Result<u8, CborError> {
        let _ = expected;
        self.bytes.get(self.at).copied().ok_or(CborError::End { at: self.at })
    }

    /// Reads the first byte and the number in or behind it.
    #[inline]
    fn head(&mut self, major: u8, expected: &'static str) -> Result<u64, CborError> {
        let at = self.at;
        let found = self.first(expected)?;
        if found >> 5 != major {
            return Err(CborError::Type { at, found, expected });
        }
        let info = found & 31;
        if info < 24 {
            self.at = at + 1;
            return Ok(u64::from(info));
        }
        let (len, least) = match info {
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Err(CborError::Type { at, found, expected }),
        };
        let digits = self.bytes.get(at + 1..at + 1 + len).ok_or(CborError::End { at })?;
        let value = digits.iter().fold(0, |value: u64, byte| (value << 8) | u64::from(*byte));
        if value < least {
            return Err(CborError::NotShortest { at });
        }
        self.at = at + 1 + len;
        Ok(value)
    }

    /// Reads the length before a string, and then the string.
    #[inline]
    fn string(&mut self, major: u8, expected: &'static str) -> Result<&'a [u8], CborError> {
        let at = self.at;
        let len = self.head(major, expected)?;
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        let found = end.and_then(|end| self.bytes.get(self.at..end)).ok_or(CborError::End { at })?;
        self.at += found.len();
        Ok(found)
    }

    /// Reads an integer that is not negative.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// assert_eq!(Reader::new(&[0x18, 0x64]).unsigned()?, 100);
    /// assert!(Reader::new(&[0x20]).unsigned().is_err(), "that is -1");
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    /// Something else stands there, or not in its one encoding. So for every method below.
    #[inline]
    pub fn unsigned(&mut self) -> Result<u64, CborError> {
        self.head(UNSIGNED, "an unsigned integer")
    }

    /// Reads an integer.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// assert_eq!(Reader::new(&[0x20]).signed()?, -1);
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`unsigned`](Self::unsigned), or it does not fit 64 bits with a sign.
    #[inline]
    pub fn signed(&mut self) -> Result<i64, CborError> {
        let at = self.at;
        let negative = self.first("an integer")? >> 5 == NEGATIVE;
        let value = self.head(if negative { NEGATIVE } else { UNSIGNED }, "an integer")?;
        let value = i64::try_from(value).map_err(|_| CborError::Range { at })?;
        Ok(if negative { -1 - value } else { value })
    }

    /// Reads a byte string.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// assert_eq!(Reader::new(&[0x42, 1, 2]).bytes()?, [1, 2]);
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`unsigned`](Self::unsigned).
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        self.string(BYTES, "a byte string")
    }

    /// Reads a text.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// assert_eq!(Reader::new(b"\x64well").text()?, "well");
    /// assert!(Reader::new(&[0x61, 0xff]).text().is_err(), "that is not UTF-8");
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`unsigned`](Self::unsigned), or it is not UTF-8.
    #[inline]
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let at = self.at;
        let found = self.string(TEXT, "a text")?;
        std::str::from_utf8(found).map_err(|_| CborError::NotUtf8 { at })
    }

    /// Reads the head of an array and returns how many items follow.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// assert_eq!(Reader::new(&[0x82, 1, 2]).array()?, 2);
    /// assert!(Reader::new(&[0x82, 1]).array().is_err(), "one item is missing");
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`unsigned`](Self::unsigned), or the input has fewer bytes left than items.
    #[inline]
    pub fn array(&mut self) -> Result<usize, CborError> {
        let at = self.at;
        let len = self.head(ARRAY, "an array")?;
        let left = self.bytes.len() - self.at;
        usize::try_from(len).ok().filter(|len| *len <= left).ok_or(CborError::End { at })
    }

    /// Reads the head of an array of exactly `len` items.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// assert!(Reader::new(&[0x82, 1, 2]).array_of(2).is_ok());
    /// assert!(Reader::new(&[0x82, 1, 2]).array_of(3).is_err());
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`array`](Self::array), or it has another length.
    pub fn array_of(&mut self, len: usize) -> Result<(), CborError> {
        let at = self.at;
        let found = self.array()?;
        if found == len { Ok(()) } else { Err(CborError::Range { at }) }
    }

    /// Reads a link.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// let cid = prolly::Cid::of(b"page");
    /// let mut out = Vec::new();
    /// cbor::put_link(&mut out, &cid);
    /// assert_eq!(Reader::new(&out).link()?, cid);
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`unsigned`](Self::unsigned), or the link is no CIDv1 of dag-cbor and BLAKE3-256.
    #[inline]
    pub fn link(&mut self) -> Result<Cid, CborError> {
        let at = self.at;
        let expected = "a link (tag 42, CIDv1, dag-cbor, blake3)";
        let rest = self.bytes.get(at..).unwrap_or_default();
        let Some(found) = rest.get(..LINK_BYTES) else {
            let found = self.first(expected)?;
            let wrong = CborError::Type { at, found, expected };
            return Err(if found == LINK_PREFIX[0] { CborError::End { at } } else { wrong });
        };
        let hash = found.strip_prefix(&LINK_PREFIX).and_then(|hash| hash.try_into().ok());
        let hash = hash.ok_or(CborError::Type { at, found: found[0], expected })?;
        self.at = at + LINK_BYTES;
        Ok(Cid::from_hash(hash))
    }

    /// Reads a truth value.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// assert!(Reader::new(&[0xf5]).bool()?);
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`unsigned`](Self::unsigned).
    pub fn bool(&mut self) -> Result<bool, CborError> {
        let (at, expected) = (self.at, "true or false");
        let value = match self.first(expected)? {
            FALSE => false,
            TRUE => true,
            found => return Err(CborError::Type { at, found, expected }),
        };
        self.at = at + 1;
        Ok(value)
    }

    /// Reads a null if one stands there, and tells whether it did.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// let mut reader = Reader::new(&[0xf6, 0x07]);
    /// assert!(reader.null());
    /// assert!(!reader.null(), "a 7 stands next, and is not passed over");
    /// assert_eq!(reader.unsigned()?, 7);
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    pub fn null(&mut self) -> bool {
        let found = self.bytes.get(self.at) == Some(&NULL);
        self.at += usize::from(found);
        found
    }

    /// Tells whether an array stands next.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// assert!(Reader::new(&[0x80]).is_array() && !Reader::new(&[0x07]).is_array());
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    #[must_use]
    pub fn is_array(&self) -> bool {
        self.bytes.get(self.at).is_some_and(|byte| byte >> 5 == ARRAY)
    }

    /// Reads a null as `None`, or else what `read` reads.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// let mut reader = Reader::new(&[0xf6, 0x07]);
    /// assert_eq!(reader.optional(Reader::unsigned)?, None);
    /// assert_eq!(reader.optional(Reader::unsigned)?, Some(7));
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    /// Those of `read`.
    pub fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CborError>,
    ) -> Result<Option<T>, CborError> {
        if self.null() { Ok(None) } else { read(self).map(Some) }
    }

    /// Makes sure that nothing follows.
    ///
    /// ```
    /// use prolly::cbor::{self, Reader};
    /// let mut reader = Reader::new(&[0x07, 0x08]);
    /// reader.unsigned()?;
    /// assert_eq!(reader.end(), Err(cbor::CborError::Trailing { count: 1 }));
    /// # Ok::<(), cbor::CborError>(())
    /// ```
    ///
    /// # Errors
    /// Bytes follow.
    pub const fn end(&self) -> Result<(), CborError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            count => Err(CborError::Trailing { count }),
        }
    }
}

/// Returns how many bytes the head of an item with this number takes.
///
/// ```
/// use prolly::cbor::head_len;
/// assert_eq!((head_len(23), head_len(24), head_len(u64::MAX)), (1, 2, 9));
/// ```
#[must_use]
#[inline]
pub const fn head_len(value: u64) -> usize {
    match value {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "each arm holds what fits its width")]
fn put_head(out: &mut Vec<u8>, major: u8, value: u64) {
    let major = major << 5;
    match value {
        0..24 => out.push(major | value as u8),
        24..0x100 => out.extend([major | 24, value as u8]),
        0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend((value as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(major | 26);
            out.extend((value as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend(value.to_be_bytes());
        }
    }
}

/// Appends an integer that is not negative.
///
/// ```
/// use prolly::cbor;
/// let mut out = Vec::new();
/// cbor::put_unsigned(&mut out, 100);
/// assert_eq!(out, [0x18, 0x64]);
/// ```
#[inline]
pub fn put_unsigned(out: &mut Vec<u8>, value: u64) {
    put_head(out, UNSIGNED, value);
}

/// Appends an integer.
///
/// ```
/// use prolly::cbor;
/// let mut out = Vec::new();
/// cbor::put_signed(&mut out, -1);
/// assert_eq!(out, [0x20]);
/// ```
#[inline]
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    let (major, number) = if value < 0 { (NEGATIVE, -1 - value) } else { (UNSIGNED, value) };
    put_head(out, major, number.unsigned_abs());
}

/// Appends a byte string.
///
/// ```
/// use prolly::cbor;
/// let mut out = Vec::new();
/// cbor::put_bytes(&mut out, &[1, 2]);
/// assert_eq!(out, [0x42, 1, 2]);
/// ```
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, value: &[u8]) {
    put_head(out, BYTES, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a text.
///
/// ```
/// use prolly::cbor;
/// let mut out = Vec::new();
/// cbor::put_text(&mut out, "well");
/// assert_eq!(out, b"\x64well");
/// ```
#[inline]
pub fn put_text(out: &mut Vec<u8>, value: &str) {
    put_head(out, TEXT, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

/// Appends the head of an array of `len` items.
///
/// ```
/// use prolly::cbor;
/// let mut out = Vec::new();
/// cbor::put_array(&mut out, 2);
/// assert_eq!(out, [0x82], "two items are to follow");
/// ```
#[inline]
pub fn put_array(out: &mut Vec<u8>, len: usize) {
    put_head(out, ARRAY, len as u64);
}

/// Appends a link.
///
/// ```
/// use prolly::cbor;
/// let mut out = Vec::new();
/// cbor::put_link(&mut out, &prolly::Cid::of(b"page"));
/// assert_eq!(out.len(), cbor::LINK_BYTES);
/// ```
#[inline]
pub fn put_link(out: &mut Vec<u8>, cid: &Cid) {
    out.extend_from_slice(&LINK_PREFIX);
    out.extend_from_slice(cid.as_bytes());
}

/// Appends a truth value.
///
/// ```
/// use prolly::cbor;
/// let mut out = Vec::new();
/// cbor::put_bool(&mut out, true);
/// assert_eq!(out, [0xf5]);
/// ```
pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { TRUE } else { FALSE });
}

/// Appends a null.
///
/// ```
/// use prolly::cbor;
/// let mut out = Vec::new();
/// cbor::put_null(&mut out);
/// assert_eq!(out, [0xf6]);
/// ```
pub fn put_null(out: &mut Vec<u8>) {
    out.push(NULL);
}

/// Appends a value, or a null where there is none.
///
/// ```
/// use prolly::cbor;
/// let mut out = Vec::new();
/// cbor::put_optional(&mut out, Some(7), cbor::put_unsigned);
/// cbor::put_optional(&mut out, None, cbor::put_unsigned);
/// assert_eq!(out, [0x07, 0xf6]);
/// ```
pub fn put_optional<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        Some(value) => put(out, value),
        None => put_null(out),
    }
}
