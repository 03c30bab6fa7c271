//! Trees as `spec/prolly.md` describes them, and what `spec/views.md` puts into them: slow, small, and
//! obviously right.
//!
//! Written from the text alone. The numbers in the comments are its sections. Everything is kept in
//! memory, pages are cut by trying every place, and a page is checked by encoding it again.

pub mod car;
mod cbor;
pub mod columns;
pub mod entry;
pub mod pages;
pub mod proof;
mod sets;
pub mod sync;
pub mod views;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use self::cbor::{ARRAY, BYTES, LINK_HEAD, Reader, UNSIGNED, array, byte_string, ensure, head, link};

pub use self::sets::{Changes, Conflicts, Sides, check_edits, diff, edit, merge};

/// A set of pairs.
pub type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;
/// The hash of a page (2).
pub type Address = [u8; 32];
/// Pages by their addresses.
pub type Pages = BTreeMap<Address, Vec<u8>>;

/// Version of the text (5).
pub const FORMAT: u64 = 1;
/// Greatest length of a page (5).
pub const MAX_PAGE_BYTES: usize = 65_535;
/// Greatest window (5).
pub const MAX_WINDOW_BYTES: u64 = 65_000;
/// Greatest length of a value (5).
pub const MAX_VALUE_BYTES: u64 = 16_777_216;
/// Greatest level (5).
pub const MAX_LEVEL: u64 = 31;
const LINKED_VALUE_BYTES: u64 = 51;
const BRANCH_PAIR_BYTES: usize = 50;
const PART_BYTES: usize = 8192;
const FAN_OUT: usize = 128;

/// The limits that decide where pages end (4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Least and greatest size of a leaf.
    pub leaf: [u32; 2],
    /// Least and greatest size of a branch.
    pub branch: [u32; 2],
    /// Greatest length of a key.
    pub key_max: u32,
    /// Greatest length of a value in its leaf.
    pub inline_max: u32,
}

impl Config {
    /// Tells whether trees can be built with it (4).
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let with_head = |n: u32| head(BYTES, n.into()).len() as u64 + u64::from(n);
        let key = with_head(self.key_max);
        let leaf_pair = key + with_head(self.inline_max).max(LINKED_VALUE_BYTES);
        let branch_pair = key + BRANCH_PAIR_BYTES as u64;
        [(self.leaf, leaf_pair), (self.branch, branch_pair)].iter().all(|(window, pair)| {
            let (min, max) = (u64::from(window[0]), u64::from(window[1]));
            min > *pair && max >= min + 2 * pair && max <= MAX_WINDOW_BYTES
        })
    }

    /// Encodes the record (4).
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        let limits =
            [self.leaf[0], self.leaf[1], self.branch[0], self.branch[1], self.key_max, self.inline_max];
        let items = limits.map(|limit| head(UNSIGNED, limit.into())).concat();
        [head(ARRAY, 7), head(UNSIGNED, FORMAT), items].concat()
    }

    /// Decodes a record (4).
    ///
    /// # Errors
    /// It is not the one encoding of a valid configuration.
    pub fn read(record: &[u8]) -> Result<Self, String> {
        let items = Reader(record).array(|reader| reader.head(UNSIGNED))?;
        let items: Result<Vec<u32>, _> = items.into_iter().map(u32::try_from).collect();
        let items = items.map_err(|_| "a limit too great")?;
        let [_, a, b, c, d, key_max, inline_max] = items[..] else { return Err("another record".to_owned()) };
        let config = Self { leaf: [a, b], branch: [c, d], key_max, inline_max };
        // This refuses another format too.
        ensure(config.record() == record && config.is_valid(), "not a configuration")?;
        Ok(config)
    }

    fn window(&self, level: u64) -> (usize, usize) {
        let [min, max] = if level == 0 { self.leaf } else { self.branch };
        (min as usize, max as usize)
    }
}

/// Returns the address of a page (2).
#[must_use]
pub fn address(page: &[u8]) -> Address {
    *blake3::hash(page).as_bytes()
}

/// Returns the text form of an address (2).
#[must_use]
pub fn cid_text(address: &Address) -> String {
    let bytes = [&LINK_HEAD[5..], address].concat();
    let mut bits: Vec<u8> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    bits.resize(290, 0);
    let digit = |five: &[u8]| five.iter().fold(0, |value, bit| value * 2 + usize::from(*bit));
    let digits = bits.chunks(5).map(|five| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[digit(five)]));
    std::iter::once('b').chain(digits).collect()
}

/// Returns the number that decides where pages end (7.2).
#[must_use]
pub fn key_hash(level: u8, key: &[u8]) -> u64 {
    let mut hash_key = *b"prolly smallest hash in a windo?";
    hash_key[31] = level;
    let hash = blake3::keyed_hash(&hash_key, key);
    hash.as_bytes()[..8].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A value as its leaf holds it (6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The value itself.
    Inline(Vec<u8>),
    /// The length of a value out of line, and its top value page.
    Linked(u64, Address),
}

/// A pair of a leaf; or a child of a branch: its last key, link and count (6.2).
#[derive(Debug, Clone)]
enum Item {
    Value(Value),
    Child(Address, u64),
}

/// A key, and what stands beside it.
type Pair = (Vec<u8>, Item);

/// A page of a tree, decoded (6).
#[derive(Debug)]
struct Page {
    level: u64,
    pairs: Vec<Pair>,
}

impl Item {
    /// The value or the link.
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Value(Value::Inline(bytes)) => byte_string(bytes),
            Self::Value(Value::Linked(len, top)) => array(&[head(UNSIGNED, *len), link(top)]),
            Self::Child(address, _) => link(address),
        }
    }

    fn count(&self) -> u64 {
        if let Self::Child(_, count) = self { *count } else { 1 }
    }

    /// What it adds to the size of its page, beside its key (7.1).
    fn size(&self) -> usize {
        if let Self::Value(_) = self { self.encode().len() } else { BRANCH_PAIR_BYTES }
    }
}

impl Page {
    fn encode(&self) -> Vec<u8> {
        let all = |part: fn(&Pair) -> Vec<u8>| array(&self.pairs.iter().map(part).collect::<Vec<_>>());
        let mut items = vec![head(UNSIGNED, self.level), all(|(key, _)| byte_string(key))];
        items.push(all(|(_, item)| item.encode()));
        if self.level > 0 {
            items.push(all(|(_, item)| head(UNSIGNED, item.count())));
        }
        array(&items)
    }

    fn count(&self) -> u64 {
        self.pairs.iter().map(|(_, item)| item.count()).sum()
    }

    /// The lower bound of a child, from the branch's own (9.3.4).
    fn bound<'a>(&'a self, child: usize, own: Option<&'a [u8]>) -> Option<&'a [u8]> {
        child.checked_sub(1).map_or(own, |before| Some(&self.pairs[before].0))
    }

    /// Decodes a page and makes all checks of 9.1 but that of the hash.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        ensure(bytes.len() <= MAX_PAGE_BYTES, "a page too long")?;
        let mut reader = Reader(bytes);
        let items = reader.head(ARRAY)?;
        let level = reader.head(UNSIGNED)?;
        let is_leaf = items == 3 && level == 0;
        ensure(is_leaf || items == 4 && (1..=MAX_LEVEL).contains(&level), "a level that does not fit")?;
        let keys = reader.array(Reader::bytes)?;
        let values = reader.array(if is_leaf { Reader::value } else { Reader::child })?;
        let counts =
            if is_leaf { vec![1; keys.len()] } else { reader.array(|reader| reader.head(UNSIGNED))? };
        ensure(keys.len() == values.len() && keys.len() == counts.len(), "arrays of different lengths")?;
        ensure(keys.windows(2).all(|two| two[0] < two[1]), "keys that do not ascend")?;
        ensure(is_leaf || keys.len() >= 2, "a branch with fewer than two children")?;
        ensure(counts.iter().all(|count| *count > 0), "a count of zero")?;
        let total: u128 = counts.iter().map(|count| u128::from(*count)).sum();
        ensure(total <= u64::MAX.into(), "too many pairs")?;
        let with_count =
            |(item, count)| if let Item::Child(to, _) = item { Item::Child(to, count) } else { item };
        let page = Self {
            level,
            pairs: keys.into_iter().zip(values.into_iter().zip(counts).map(with_count)).collect(),
        };
        // One encoding per page: this refuses heads that are too long, and bytes that follow.
        ensure(page.encode() == bytes, "another encoding than the one there is")?;
        Ok(page)
    }

    /// Checks 9.2.
    fn check(&self, config: &Config) -> Result<(), String> {
        let inline_max = config.inline_max as usize;
        for (key, item) in &self.pairs {
            ensure(key.len() <= config.key_max as usize, "a key too long")?;
            match item {
                Item::Value(Value::Inline(value)) => ensure(value.len() <= inline_max, "a value too long")?,
                Item::Value(Value::Linked(len, _)) => ensure(*len > inline_max as u64, "a value too short")?,
                Item::Child(..) => {}
            }
        }
        let size: usize = self.pairs.iter().map(size).sum();
        ensure(size <= config.window(self.level).1, "a page beyond the window")
    }
}

impl Reader<'_> {
    fn child(&mut self) -> Result<Item, String> {
        Ok(Item::Child(self.link()?, 0))
    }

    fn value(&mut self) -> Result<Item, String> {
        if self.0.first().is_some_and(|first| first >> 5 == ARRAY) {
            ensure(self.head(ARRAY)? == 2, "a value that is not [length, link]")?;
            let len = self.head(UNSIGNED)?;
            ensure((1..=MAX_VALUE_BYTES).contains(&len), "an impossible length of a value")?;
            return Ok(Item::Value(Value::Linked(len, self.link()?)));
        }
        Ok(Item::Value(Value::Inline(self.bytes()?)))
    }
}

/// Makes every check of a page by itself (9.1) but that of its hash.
///
/// # Errors
/// The bytes are no page of a tree.
pub fn check_page(bytes: &[u8]) -> Result<(), String> {
    Page::read(bytes).map(|_| ())
}

/// Makes the checks of 9.1, but that of the hash, and of 9.2.
///
/// # Errors
/// The bytes are no page of a tree with this configuration.
pub fn check_page_within(bytes: &[u8], config: &Config) -> Result<(), String> {
    Page::read(bytes)?.check(config)
}

/// Encodes a value page of the lowest row: a byte string (6.4).
#[must_use]
pub fn bytes(part: &[u8]) -> Vec<u8> {
    byte_string(part)
}

/// Encodes a value page of a higher row: an array of links (6.4).
#[must_use]
pub fn links(to: &[Address]) -> Vec<u8> {
    array(&to.iter().map(link).collect::<Vec<_>>())
}

/// Encodes a leaf of these pairs, whether they fit a leaf or not (6.1).
#[must_use]
pub fn leaf(pairs: &[(Vec<u8>, Value)]) -> Vec<u8> {
    let pairs = pairs.iter().map(|(key, value)| (key.clone(), Item::Value(value.clone()))).collect();
    Page { level: 0, pairs }.encode()
}

/// Encodes a branch over children (last key, address, count), whether what it says is true or not (6.2).
#[must_use]
pub fn branch(level: u64, children: &[(Vec<u8>, Address, u64)]) -> Vec<u8> {
    let pairs = children.iter().map(|(last, to, count)| (last.clone(), Item::Child(*to, *count)));
    Page { level, pairs: pairs.collect() }.encode()
}

/// Tells how many pairs each page of a tree has, level by level from the leaves up, in their order.
///
/// # Errors
/// A page is missing, or is none.
pub fn shape(root: &Address, pages: &Pages) -> Result<Vec<Vec<usize>>, String> {
    let mut shape = Vec::new();
    let mut row = vec![*root];
    while !row.is_empty() {
        let level = row.iter().map(|page| Page::read(pages.get(page).ok_or("a missing page")?));
        let level = level.collect::<Result<Vec<_>, String>>()?;
        let children = level.iter().flat_map(|page| &page.pairs).filter_map(|(_, item)| match item {
            Item::Child(to, _) => Some(*to),
            Item::Value(_) => None,
        });
        row = children.collect();
        shape.insert(0, level.iter().map(|page| page.pairs.len()).collect());
    }
    Ok(shape)
}

/// Reads the text form of an address (2).
///
/// # Errors
/// It is not the one text of an address.
pub fn read_cid_text(text: &str) -> Result<Address, String> {
    let digits = text.strip_prefix('b').ok_or("another base")?;
    let digit = |c| b"abcdefghijklmnopqrstuvwxyz234567".iter().position(|d| *d == c);
    let digits: Option<Vec<usize>> = digits.bytes().map(digit).collect();
    let bits: Vec<usize> =
        digits.ok_or("no base 32")?.iter().flat_map(|n| (0..5).rev().map(move |bit| n >> bit & 1)).collect();
    let octet = |eight: &[usize]| u8::try_from(eight.iter().fold(0, |n, bit| n * 2 + bit)).unwrap_or(0);
    let bytes: Vec<u8> = bits.chunks_exact(8).map(octet).collect();
    let address = bytes.get(4..).and_then(|hash| hash.try_into().ok()).ok_or("another length")?;
    ensure(cid_text(&address) == text, "another text than the one there is")?;
    Ok(address)
}

/// Builds the tree of a set of pairs: its root and all its pages (8).
///
/// # Errors
/// The configuration is not valid, or a pair is beyond the limits.
pub fn build(config: &Config, pairs: &Pairs) -> Result<(Address, Pages), String> {
    ensure(config.is_valid(), "an invalid configuration")?;
    let mut pages = Pages::new();
    let mut row = Vec::new();
    for (key, value) in pairs {
        ensure(key.len() <= config.key_max as usize, "a key too long")?;
        ensure(value.len() as u64 <= MAX_VALUE_BYTES, "a value too long")?;
        let is_long = value.len() > config.inline_max as usize;
        let value = if is_long { write_value(value, &mut pages) } else { Value::Inline(value.clone()) };
        row.push((key.clone(), Item::Value(value)));
    }
    for level in 0..=MAX_LEVEL {
        let cut = if row.is_empty() { vec![Vec::new()] } else { cut(config, level, &row)? };
        row = Vec::new();
        for pairs in cut {
            let last = pairs.last().map(|(key, _)| key.clone()).unwrap_or_default();
            let page = Page { level, pairs };
            row.push((last, Item::Child(put(&mut pages, page.encode()), page.count())));
        }
        if let [(_, Item::Child(root, _))] = row.as_slice() {
            return Ok((*root, pages));
        }
    }
    Err("more levels than there are".to_owned())
}

fn put(pages: &mut Pages, bytes: Vec<u8>) -> Address {
    let address = address(&bytes);
    pages.insert(address, bytes);
    address
}

/// Makes the value pages of a long value (6.4).
fn write_value(value: &[u8], pages: &mut Pages) -> Value {
    let mut row: Vec<_> = value.chunks(PART_BYTES).map(|part| put(pages, byte_string(part))).collect();
    while row.len() > 1 {
        let groups = row.chunks(FAN_OUT).map(|group| array(&group.iter().map(link).collect::<Vec<_>>()));
        row = groups.map(|page| put(pages, page)).collect();
    }
    Value::Linked(value.len() as u64, row[0])
}

/// The size of a pair (7.1).
fn size((key, item): &Pair) -> usize {
    head(BYTES, key.len() as u64).len() + key.len() + item.size()
}

/// Cuts a level into pages (7.3).
fn cut(config: &Config, level: u64, pairs: &[Pair]) -> Result<Vec<Vec<Pair>>, String> {
    let (min, max) = config.window(level);
    let mut left = pairs;
    let mut pages = Vec::new();
    while !left.is_empty() {
        // Those that are not above the window, with the sizes of all up to them.
        let sizes = left.iter().scan(0, |sum, pair| {
            *sum += size(pair);
            Some(*sum)
        });
        let sizes: Vec<usize> = sizes.take_while(|sum| *sum <= max).collect();
        let mut n = left.len();
        if sizes.len() < left.len() {
            let places = (1..).zip(sizes).filter(|(_, size)| *size >= min).map(|(i, _)| i);
            let places = places.filter(|i| level == 0 || i + 1 != left.len());
            let hash = |i: &usize| u8::try_from(level).map_or(0, |level| key_hash(level, &left[i - 1].0));
            // Of several least ones, this is the first.
            n = places.min_by_key(hash).ok_or("no place for a page to end")?;
        }
        pages.push(left[..n].to_vec());
        left = &left[n..];
    }
    Ok(pages)
}

/// Reads all pairs of a tree, making every check of 9.1 to 9.4.
///
/// # Errors
/// A page is missing, or refused.
pub fn read(config: &Config, root: &Address, pages: &Pages) -> Result<Pairs, String> {
    let source = Source::new(pages);
    let mut pairs = Pairs::new();
    read_page(config, &source.root(config, root)?, None, &source, &mut pairs)?;
    Ok(pairs)
}

/// Pages, and which of them were looked at.
struct Source<'a> {
    pages: &'a Pages,
    used: RefCell<BTreeSet<Address>>,
}

impl<'a> Source<'a> {
    fn new(pages: &'a Pages) -> Self {
        Self { pages, used: RefCell::default() }
    }

    fn load(&self, wanted: &Address) -> Result<&'a [u8], String> {
        let page = self.pages.get(wanted).ok_or("a missing page")?;
        ensure(address(page) == *wanted, "a page under another address than its own")?;
        ensure(page.len() <= MAX_PAGE_BYTES, "a page too long")?;
        self.used.borrow_mut().insert(*wanted);
        Ok(page)
    }

    fn root(&self, config: &Config, root: &Address) -> Result<Page, String> {
        ensure(config.is_valid(), "an invalid configuration")?;
        let page = Page::read(self.load(root)?)?;
        page.check(config)?;
        Ok(page)
    }

    /// Opens a child of a branch whose lower bound is given, and checks what is promised of it (9.3).
    fn child(&self, config: &Config, parent: &Page, n: usize, bound: Option<&[u8]>) -> Result<Page, String> {
        let (key, Item::Child(to, count)) = &parent.pairs[n] else { return Err("a leaf's pair".to_owned()) };
        let child = Page::read(self.load(to)?)?;
        child.check(config)?;
        ensure(child.level + 1 == parent.level, "a child on another level")?;
        ensure(child.count() == *count, "a child with another count")?;
        ensure(child.pairs.last().is_some_and(|(last, _)| last == key), "a child with another last key")?;
        let first = child.pairs.first().map(|(first, _)| first.as_slice());
        ensure(first > parent.bound(n, bound), "a child that begins too early")?;
        let child_size: usize = child.pairs.iter().map(size).sum();
        let is_long_enough = child_size >= config.window(child.level).0;
        ensure(n + 1 == parent.pairs.len() || is_long_enough, "a short page before another")?;
        Ok(child)
    }
}

fn read_page(
    config: &Config,
    page: &Page,
    bound: Option<&[u8]>,
    source: &Source<'_>,
    pairs: &mut Pairs,
) -> Result<(), String> {
    for (n, (key, item)) in page.pairs.iter().enumerate() {
        match item {
            Item::Value(value) => drop(pairs.insert(key.clone(), read_value(value, source)?)),
            Item::Child(..) => {
                let child = source.child(config, page, n, bound)?;
                read_page(config, &child, page.bound(n, bound), source, pairs)?;
            }
        }
    }
    Ok(())
}

/// Reads a value, if it is out of line from its pages (9.4).
fn read_value(value: &Value, source: &Source<'_>) -> Result<Vec<u8>, String> {
    let (len, top) = match value {
        Value::Inline(bytes) => return Ok(bytes.clone()),
        Value::Linked(len, top) => (usize::try_from(*len).map_err(|_| "a value too long")?, top),
    };
    let depth = (0..).find(|depth| PART_BYTES * FAN_OUT.pow(*depth) >= len).unwrap_or(0);
    read_part(depth, len, top, source)
}

fn read_part(depth: u32, len: usize, at: &Address, source: &Source<'_>) -> Result<Vec<u8>, String> {
    let bytes = source.load(at)?;
    let mut reader = Reader(bytes);
    if depth == 0 {
        let part = reader.bytes()?;
        ensure(byte_string(&part) == bytes, "another encoding than the one there is")?;
        ensure(part.len() == len, "a part of another length")?;
        return Ok(part);
    }
    let below = PART_BYTES * FAN_OUT.pow(depth - 1);
    let links = reader.array(Reader::link)?;
    ensure(links.len() == len.div_ceil(below), "another number of parts")?;
    let encoded = array(&links.iter().map(link).collect::<Vec<_>>());
    ensure(encoded == bytes, "another encoding than the one there is")?;
    let part =
        |(index, to): (usize, &Address)| read_part(depth - 1, below.min(len - index * below), to, source);
    Ok(links.iter().enumerate().map(part).collect::<Result<Vec<_>, _>>()?.concat())
}

/// Reads a whole tree, and refuses it unless it is canonical (9.5).
///
/// # Errors
/// A page is missing or refused, or a boundary breaks the rule.
pub fn read_canonical(config: &Config, root: &Address, pages: &Pages) -> Result<Pairs, String> {
    let pairs = read(config, root, pages)?;
    ensure(build(config, &pairs)?.0 == *root, "boundaries that break the rule")?;
    Ok(pairs)
}
