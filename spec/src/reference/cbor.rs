//! Items of CBOR as section 3 of `spec/prolly.md` has them, and those that section 2 of `spec/views.md` adds.

use super::Address;

pub(super) const LINK_HEAD: [u8; 9] = [0xd8, 0x2a, 0x58, 0x25, 0x00, 0x01, 0x71, 0x1e, 0x20];
pub(super) const UNSIGNED: u8 = 0;
pub(super) const NEGATIVE: u8 = 1;
pub(super) const BYTES: u8 = 2;
pub(super) const TEXT: u8 = 3;
pub(super) const ARRAY: u8 = 4;

/// Encodes the head of an item (3).
pub(super) fn head(major: u8, n: u64) -> Vec<u8> {
    let digits = n.to_be_bytes();
    let (info, width) = match n {
        0..=23 => return vec![major * 32 + digits[7]],
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    [&[major * 32 + info], &digits[8 - width..]].concat()
}

pub(super) fn byte_string(bytes: &[u8]) -> Vec<u8> {
    [head(BYTES, bytes.len() as u64).as_slice(), bytes].concat()
}

pub(super) const NULL: u8 = 0xf6;

pub(super) fn signed(n: i64) -> Vec<u8> {
    if n < 0 { head(NEGATIVE, !n.cast_unsigned()) } else { head(UNSIGNED, n.cast_unsigned()) }
}

pub(super) fn text(text: &str) -> Vec<u8> {
    [&head(TEXT, text.len() as u64), text.as_bytes()].concat()
}

/// Encodes an item that may be absent.
pub(super) fn optional<T>(item: Option<T>, encode: impl Fn(T) -> Vec<u8>) -> Vec<u8> {
    item.map_or_else(|| vec![NULL], encode)
}

pub(super) fn link(address: &Address) -> Vec<u8> {
    [LINK_HEAD.as_slice(), address].concat()
}

pub(super) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(ARRAY, items.len() as u64), items.concat()].concat()
}

pub(super) fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// Reads items. It takes numbers in any length: the page is encoded again and compared.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, len: u64) -> Result<&'a [u8], String> {
        let len = usize::try_from(len).map_err(|_| "the end of the bytes")?;
        let (taken, rest) = self.0.split_at_checked(len).ok_or("the end of the bytes")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn head(&mut self, major: u8) -> Result<u64, String> {
        let first = self.take(1)?[0];
        ensure(first >> 5 == major, "another kind of item")?;
        let width = match first & 31 {
            info @ 0..=23 => return Ok(info.into()),
            info @ 24..=27 => 1 << (info - 24),
            _ => return Err("an indefinite or reserved length".to_owned()),
        };
        Ok(self.take(width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, String> {
        let len = self.head(BYTES)?;
        self.take(len).map(<[u8]>::to_vec)
    }

    pub(super) fn signed(&mut self) -> Result<i64, String> {
        let negative = self.0.first().is_some_and(|first| first >> 5 == NEGATIVE);
        let n = self.head(if negative { NEGATIVE } else { UNSIGNED })?;
        let n = i64::try_from(n).map_err(|_| "a number too great")?;
        Ok(if negative { !n } else { n })
    }

    pub(super) fn text(&mut self) -> Result<String, String> {
        let len = self.head(TEXT)?;
        String::from_utf8(self.take(len)?.to_vec()).map_err(|_| "a text that is not UTF-8".to_owned())
    }

    /// Reads an item, or null.
    pub(super) fn optional<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        if let Some(rest) = self.0.strip_prefix(&[NULL]) {
            self.0 = rest;
            return Ok(None);
        }
        read(self).map(Some)
    }

    pub(super) fn array<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let len = self.head(ARRAY)?;
        (0..len).map(|_| read(self)).collect()
    }

    pub(super) fn link(&mut self) -> Result<Address, String> {
        ensure(self.take(9)? == LINK_HEAD, "something that is no link")?;
        self.take(32)?.try_into().map_err(|_| "a hash of another length".to_owned())
    }
}
