//! The body of a message of pages: item by item, so that like stands beside like.
//!
//! Pages are CBOR, and most values in them too. Taken apart, the heads of items, each byte of numbers, strings and
//! texts are compressed each with their like. Nothing has to be known of what they mean. `spec/sync.md` has the columns.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use prolly::MAX_PAGE_BYTES;
use prolly::cbor::{Reader, head_len, put_bytes};

use super::error::SyncError;
use super::message::PAGES;

/// The first column: the first byte of each item, or one of the two marks below.
const SHAPES: usize = 0;
/// For arguments of 1, 2, 4 and 8 bytes: the first column, and how many there are.
const ARGUMENTS: [(usize, usize); 4] = [(1, 1), (2, 2), (4, 4), (8, 1)];
const STRINGS: usize = 9;
const TEXTS: usize = 10;
const COLUMNS: usize = 11;

/// A byte string that holds one item, which follows. CBOR has this for strings of unknown length.
const INSIDE: u8 = 0x5f;

/// A page that goes as it is. CBOR has this for the end of what is of unknown length.
const AS_IT_IS: u8 = 0xff;

// What kinds of items there are.
const STRING: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

/// Returns the kind of an item, and how many bytes its argument has, if it is one that is put into columns.
fn shape(first: u8) -> Option<(u8, usize)> {
    let width = match first & 0x1f {
        0..=23 => 0,
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let kind = first >> 5;
    (kind != MAP).then_some((kind, width))
}

/// The argument of an item: its value, or how long it is, or what it has.
fn argument(first: u8, bytes: &[u8]) -> u64 {
    match bytes {
        [] => u64::from(first & 0x1f),
        bytes => bytes.iter().fold(0, |argument, byte| argument << 8 | u64::from(*byte)),
    }
}

/// One item without those that it has.
struct Item<'a> {
    first: u8,
    kind: u8,
    argument_bytes: &'a [u8],
    /// Of a string or text.
    content: &'a [u8],
    /// How many items follow that belong to it.
    has: u64,
}

impl<'a> Item<'a> {
    /// Takes one off the front.
    fn take(bytes: &mut &'a [u8]) -> Option<Self> {
        let (&first, rest) = bytes.split_first()?;
        let (kind, width) = shape(first)?;
        let (argument_bytes, rest) = rest.split_at_checked(width)?;
        let argument = argument(first, argument_bytes);
        let len = if matches!(kind, STRING | TEXT) { usize::try_from(argument).ok()? } else { 0 };
        let (content, rest) = rest.split_at_checked(len)?;
        *bytes = rest;
        let has = match kind {
            ARRAY => argument,
            TAG => 1,
            _ => 0,
        };
        Some(Self { first, kind, argument_bytes, content, has })
    }

    /// Returns the items if the bytes are one, with those that it has.
    fn all(mut bytes: &'a [u8]) -> Option<Vec<Self>> {
        let (mut items, mut left) = (Vec::new(), 1_u64);
        while left > 0 {
            let item = Self::take(&mut bytes)?;
            left = (left - 1).checked_add(item.has)?;
            items.push(item);
        }
        bytes.is_empty().then_some(items)
    }

    /// Returns the items that a byte string holds, if its length is written as short as can be.
    fn inside(&self) -> Option<Vec<Self>> {
        if self.kind != STRING || self.content.first()? >> 5 != ARRAY {
            return None;
        }
        let is_short = head_len(self.content.len() as u64) == 1 + self.argument_bytes.len();
        if is_short { Self::all(self.content) } else { None }
    }
}

/// Takes pages apart.
#[derive(Debug, Default)]
pub(crate) struct PageWriter {
    columns: [Vec<u8>; COLUMNS],
}

impl PageWriter {
    pub(crate) fn push(&mut self, page: &[u8]) {
        match Item::all(page) {
            Some(items) => items.iter().for_each(|item| match item.inside() {
                Some(inside) => {
                    self.column(SHAPES).push(INSIDE);
                    inside.iter().for_each(|item| self.put(item));
                }
                None => self.put(item),
            }),
            None => {
                let len = u32::try_from(page.len()).unwrap_or(u32::MAX);
                self.put_argument(AS_IT_IS, &len.to_be_bytes());
                self.column(STRINGS).extend_from_slice(page);
            }
        }
    }

    fn column(&mut self, column: usize) -> &mut Vec<u8> {
        &mut self.columns[column]
    }

    fn put(&mut self, item: &Item<'_>) {
        self.put_argument(item.first, item.argument_bytes);
        let column = if item.kind == STRING { STRINGS } else { TEXTS };
        self.column(column).extend_from_slice(item.content);
    }

    fn put_argument(&mut self, first: u8, bytes: &[u8]) {
        self.column(SHAPES).push(first);
        let Some((column, parts)) = columns_of(bytes.len()) else { return };
        for (part, bytes) in bytes.chunks(bytes.len() / parts).enumerate() {
            self.column(column + part).extend_from_slice(bytes);
        }
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.columns.iter().map(Vec::len).sum()
    }

    /// Writes the columns behind what is there.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        self.columns.iter().for_each(|column| put_bytes(out, column));
    }
}

/// For arguments of so many bytes: the first column, and how many there are.
fn columns_of(width: usize) -> Option<(usize, usize)> {
    ARGUMENTS.get(usize::try_from(width.checked_ilog2()?).ok()?).copied()
}

/// Makes pages anew: what is left of the columns.
#[derive(Debug)]
pub(crate) struct PageReader<'a> {
    columns: [&'a [u8]; COLUMNS],
}

impl<'a> PageReader<'a> {
    /// Reads the columns, and that nothing is behind them.
    pub(crate) fn new(reader: &mut Reader<'a>) -> Result<Self, SyncError> {
        let mut columns = [&[][..]; COLUMNS];
        for column in &mut columns {
            *column = reader.bytes().map_err(|_| malformed())?;
        }
        reader.end().map_err(|_| malformed())?;
        // So there is an end to what can come.
        if columns[SHAPES].is_empty() { Err(malformed()) } else { Ok(Self { columns }) }
    }

    /// Returns the next page; `None` at the end.
    ///
    /// # Errors
    /// The columns do not belong together, or the page is empty or longer than any.
    pub(crate) fn page(&mut self) -> Result<Option<Bytes>, SyncError> {
        let mut page = Vec::new();
        match self.columns[SHAPES].first() {
            None if self.columns.iter().all(|column| column.is_empty()) => return Ok(None),
            None => return Err(malformed()),
            Some(&AS_IT_IS) => {
                self.as_it_is(&mut page).filter(|()| !page.is_empty()).ok_or_else(malformed)?;
            }
            Some(_) => self.item(&mut page, true).ok_or_else(malformed)?,
        }
        Ok(Some(page.into()))
    }

    fn take(&mut self, column: usize, len: usize) -> Option<&'a [u8]> {
        let column = self.columns.get_mut(column)?;
        let (taken, rest) = column.split_at_checked(len)?;
        *column = rest;
        Some(taken)
    }

    /// Adds an argument; returns where it begins.
    fn take_argument(&mut self, width: usize, page: &mut Vec<u8>) -> Option<()> {
        let Some((column, parts)) = columns_of(width) else { return Some(()) };
        for part in 0..parts {
            page.extend_from_slice(self.take(column + part, width / parts)?);
        }
        Some(())
    }

    fn as_it_is(&mut self, page: &mut Vec<u8>) -> Option<()> {
        self.take(SHAPES, 1)?;
        let mut len = Vec::new();
        self.take_argument(4, &mut len)?;
        let len = usize::try_from(argument(AS_IT_IS, &len)).ok().filter(|len| *len <= MAX_PAGE_BYTES)?;
        page.extend_from_slice(self.take(STRINGS, len)?);
        Some(())
    }

    /// Adds one item with all that it has.
    fn item(&mut self, out: &mut Vec<u8>, may_hold: bool) -> Option<()> {
        let mut left = 1_u64;
        while left > 0 {
            left -= 1;
            let &[first] = self.take(SHAPES, 1)? else { return None };
            if first == INSIDE && may_hold {
                let mut inside = Vec::new();
                self.item(&mut inside, false)?;
                put_bytes(out, &inside);
            } else {
                let (kind, width) = shape(first)?;
                out.push(first);
                let begin = out.len();
                self.take_argument(width, out)?;
                let argument = argument(first, out.get(begin..)?);
                match kind {
                    STRING => out.extend_from_slice(self.take(STRINGS, usize::try_from(argument).ok()?)?),
                    TEXT => out.extend_from_slice(self.take(TEXTS, usize::try_from(argument).ok()?)?),
                    ARRAY => left = left.checked_add(argument)?,
                    TAG => left = left.checked_add(1)?,
                    _ => {}
                }
            }
            if out.len() > MAX_PAGE_BYTES {
                return None;
            }
        }
        Some(())
    }
}

const fn malformed() -> SyncError {
    SyncError::Message { kind: PAGES }
}
