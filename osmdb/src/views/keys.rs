//! The keys of the trees. All numbers are big-endian, so that keys sort as what they name.
//!
//! | tree | key | value |
//! |---|---|---|
//! | heads | kind (1 byte), id (8) | the heads' bodies, sorted by version |
//! | history | kind, id, version (32) | the entry's body |
//! | spatial | size class (1), geohash (8), kind, id | see `spatial` |
//! | refs | target kind, id, source kind, id | nothing |
//! | changes | changeset (8), kind, id, version | nothing |

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

pub(crate) fn history(of: ElementId, version: &Version) -> Vec<u8> {
    [&element(of)[..], version.as_bytes()].concat()
}

pub(crate) fn parse_history(key: &[u8]) -> Option<(ElementId, Version)> {
    let (element, version) = split_element(key)?;
    Some((element, Version(version.try_into().ok()?)))
}

pub(crate) fn reference(target: ElementId, source: ElementId) -> Vec<u8> {
    [element(target), element(source)].concat()
}

pub(crate) fn parse_reference(key: &[u8]) -> Option<(ElementId, ElementId)> {
    let (target, source) = split_element(key)?;
    Some((target, parse_element(source)?))
}

/// Returns what the keys of all references to an element by one kind of element begin with.
pub(crate) fn references_by(target: ElementId, kind: Kind) -> Vec<u8> {
    [&element(target)[..], &[kind.code()]].concat()
}

pub(crate) fn change(changeset: u64, of: ElementId, version: &Version) -> Vec<u8> {
    [&changeset.to_be_bytes()[..], &element(of), version.as_bytes()].concat()
}
