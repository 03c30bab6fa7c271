//! DAG-CBOR of any kind, one item after another, without allocation.
//!
//! [`crate::cbor`] reads what our own pages hold. Blocks of others also hold maps, links of any CID,
//! floats, and values nested as deep as they like.

use super::cid::BlockCid;
use crate::cbor::{CborError, Reader};

/// Values nested deeper than this are refused.
pub const MAX_NESTING: usize = 128;

const TAG_LINK: [u8; 2] = [0xd8, 0x2a];

/// Reads one item after another.
#[derive(Debug, Clone)]
pub(crate) struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Moves an error to where it is in the block.
fn shift(error: CborError, by: usize) -> CborError {
    match error {
        CborError::End { at } => CborError::End { at: at + by },
        CborError::Type { at, found, expected } => CborError::Type { at: at + by, found, expected },
        CborError::NotShortest { at } => CborError::NotShortest { at: at + by },
        CborError::NotUtf8 { at } => CborError::NotUtf8 { at: at + by },
        CborError::Range { at } => CborError::Range { at: at + by },
        other => other,
    }
}

impl<'a> Items<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Reads one item with the reader of our own pages.
    pub(crate) fn plain<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, CborError>,
    ) -> Result<T, CborError> {
        let mut reader = Reader::new(self.rest());
        let value = read(&mut reader).map_err(|error| shift(error, self.at))?;
        self.at += reader.position();
        Ok(value)
    }

    fn wrong<T>(&self, expected: &'static str) -> Result<T, CborError> {
        match self.rest().first() {
            Some(found) => Err(CborError::Type { at: self.at, found: *found, expected }),
            None => Err(CborError::End { at: self.at }),
        }
    }

    /// Returns the kind of the next item: the three high bits of its first byte.
    pub(crate) fn major(&self) -> Option<u8> {
        self.rest().first().map(|byte| byte >> 5)
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, CborError> {
        self.plain(Reader::unsigned)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        self.plain(Reader::bytes)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, CborError> {
        self.plain(Reader::text)
    }

    pub(crate) fn array(&mut self) -> Result<usize, CborError> {
        self.plain(Reader::array)
    }

    pub(crate) fn null(&mut self) -> bool {
        self.plain(|reader| Ok(reader.null())).unwrap_or(false)
    }

    /// Reads the head of a map, and returns how many pairs follow.
    pub(crate) fn map(&mut self) -> Result<usize, CborError> {
        if self.major() != Some(5) {
            return self.wrong("a map");
        }
        // Heads of maps and arrays differ in the kind alone.
        let mut head = [0; 9];
        let rest = self.rest();
        let len = rest.len().min(head.len());
        let (front, _) = head.split_at_mut(len);
        front.copy_from_slice(rest.get(..len).unwrap_or_default());
        head[0] &= 31;
        let mut reader = Reader::new(head.get(..len).unwrap_or_default());
        let count = reader.unsigned().map_err(|error| shift(error, self.at))?;
        let after = self.at + reader.position();
        let left = self.bytes.len().saturating_sub(after);
        let pairs = usize::try_from(count).ok().filter(|count| *count <= left / 2);
        let pairs = pairs.ok_or(CborError::End { at: self.at })?;
        self.at = after;
        Ok(pairs)
    }

    /// Reads a link to a block of any kind.
    pub(crate) fn link(&mut self) -> Result<BlockCid, CborError> {
        let (at, expected) = (self.at, "a link (tag 42, a CID)");
        if !self.rest().starts_with(&TAG_LINK) {
            return self.wrong(expected);
        }
        self.at += TAG_LINK.len();
        let inner = self.bytes()?;
        let cid = inner.strip_prefix(&[0]).and_then(|cid| BlockCid::from_bytes(cid).ok());
        cid.ok_or(CborError::Type { at, found: TAG_LINK[0], expected })
    }

    /// Reads a link that nobody follows: its hash may be of a function that is not known.
    fn foreign_link(&mut self) -> Result<(), CborError> {
        let (at, expected) = (self.at, "a link (tag 42, a CID)");
        if !self.rest().starts_with(&TAG_LINK) {
            return self.wrong(expected);
        }
        self.at += TAG_LINK.len();
        let inner = self.bytes()?;
        let has_form = inner.strip_prefix(&[0]).is_some_and(BlockCid::has_form);
        if has_form { Ok(()) } else { Err(CborError::Type { at, found: TAG_LINK[0], expected }) }
    }

    /// Reads one item of any kind with all that is in it, and returns its bytes.
    pub(crate) fn any(&mut self) -> Result<&'a [u8], CborError> {
        let start = self.at;
        // How many items are left to read on each depth; in maps keys count too.
        let mut left: Vec<Open<'a>> = vec![Open { items: 1, map: false, key: None }];
        while let Some(open) = left.last_mut() {
            if open.items == 0 {
                left.pop();
                continue;
            }
            open.items -= 1;
            let (map, at) = (open.map, self.at);
            if map {
                let key = self.text()?;
                let order = |key: &str| (key.len(), key.to_owned());
                if open.key.is_some_and(|before| order(before) >= order(key)) {
                    return Err(CborError::Range { at });
                }
                open.key = Some(key);
            }
            let nested = match self.major() {
                Some(0 | 1) => self.plain(number).map(|()| None)?,
                Some(2) => self.bytes().map(|_| None)?,
                Some(3) => self.text().map(|_| None)?,
                Some(4) => Some(Open { items: self.array()?, map: false, key: None }),
                Some(5) => Some(Open { items: self.map()?, map: true, key: None }),
                Some(6) => self.foreign_link().map(|()| None)?,
                _ => self.simple().map(|()| None)?,
            };
            if let Some(nested) = nested {
                if left.len() > MAX_NESTING {
                    return Err(CborError::Range { at });
                }
                left.push(nested);
            }
        }
        self.bytes.get(start..self.at).ok_or(CborError::End { at: start })
    }

    /// Reads false, true, null or a float of 64 bits that is a number.
    fn simple(&mut self) -> Result<(), CborError> {
        const FLOAT: u8 = 0xfb;
        match self.rest().first() {
            Some(0xf4..=0xf6) => self.at += 1,
            Some(&FLOAT) => {
                let digits = self.rest().get(1..9).and_then(|digits| digits.try_into().ok());
                let digits: [u8; 8] = digits.ok_or(CborError::End { at: self.at })?;
                if !f64::from_be_bytes(digits).is_finite() {
                    return Err(CborError::Range { at: self.at });
                }
                self.at += 9;
            }
            _ => return self.wrong("an item of DAG-CBOR"),
        }
        Ok(())
    }

    pub(crate) fn end(&self) -> Result<(), CborError> {
        match self.rest().len() {
            0 => Ok(()),
            count => Err(CborError::Trailing { count }),
        }
    }
}

/// An array or a map that is being read.
#[derive(Debug)]
struct Open<'a> {
    items: usize,
    map: bool,
    /// The last key of a map: keys ascend, the shorter first.
    key: Option<&'a str>,
}

/// Reads an integer of either sign. CBOR has one more bit than `i64`.
fn number(reader: &mut Reader<'_>) -> Result<(), CborError> {
    match reader.clone().signed() {
        Err(CborError::Range { .. }) => {}
        other => {
            other?;
            return reader.signed().map(|_| ());
        }
    }
    if reader.clone().unsigned().is_ok() {
        return reader.unsigned().map(|_| ());
    }
    Err(CborError::Range { at: reader.position() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(bytes: &[u8]) -> Result<usize, CborError> {
        Items::new(bytes).any().map(<[u8]>::len)
    }

    #[test]
    fn every_kind_is_read() {
        for good in [
            &b"\x00"[..],
            b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x38\xff",
            b"\x43abc",
            b"\x63abc",
            b"\x82\x01\x80",
            b"\xa2\x61b\x01\x62aa\xf6",
            b"\xf4",
            b"\xfb\x3f\xf0\0\0\0\0\0\0",
        ] {
            assert_eq!(any(good), Ok(good.len()), "{good:x?}");
            for len in 0..good.len() {
                assert!(any(&good[..len]).is_err(), "{good:x?} cut to {len}");
            }
        }
    }

    #[test]
    fn what_dag_cbor_forbids_is_refused() {
        for bad in [
            &b"\x18\x01"[..],
            b"\xa2\x62aa\xf6\x61b\x01",
            b"\xa2\x61b\x01\x61b\x01",
            b"\xa1\x01\x01",
            b"\x9f\xff",
            b"\xf7",
            b"\xf9\x3c\x00",
            b"\xfb\x7f\xf0\0\0\0\0\0\0",
            b"\xc0\x01",
            b"\xd8\x2a\x41\x00",
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(any(bad).is_err(), "{bad:x?}");
        }
        assert!(any(&[vec![0x81; MAX_NESTING], vec![0x00]].concat()).is_ok());
        assert!(any(&[vec![0x81; MAX_NESTING + 1], vec![0x00]].concat()).is_err());
        assert!(any(&vec![0x81; 1 << 20]).is_err());
    }
}
