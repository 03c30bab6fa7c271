//! The body of a message of pages: item by item, so that like stands beside like.
//!
//! Pages are CBOR, and most values in them too. Taken apart, the heads of items, each byte of numbers, strings and
//! texts are compressed each with their like. Nothing has to be known of what they mean. `spec/sync.md` has the columns.

#[cfg(any(feature = "net", fuzzing, test))]
mod reader;
#[cfg(test)]
mod tests;
mod writer;

#[cfg(any(feature = "net", fuzzing, test))]
pub(crate) use self::reader::PageReader;
pub(crate) use self::writer::PageWriter;

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

/// For arguments of so many bytes: the first column, and how many there are.
fn columns_of(width: usize) -> Option<(usize, usize)> {
    ARGUMENTS.get(usize::try_from(width.checked_ilog2()?).ok()?).copied()
}
