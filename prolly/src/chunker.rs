//! Where a page ends: the smallest hash in a window.
//!
//! From the start of a page, look at the pairs after which the page's running size lies in
//! [min, max]; the page ends after the one whose key has the smallest hash, the first one on a tie.
//! If all that is left of the level fits into max, it is the last page. A branch never leaves a
//! single child for the page after it.
//!
//! Only keys are hashed, so a new value of the same size moves nothing; only pairs up to max bytes
//! from a page's start are looked at, so a change far behind moves nothing either.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::cbor::{self, put_array, put_unsigned};
use crate::cid::Cid;
use crate::config::{BRANCH_PAIR_BYTES, Config};
use crate::error::Error;
use crate::page::PageError;

/// The key that keys are hashed with, but for its last byte: that is the level.
const HASH_KEY: [u8; 32] = *b"prolly smallest hash in a window";

/// Returns the hash that decides where pages end: the first 8 bytes, big-endian, of BLAKE3 of the
/// key, keyed with `prolly smallest hash in a windo` and the level as the last byte.
///
/// ```
/// assert_ne!(prolly::boundary_hash(0, b"key"), prolly::boundary_hash(1, b"key"));
/// ```
#[must_use]
pub fn boundary_hash(level: u8, key: &[u8]) -> u64 {
    let mut hash_key = HASH_KEY;
    hash_key[31] = level;
    let hash = blake3::keyed_hash(&hash_key, key);
    let (first, _) = hash.as_bytes().split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*first)
}

/// A page that the rule has ended.
#[derive(Debug)]
pub(crate) struct NewPage {
    pub(crate) cid: Cid,
    pub(crate) bytes: Bytes,
    /// How many pairs or children it has.
    pub(crate) len: usize,
    pub(crate) last: Bytes,
    count: Option<u64>,
}

impl NewPage {
    /// Returns how many pairs are below or in it. Only a tree that lies about its counts makes more
    /// than can be counted.
    pub(crate) fn count(&self) -> Result<u64, Error> {
        self.count.ok_or_else(|| count_error(&self.cid, 0))
    }
}

/// Returns the error for a page whose counts cannot be.
pub(crate) fn count_error(cid: &Cid, index: usize) -> Error {
    Error::page(cid)(PageError::Count { index })
}

/// Collects the pairs of one level and cuts them into pages.
#[derive(Debug)]
pub(crate) struct LevelWriter {
    level: u8,
    min: usize,
    max: usize,
    /// Encoded keys, one after another; likewise values (or links).
    keys: Vec<u8>,
    values: Vec<u8>,
    pairs: VecDeque<Pair>,
    /// Where the next page begins, counted from the first pair ever pushed.
    cut: End,
    end: End,
    /// What is already gone from the front of `keys` and `values`.
    gone: End,
}

#[derive(Debug, Clone, Copy, Default)]
struct End {
    key: usize,
    value: usize,
    size: usize,
}

#[derive(Debug)]
struct Pair {
    key_len: usize,
    end: End,
    count: u64,
    hash: Option<u64>,
}

impl LevelWriter {
    pub(crate) fn new(config: &Config, level: u8) -> Self {
        let (min, max) = config.window(level);
        Self {
            level,
            min,
            max,
            keys: Vec::with_capacity(2 * max),
            values: Vec::with_capacity(2 * max),
            pairs: VecDeque::new(),
            cut: End::default(),
            end: End::default(),
            gone: End::default(),
        }
    }

    /// Returns how many pairs wait for their page.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
        self.pairs.clear();
        (self.cut, self.end, self.gone) = (End::default(), End::default(), End::default());
    }

    /// Adds a pair of a leaf, its value encoded already; or a child of a branch, as its encoded link.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8], count: u64) {
        let before = self.keys.len();
        cbor::put_bytes(&mut self.keys, key);
        self.values.extend_from_slice(value);
        let key_bytes = self.keys.len() - before;
        self.end.key += key_bytes;
        self.end.value += value.len();
        self.end.size += key_bytes + if self.level == 0 { value.len() } else { BRANCH_PAIR_BYTES };
        self.pairs.push_back(Pair { key_len: key.len(), end: self.end, count, hash: None });
    }

    /// Adds a child of a branch.
    pub(crate) fn push_child(&mut self, key: &[u8], cid: &Cid, count: u64) {
        let mut link = Vec::with_capacity(cbor::LINK_BYTES);
        cbor::put_link(&mut link, cid);
        self.push(key, &link, count);
    }

    /// Cuts off the next page, if enough pairs are here to decide where it ends.
    pub(crate) fn next_page(&mut self, at_end: bool) -> Option<NewPage> {
        let len = self.next_len(at_end)?;
        let &Pair { end, key_len, .. } = self.pairs.get(len.checked_sub(1)?)?;
        let counts: Vec<u64> = self.pairs.drain(..len).map(|pair| pair.count).collect();
        let total = counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        let keys = &self.keys[self.cut.key - self.gone.key..end.key - self.gone.key];
        let values = &self.values[self.cut.value - self.gone.value..end.value - self.gone.value];
        let bytes = Bytes::from(encode(self.level, keys, values, &counts));
        let last = Bytes::copy_from_slice(&keys[keys.len() - key_len..]);
        self.cut = end;
        self.forget();
        Some(NewPage { cid: Cid::of(&bytes), bytes, len, last, count: total })
    }

    /// Lets go of the front of the buffers, if that moves fewer bytes than were cut off since: a long
    /// run of pairs pushed at once is not moved again for every page.
    fn forget(&mut self) {
        let (keys, values) = (self.cut.key - self.gone.key, self.cut.value - self.gone.value);
        if keys + values >= (self.keys.len() + self.values.len()) / 2 {
            self.keys.drain(..keys);
            self.values.drain(..values);
            self.gone = self.cut;
        }
    }

    /// Returns how many pairs the next page has.
    fn next_len(&mut self, at_end: bool) -> Option<usize> {
        let total = self.end.size - self.cut.size;
        let len = self.pairs.len();
        if total <= self.max {
            return (at_end && len > 0).then_some(len);
        }
        let (first, last) = (self.cut.size + self.min, self.cut.size + self.max);
        let from = self.pairs.partition_point(|pair| pair.end.size < first);
        let mut to = self.pairs.partition_point(|pair| pair.end.size <= last);
        if self.level > 0 && to + 1 == len {
            // One pair is left behind the window: a page must not end right before the last child.
            if !at_end {
                return None;
            }
            to -= 1;
        }
        self.smallest_hash(from, to)
    }

    fn smallest_hash(&mut self, from: usize, to: usize) -> Option<usize> {
        let mut best: Option<(u64, usize)> = None;
        for index in from..to {
            let pair = self.pairs.get_mut(index)?;
            let end = pair.end.key - self.gone.key;
            let key = &self.keys[end - pair.key_len..end];
            let hash = *pair.hash.get_or_insert_with(|| boundary_hash(self.level, key));
            if best.is_none_or(|(least, _)| hash < least) {
                best = Some((hash, index));
            }
        }
        best.map(|(_, index)| index + 1)
    }
}

/// Encodes a page from its encoded keys and values (or links).
pub(crate) fn encode(level: u8, keys: &[u8], values: &[u8], counts: &[u64]) -> Vec<u8> {
    let len = counts.len();
    let mut out = Vec::with_capacity(keys.len() + values.len() + 11 + if level == 0 { 0 } else { 9 * len });
    put_array(&mut out, if level == 0 { 3 } else { 4 });
    put_unsigned(&mut out, level.into());
    put_array(&mut out, len);
    out.extend_from_slice(keys);
    put_array(&mut out, len);
    out.extend_from_slice(values);
    if level > 0 {
        put_array(&mut out, len);
        for count in counts {
            put_unsigned(&mut out, *count);
        }
    }
    out
}
