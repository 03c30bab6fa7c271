//! Messages of pages, item by item: section 13 of `spec/sync.md`.

use super::MAX_PAGE_BYTES;
use super::cbor::{byte_string, ensure};

/// How many columns there are.
pub const COLUMNS: usize = 11;

/// Columns that are read from their beginnings.
struct Columns(Vec<std::vec::IntoIter<u8>>);

impl Columns {
    fn take(&mut self, column: usize, len: u64) -> Result<Vec<u8>, String> {
        let column = self.0.get_mut(column).ok_or("no such column")?;
        ensure(column.len() as u64 >= len, "a column that ends early")?;
        Ok(column.take(usize::try_from(len).unwrap_or(usize::MAX)).collect())
    }

    fn argument(&mut self, len: usize) -> Result<Vec<u8>, String> {
        match len {
            0 => Ok(Vec::new()),
            1 => self.take(1, 1),
            2 => Ok([self.take(2, 1)?, self.take(3, 1)?].concat()),
            4 => (4..8)
                .map(|column| self.take(column, 1))
                .collect::<Result<Vec<_>, _>>()
                .map(|all| all.concat()),
            _ => self.take(8, 8),
        }
    }

    fn page(&mut self) -> Result<Vec<u8>, String> {
        if self.0[0].as_slice().first() == Some(&0xff) {
            self.take(0, 1)?;
            let length = number(&self.argument(4)?);
            return self.take(9, length);
        }
        self.item(true)
    }

    /// One item with all that belongs to it.
    fn item(&mut self, marks: bool) -> Result<Vec<u8>, String> {
        let (mut bytes, mut left) = (Vec::new(), 1_u64);
        while left > 0 {
            left -= 1;
            let shape = self.take(0, 1)?[0];
            if shape == 0x5f && marks {
                bytes.extend(byte_string(&self.item(false)?));
                continue;
            }
            let (kind, low) = (shape / 32, shape % 32);
            ensure(low < 28 && kind != 5, "an item that no page has in columns")?;
            let argument = self.argument(if low < 24 { 0 } else { 1 << (low - 24) })?;
            let value = if low < 24 { u64::from(low) } else { number(&argument) };
            bytes.push(shape);
            bytes.extend(argument);
            match kind {
                2 => bytes.extend(self.take(9, value)?),
                3 => bytes.extend(self.take(10, value)?),
                4 => left = left.checked_add(value).ok_or("more items than there can be")?,
                6 => left += 1,
                _ => {}
            }
            ensure(bytes.len() <= MAX_PAGE_BYTES, "a page that is too long")?;
        }
        Ok(bytes)
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) + u64::from(*byte))
}

/// Makes the pages of a message.
///
/// # Errors
/// The columns do not belong together.
pub fn read(columns: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, String> {
    let mut columns = Columns(columns.into_iter().map(Vec::into_iter).collect());
    ensure(columns.0.len() == COLUMNS, "another number of columns")?;
    let mut pages = Vec::new();
    while columns.0[0].len() > 0 {
        let page = columns.page()?;
        ensure(!page.is_empty() && page.len() <= MAX_PAGE_BYTES, "a page that is empty or too long")?;
        pages.push(page);
    }
    ensure(
        !pages.is_empty() && columns.0.iter().all(|column| column.len() == 0),
        "columns with more than pages",
    )?;
    Ok(pages)
}
