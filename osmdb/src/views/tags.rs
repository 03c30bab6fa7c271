//! The tags tree: which elements have a tag.
//!
//! Key: the text of the tag's key, a zero byte, the text of its value, a zero byte, and then the whole key of
//! the element's pair in the spatial tree: so what has a tag comes in the order of that tree, a box restricts
//! a walk by the ranges that it has there, and a match leads straight to its features. Value: nothing.
//!
//! There is a pair for every tag of every live head of a node, a way or a relation. A relation has no spatial
//! pair; its key here is made as that of a way that is nowhere ([`spatial::nowhere`]).
//!
//! A text stands there as its UTF-8, with the bytes 0 and 1 as `01 01` and `01 02`, so that a zero byte ends
//! it and the order is that of the bytes. If that is longer than the configuration has room for (see
//! [`Texts`]), it is cut off 17 bytes before, and the byte FF, which is in no text, and the first 16 bytes of
//! the text's BLAKE3 hash follow.

use prolly::Config;

use super::spatial::{self, KEY_BYTES};
use crate::filter::Demand;
use crate::model::{ElementId, Tags};

/// No text takes more bytes in a key than this, in front of its zero byte.
const TEXT_BYTES: usize = 255;

/// What stands at the end of a text that was cut off.
const CUT: u8 = u8::MAX;

/// The bytes of the hash behind it.
const HASH_BYTES: usize = 16;

/// How the texts of tags stand in keys of a tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts {
    most: usize,
}

impl Texts {
    /// A text takes at most 255 bytes, or as many as let two of them into the longest key.
    pub(crate) fn of(config: &Config) -> Self {
        let key_max = usize::try_from(config.key_max).unwrap_or(usize::MAX);
        let fitting = key_max.saturating_sub(KEY_BYTES + 2) / 2;
        // The least that a hash and a byte before it need.
        Self { most: fitting.clamp(HASH_BYTES + 2, TEXT_BYTES) }
    }

    /// Appends a text, and the zero byte that ends it.
    fn put(self, out: &mut Vec<u8>, text: &str) {
        let start = out.len();
        for byte in text.bytes() {
            match byte {
                0 | 1 => out.extend_from_slice(&[1, byte + 1]),
                _ => out.push(byte),
            }
        }
        if out.len() - start > self.most {
            out.truncate(start + self.most - HASH_BYTES - 1);
            out.push(CUT);
            out.extend_from_slice(
                blake3::hash(text.as_bytes()).as_bytes().get(..HASH_BYTES).unwrap_or_default(),
            );
        }
        out.push(0);
    }

    /// Returns what the keys of all pairs with this tag begin with.
    pub(crate) fn tag(self, key: &str, value: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(key.len() + value.len() + 2 + KEY_BYTES);
        self.put(&mut out, key);
        self.put(&mut out, value);
        out
    }

    /// Returns what the keys of all pairs begin with that meet a demand.
    pub(crate) fn prefix(self, demand: Demand<'_>) -> Vec<u8> {
        match demand {
            Demand { key, value: Some(value) } => self.tag(key, value),
            Demand { key, value: None } => {
                let mut out = Vec::new();
                self.put(&mut out, key);
                out
            }
        }
    }

    /// Returns the keys of the tags of something that has this key in the spatial tree.
    pub(crate) fn keys<'a>(
        self,
        tags: &'a Tags,
        place: &'a [u8; KEY_BYTES],
    ) -> impl Iterator<Item = Vec<u8>> + 'a {
        tags.iter().map(move |(key, value)| {
            let mut out = self.tag(key, value);
            out.extend_from_slice(place);
            out
        })
    }
}

/// Returns the key of the spatial tree at the end of a key, and the element that it names.
pub(crate) fn place_of(key: &[u8]) -> Option<(&[u8; KEY_BYTES], ElementId)> {
    let place = key.last_chunk::<KEY_BYTES>()?;
    Some((place, spatial::element_of(place)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            "[\u{0}\u{1}\u{2}aé]{0,6}",
            ("[\u{0}\u{1}aé]{0,40}", 0..300_usize).prop_map(|(text, len)| text + &"a".repeat(len)),
        ]
    }

    #[test]
    fn terms_are_those_of_the_specification() {
        let texts = Texts::of(&Config::default());
        assert_eq!(texts.tag("amenity", ""), b"amenity\0\0");
        assert_eq!(texts.tag("\0a", "\u{1}"), b"\x01\x01a\0\x01\x02\0");
        let long = "é".repeat(255);
        let term = texts.prefix(Demand { key: &long, value: None });
        assert_eq!((term.len(), &term[..238]), (256, &long.as_bytes()[..238]));
        assert_eq!(
            (term[238], &term[239..255], term[255]),
            (0xff, &blake3::hash(long.as_bytes()).as_bytes()[..16], 0)
        );
        let most = |key_max| Texts::of(&Config { key_max, ..Config::default() }).most;
        assert_eq!([most(10), most(64), most(532), most(1_024)], [18, 21, 255, 255]);
    }

    proptest! {
        #[test]
        fn keys_sort_as_their_tags_and_stand_for_one_each(
            a in (texts(), texts()),
            b in (texts(), texts()),
            key_max in prop_oneof![Just(64_u32), Just(1_024)],
        ) {
            let texts = Texts::of(&Config { key_max, ..Config::default() });
            let (first, second) = (texts.tag(&a.0, &a.1), texts.tag(&b.0, &b.1));
            prop_assert!(first.len() + KEY_BYTES <= usize::try_from(key_max).unwrap());
            prop_assert_eq!(first == second, a == b);
            prop_assert!(first == second || !first.starts_with(&second));
            // All but what was cut off is in order.
            let room = texts.most / 2;
            if [&a.0, &a.1, &b.0, &b.1].iter().all(|text| text.len() <= room) {
                prop_assert_eq!(first.cmp(&second), a.cmp(&b));
            }
            let key = texts.prefix(Demand { key: &a.0, value: None });
            prop_assert!(first.starts_with(&key));
            prop_assert_eq!(second.starts_with(&key), a.0 == b.0);
            let place = spatial::nowhere(ElementId::relation(7));
            let whole = [&first[..], &place].concat();
            prop_assert_eq!(place_of(&whole), Some((&place, ElementId::relation(7))));
        }
    }
}
