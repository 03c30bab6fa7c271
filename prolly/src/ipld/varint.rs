//! Unsigned variable-length integers of multiformats: seven bits a byte, the lowest first.
//! See <https://github.com/multiformats/unsigned-varint>.

/// No number takes more bytes: 63 bits.
pub(crate) const MAX_VARINT_BYTES: usize = 9;

/// Appends a number below 2⁶³.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

/// Collects a number byte by byte, and refuses all but its one encoding.
#[derive(Debug, Default)]
pub(crate) struct Varint {
    value: u64,
    bytes: usize,
}

impl Varint {
    /// Takes one byte. `Some(Ok(n))`: that was the last one; `Some(Err(()))`: no such number.
    pub(crate) fn push(&mut self, byte: u8) -> Option<Result<u64, ()>> {
        if self.bytes == MAX_VARINT_BYTES {
            return Some(Err(()));
        }
        self.value |= u64::from(byte & 0x7f) << (7 * self.bytes);
        self.bytes += 1;
        match byte {
            0 if self.bytes > 1 => Some(Err(())),
            0..0x80 => Some(Ok(self.value)),
            _ => None,
        }
    }
}

/// Reads a number from the front of some bytes, and returns it with its length.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut varint = Varint::default();
    for (at, byte) in bytes.iter().enumerate() {
        if let Some(done) = varint.push(*byte) {
            return done.ok().map(|value| (value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_encoding() {
        for value in [0, 1, 0x7f, 0x80, 300, 1 << 35, (1 << 63) - 1] {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(read(&out), Some((value, out.len())), "{value}");
            assert_eq!(read(&out[..out.len() - 1]), None);
            let last = out.len() - 1;
            out[last] |= 0x80;
            out.push(0);
            assert_eq!(read(&out), None, "a longer encoding of {value}");
        }
        assert_eq!(read(&[0xff; 12]), None);
    }
}
