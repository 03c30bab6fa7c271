//! Taking pages apart.

use prolly::cbor::{head_len, put_bytes};

use super::*;

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
    fn all(mut bytes: &'a [u8]) -> Option<impl Iterator<Item = Self>> {
        let (mut rest, mut left) = (bytes, 1_u64);
        while left > 0 {
            left = (left - 1).checked_add(Self::take(&mut rest)?.has)?;
        }
        rest.is_empty().then(|| std::iter::from_fn(move || Self::take(&mut bytes)))
    }

    /// Returns the items that a byte string holds, if its length is written as short as can be.
    fn inside(&self) -> Option<impl Iterator<Item = Self> + use<'a>> {
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
            Some(items) => items.for_each(|item| match item.inside() {
                Some(inside) => {
                    self.column(SHAPES).push(INSIDE);
                    inside.for_each(|item| self.put(&item));
                }
                None => self.put(&item),
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
