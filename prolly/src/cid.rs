//! The address of a page: the BLAKE3-256 hash of its bytes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The bytes before the hash in the binary form of a CIDv1: version 1, codec dag-cbor (0x71),
/// multihash blake3 (0x1e) of 32 bytes. See <https://github.com/multiformats/cid>.
pub(crate) const CID_PREFIX: [u8; 4] = [0x01, 0x71, 0x1e, 0x20];

/// The digits of multibase `b`: RFC 4648 base32, lower case, without padding.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The address of a page, and so the root hash of a tree: BLAKE3-256 of the page's bytes.
///
/// Shown and parsed as a CIDv1 (dag-cbor, blake3) in base32, as IPLD tools write it.
///
/// ```
/// use prolly::Cid;
/// let cid = Cid::of(b"some page");
/// assert_eq!(cid.to_string().parse::<Cid>()?, cid);
/// # Ok::<(), prolly::ParseCidError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cid([u8; 32]);

impl Cid {
    /// Returns the address of a page with these bytes.
    ///
    /// ```
    /// use prolly::Cid;
    /// assert_eq!(Cid::of(b"page"), Cid::of(b"page"));
    /// assert_ne!(Cid::of(b"page"), Cid::of(b"Page"));
    /// ```
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Takes a hash that was computed elsewhere.
    ///
    /// ```
    /// use prolly::Cid;
    /// let hash = *Cid::of(b"page").as_bytes();
    /// assert_eq!(Cid::from_hash(hash), Cid::of(b"page"));
    /// ```
    #[must_use]
    pub const fn from_hash(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Returns the 32 bytes of the hash.
    ///
    /// ```
    /// use prolly::Cid;
    /// assert_eq!(Cid::from_hash([7; 32]).as_bytes(), &[7; 32]);
    /// ```
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Hash for Cid {
    /// Feeds 8 of the 32 bytes: they are as good as random already, and a hasher with a key of its own
    /// keeps strangers from choosing pages that meet in one place of a table.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (first, _) = self.0.split_first_chunk().unwrap_or((&[0; 8], &[]));
        state.write_u64(u64::from_le_bytes(*first));
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("b")?;
        let mut bits: u32 = 0;
        let mut count = 0;
        for byte in CID_PREFIX.iter().chain(&self.0) {
            bits = (bits << 8) | u32::from(*byte);
            count += 8;
            while count >= 5 {
                count -= 5;
                write_digit(f, bits >> count)?;
                bits &= (1 << count) - 1;
            }
        }
        write_digit(f, bits << (5 - count))
    }
}

fn write_digit(f: &mut fmt::Formatter<'_>, value: u32) -> fmt::Result {
    let digit = BASE32[value as usize & 31];
    write!(f, "{}", char::from(digit))
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cid({self})")
    }
}

/// A text that is not the address of a page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no page address: expected a CIDv1 in base32 (dag-cbor, blake3), which begins with bafyr4i"
)]
///
/// ```
/// use prolly::Cid;
/// let Err(error) = "main".parse::<Cid>() else { unreachable!("that is a name") };
/// assert_eq!(error.text, "main");
/// assert!(error.to_string().contains("begins with bafyr4i"));
/// ```
pub struct ParseCidError {
    /// What was given.
    pub text: String,
}

impl FromStr for Cid {
    type Err = ParseCidError;

    fn from_str(text: &str) -> Result<Self, ParseCidError> {
        parse(text).ok_or_else(|| ParseCidError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Cid> {
    let mut bytes = Vec::with_capacity(36);
    let mut bits: u32 = 0;
    let mut count = 0;
    for digit in text.strip_prefix('b')?.bytes() {
        let value = BASE32.iter().position(|known| *known == digit)?;
        bits = (bits << 5) | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
        if bytes.len() > 36 {
            return None;
        }
    }
    let hash = bytes.strip_prefix(&CID_PREFIX)?;
    let padding_is_zero = bits == 0 && count < 5;
    if padding_is_zero { hash.try_into().ok().map(Cid) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_form_that_ipld_tools_use() {
        let text = Cid::of(b"").to_string();
        assert!(text.starts_with("bafyr4i"), "{text}");
        assert_eq!(text.len(), 59);
        assert_eq!(text.parse::<Cid>().unwrap(), Cid::of(b""));
    }

    #[test]
    fn refuses_what_is_no_address() {
        let good = Cid::of(b"x").to_string();
        let mut last_bit = good.clone();
        last_bit.pop();
        for bad in ["", "b", "bafy", &good[1..], &good.to_uppercase(), &format!("{good}a"), &last_bit] {
            assert!(bad.parse::<Cid>().is_err(), "{bad}");
        }
    }
}
