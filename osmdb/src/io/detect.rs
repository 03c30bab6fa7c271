//! What a file is, told from its first bytes.

use std::io::{self, Read};

use super::error::{Compression, Problem, XmlProblem};

/// How many bytes are looked at: room for a comment-free start, and for a PBF blob header.
pub(super) const HEAD_BYTES: u64 = 512;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Pbf,
    Xml,
    Packed(Compression),
}

/// Reads the first bytes, as many as there are up to [`HEAD_BYTES`].
pub(super) fn read_head(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    source.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// Tells what begins with these bytes.
pub(super) fn detect(head: &[u8]) -> Result<Format, Problem> {
    if head.is_empty() {
        return Err(Problem::Empty);
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(Format::Packed(Compression::Gzip));
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable(head) {
        return Ok(Format::Packed(Compression::Zstd));
    }
    if head.starts_with(b"BZh") {
        return Ok(Format::Packed(Compression::Bzip2));
    }
    if is_pbf(head) {
        return Ok(Format::Pbf);
    }
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return Err(XmlProblem::Encoding { found: "UTF-16".to_owned() }.into());
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if text.first() == Some(&b'<') {
        return Ok(Format::Xml);
    }
    let found = head.get(..16).unwrap_or(head).escape_ascii().to_string();
    Err(Problem::UnknownFormat { found })
}

/// Tells whether a frame is in front that zstd's readers skip: programs that pack with several threads put
/// sizes there.
fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// A PBF file begins with the length of a small message that names its blob's type.
fn is_pbf(head: &[u8]) -> bool {
    let names = |name: &[u8]| head.windows(name.len()).any(|window| window == name);
    // UNTRUSTED: lengths are checked by the PBF reader; here two zero bytes tell it from any text.
    head.starts_with(&[0, 0]) && (names(b"OSMHeader") || names(b"OSMData"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_the_format() {
        let pbf = b"\0\0\0\x0d\x0a\x09OSMHeader\x18\x30";
        assert_eq!(detect(pbf).unwrap(), Format::Pbf);
        assert_eq!(detect(b"\xef\xbb\xbf\r\n <osm>").unwrap(), Format::Xml);
        assert_eq!(detect(b"<?xml").unwrap(), Format::Xml);
        assert_eq!(detect(b"\x1f\x8b\x08").unwrap(), Format::Packed(Compression::Gzip));
        for start in [&b"\x28\xb5\x2f\xfd\x04"[..], b"\x50\x2a\x4d\x18"] {
            assert_eq!(detect(start).unwrap(), Format::Packed(Compression::Zstd));
        }
        assert_eq!(detect(b"BZh9").unwrap(), Format::Packed(Compression::Bzip2));
        assert!(matches!(detect(b""), Err(Problem::Empty)));
        assert!(matches!(detect(b"PK\x03\x04"), Err(Problem::UnknownFormat { .. })));
        assert!(matches!(detect(b"\xff\xfe<\0"), Err(Problem::Xml(XmlProblem::Encoding { .. }))));
    }
}
