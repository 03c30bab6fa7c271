//! Values that are too long for a leaf: kept in pages of their own, and linked.
//!
//! The bytes are cut into parts of [`PART_BYTES`], each a page that is one byte string. While there
//! is more than one page, every [`FAN_OUT`] of them are gathered under a page that is an array of
//! links. The leaf holds the length and the link to the one page that is left: length alone decides
//! the shape, so a reader knows what every page must be before it sees it.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;

use crate::cbor::{self, Reader};
use crate::cid::Cid;
use crate::config::{Config, MAX_VALUE_BYTES};
use crate::error::{Error, StoreError};
use crate::page::{PageError, Value};
use crate::step::{Frontier, Step};
use crate::store::{PageSink, PageSource};

/// The bytes of a long value in one page.
pub const PART_BYTES: usize = 8 << 10;

/// How many pages are gathered under one.
pub const FAN_OUT: usize = 128;

/// Makes sure that a value may be written.
pub(crate) const fn check(value: &[u8]) -> Result<(), Error> {
    if value.len() as u64 > MAX_VALUE_BYTES {
        return Err(Error::ValueTooLong { len: value.len(), limit: MAX_VALUE_BYTES });
    }
    Ok(())
}

/// Writes a long value and returns the link to it.
pub(crate) fn write<W: PageSink + ?Sized>(sink: &W, value: &[u8]) -> Result<Value, Error> {
    check(value)?;
    let len = value.len() as u64;
    let put = |page: Vec<u8>| -> Result<Cid, StoreError> {
        let cid = Cid::of(&page);
        sink.put(cid, page.into())?;
        Ok(cid)
    };
    let mut cids = Vec::with_capacity(value.len().div_ceil(PART_BYTES));
    for part in value.chunks(PART_BYTES) {
        let mut page = Vec::with_capacity(part.len() + 3);
        cbor::put_bytes(&mut page, part);
        cids.push(put(page)?);
    }
    while cids.len() > 1 {
        let mut above = Vec::with_capacity(cids.len().div_ceil(FAN_OUT));
        for group in cids.chunks(FAN_OUT) {
            let mut page = Vec::with_capacity(3 + group.len() * cbor::LINK_BYTES);
            cbor::put_array(&mut page, group.len());
            group.iter().for_each(|cid| cbor::put_link(&mut page, cid));
            above.push(put(page)?);
        }
        cids = above;
    }
    Ok(cids.first().map_or_else(|| Value::Inline(Bytes::new()), |cid| Value::Linked(len, *cid)))
}

/// Writes a value out of line if it is too long for a leaf.
pub(crate) fn place<W: PageSink + ?Sized>(sink: &W, config: &Config, value: Bytes) -> Result<Value, Error> {
    if value.len() > config.inline_max as usize { write(sink, &value) } else { Ok(Value::Inline(value)) }
}

/// A page to be read, and how many bytes of the value it and the pages below it hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) cid: Cid,
    len: u64,
    /// How many pages of links lead from here to the bytes, this one included. All parts of a value
    /// lie equally deep, so the parent tells it; a short last part may lie under links too.
    depth: u32,
}

impl Part {
    /// Returns the top page of a value.
    pub(crate) fn top(cid: Cid, len: u64) -> Self {
        let (mut depth, mut most) = (0, PART_BYTES as u64);
        while most < len {
            most = most.saturating_mul(FAN_OUT as u64);
            depth += 1;
        }
        Self { cid, len, depth }
    }

    /// Returns how many bytes each page directly below holds; the last one may hold fewer.
    pub(crate) fn below(&self) -> Option<u64> {
        self.depth.checked_sub(1).map(|depth| PART_BYTES as u64 * (FAN_OUT as u64).pow(depth))
    }

    /// Returns the pages below one that gathers links.
    pub(crate) fn open(&self, below: u64, page: &[u8]) -> Result<Vec<Self>, PageError> {
        let mut reader = Reader::new(page);
        let mut left = self.len;
        let links = usize::try_from(self.len.div_ceil(below)).map_err(|_| PageError::Promise("length"))?;
        reader.array_of(links).map_err(|_| PageError::Promise("length"))?;
        let mut parts = Vec::with_capacity(links);
        for _ in 0..links {
            let len = left.min(below);
            left -= len;
            parts.push(Self { cid: reader.link()?, len, depth: self.depth.saturating_sub(1) });
        }
        reader.end()?;
        Ok(parts)
    }

    /// Returns the bytes of a page that holds some.
    pub(crate) fn bytes<'a>(&self, page: &'a [u8]) -> Result<&'a [u8], PageError> {
        let mut reader = Reader::new(page);
        let bytes = reader.bytes()?;
        reader.end()?;
        if bytes.len() as u64 == self.len { Ok(bytes) } else { Err(PageError::Promise("length")) }
    }
}

/// Reads a value, wherever it lives, in steps. Costs one page for every [`PART_BYTES`] of a long
/// value, and one more for every [`FAN_OUT`] of these.
///
/// ```
/// # use prolly::{Config, Get, MemoryStore, ReadValue, Tree};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", vec![7; 20_000])])?;
/// let Some(value) = Get::new(tree, "a").step(&store)?.complete()? else { unreachable!("it is there") };
/// let bytes = ReadValue::new(value).step(&store)?.complete()?;
/// assert_eq!(bytes, vec![7; 20_000]);
/// # Ok::<(), prolly::Error>(())
/// ```
#[derive(Debug)]
pub struct ReadValue {
    read: Vec<u8>,
    inline: Option<Bytes>,
    left: VecDeque<Part>,
}

impl ReadValue {
    /// Begins to read a value found in a leaf.
    ///
    /// ```
    /// use prolly::{MemoryStore, ReadValue, Step, Value};
    /// let mut read = ReadValue::new(Value::Inline("deep".into()));
    /// assert_eq!(read.step(&MemoryStore::new())?, Step::Ready("deep".into()), "no page is needed");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use]
    pub fn new(value: Value) -> Self {
        let (inline, left) = match value {
            Value::Inline(bytes) => (Some(bytes), VecDeque::new()),
            Value::Linked(len, cid) => (None, VecDeque::from([Part::top(cid, len)])),
        };
        Self { read: Vec::new(), inline, left }
    }

    /// Reads on.
    ///
    /// ```
    /// # use prolly::{Config, Get, MemoryStore, ReadValue, Step, Tree, Value};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", vec![7; 20_000])])?;
    /// let Some(value) = Get::new(tree, "a").step(&store)?.complete()? else { unreachable!("it is there") };
    /// let Value::Linked(20_000, top) = value else { unreachable!("it is too long for a leaf") };
    /// let mut read = ReadValue::new(value);
    /// assert_eq!(read.step(&MemoryStore::new())?, Step::Missing(vec![top]));
    /// assert_eq!(read.step(&store)?.complete()?.len(), 20_000);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The store failed, or a page is not what the value's length promises.
    pub fn step<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Bytes>, Error> {
        if let Some(Part { cid, len, .. }) = self.left.front().filter(|part| part.len > MAX_VALUE_BYTES) {
            return Err(Error::page(cid)(PageError::ValueLength { index: 0, len: *len }));
        }
        if let Some(bytes) = &self.inline {
            return Ok(Step::Ready(bytes.clone()));
        }
        while let Some(part) = self.left.pop_front() {
            let Some(page) = source.load(&part.cid)? else {
                self.left.push_front(part);
                return self.missing(source);
            };
            match part.below() {
                None => self.read.extend_from_slice(part.bytes(&page).map_err(Error::page(&part.cid))?),
                Some(below) => {
                    let parts = part.open(below, &page).map_err(Error::page(&part.cid))?;
                    parts.into_iter().rev().for_each(|part| self.left.push_front(part));
                }
            }
        }
        let bytes = Bytes::from(std::mem::take(&mut self.read));
        self.inline = Some(bytes.clone());
        Ok(Step::Ready(bytes))
    }

    /// Opens every page of links that is here, and reports all that is missing.
    fn missing<S: PageSource + ?Sized>(&mut self, source: &S) -> Result<Step<Bytes>, Error> {
        let mut frontier = Frontier::default();
        let mut opened = VecDeque::with_capacity(self.left.len());
        while let Some(part) = self.left.pop_front() {
            match (part.below(), source.load(&part.cid)?) {
                (_, None) => frontier.add(part.cid),
                (Some(below), Some(page)) => {
                    let parts = part.open(below, &page).map_err(Error::page(&part.cid))?;
                    parts.into_iter().rev().for_each(|part| self.left.push_front(part));
                    continue;
                }
                (None, Some(_)) => {}
            }
            opened.push_back(part);
        }
        self.left = opened;
        Ok(frontier.into_step())
    }
}

/// Copies the pages of a long value from one store to another.
pub(crate) fn copy<S, W>(source: &S, sink: &W, value: &Value) -> Result<Step<()>, Error>
where
    S: PageSource + ?Sized,
    W: PageSink + ?Sized,
{
    let Value::Linked(..) = value else { return Ok(Step::Ready(())) };
    Ok(match ReadValue::new(value.clone()).step(source)? {
        Step::Ready(bytes) => {
            write(sink, &bytes)?;
            Step::Ready(())
        }
        Step::Missing(cids) => Step::Missing(cids),
    })
}

/// Reports the missing pages of a value, as far as they are known.
pub(crate) fn missing<S>(source: &S, value: &Value, frontier: &mut Frontier) -> Result<(), Error>
where
    S: PageSource + ?Sized,
{
    let Value::Linked(len, cid) = value else { return Ok(()) };
    let mut left = vec![Part::top(*cid, *len)];
    while let Some(part) = left.pop().filter(|_| !frontier.is_full()) {
        let page = match part.below() {
            Some(_) => source.load(&part.cid)?,
            None => source.contains(&part.cid)?.then(Bytes::new),
        };
        match (page, part.below()) {
            (None, _) => frontier.add(part.cid),
            (Some(page), Some(below)) => {
                let parts = part.open(below, &page).map_err(Error::page(&part.cid))?;
                left.extend(parts.into_iter().rev());
            }
            (Some(_), None) => {}
        }
    }
    Ok(())
}

/// Marks the pages of a long value. Those that hold its bytes must be there, but are not read.
pub(crate) fn mark<S>(source: &S, value: &Value, marked: &mut HashSet<Cid>) -> Result<(), Error>
where
    S: PageSource + ?Sized,
{
    let Value::Linked(len, cid) = value else { return Ok(()) };
    if *len > MAX_VALUE_BYTES {
        return Err(Error::page(cid)(PageError::ValueLength { index: 0, len: *len }));
    }
    let mut left = vec![Part::top(*cid, *len)];
    while let Some(part) = left.pop() {
        if !marked.insert(part.cid) {
            continue;
        }
        let missing = Error::Missing(part.cid);
        match part.below() {
            None if source.contains(&part.cid)? => {}
            None => return Err(missing),
            Some(below) => {
                let page = source.load(&part.cid)?.ok_or(missing)?;
                left.extend(part.open(below, &page).map_err(Error::page(&part.cid))?);
            }
        }
    }
    Ok(())
}

/// Appends a value as a leaf holds it.
pub(crate) fn encode(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Inline(bytes) => cbor::put_bytes(out, bytes),
        Value::Linked(len, cid) => {
            cbor::put_array(out, 2);
            cbor::put_unsigned(out, *len);
            cbor::put_link(out, cid);
        }
    }
}
