//! Records in memory: keys of one length and values of any, one after another in one buffer.

use std::cmp::Ordering;

/// Places in the buffer, and the first 16 bytes of the key there as two numbers, so that few
/// comparisons look at the buffer.
#[derive(Debug, Clone, Copy)]
struct Place {
    front: (u64, u64),
    at: usize,
}

/// What a place takes while records are sorted, in bytes.
pub(super) const PLACE_BYTES: usize = size_of::<Place>();

/// Records in the order in which they came. Each is its key, the length of its value as seven-bit
/// groups (least first), and the value.
#[derive(Debug, Clone)]
pub(crate) struct Records<const N: usize> {
    bytes: Vec<u8>,
    count: usize,
    ends: Option<([u8; N], [u8; N])>,
    ascending: bool,
}

impl<const N: usize> Default for Records<N> {
    fn default() -> Self {
        Self { bytes: Vec::new(), count: 0, ends: None, ascending: true }
    }
}

impl<const N: usize> Records<N> {
    pub(crate) fn push(&mut self, key: &[u8; N], value: &[u8]) {
        self.note(key, key, true);
        self.count += 1;
        self.bytes.extend_from_slice(key);
        let mut len = value.len();
        while len >= 0x80 {
            self.bytes.push(low_bits(len) | 0x80);
            len >>= 7;
        }
        self.bytes.push(low_bits(len));
        self.bytes.extend_from_slice(value);
    }

    /// Appends other records.
    pub(crate) fn append(&mut self, other: &Self) {
        if let Some((first, last)) = &other.ends {
            self.note(first, last, other.ascending);
            self.count += other.count;
            self.bytes.extend_from_slice(&other.bytes);
        }
    }

    fn note(&mut self, first: &[u8; N], last: &[u8; N], ascending: bool) {
        match &mut self.ends {
            Some((_, end)) => {
                self.ascending &= ascending && *end <= *first;
                *end = *last;
            }
            None => {
                self.ascending = ascending;
                self.ends = Some((*first, *last));
            }
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Returns the memory that the records take, and what sorting them will.
    pub(super) const fn memory_bytes(&self) -> usize {
        self.bytes.len() + if self.ascending { 0 } else { self.count * PLACE_BYTES }
    }

    /// Returns the first and the last key, if the records ascend; and all of them as bytes.
    pub(super) fn ascending(&self) -> Option<(&[u8; N], &[u8; N], &[u8])> {
        let (first, last) = self.ends.as_ref().filter(|_| self.ascending)?;
        Some((first, last, &self.bytes))
    }

    /// Forgets the records and keeps the buffer.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.count, self.ends, self.ascending) = (0, None, true);
    }

    /// Finds the order of the keys; equal ones stay as they came.
    pub(super) fn sorted(self) -> Ordered<N> {
        let order = (!self.ascending).then(|| self.order());
        Ordered { bytes: self.bytes, order }
    }

    fn order(&self) -> Vec<Place> {
        let mut places = Vec::with_capacity(self.count);
        let mut at = 0;
        while let Some((key, value)) = read::<N>(&self.bytes, at) {
            places.push(Place { front: front(key), at });
            at = value.end;
        }
        let behind = |place: &Place| self.bytes.get(place.at + 16..place.at + N.max(16)).unwrap_or_default();
        places.sort_unstable_by(|a, b| {
            let rest = || if N > 16 { behind(a).cmp(behind(b)) } else { Ordering::Equal };
            a.front.cmp(&b.front).then_with(rest).then(a.at.cmp(&b.at))
        });
        places
    }
}

fn low_bits(len: usize) -> u8 {
    // Seven bits always fit.
    u8::try_from(len & 0x7f).unwrap_or(0x7f)
}

/// Returns the first 16 bytes of a key, filled up with zeros.
fn front<const N: usize>(key: &[u8; N]) -> (u64, u64) {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let both = u128::from_be_bytes(bytes);
    let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(u64::MAX);
    (half(both >> 64), half(both))
}

/// Reads the record at a place: its key, and where its value is.
fn read<const N: usize>(bytes: &[u8], at: usize) -> Option<(&[u8; N], std::ops::Range<usize>)> {
    let (key, rest) = bytes.get(at..)?.split_first_chunk::<N>()?;
    let mut len = 0;
    let mut shift = 0;
    for (index, byte) in rest.iter().enumerate() {
        len |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            let start = at + N + index + 1;
            return Some((key, start..start + len));
        }
    }
    None
}

/// Records with the order of their keys.
#[derive(Debug)]
pub(super) struct Ordered<const N: usize> {
    bytes: Vec<u8>,
    order: Option<Vec<Place>>,
}

impl<const N: usize> Ordered<N> {
    pub(super) fn iter(&self) -> OrderedIter<'_, N> {
        OrderedIter { bytes: &self.bytes, at: 0, order: self.order.as_deref().map(|order| order.iter()) }
    }

    /// Gives the buffer back, to be filled again.
    pub(super) fn into_records(self) -> Records<N> {
        let mut records = Records { bytes: self.bytes, ..Records::default() };
        records.clear();
        records
    }
}

/// Iterates over records in the order of their keys.
#[derive(Debug)]
pub(super) struct OrderedIter<'a, const N: usize> {
    bytes: &'a [u8],
    at: usize,
    order: Option<std::slice::Iter<'a, Place>>,
}

impl<'a, const N: usize> Iterator for OrderedIter<'a, N> {
    type Item = (&'a [u8; N], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(order) = &mut self.order {
            self.at = order.next()?.at;
        }
        let (key, value) = read::<N>(self.bytes, self.at)?;
        self.at = value.end;
        Some((key, self.bytes.get(value)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn come_in_order_and_whole(
            pairs in prop::collection::vec((prop::array::uniform18(0_u8..3), prop::collection::vec(any::<u8>(), 0..300)), 0..60),
        ) {
            let mut records = Records::<18>::default();
            let mut others = Records::<18>::default();
            let half = pairs.len() / 2;
            pairs[..half].iter().for_each(|(key, value)| records.push(key, value));
            pairs[half..].iter().for_each(|(key, value)| others.push(key, value));
            records.append(&others);
            prop_assert_eq!(records.count(), pairs.len());
            let mut expected = pairs.clone();
            expected.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(records.ascending().is_some(), !pairs.is_empty() && pairs.is_sorted_by_key(|(key, _)| *key));
            let sorted = records.sorted();
            let found: Vec<_> = sorted.iter().map(|(key, value)| (*key, value.to_vec())).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
