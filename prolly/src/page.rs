//! One node of a tree: its one encoding, and a decoded form that borrows from the bytes.
//!
//! A leaf is `[0, [key…], [value…]]`, a branch `[level, [last key of child…], [link…], [pairs
//! under child…]]`, both in DAG-CBOR. A value is a byte string, or `[length, link]` where it lives
//! out of line. The empty tree is the leaf without pairs. Everything that can be checked without
//! seeing another page is checked here; [`Page::fits`] checks a page against the link that named it.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;

use crate::cbor::{self, CborError, Reader};
use crate::cid::Cid;
use crate::config::{BRANCH_PAIR_BYTES, Config, MAX_LEVEL, MAX_PAGE_BYTES, MAX_VALUE_BYTES};

/// A page that passed the strict decoder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Page(Arc<Decoded>);

#[derive(Debug)]
struct Decoded {
    bytes: Bytes,
    slots: Box<[Slot]>,
    /// Where a key is likely to stand.
    guess: Guess,
    /// What all keys begin with, as the length of it, and its first 8 bytes.
    common: u16,
    begins: u64,
    level: u8,
    longest: Longest,
    count: u64,
    counts: Box<[u64]>,
    /// Children that were opened from here and fit the links to them.
    opened: Box<[OnceLock<Weak<Self>>]>,
    cid: Cid,
}

/// Stands for the length of a value out of line where there is none; longer than any.
const NONE_LINKED: u32 = u32::MAX;

/// The bytes of a link before its hash.
const LINK_HEAD: u16 = 9;

/// Where a pair lies in the page. Pages are shorter than 64 KiB.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The 8 bytes of the key behind what all keys begin with, as a number: a search touches a few
    /// lines of memory, and not the keys all over the page.
    behind: u64,
    key: u16,
    key_end: u16,
    /// In a leaf the encoded value, in a branch the hash.
    value: u16,
    value_end: u16,
}

/// Guesses the place of a key as if keys lay evenly between the first and the last, as hashed keys
/// and close ids do. A wrong guess costs a few steps more.
#[derive(Debug, Clone, Copy)]
struct Guess {
    first: u64,
    /// Places per unit of a number, in 2⁻³² and after `shift`.
    scale: u64,
    shift: u32,
}

impl Guess {
    fn new(slots: &[Slot]) -> Self {
        let (Some(first), Some(last)) = (slots.first(), slots.last()) else {
            return Self { first: 0, scale: 0, shift: 0 };
        };
        let span = last.behind - first.behind;
        let shift = (u64::BITS - span.leading_zeros()).saturating_sub(32);
        let scale = ((slots.len() as u64 - 1) << 32) / ((span >> shift) + 1);
        Self { first: first.behind, scale, shift }
    }

    #[inline]
    fn place(&self, number: u64) -> usize {
        let way = u128::from(number.saturating_sub(self.first) >> self.shift);
        usize::try_from((way * u128::from(self.scale)) >> 32).unwrap_or(usize::MAX)
    }
}

/// What a configuration sets limits to.
#[derive(Debug, Clone, Copy)]
struct Longest {
    key: u16,
    inline: u16,
    /// All pairs together, as the boundary rule reckons them.
    payload: u32,
    shortest_linked: u32,
}

/// A value as a leaf holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The bytes themselves.
    Inline(Bytes),
    /// The length in bytes, and the page that the bytes begin from.
    Linked(u64, Cid),
}

/// A value as a leaf holds it, borrowed from the leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// The bytes themselves.
    Inline(&'a [u8]),
    /// The length in bytes, and the page that the bytes begin from.
    Linked(u64, Cid),
}

impl ValueRef<'_> {
    /// Returns the length of the value in bytes, wherever it lives.
    #[must_use]
    pub const fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Linked(len, _) => *len,
        }
    }

    /// Tells whether the value has no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a link says of the page it names.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) cid: Cid,
    pub(crate) level: u8,
    pub(crate) count: u64,
    /// The page's last key.
    pub(crate) last: Bytes,
    /// All keys of the page are greater than this one.
    pub(crate) after: Option<Bytes>,
    /// Another child follows in the branch, so the page is not the last of its level.
    pub(crate) followed: bool,
}

/// Bytes that are not a page, or not the page that a link promised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// Not in the one encoding of a page.
    #[error("{0}")]
    Cbor(#[from] CborError),
    /// The hash is not the address.
    #[error("the bytes hash to {found}")]
    Hash {
        /// The hash of the bytes.
        found: Cid,
    },
    /// Longer than any page.
    #[error("{len} bytes are more than the limit of {MAX_PAGE_BYTES}")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// A level beyond the limit, or an array length that does not go with the level.
    #[error("a page of {items} items cannot be on level {level}")]
    Level {
        /// The level it claims.
        level: u64,
        /// The length of the outer array.
        items: usize,
    },
    /// The arrays of keys, values, links, counts have different lengths.
    #[error("{keys} keys stand beside {others} values or children")]
    Lengths {
        /// How many keys.
        keys: usize,
        /// How many of the others.
        others: usize,
    },
    /// Keys do not ascend strictly.
    #[error("key {index} is not greater than the one before")]
    KeyOrder {
        /// The place of the key.
        index: usize,
    },
    /// A branch with fewer than two children.
    #[error("a branch has {0} children")]
    FewChildren(usize),
    /// A child without pairs, or more pairs than can be counted.
    #[error("child {index} has an impossible count")]
    Count {
        /// The place of the child.
        index: usize,
    },
    /// A value out of line of an impossible length.
    #[error("value {index} has the impossible length {len}")]
    ValueLength {
        /// The place of the value.
        index: usize,
        /// The length it claims.
        len: u64,
    },
    /// Beyond what the tree's configuration allows.
    #[error("{what} has {len} bytes, the configuration allows {limit}")]
    Limit {
        /// What is too long or too short.
        what: &'static str,
        /// How long it is.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// Not what the link to it promised.
    #[error("it does not fit the link to it: its {0} differs")]
    Promise(&'static str),
    /// It is shorter than the boundary rule allows a page that is not the last of its level.
    #[error("it ends where the boundary rule ends no page")]
    Boundary,
}

impl Page {
    /// Decodes bytes whose hash is to be checked.
    ///
    /// ```
    /// use prolly::{Cid, Page};
    /// let empty = [0x83, 0x00, 0x80, 0x80];
    /// let page = Page::verify(Cid::of(&empty), empty.to_vec().into())?;
    /// assert_eq!((page.level(), page.len()), (0, 0));
    /// # Ok::<(), prolly::PageError>(())
    /// ```
    ///
    /// # Errors
    /// The hash differs, or the bytes are not the one encoding of a page.
    pub fn verify(cid: Cid, bytes: Bytes) -> Result<Self, PageError> {
        let found = Cid::of(&bytes);
        if found == cid { Self::decode(cid, bytes) } else { Err(PageError::Hash { found }) }
    }

    /// Decodes bytes that are known to have this address.
    pub(crate) fn decode(cid: Cid, bytes: Bytes) -> Result<Self, PageError> {
        if bytes.len() > MAX_PAGE_BYTES {
            return Err(PageError::TooLong { len: bytes.len() });
        }
        let mut reader = Reader::new(&bytes);
        let items = reader.array()?;
        let level = reader.unsigned()?;
        let parts = match (items, level) {
            (3, 0) => leaf(&mut reader)?,
            (4, 1..) if level <= MAX_LEVEL.into() => branch(&mut reader)?,
            _ => return Err(PageError::Level { level, items }),
        };
        reader.end()?;
        let level = u8::try_from(level).map_err(|_| PageError::Level { level, items })?;
        let Parts { mut slots, counts, count, longest } = parts;
        let key = |slot: &Slot| &bytes[usize::from(slot.key)..usize::from(slot.key_end)];
        let ends = slots.first().map(key).zip(slots.last().map(key));
        let common =
            ends.map_or(0, |(first, last)| first.iter().zip(last).take_while(|(a, b)| a == b).count());
        let begins = slots.first().map_or(0, |first| number(key(first)));
        for slot in &mut slots {
            slot.behind = number(&key(slot)[common..]);
        }
        let opened = if level == 0 { 0 } else { slots.len() };
        Ok(Self(Arc::new(Decoded {
            guess: Guess::new(&slots),
            slots: slots.into_boxed_slice(),
            counts: counts.into_boxed_slice(),
            opened: std::iter::repeat_with(OnceLock::new).take(opened).collect(),
            common: short(common),
            begins,
            bytes,
            level,
            longest,
            count,
            cid,
        })))
    }

    /// Returns the address.
    #[must_use]
    pub fn cid(&self) -> &Cid {
        &self.0.cid
    }

    /// Returns the encoding.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// Returns the level: 0 for a leaf.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.0.level
    }

    /// Returns how many pairs a leaf holds, or how many children a branch has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.slots.len()
    }

    /// Tells whether this is the page of the empty tree.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.slots.is_empty()
    }

    /// Returns how many pairs are in the leaves below, or in this leaf.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.count
    }

    /// Returns the bytes of pairs, as the boundary rule reckons them.
    #[must_use]
    pub fn payload(&self) -> usize {
        self.0.longest.payload as usize
    }

    /// Returns about how much memory the page takes, for a cache to reckon with.
    pub(crate) fn memory_bytes(&self) -> usize {
        let Decoded { bytes, slots, counts, opened, .. } = &*self.0;
        let lists = size_of_val(&**slots) + size_of_val(&**counts) + size_of_val(&**opened);
        // The page, the two counters before it, and its arrays.
        size_of::<Decoded>() + 2 * size_of::<usize>() + bytes.len() + lists
    }

    /// Returns the key of a pair, or the last key of a child.
    ///
    /// # Panics
    /// There are not that many.
    #[inline]
    #[must_use]
    pub fn key(&self, index: usize) -> &[u8] {
        let slot = self.0.slots[index];
        &self.0.bytes[usize::from(slot.key)..usize::from(slot.key_end)]
    }

    /// Returns the same key, sharing the page's memory.
    pub(crate) fn key_bytes(&self, index: usize) -> Bytes {
        let slot = self.0.slots[index];
        self.0.bytes.slice(usize::from(slot.key)..usize::from(slot.key_end))
    }

    /// Returns the last key.
    pub(crate) fn last_key(&self) -> Option<Bytes> {
        self.len().checked_sub(1).map(|last| self.key_bytes(last))
    }

    /// Returns the encoding of a value in a leaf.
    #[inline]
    pub(crate) fn encoded_value(&self, index: usize) -> &[u8] {
        let slot = self.0.slots[index];
        &self.0.bytes[usize::from(slot.value)..usize::from(slot.value_end)]
    }

    /// Returns how many pairs from a place on are the same as in another leaf from a place on.
    pub(crate) fn pairs_shared(&self, from: usize, other: &Self, other_from: usize) -> usize {
        let same = |(a, b): &(usize, usize)| {
            self.key(*a) == other.key(*b) && self.encoded_value(*a) == other.encoded_value(*b)
        };
        (from..self.len()).zip(other_from..other.len()).take_while(same).count()
    }

    /// Returns a value or a child's link as it stands in the page.
    pub(crate) fn item(&self, index: usize) -> &[u8] {
        let slot = self.0.slots[index];
        let start = if self.level() == 0 { slot.value } else { slot.value - LINK_HEAD };
        &self.0.bytes[usize::from(start)..usize::from(slot.value_end)]
    }

    /// Returns how many pairs stand for one pair or child of this page.
    pub(crate) fn item_count(&self, index: usize) -> u64 {
        if self.level() == 0 { 1 } else { self.child_count(index) }
    }

    /// Returns the same page with other values or links of the same lengths, encoded.
    pub(crate) fn with_items<'a>(&self, items: impl Iterator<Item = (usize, &'a [u8], u64)>) -> Vec<u8> {
        let mut out = self.0.bytes.to_vec();
        let mut counts = self.0.counts.to_vec();
        for (index, item, count) in items {
            let end = usize::from(self.0.slots[index].value_end);
            out[end - item.len()..end].copy_from_slice(item);
            if let Some(old) = counts.get_mut(index) {
                *old = count;
            }
        }
        if let (1.., Some(last)) = (self.level(), self.0.slots.last()) {
            out.truncate(last.value_end.into());
            cbor::put_array(&mut out, counts.len());
            counts.iter().for_each(|count| cbor::put_unsigned(&mut out, *count));
        }
        out
    }

    /// Returns a value of a leaf, sharing the page's memory. `None` in a branch.
    ///
    /// # Panics
    /// There are not that many.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<Value> {
        Some(match self.value_ref(index)? {
            ValueRef::Inline(bytes) => {
                let end = usize::from(self.0.slots[index].value_end);
                Value::Inline(self.0.bytes.slice(end - bytes.len()..end))
            }
            ValueRef::Linked(len, cid) => Value::Linked(len, cid),
        })
    }

    /// Returns a value of a leaf, borrowed from it. `None` in a branch.
    ///
    /// # Panics
    /// There are not that many.
    #[inline]
    #[must_use]
    pub fn value_ref(&self, index: usize) -> Option<ValueRef<'_>> {
        if self.level() != 0 {
            return None;
        }
        let encoded = self.encoded_value(index);
        // The decoder has seen that the head is that of a byte string or of a link, and the shortest.
        let head = match encoded.first()? {
            0x40..=0x57 => 1,
            0x58 => 2,
            0x59 => 3,
            0x5a => 5,
            _ => return Self::linked(encoded),
        };
        encoded.get(head..).map(ValueRef::Inline)
    }

    #[cold]
    fn linked(encoded: &[u8]) -> Option<ValueRef<'_>> {
        let mut reader = Reader::new(encoded);
        reader.array().ok()?;
        Some(ValueRef::Linked(reader.unsigned().ok()?, reader.link().ok()?))
    }

    /// Returns the address of a child of a branch. `None` in a leaf.
    ///
    /// # Panics
    /// There are not that many.
    #[must_use]
    pub fn child(&self, index: usize) -> Option<Cid> {
        let hash = self.encoded_value(index).try_into().ok();
        if self.level() == 0 { None } else { hash.map(Cid::from_hash) }
    }

    /// Returns how many pairs are under a child of a branch.
    pub(crate) fn child_count(&self, index: usize) -> u64 {
        self.0.counts[index]
    }

    /// Returns all that this branch says of a child. `None` in a leaf.
    pub(crate) fn link(&self, index: usize, after: Option<&Bytes>) -> Option<Link> {
        let after = match index.checked_sub(1) {
            Some(before) => Some(self.key_bytes(before)),
            None => after.cloned(),
        };
        let level = self.level().checked_sub(1)?;
        let count = self.child_count(index);
        let followed = index + 1 < self.len();
        Some(Link { cid: self.child(index)?, level, count, last: self.key_bytes(index), after, followed })
    }

    /// Finds a key: its place, or the place where it would stand.
    #[inline]
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(last) = self.len().checked_sub(1) else { return Err(0) };
        let common = usize::from(self.0.common);
        if !self.begins_alike(key) {
            return Err(if key < &self.key(last)[..common] { 0 } else { self.len() });
        }
        let wanted = number(&key[common..]);
        let slots = &self.0.slots;
        // From the guess on in steps that double: everything below `low` is less, from `high` on not.
        let mut place = self.0.guess.place(wanted).min(last);
        let (mut low, mut high, mut step) = (0, slots.len(), 1);
        if slots[place].behind < wanted {
            low = place + 1;
            while let Some(next) = slots.get(low + step - 1) {
                if next.behind >= wanted {
                    high = low + step - 1;
                    break;
                }
                (low, step) = (low + step, step * 2);
            }
        } else {
            high = place;
            while let Some(next) = high.checked_sub(step) {
                if slots[next].behind < wanted {
                    low = next + 1;
                    break;
                }
                (high, step) = (next, step * 2);
            }
        }
        place = low + slots[low..high].partition_point(|slot| slot.behind < wanted);
        // Keys with the same 8 bytes, or that end within them, are told apart one by one.
        let equals = slots[place..].partition_point(|slot| slot.behind == wanted);
        (low, high) = (place, place + equals);
        while low < high {
            place = low.midpoint(high);
            match self.key(place).cmp(key) {
                std::cmp::Ordering::Less => low = place + 1,
                std::cmp::Ordering::Equal => return Ok(place),
                std::cmp::Ordering::Greater => high = place,
            }
        }
        Err(low)
    }

    /// Tells whether a key begins with what all keys of the page begin with.
    #[inline]
    fn begins_alike(&self, key: &[u8]) -> bool {
        let common = usize::from(self.0.common);
        let unused = 64 - 8 * common.min(8);
        let front = |number: u64| number.checked_shr(u32::try_from(unused).unwrap_or(64)).unwrap_or(0);
        key.len() >= common
            && front(number(key)) == front(self.0.begins)
            && (common <= 8 || key[8..common] == self.key(0)[8..common])
    }

    /// Returns the place of the first key that is not less.
    #[inline]
    #[must_use]
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        self.search(key).unwrap_or_else(|place| place)
    }

    /// Returns the place of the first key, from a place on, for which this does not hold; it must hold
    /// for a run of keys from there. Looks near first: the next key that is wanted is often close.
    #[inline]
    pub(crate) fn lower_bound_from(&self, start: usize, holds: impl Fn(&[u8]) -> bool) -> usize {
        let len = self.len();
        let (mut low, mut step) = (start, 1);
        while low < len && holds(self.key(low)) {
            let next = low + step;
            if next >= len || !holds(self.key(next)) {
                // The boundary lies between the two.
                let (mut yes, mut no) = (low, next.min(len));
                while no - yes > 1 {
                    let middle = yes.midpoint(no);
                    if holds(self.key(middle)) { yes = middle } else { no = middle }
                }
                return no;
            }
            low = next;
            step *= 2;
        }
        low
    }

    /// Checks the page against the limits of a configuration.
    ///
    /// # Errors
    /// A key, a value or the page is too long; or a value should not be out of line.
    pub fn within(&self, config: &Config) -> Result<(), PageError> {
        let (_, max) = config.window(self.level());
        let Longest { key, inline, payload, shortest_linked } = self.0.longest;
        let most = |what, len: u32, limit: u64| {
            let len = u64::from(len);
            if len <= limit { Ok(()) } else { Err(PageError::Limit { what, len, limit }) }
        };
        most("a key", key.into(), config.key_max.into())?;
        most("an inline value", inline.into(), config.inline_max.into())?;
        most("the page's pairs", payload, max as u64)?;
        let (len, limit) = (u64::from(shortest_linked), u64::from(config.inline_max) + 1);
        if shortest_linked != NONE_LINKED && len < limit {
            return Err(PageError::Limit { what: "a value out of line", len, limit });
        }
        Ok(())
    }

    /// Checks the page against the link that named it.
    pub(crate) fn fits(&self, link: &Link) -> Result<(), PageError> {
        self.keeps(link.level, link.count, &link.last)?;
        self.begins_behind(link.after.as_deref())
    }

    /// Checks the page against the place of a branch that named it, but for the lower bound of a first
    /// child, which its branch does not know.
    pub(crate) fn fits_at(&self, branch: &Self, index: usize) -> Result<(), PageError> {
        let level = branch.level().checked_sub(1).ok_or(PageError::Promise("level"))?;
        self.keeps(level, branch.child_count(index), branch.key(index))?;
        self.begins_behind(index.checked_sub(1).map(|before| branch.key(before)))
    }

    /// Checks that the first key is greater than this one.
    pub(crate) fn begins_behind(&self, after: Option<&[u8]>) -> Result<(), PageError> {
        match after {
            Some(after) if self.key(0) <= after => Err(PageError::Promise("first key")),
            _ => Ok(()),
        }
    }

    fn keeps(&self, level: u8, count: u64, last: &[u8]) -> Result<(), PageError> {
        if self.level() != level {
            return Err(PageError::Promise("level"));
        }
        if self.count() != count {
            return Err(PageError::Promise("count"));
        }
        match self.len().checked_sub(1) {
            Some(index) if self.key(index) == last => Ok(()),
            _ => Err(PageError::Promise("last key")),
        }
    }

    /// Returns a child that was opened from here and fits, if it still is in memory.
    #[inline]
    pub(crate) fn opened(&self, index: usize) -> Option<Self> {
        self.0.opened.get(index)?.get()?.upgrade().map(Self)
    }

    /// Tells whether this child was opened from here and fits.
    #[inline]
    pub(crate) fn has_opened(&self, index: usize, child: &Self) -> bool {
        let opened = self.0.opened.get(index).and_then(OnceLock::get);
        opened.is_some_and(|opened| std::ptr::eq(opened.as_ptr(), Arc::as_ptr(&child.0)))
    }

    /// Remembers a child that fits.
    pub(crate) fn remember(&self, index: usize, child: &Self) {
        if let Some(opened) = self.0.opened.get(index) {
            // Whoever was first with another copy of the page may stay.
            let _ = opened.set(Arc::downgrade(&child.0));
        }
    }
}

/// Returns the first 8 bytes as a number that sorts as they do; missing bytes count as zeros.
#[inline]
fn number(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut first = [0; 8];
            first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(first)
        }
    }
}

struct Parts {
    slots: Vec<Slot>,
    counts: Vec<u64>,
    count: u64,
    longest: Longest,
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

fn keys(reader: &mut Reader<'_>) -> Result<(Vec<Slot>, u16), PageError> {
    let len = reader.array()?;
    let mut slots = Vec::with_capacity(len);
    let mut before: Option<&[u8]> = None;
    let mut longest = 0;
    for index in 0..len {
        let key = reader.bytes()?;
        if before.is_some_and(|before| before >= key) {
            return Err(PageError::KeyOrder { index });
        }
        before = Some(key);
        longest = longest.max(key.len());
        let end = reader.position();
        slots.push(Slot {
            behind: 0,
            key: short(end - key.len()),
            key_end: short(end),
            value: 0,
            value_end: 0,
        });
    }
    Ok((slots, short(longest)))
}

fn same_length(keys: usize, others: usize) -> Result<(), PageError> {
    if keys == others { Ok(()) } else { Err(PageError::Lengths { keys, others }) }
}

fn leaf(reader: &mut Reader<'_>) -> Result<Parts, PageError> {
    let keys_at = reader.position();
    let (mut slots, key) = keys(reader)?;
    let mut payload = reader.position() - keys_at;
    let (mut inline, mut shortest_linked) = (0, NONE_LINKED);
    let values_at = reader.position();
    same_length(slots.len(), reader.array()?)?;
    for (index, slot) in slots.iter_mut().enumerate() {
        slot.value = short(reader.position());
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
        slot.value_end = short(reader.position());
    }
    let heads = 2 * cbor::head_len(slots.len() as u64);
    payload = payload + (reader.position() - values_at) - heads;
    let longest = Longest { key, inline: short(inline), payload: sum(payload), shortest_linked };
    Ok(Parts { count: slots.len() as u64, slots, counts: Vec::new(), longest })
}

fn branch(reader: &mut Reader<'_>) -> Result<Parts, PageError> {
    let keys_at = reader.position();
    let (mut slots, key) = keys(reader)?;
    let head = cbor::head_len(slots.len() as u64);
    let payload = reader.position() - keys_at - head + slots.len() * BRANCH_PAIR_BYTES;
    if slots.len() < 2 {
        return Err(PageError::FewChildren(slots.len()));
    }
    same_length(slots.len(), reader.array()?)?;
    for slot in &mut slots {
        let link = reader.link()?;
        let end = reader.position();
        slot.value = short(end - link.as_bytes().len());
        slot.value_end = short(end);
    }
    same_length(slots.len(), reader.array()?)?;
    let mut counts = Vec::with_capacity(slots.len());
    let mut count: u64 = 0;
    for index in 0..slots.len() {
        let under = reader.unsigned()?;
        count = count.checked_add(under).filter(|_| under > 0).ok_or(PageError::Count { index })?;
        counts.push(under);
    }
    let longest = Longest { key, inline: 0, payload: sum(payload), shortest_linked: NONE_LINKED };
    Ok(Parts { slots, counts, count, longest })
}
