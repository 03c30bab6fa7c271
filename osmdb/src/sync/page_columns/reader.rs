//! Making pages anew.

use bytes::Bytes;
use prolly::MAX_PAGE_BYTES;
use prolly::cbor::{Reader, put_bytes};

use super::super::error::SyncError;
use super::super::message::PAGES;
use super::*;

/// Makes pages anew: what is left of the columns. A page is an error if the columns do not belong together, or if it is
/// empty or longer than any; nothing comes behind it.
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

    fn page(&mut self, shape: u8) -> Option<Bytes> {
        let mut page = Vec::new();
        if shape == AS_IT_IS {
            self.as_it_is(&mut page)?;
        } else {
            self.item(&mut page, true)?;
        }
        (!page.is_empty()).then(|| page.into())
    }

    fn take(&mut self, column: usize, len: usize) -> Option<&'a [u8]> {
        let column = self.columns.get_mut(column)?;
        let (taken, rest) = column.split_at_checked(len)?;
        *column = rest;
        Some(taken)
    }

    /// Adds an argument.
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

impl Iterator for PageReader<'_> {
    type Item = Result<Bytes, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        let page = match self.columns[SHAPES].first() {
            Some(shape) => self.page(*shape),
            None if self.columns.iter().all(|column| column.is_empty()) => return None,
            None => None,
        };
        if page.is_none() {
            self.columns = [&[]; COLUMNS];
        }
        Some(page.ok_or_else(malformed))
    }
}

const fn malformed() -> SyncError {
    SyncError::Message { kind: PAGES }
}
