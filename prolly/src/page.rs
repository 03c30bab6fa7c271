//! One node of a tree: its one encoding, and a decoded form that borrows from the bytes.
//!
//! A leaf is `[0, [key…], [value…]]`, a branch `[level, [last key of child…], [link…], [pairs
//! under child…]]`, both in DAG-CBOR. A value is a byte string, or `[length, link]` where it lives
//! out of line. The empty tree is the leaf without pairs. Everything that can be checked without
//! seeing another page is checked here; `fits_at` checks a page against the branch that named it.

mod decode;
mod error;
mod search;
mod value;

use std::hint::black_box;
use std::ops::Range;
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;

use self::decode::{End, Heads, Longest, NONE_LINKED, content};
pub use self::error::PageError;
use self::search::{Guess, number};
pub(crate) use self::value::PairRefs;
pub use self::value::{Value, ValueRef};
use crate::cbor;
use crate::cid::Cid;
use crate::config::{BRANCH_PAIR_BYTES, Config, MAX_PAGE_BYTES};

/// A page that passed the strict decoder. Cheap to clone.
///
/// ```
/// # use prolly::{Config, MemoryStore, PageSource, Tree, Value};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// let Some(page) = store.page(&tree.root)? else { unreachable!("it is here") };
/// assert_eq!((page.level(), page.len()), (0, 3), "a leaf of three pairs");
/// assert_eq!((page.key(2), page.value(2)), (&b"c"[..], Some(Value::Inline("3".into()))));
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Page(Arc<Decoded>);

/// What walks touch stands first, in as few lines of memory as may be.
#[derive(Debug)]
#[repr(C)]
struct Decoded {
    bytes: Bytes,
    ends: Box<[End]>,
    /// For every key the 8 bytes behind what all keys begin with, as a number: a search touches a few
    /// lines of memory, and not the keys all over the page.
    behind: Box<[u64]>,
    longest: Longest,
    heads: (Heads, Heads),
    level: u8,
    /// What all keys begin with, as the length of it, and its first 8 bytes.
    common: u16,
    begins: u64,
    /// Where a key is likely to stand.
    guess: Guess,
    count: u64,
    /// Children that were opened from here and fit the links to them.
    opened: Box<[OnceLock<Weak<Self>>]>,
    counts: Box<[u64]>,
    cid: Cid,
}

/// How far apart a page is touched before all of it is read.
const TOUCHED_BYTES: usize = 1024;

/// The bytes of a hash at the end of a link.
const HASH_BYTES: usize = 32;

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
        let parts = decode::parts(&bytes)?;
        let keys = parts.ends.windows(2).map(|ends| match ends {
            [before, end] => &bytes[content(before.key, end.key)],
            _ => &[],
        });
        let alike =
            |(first, last): (&[u8], &[u8])| first.iter().zip(last).take_while(|(a, b)| a == b).count();
        let common = keys.clone().next().zip(keys.clone().next_back()).map_or(0, alike);
        let begins = keys.clone().next().map_or(0, number);
        let behind: Box<[u64]> = keys.map(|key| number(&key[common..])).collect();
        let children = if parts.level == 0 { 0 } else { behind.len() };
        Ok(Self(Arc::new(Decoded {
            guess: Guess::new(&behind),
            behind,
            ends: parts.ends.into_boxed_slice(),
            counts: parts.counts.into_boxed_slice(),
            opened: std::iter::repeat_with(OnceLock::new).take(children).collect(),
            common: u16::try_from(common).unwrap_or(u16::MAX),
            begins,
            bytes,
            level: parts.level,
            longest: parts.longest,
            heads: parts.heads,
            count: parts.count,
            cid,
        })))
    }

    /// Returns the address.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(page) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!(*page.cid(), tree.root);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn cid(&self) -> &Cid {
        &self.0.cid
    }

    /// Returns the encoding.
    ///
    /// ```
    /// # use prolly::{Cid, Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(page) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!(Cid::of(page.bytes()), tree.root);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// Returns the level: 0 for a leaf.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let pairs = (0u32..1_000).map(|n| (n.to_be_bytes(), [0; 32]));
    /// # let tree = Tree::build(&store, Config::default(), pairs)?;
    /// let Some(root) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!(root.level(), 1, "one level of branches above the leaves");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn level(&self) -> u8 {
        self.0.level
    }

    /// Returns how many pairs a leaf holds, or how many children a branch has.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(page) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!(page.len(), 3);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.behind.len()
    }

    /// Tells whether this is the page of the empty tree.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// let tree = Tree::empty(&store, Config::default())?;
    /// assert_eq!(store.page(&tree.root)?.map(|page| page.is_empty()), Some(true));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.behind.is_empty()
    }

    /// Returns how many pairs are in the leaves below, or in this leaf.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let pairs = (0u32..1_000).map(|n| (n.to_be_bytes(), [0; 32]));
    /// # let tree = Tree::build(&store, Config::default(), pairs)?;
    /// let Some(root) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!(root.count(), 1_000);
    /// assert!(root.len() < 100, "of so few children");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.count
    }

    /// Returns the bytes of pairs, as the boundary rule reckons them.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(page) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!(page.payload(), 12, "three keys and values of one byte, each behind a head of one byte");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn payload(&self) -> usize {
        self.0.longest.payload as usize
    }

    /// Returns the bytes of some pairs, as the boundary rule reckons them.
    pub(crate) fn payload_of(&self, items: Range<usize>) -> usize {
        let (begin, end) = (self.0.ends[items.start], self.0.ends[items.end]);
        let keys = usize::from(end.key - begin.key);
        let others = usize::from(end.value - begin.value);
        keys + if self.level() == 0 { others } else { items.len() * BRANCH_PAIR_BYTES }
    }

    /// Returns about how much memory the page takes, for a cache to reckon with.
    pub(crate) fn memory_bytes(&self) -> usize {
        let Decoded { bytes, behind, ends, counts, opened, .. } = &*self.0;
        let lists = size_of_val(&**behind) + size_of_val(&**ends) + size_of_val(&**counts);
        let lists = lists + size_of_val(&**opened);
        // The page, the two counters before it, and its arrays.
        size_of::<Decoded>() + 2 * size_of::<usize>() + bytes.len() + lists
    }

    /// Returns the key of a pair, or the last key of a child.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(page) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!(page.key(1), b"b");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Panics
    /// There are not that many.
    #[inline]
    #[must_use]
    pub fn key(&self, index: usize) -> &[u8] {
        &self.0.bytes[self.key_place(index)]
    }

    /// Returns the same key, sharing the page's memory.
    pub(crate) fn key_bytes(&self, index: usize) -> Bytes {
        self.0.bytes.slice(self.key_place(index))
    }

    #[inline]
    fn key_place(&self, index: usize) -> Range<usize> {
        let ends = &self.0.ends;
        content(ends[index].key, ends[index + 1].key)
    }

    #[inline]
    fn item_place(&self, index: usize) -> Range<usize> {
        let ends = &self.0.ends;
        ends[index].value.into()..ends[index + 1].value.into()
    }

    /// Returns the last key.
    pub(crate) fn last_key(&self) -> Option<Bytes> {
        self.len().checked_sub(1).map(|last| self.key_bytes(last))
    }

    /// Returns a value or a child's link as it stands in the page.
    #[inline]
    pub(crate) fn item(&self, index: usize) -> &[u8] {
        &self.0.bytes[self.item_place(index)]
    }

    /// Returns the hash of a child of a branch.
    #[inline]
    pub(crate) fn child_hash(&self, index: usize) -> &[u8] {
        let end = self.item_place(index).end;
        &self.0.bytes[end - HASH_BYTES..end]
    }

    /// Returns how many pairs, of some from a place on, are the same as in another leaf.
    pub(crate) fn pairs_shared(&self, pairs: Range<usize>, other: &Self, others: Range<usize>) -> usize {
        let keys = |page: &Self, pairs: Range<usize>| -> Range<usize> {
            let ends = &page.0.ends;
            ends[pairs.start].key.into()..ends[pairs.end].key.into()
        };
        shared(pairs.len().min(others.len()), |from, to| {
            let (ours, theirs) =
                (pairs.start + from..pairs.start + to, others.start + from..others.start + to);
            self.0.bytes[keys(self, ours.clone())] == other.0.bytes[keys(other, theirs.clone())]
                && self.items(ours) == other.items(theirs)
        })
    }

    /// Returns how many children, of some from a place on, are the same as in another branch.
    pub(crate) fn items_shared(&self, children: Range<usize>, other: &Self, others: Range<usize>) -> usize {
        shared(children.len().min(others.len()), |from, to| {
            let ours = self.items(children.start + from..children.start + to);
            ours == other.items(others.start + from..others.start + to)
        })
    }

    /// Returns the encodings of values or links that stand side by side.
    fn items(&self, places: Range<usize>) -> &[u8] {
        let ends = &self.0.ends;
        &self.0.bytes[ends[places.start].value.into()..ends[places.end].value.into()]
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
            out[self.item_place(index)].copy_from_slice(item);
            if let Some(old) = counts.get_mut(index) {
                *old = count;
            }
        }
        if let (1.., Some(last)) = (self.level(), self.0.ends.last()) {
            out.truncate(last.value.into());
            cbor::put_array(&mut out, counts.len());
            counts.iter().for_each(|count| cbor::put_unsigned(&mut out, *count));
        }
        out
    }

    /// Returns a value of a leaf, sharing the page's memory. `None` in a branch.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree, Value};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(page) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!(page.value(1), Some(Value::Inline("2".into())));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Panics
    /// There are not that many.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<Value> {
        Some(match self.value_ref(index)? {
            ValueRef::Inline(bytes) => {
                let end = self.item_place(index).end;
                Value::Inline(self.0.bytes.slice(end - bytes.len()..end))
            }
            ValueRef::Linked(len, cid) => Value::Linked(len, cid),
        })
    }

    /// Returns a value of a leaf, borrowed from it. `None` in a branch.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree, ValueRef};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(page) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!(page.value_ref(1), Some(ValueRef::Inline(b"2")));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Panics
    /// There are not that many.
    #[inline]
    #[must_use]
    pub fn value_ref(&self, index: usize) -> Option<ValueRef<'_>> {
        if self.level() != 0 {
            return None;
        }
        Some(value::value_of(self.item(index)))
    }

    /// Tells whether a value lives out of line.
    fn has_links(&self) -> bool {
        self.0.longest.shortest_linked != NONE_LINKED
    }

    /// Iterates over some pairs of a leaf, in order.
    pub(crate) fn pair_refs(&self, pairs: Range<usize>) -> PairRefs<'_> {
        let ends = if self.level() == 0 { self.0.ends.get(pairs.start..=pairs.end) } else { None };
        PairRefs::new(ends.unwrap_or_default(), &self.0.bytes, self.0.heads, self.has_links())
    }

    /// Returns the address of a child of a branch. `None` in a leaf.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let pairs = (0u32..1_000).map(|n| (n.to_be_bytes(), [0; 32]));
    /// # let tree = Tree::build(&store, Config::default(), pairs)?;
    /// let Some(root) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// let Some(cid) = root.child(0) else { unreachable!("it is a branch") };
    /// assert_eq!(store.page(&cid)?.map(|leaf| leaf.level()), Some(0));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Panics
    /// There are not that many.
    #[must_use]
    pub fn child(&self, index: usize) -> Option<Cid> {
        let hash = if self.level() == 0 { None } else { self.child_hash(index).try_into().ok() };
        hash.map(Cid::from_hash)
    }

    /// Returns how many pairs are under a child of a branch.
    pub(crate) fn child_count(&self, index: usize) -> u64 {
        self.0.counts[index]
    }

    /// Checks the page against the limits of a configuration.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageError, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(page) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert!(page.within(&tree.config).is_ok());
    /// let strict = Config { key_max: 0, ..tree.config };
    /// assert!(matches!(page.within(&strict), Err(PageError::Limit { len: 1, limit: 0, .. })));
    /// # Ok::<(), prolly::Error>(())
    /// ```
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

    /// Touches what a walk will read next of children that were opened before, so that memory is on its way
    /// while the walk is still busy: of the next child its pairs, of the one after it the page itself.
    #[inline]
    pub(crate) fn foresee(&self, next: usize, after_next: usize) {
        if let Some(after_next) = self.0.opened.get(after_next).and_then(OnceLock::get) {
            black_box(after_next.strong_count());
        }
        if let Some(next) = self.opened(next) {
            // One in every line of 64 bytes.
            next.0.ends.iter().step_by(16).for_each(|end| {
                black_box(end.key);
            });
            black_box(next.0.longest.payload);
        }
    }

    /// Touches some children that were opened before, so that memory is on its way for all at once.
    pub(crate) fn foresee_pages(&self, children: Range<usize>) {
        for child in self.0.opened.get(children).unwrap_or_default().iter().filter_map(OnceLock::get) {
            black_box(child.strong_count());
        }
    }

    /// Touches the bytes of some children that were opened before here and there.
    pub(crate) fn foresee_bytes(&self, children: Range<usize>) {
        for child in children.filter_map(|index| self.opened(index)) {
            child.0.bytes.iter().step_by(TOUCHED_BYTES).for_each(|byte| {
                black_box(*byte);
            });
            black_box(child.0.ends.first().map(|end| end.key));
        }
    }

    /// Remembers a child that fits.
    pub(crate) fn remember(&self, index: usize, child: &Self) {
        if let Some(opened) = self.0.opened.get(index) {
            // Whoever was first with another copy of the page may stay.
            let _ = opened.set(Arc::downgrade(&child.0));
        }
    }
}

/// Returns how many of a number of items are the same, told for stretches of them: encodings that stand
/// side by side are compared at once.
fn shared(most: usize, same: impl Fn(usize, usize) -> bool) -> usize {
    let (mut count, mut stretch) = (0, 32);
    loop {
        if count + stretch <= most && same(count, count + stretch) {
            count += stretch;
        } else if stretch > 1 {
            stretch /= 2;
        } else {
            return count;
        }
    }
}
