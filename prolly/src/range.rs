//! Ranges of keys.

use std::ops::{Bound, Range, RangeBounds};

use bytes::Bytes;

/// The keys from one (included) up to another (excluded); without an upper end, all from the first.
///
/// ```
/// use prolly::KeyRange;
/// let range = KeyRange { from: "b".into(), to: Some("d".into()) };
/// assert!(range.contains(b"b") && range.contains(b"czz") && !range.contains(b"d"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The least key that belongs to it.
    pub from: Bytes,
    /// The least key behind it.
    pub to: Option<Bytes>,
}

impl KeyRange {
    /// Returns the range of all keys.
    ///
    /// ```
    /// use prolly::KeyRange;
    /// assert!(KeyRange::all().contains(b"") && KeyRange::all().contains(b"\xff\xff"));
    /// ```
    #[must_use]
    pub const fn all() -> Self {
        Self { from: Bytes::new(), to: None }
    }

    /// Returns the range of a single key.
    ///
    /// ```
    /// use prolly::KeyRange;
    /// let range = KeyRange::point(b"well");
    /// assert!(range.contains(b"well") && !range.contains(b"wells"));
    /// ```
    #[must_use]
    pub fn point(key: &[u8]) -> Self {
        Self { from: Bytes::copy_from_slice(key), to: Some(successor(key)) }
    }

    /// Returns the range of all keys that begin with these bytes.
    ///
    /// ```
    /// let range = prolly::KeyRange::prefix(b"way/");
    /// assert!(range.contains(b"way/5") && !range.contains(b"way0"));
    /// ```
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        while end.pop_if(|byte| *byte == u8::MAX).is_some() {}
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let to = (!end.is_empty()).then(|| Bytes::from(end));
        Self { from: Bytes::copy_from_slice(prefix), to }
    }

    /// Returns the range between any two bounds.
    ///
    /// ```
    /// use prolly::KeyRange;
    /// let range = KeyRange::new(&("b"..="d"));
    /// assert!(range.contains(b"d") && !range.contains(b"d1"));
    /// assert_eq!(KeyRange::new::<&str>(&..), KeyRange::all());
    /// ```
    #[must_use]
    pub fn new<K: AsRef<[u8]>>(bounds: &impl RangeBounds<K>) -> Self {
        let copy = |key: &K| Bytes::copy_from_slice(key.as_ref());
        let from = match bounds.start_bound() {
            Bound::Included(key) => copy(key),
            Bound::Excluded(key) => successor(key.as_ref()),
            Bound::Unbounded => Bytes::new(),
        };
        let to = match bounds.end_bound() {
            Bound::Included(key) => Some(successor(key.as_ref())),
            Bound::Excluded(key) => Some(copy(key)),
            Bound::Unbounded => None,
        };
        Self { from, to }
    }

    /// Tells whether a key belongs to the range.
    ///
    /// ```
    /// use prolly::KeyRange;
    /// let ways = KeyRange::prefix(b"way/");
    /// assert!(ways.contains(b"way/7"));
    /// assert!(!ways.contains(b"node/7"));
    /// ```
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        &self.from[..] <= key && !self.ends_before(key)
    }

    /// Tells whether no key belongs to the range.
    ///
    /// ```
    /// use prolly::KeyRange;
    /// assert!(KeyRange::new(&("d".."b")).is_empty());
    /// assert!(!KeyRange::point(b"").is_empty(), "no bytes are a key too");
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }

    /// Leaves out the keys that are less.
    pub(crate) fn begin_at(&mut self, key: &Bytes) {
        if self.from < *key {
            self.from = key.clone();
        }
    }

    /// Leaves out this key and all that are greater.
    pub(crate) fn end_at(&mut self, key: &Bytes) {
        if self.to.as_ref().is_none_or(|to| to > key) {
            self.to = Some(key.clone());
        }
    }

    /// Tells whether the range ends before this key.
    pub(crate) fn ends_before(&self, key: &[u8]) -> bool {
        self.to.as_ref().is_some_and(|to| &to[..] <= key)
    }

    /// Tells whether the range holds no key that is greater than this one.
    pub(crate) fn ends_with(&self, key: &[u8]) -> bool {
        self.to.as_ref().is_some_and(|to| &to[..] <= key || to.split_last() == Some((&0, key)))
    }
}

/// Returns the least key that is greater.
pub(crate) fn successor(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

/// Sorts ranges, leaves out the empty ones and unites those that touch.
pub(crate) fn disjoint(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by(|a, b| a.from.cmp(&b.from));
    let mut united: Vec<KeyRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match united.last_mut() {
            Some(last) if last.to.as_ref().is_none_or(|to| *to >= range.from) => {
                if last.to.as_ref().is_some_and(|to| range.to.as_ref().is_none_or(|end| end > to)) {
                    last.to = range.to;
                }
            }
            _ => united.push(range),
        }
    }
    united
}

/// Sorted, disjoint ranges of keys, to be walked over.
#[derive(Debug, Clone)]
pub(crate) enum Ranges {
    /// Any ranges.
    Any(Vec<KeyRange>),
    /// All keys that begin with one of some prefixes of one length, kept one after another: a
    /// million of them need no million allocations.
    Prefixes { bytes: Vec<u8>, len: usize },
}

impl Ranges {
    pub(crate) fn any(ranges: Vec<KeyRange>) -> Self {
        Self::Any(disjoint(ranges))
    }

    pub(crate) fn prefixes<const N: usize>(mut prefixes: Vec<[u8; N]>) -> Self {
        if N == 0 {
            return Self::Any(if prefixes.is_empty() { Vec::new() } else { vec![KeyRange::all()] });
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        Self::Prefixes { bytes: prefixes.into_flattened(), len: N }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Any(ranges) => ranges.len(),
            Self::Prefixes { bytes, len } => bytes.len() / len,
        }
    }

    /// Returns the least key that belongs to a range. `None`: there are not that many ranges.
    pub(crate) fn from(&self, index: usize) -> Option<&[u8]> {
        match self {
            Self::Any(ranges) => ranges.get(index).map(|range| &range.from[..]),
            Self::Prefixes { bytes, len } => bytes.chunks_exact(*len).nth(index),
        }
    }

    /// Tells whether a range ends before a key.
    pub(crate) fn ends_before(&self, index: usize, key: &[u8]) -> bool {
        match self {
            Self::Any(ranges) => ranges.get(index).is_none_or(|range| range.ends_before(key)),
            Self::Prefixes { .. } => {
                self.from(index).is_none_or(|prefix| prefix < key && !key.starts_with(prefix))
            }
        }
    }

    /// Tells whether a range holds no key that is greater than this one.
    pub(crate) fn ends_with(&self, index: usize, key: &[u8]) -> bool {
        match self {
            Self::Any(ranges) => ranges.get(index).is_none_or(|range| range.ends_with(key)),
            Self::Prefixes { .. } => self.ends_before(index, key),
        }
    }

    /// Returns some of the ranges.
    pub(crate) fn part(&self, ranges: Range<usize>) -> Vec<KeyRange> {
        match self {
            Self::Any(all) => all.get(ranges).unwrap_or_default().to_vec(),
            Self::Prefixes { .. } => {
                ranges.filter_map(|index| self.from(index).map(KeyRange::prefix)).collect()
            }
        }
    }

    /// Returns the first range, of those from a place on, that does not end before this key.
    pub(crate) fn first_from(&self, place: usize, key: &[u8]) -> usize {
        self.first(place, |index| !self.ends_before(index, key))
    }

    /// Returns the first range, of those from a place on, that holds a key that is greater than this one.
    pub(crate) fn first_behind(&self, place: usize, key: &[u8]) -> usize {
        self.first(place, |index| !self.ends_with(index, key))
    }

    /// Returns how many ranges begin at this key or before it.
    pub(crate) fn begun_by(&self, key: &[u8]) -> usize {
        self.first(0, |index| self.from(index).is_none_or(|from| from > key))
    }

    /// Returns the first range from a place on for which this holds, as it does for all behind it.
    /// Looks near first: the next range that is wanted is often close.
    fn first(&self, place: usize, holds: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high, mut step) = (place, self.len(), 1);
        while low + step < high {
            if holds(low + step) {
                high = low + step;
                break;
            }
            (low, step) = (low + step + 1, step * 2);
        }
        while low < high {
            let middle = low.midpoint(high);
            if holds(middle) { high = middle } else { low = middle + 1 }
        }
        low
    }
}
