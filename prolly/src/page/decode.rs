//! The strict decoder: everything that can be checked without seeing another page.

use std::ops::Range;

use super::PageError;
use crate::cbor::{self, Reader};
use crate::config::{BRANCH_PAIR_BYTES, MAX_LEVEL, MAX_VALUE_BYTES};

/// Stands for the length of a value out of line where there is none; longer than any.
pub(super) const NONE_LINKED: u32 = u32::MAX;

/// Where a pair ends in the page: its key, and its value or link. Pages are shorter than 64 KiB.
/// Encodings stand without gaps, so the end before tells where one begins, and its length how long
/// its head is.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) key: u16,
    pub(super) value: u16,
}

/// Returns where the bytes of a byte string lie whose encoding lies here.
#[inline]
pub(super) fn content(start: u16, end: u16) -> Range<usize> {
    usize::from(start) + string_head(usize::from(end.wrapping_sub(start)))..usize::from(end)
}

/// The length of the heads of many byte strings, if all are alike; 0 if not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heads(u8);

impl Heads {
    /// Looks at the encoded lengths of the shortest and the longest string.
    fn of(shortest: usize, longest: usize) -> Self {
        let alike = string_head(shortest) == string_head(longest);
        Self(if alike { u8::try_from(string_head(longest)).unwrap_or(0) } else { 0 })
    }

    /// Returns where the bytes of a byte string lie whose encoding lies here.
    #[inline]
    pub(super) fn content(self, start: u16, end: u16) -> Range<usize> {
        if self.0 == 0 {
            content(start, end)
        } else {
            usize::from(start) + usize::from(self.0)..usize::from(end)
        }
    }
}

/// Returns the length of the head of a byte string in a page, from the length of head and string.
#[inline]
pub(super) const fn string_head(encoded: usize) -> usize {
    1 + (encoded > 24) as usize + (encoded > 257) as usize
}

/// What a configuration sets limits to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Longest {
    pub(super) key: u16,
    pub(super) inline: u16,
    /// All pairs together, as the boundary rule reckons them.
    pub(super) payload: u32,
    pub(super) shortest_linked: u32,
}

/// A page taken apart.
pub(super) struct Parts {
    pub(super) level: u8,
    /// One more than there are pairs: first where the encodings of keys and values begin.
    pub(super) ends: Vec<End>,
    pub(super) counts: Vec<u64>,
    pub(super) count: u64,
    pub(super) longest: Longest,
    /// Of the keys, and of the values if none lives out of line.
    pub(super) heads: (Heads, Heads),
}

/// Takes a page apart.
pub(super) fn parts(bytes: &[u8]) -> Result<Parts, PageError> {
    let mut reader = Reader::new(bytes);
    let items = reader.array()?;
    let level = reader.unsigned()?;
    let small = u8::try_from(level).ok().filter(|level| *level <= MAX_LEVEL);
    let parts = match (items, small) {
        (3, Some(0)) => leaf(&mut reader)?,
        (4, Some(level @ 1..)) => branch(&mut reader, level)?,
        _ => return Err(PageError::Level { level, items }),
    };
    reader.end()?;
    Ok(parts)
}

/// Looks at the encodings that lie between these ends.
fn alike(ends: &[End], place: impl Fn(&End) -> u16) -> Heads {
    let lens = ends.windows(2).map(|ends| match ends {
        [before, end] => usize::from(place(end).wrapping_sub(place(before))),
        _ => 0,
    });
    let (least, most) = lens.fold((usize::MAX, 0), |(least, most), len| (least.min(len), most.max(len)));
    Heads::of(least, most)
}

/// Offsets fit 16 bits because the page's length was checked against [`MAX_PAGE_BYTES`].
#[expect(clippy::cast_possible_truncation)]
const fn short(offset: usize) -> u16 {
    offset as u16
}

/// What a page adds up to fits 32 bits for the same reason.
#[expect(clippy::cast_possible_truncation)]
const fn sum(bytes: usize) -> u32 {
    bytes as u32
}

/// Reads the keys. Where the values end is not known yet.
fn keys(reader: &mut Reader<'_>) -> Result<(Vec<End>, u16), PageError> {
    let len = reader.array()?;
    let mut ends = Vec::with_capacity(len + 1);
    ends.push(End { key: short(reader.position()), value: 0 });
    let mut before: Option<&[u8]> = None;
    let mut longest = 0;
    for index in 0..len {
        let key = reader.bytes()?;
        if before.is_some_and(|before| before >= key) {
            return Err(PageError::KeyOrder { index });
        }
        before = Some(key);
        longest = longest.max(key.len());
        ends.push(End { key: short(reader.position()), value: 0 });
    }
    Ok((ends, short(longest)))
}

/// Reads the length of an array beside the keys.
fn beside(reader: &mut Reader<'_>, keys: usize) -> Result<(), PageError> {
    let others = reader.array()?;
    if keys == others { Ok(()) } else { Err(PageError::Lengths { keys, others }) }
}

fn leaf(reader: &mut Reader<'_>) -> Result<Parts, PageError> {
    let keys_at = reader.position();
    let (mut ends, key) = keys(reader)?;
    let pairs = ends.len() - 1;
    let mut payload = reader.position() - keys_at;
    let (mut inline, mut shortest_linked) = (0, NONE_LINKED);
    let values_at = reader.position();
    beside(reader, pairs)?;
    for (index, end) in ends.iter_mut().enumerate() {
        // The first end is where the first value begins.
        if let Some(index) = index.checked_sub(1) {
            if reader.is_array() {
                reader.array_of(2)?;
                let len = reader.unsigned()?;
                if len == 0 || len > MAX_VALUE_BYTES {
                    return Err(PageError::ValueLength { index, len });
                }
                reader.link()?;
                shortest_linked = shortest_linked.min(u32::try_from(len).unwrap_or(NONE_LINKED));
            } else {
                inline = inline.max(reader.bytes()?.len());
            }
        }
        end.value = short(reader.position());
    }
    let array_heads = 2 * cbor::head_len(pairs as u64);
    payload = payload + (reader.position() - values_at) - array_heads;
    let longest = Longest { key, inline: short(inline), payload: sum(payload), shortest_linked };
    let heads = (alike(&ends, |end| end.key), alike(&ends, |end| end.value));
    Ok(Parts { level: 0, ends, counts: Vec::new(), count: pairs as u64, longest, heads })
}

fn branch(reader: &mut Reader<'_>, level: u8) -> Result<Parts, PageError> {
    let keys_at = reader.position();
    let (mut ends, key) = keys(reader)?;
    let children = ends.len() - 1;
    let head = cbor::head_len(children as u64);
    let payload = reader.position() - keys_at - head + children * BRANCH_PAIR_BYTES;
    if children < 2 {
        return Err(PageError::FewChildren(children));
    }
    beside(reader, children)?;
    for (index, end) in ends.iter_mut().enumerate() {
        if index > 0 {
            reader.link()?;
        }
        end.value = short(reader.position());
    }
    beside(reader, children)?;
    let mut counts = Vec::with_capacity(children);
    let mut count: u64 = 0;
    for index in 0..children {
        let under = reader.unsigned()?;
        count = count.checked_add(under).filter(|_| under > 0).ok_or(PageError::Count { index })?;
        counts.push(under);
    }
    let longest = Longest { key, inline: 0, payload: sum(payload), shortest_linked: NONE_LINKED };
    let heads = (Heads(0), Heads(0));
    Ok(Parts { level, ends, counts, count, longest, heads })
}
