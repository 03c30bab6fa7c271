//! The keys of the trees. All numbers are big-endian, so that keys sort as what they name.
//!
//! | tree | key | value |
//! |---|---|---|
//! | heads | kind (1 byte), id (8) | the heads' bodies, sorted by version |
//! | history | kind, id, version (32) | the entry's body |
//! | spatial | size class (1), geohash (8), extent (2), kind, id | see `spatial` |
//! | refs | target kind, id, source kind, id | nothing |
//! | changes | changeset (8), kind, id, version | nothing |
//! | tags | a tag's key, 0, its value, 0 (see `tags`), and a key of `spatial` | nothing |

use crate::entry::Version;
use crate::model::{ElementId, Kind, MAX_ID};

/// The bytes of a kind and an id.
pub(crate) const ELEMENT_BYTES: usize = 9;

pub(crate) fn element(element: ElementId) -> [u8; ELEMENT_BYTES] {
    let mut key = [0; ELEMENT_BYTES];
    let (kind, id) = key.split_at_mut(1);
    kind.copy_from_slice(&[element.kind.code()]);
    id.copy_from_slice(&element.id.to_be_bytes());
    key
}

/// Reads a kind and an id from the front of a key, and returns the rest.
pub(crate) fn split_element(key: &[u8]) -> Option<(ElementId, &[u8])> {
    let (front, rest) = key.split_first_chunk::<ELEMENT_BYTES>()?;
    let (kind, id) = front.split_first_chunk::<1>()?;
    let kind = Kind::from_code(kind[0])?;
    let id = u64::from_be_bytes(id.try_into().ok()?);
    (1..=MAX_ID).contains(&id).then_some((ElementId::new(kind, id), rest))
}

/// Reads a key that is a kind and an id, and nothing else.
pub(crate) fn parse_element(key: &[u8]) -> Option<ElementId> {
    split_element(key).filter(|(_, rest)| rest.is_empty()).map(|(element, _)| element)
}

/// The bytes of a key of the history tree, of the refs tree, and of the changes tree.
pub(crate) const HISTORY_BYTES: usize = ELEMENT_BYTES + 32;
pub(crate) const REFERENCE_BYTES: usize = 2 * ELEMENT_BYTES;
pub(crate) const CHANGE_BYTES: usize = 8 + HISTORY_BYTES;

/// Puts parts one after another; together they have `N` bytes.
pub(crate) fn joined<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut key = [0; N];
    key.iter_mut().zip(parts.iter().copied().flatten()).for_each(|(to, from)| *to = *from);
    key
}

pub(crate) fn history(of: ElementId, version: &Version) -> [u8; HISTORY_BYTES] {
    joined(&[&element(of), version.as_bytes()])
}

pub(crate) fn parse_history(key: &[u8]) -> Option<(ElementId, Version)> {
    let (element, version) = split_element(key)?;
    Some((element, Version(version.try_into().ok()?)))
}

pub(crate) fn reference(target: ElementId, source: ElementId) -> [u8; REFERENCE_BYTES] {
    joined(&[&element(target), &element(source)])
}

pub(crate) fn parse_reference(key: &[u8]) -> Option<(ElementId, ElementId)> {
    let (target, source) = split_element(key)?;
    Some((target, parse_element(source)?))
}

/// Returns what the keys of all references to an element by one kind of element begin with.
pub(crate) fn references_by(target: ElementId, kind: Kind) -> [u8; ELEMENT_BYTES + 1] {
    joined(&[&element(target), &[kind.code()]])
}

/// Returns what the keys of all versions of a changeset begin with.
pub(crate) const fn changes(changeset: u64) -> [u8; 8] {
    changeset.to_be_bytes()
}

pub(crate) fn change(changeset: u64, of: ElementId, version: &Version) -> [u8; CHANGE_BYTES] {
    joined(&[&changes(changeset), &element(of), version.as_bytes()])
}

/// Reads a key of the changes tree, all but the changeset that it begins with.
pub(crate) fn parse_change(key: &[u8]) -> Option<(ElementId, Version)> {
    parse_history(key.get(8..)?)
}
