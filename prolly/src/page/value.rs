//! Values and pairs as leaves hold them.

use bytes::Bytes;

use super::decode::{End, Heads, string_head};
use crate::cbor::Reader;
use crate::cid::Cid;

/// A value as a leaf holds it.
///
/// ```
/// # use prolly::{Config, Get, MemoryStore, Tree, Value};
/// # let store = MemoryStore::new();
/// let tree = Tree::build(&store, Config::default(), [("long", vec![7; 9_000]), ("short", vec![7])])?;
/// for key in ["long", "short"] {
///     match Get::new(tree, key).step(&store)?.complete()? {
///         Some(Value::Inline(bytes)) => assert_eq!((key, &bytes[..]), ("short", &[7][..])),
///         Some(Value::Linked(len, _top)) => assert_eq!((key, len), ("long", 9_000)),
///         None => unreachable!("both are there"),
///     }
/// }
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The bytes themselves.
    Inline(Bytes),
    /// The length in bytes, and the page that the bytes begin from.
    Linked(u64, Cid),
}

/// A value as a leaf holds it, borrowed from the leaf.
///
/// ```
/// # use prolly::{Config, KeyRange, MemoryStore, Tree, ValueRef};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// for run in tree.runs(&store, vec![KeyRange::point(b"b")]) {
///     for (_key, value) in &run? {
///         assert_eq!(value, ValueRef::Inline(b"2"));
///     }
/// }
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// The bytes themselves.
    Inline(&'a [u8]),
    /// The length in bytes, and the page that the bytes begin from.
    Linked(u64, Cid),
}

impl ValueRef<'_> {
    /// Returns the length of the value in bytes, wherever it lives.
    ///
    /// ```
    /// use prolly::{Cid, ValueRef};
    /// assert_eq!(ValueRef::Inline(b"deep").len(), 4);
    /// assert_eq!(ValueRef::Linked(9_000, Cid::of(b"its top page")).len(), 9_000);
    /// ```
    #[must_use]
    pub const fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Linked(len, _) => *len,
        }
    }

    /// Tells whether the value has no bytes.
    ///
    /// ```
    /// use prolly::ValueRef;
    /// assert!(ValueRef::Inline(b"").is_empty() && !ValueRef::Inline(b"1").is_empty());
    /// ```
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Iterates over pairs of a leaf, borrowed from it.
#[derive(Debug, Clone)]
pub(crate) struct PairRefs<'a> {
    /// Where the next pair begins.
    begin: End,
    ends: std::slice::Iter<'a, End>,
    bytes: &'a [u8],
    heads: (Heads, Heads),
    may_be_linked: bool,
}

impl<'a> PairRefs<'a> {
    /// Takes the ends of pairs, and before them those of the pair before.
    pub(super) fn new(ends: &'a [End], bytes: &'a [u8], heads: (Heads, Heads), may_be_linked: bool) -> Self {
        let (begin, ends) =
            ends.split_first().map_or((End { key: 0, value: 0 }, ends), |(at, ends)| (*at, ends));
        Self { begin, ends: ends.iter(), bytes, heads, may_be_linked }
    }

    #[inline]
    fn pair(&self, begin: End, end: End) -> (&'a [u8], ValueRef<'a>) {
        let key = self.bytes.get(self.heads.0.content(begin.key, end.key)).unwrap_or_default();
        if self.may_be_linked {
            let value = self.bytes.get(begin.value.into()..end.value.into()).unwrap_or_default();
            return (key, value_of(value));
        }
        (
            key,
            ValueRef::Inline(
                self.bytes.get(self.heads.1.content(begin.value, end.value)).unwrap_or_default(),
            ),
        )
    }
}

impl<'a> Iterator for PairRefs<'a> {
    type Item = (&'a [u8], ValueRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let end = *self.ends.next()?;
        let begin = std::mem::replace(&mut self.begin, end);
        Some(self.pair(begin, end))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ends.size_hint()
    }

    #[inline]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, mut fold: F) -> B {
        let (mut begin, mut folded) = (self.begin, init);
        for end in self.ends.clone() {
            folded = fold(folded, self.pair(begin, *end));
            begin = *end;
        }
        folded
    }
}

impl DoubleEndedIterator for PairRefs<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let end = *self.ends.next_back()?;
        let begin = self.ends.as_slice().last().copied().unwrap_or(self.begin);
        Some(self.pair(begin, end))
    }
}

impl ExactSizeIterator for PairRefs<'_> {}

/// Reads a value as a leaf encodes it: the decoder has seen that it is well formed.
#[inline]
pub(super) fn value_of(encoded: &[u8]) -> ValueRef<'_> {
    if encoded.first().is_some_and(|head| head >> 5 == 4) {
        return linked(encoded);
    }
    ValueRef::Inline(encoded.get(string_head(encoded.len())..).unwrap_or_default())
}

#[cold]
fn linked(encoded: &[u8]) -> ValueRef<'_> {
    let mut reader = Reader::new(encoded);
    let parts = reader.array().and_then(|_| Ok((reader.unsigned()?, reader.link()?)));
    parts.map_or(ValueRef::Inline(&[]), |(len, cid)| ValueRef::Linked(len, cid))
}
