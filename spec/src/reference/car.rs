//! A tree as a CAR file, as `conformance.md` describes it.

use super::cbor::{LINK_HEAD, ensure};
use super::{Address, Item, Page, Pages, Reader, Value, address, array, link};

/// The four bytes before the hash in the binary form of an address (2).
const CID_PREFIX: &[u8] = &[0x01, 0x71, 0x1e, 0x20];

/// Writes a tree as a CAR file, from its pages.
///
/// # Errors
/// A page is missing.
pub fn write(root: &Address, pages: &Pages) -> Result<Vec<u8>, String> {
    let header = [&[0xa2, 0x65][..], b"roots", &array(&[link(root)]), &[0x67], b"version", &[1]].concat();
    let mut out = [number(header.len()), header].concat();
    let mut written = std::collections::BTreeSet::new();
    // The next page is the last; beside it how many rows of value pages are below it, if it is one.
    let mut todo: Vec<(Address, Option<u32>)> = vec![(*root, None)];
    while let Some((next, value)) = todo.pop() {
        if !written.insert(next) {
            continue;
        }
        let page = pages.get(&next).ok_or("a missing page")?;
        out.extend(number(36 + page.len()));
        out.extend([CID_PREFIX, &next, page].concat());
        let below: Vec<_> = match value {
            None => Page::read(page)?.pairs.iter().filter_map(|(_, item)| below(item)).collect(),
            Some(0) => Vec::new(),
            Some(depth) => {
                let links = Reader(page).array(Reader::link)?;
                links.into_iter().map(|part| (part, Some(depth - 1))).collect()
            }
        };
        todo.extend(below.into_iter().rev());
    }
    Ok(out)
}

fn below(item: &Item) -> Option<(Address, Option<u32>)> {
    match item {
        Item::Value(Value::Inline(_)) => None,
        Item::Value(Value::Linked(len, top)) => {
            Some((*top, Some(u32::from(*len > 8192) + u32::from(*len > 1_048_576))))
        }
        Item::Child(to, _) => Some((*to, None)),
    }
}

/// A varint: seven bits a byte from the least on, with the greatest bit where more follow.
fn number(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 128 {
        out.push(u8::try_from(n % 128).unwrap_or(0) | 0x80);
        n /= 128;
    }
    out.push(u8::try_from(n).unwrap_or(0));
    out
}

fn read_number(reader: &mut Reader<'_>) -> Result<usize, String> {
    let (mut n, mut used) = (0, 0);
    loop {
        let byte = usize::from(reader.take(1)?[0]);
        n |= (byte & 127) << (7 * used);
        used += 1;
        if byte < 128 {
            ensure(number(n).len() == used, "another varint than the shortest")?;
            return Ok(n);
        }
        ensure(used < 5, "a length too great")?;
    }
}

/// Reads a CAR file with one root: that, and all pages.
///
/// # Errors
/// It is no such file, or a page is under another address than its own.
pub fn read(car: &[u8]) -> Result<(Address, Pages), String> {
    let mut reader = Reader(car);
    let len = read_number(&mut reader)?;
    let mut header = Reader(reader.take(len as u64)?);
    let is_header = header.0.starts_with(b"\xa2\x65roots\x81");
    ensure(is_header, "another header")?;
    header.take(8)?;
    ensure(header.0.starts_with(&LINK_HEAD), "a root of another kind")?;
    let root = header.link()?;
    ensure(header.0 == b"\x67version\x01", "another version")?;
    let mut pages = Pages::new();
    while !reader.0.is_empty() {
        let len = read_number(&mut reader)?;
        let mut block = Reader(reader.take(len as u64)?);
        ensure(block.take(4)? == CID_PREFIX, "a block of another kind")?;
        let named: Address = block.take(32)?.try_into().map_err(|_| "a hash of another length")?;
        ensure(address(block.0) == named, "a block under another address than its own")?;
        ensure(block.0.len() <= super::MAX_PAGE_BYTES, "a page too long")?;
        pages.insert(named, block.0.to_vec());
    }
    Ok((root, pages))
}
