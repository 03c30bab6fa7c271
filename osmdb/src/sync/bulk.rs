//! Finding a difference that is large: lists instead of cells.
//!
//! One side, the *lister*, has fewer leaves and names them all; the other one says which of them it lacks, and
//! names the entries in those of its own leaves that the lister does not have, with one byte of each. So the
//! lister knows, but for one in 256, what either side lacks.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prolly::PageSource;
use prolly::cbor::{Reader, put_unsigned};

use super::error::SyncError;
use super::holdings::{Entries, Leaves, Listed, ShortLeaf, short_leaf};
use super::limits::FRAME_BYTES;
use super::message::{LEAVES, LIST, WANT};
use super::sketch::Id;
use crate::entry::Version;
use crate::model::{ElementId, Kind, MAX_ID};

/// Of so many entries that were found to be lacking, one more is missed, by chance.
const MISSED: usize = 128;

/// The cells of entries that are sent at least when lists were exchanged.
const LEAST_CELLS: usize = 64;

/// Messages that are to be sent, in order.
pub(crate) type Pieces = Vec<(u8, Vec<u8>)>;

/// What one side knows of the other's lists.
pub(crate) enum Bulk {
    /// The lister waits for what is wanted of its leaves.
    Asked { leaves: Vec<Id>, want: Vec<u8> },
    /// It waits for the list of entries.
    Chosen { ours: Entries, list: Vec<(ElementId, u8)> },
    /// The other side waits for the list of leaves.
    Waiting { listed: Vec<ShortLeaf> },
    /// It waits for what is wanted of its entries.
    Listed { ours: Entries, list: Vec<Listed>, want: Vec<u8> },
}

/// What came of the lists on one side.
pub(crate) struct Matched {
    /// The entries in leaves that differ.
    pub(crate) entries: Entries,
    /// Those that the other side lacks.
    pub(crate) lacking: BTreeMap<ElementId, BTreeSet<Version>>,
    /// How many cells of entries come first, to find what was missed.
    pub(crate) cells: usize,
}

fn broken(kind: u8) -> SyncError {
    SyncError::Message { kind }
}

/// Cuts a list into messages.
fn pieces(kind: u8, bytes: &[u8]) -> Pieces {
    let all = bytes.chunks(FRAME_BYTES).collect::<Vec<_>>();
    let last = all.len().saturating_sub(1);
    let piece = |(place, bytes): (usize, &[u8])| (kind, [&[u8::from(place < last)], bytes].concat());
    if all.is_empty() { vec![(kind, vec![0])] } else { all.into_iter().enumerate().map(piece).collect() }
}

impl Bulk {
    /// Begins as the lister.
    pub(crate) fn ask(leaves: &Leaves) -> (Self, Pieces) {
        let leaves: Vec<Id> = leaves.ids().collect();
        let bytes: Vec<u8> = leaves.iter().flat_map(|id| short_leaf(*id)).collect();
        (Self::Asked { leaves, want: Vec::new() }, pieces(LEAVES, &bytes))
    }

    /// Begins as the other side.
    pub(crate) const fn wait() -> Self {
        Self::Waiting { listed: Vec::new() }
    }

    /// Takes in a piece of a list; returns what is to be sent, and at the end what came of it.
    pub(crate) fn receive<S: PageSource>(
        self,
        source: &S,
        leaves: &Leaves,
        (kind, more, bytes): (u8, bool, &Bytes),
    ) -> Result<(Option<Self>, Pieces, Option<Matched>), SyncError> {
        let nothing = Pieces::new;
        match (self, kind) {
            (Self::Waiting { mut listed }, LEAVES) => {
                let (some, rest) = bytes.as_chunks();
                if !rest.is_empty() {
                    return Err(broken(kind));
                }
                listed.extend_from_slice(some);
                if more {
                    return Ok((Some(Self::Waiting { listed }), nothing(), None));
                }
                let known: BTreeSet<ShortLeaf> = leaves.ids().map(short_leaf).collect();
                let mut messages = pieces(WANT, &bits(listed.iter().map(|leaf| !known.contains(leaf))));
                let theirs: BTreeSet<ShortLeaf> = listed.into_iter().collect();
                let ours =
                    leaves.entries(source, leaves.ids().filter(|id| !theirs.contains(&short_leaf(*id))))?;
                let list = ours.listed();
                messages.extend(entry_list(&list));
                Ok((Some(Self::Listed { ours, list, want: Vec::new() }), messages, None))
            }
            (Self::Asked { leaves: named, mut want }, WANT) => {
                want.extend_from_slice(bytes);
                if more {
                    return Ok((Some(Self::Asked { leaves: named, want }), nothing(), None));
                }
                check_bits(&want, named.len())?;
                let wanted = named.iter().zip(0..).filter(|(_, place)| is_set(&want, *place));
                let ours = leaves.entries(source, wanted.map(|(id, _)| *id))?;
                Ok((Some(Self::Chosen { ours, list: Vec::new() }), nothing(), None))
            }
            (Self::Chosen { ours, mut list }, LIST) => {
                read_list(bytes, &mut list)?;
                if more {
                    return Ok((Some(Self::Chosen { ours, list }), nothing(), None));
                }
                let (lacking, want) = compare(&ours, &list)?;
                let cells = cells_for(&want);
                let messages = pieces(WANT, &want);
                Ok((None, messages, Some(Matched { entries: ours, lacking, cells })))
            }
            (Self::Listed { ours, list, mut want }, WANT) => {
                want.extend_from_slice(bytes);
                if more {
                    return Ok((Some(Self::Listed { ours, list, want }), nothing(), None));
                }
                check_bits(&want, list.len())?;
                let mut lacking: BTreeMap<ElementId, BTreeSet<Version>> = BTreeMap::new();
                for (listed, _) in list.iter().zip(0..).filter(|(_, place)| is_set(&want, *place)) {
                    lacking.entry(listed.element).or_default().insert(listed.version);
                }
                let cells = cells_for(&want);
                Ok((None, nothing(), Some(Matched { entries: ours, lacking, cells })))
            }
            _ => Err(SyncError::Turn { kind }),
        }
    }
}

fn cells_for(want: &[u8]) -> usize {
    let wanted: u32 = want.iter().map(|byte| byte.count_ones()).sum();
    LEAST_CELLS + usize::try_from(wanted).unwrap_or(usize::MAX) / MISSED
}

/// Writes one bit for each, the lowest of a byte first.
fn bits(all: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (place, bit) in all.enumerate() {
        if place % 8 == 0 {
            bytes.push(0);
        }
        if let Some(last) = bytes.last_mut().filter(|_| bit) {
            *last |= 1 << (place % 8);
        }
    }
    bytes
}

fn is_set(bits: &[u8], place: usize) -> bool {
    bits.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1)
}

/// Checks that there is one bit for each of so many, and none more.
fn check_bits(bits: &[u8], count: usize) -> Result<(), SyncError> {
    let right = bits.len() == count.div_ceil(8) && (count..bits.len() * 8).all(|place| !is_set(bits, place));
    if right { Ok(()) } else { Err(broken(WANT)) }
}

/// Writes entries: for a run of one kind, its code, its length, the difference of each id to the one before,
/// and one byte of each.
fn entry_list(list: &[Listed]) -> Pieces {
    const RUN: usize = FRAME_BYTES / 4;
    let runs: Vec<&[Listed]> =
        list.chunk_by(|a, b| a.element.kind == b.element.kind).flat_map(|run| run.chunks(RUN)).collect();
    let last = runs.len().saturating_sub(1);
    let piece = |(place, run): (usize, &[Listed])| {
        let mut out = vec![u8::from(place < last)];
        put_unsigned(&mut out, run.first().map_or(0, |listed| listed.element.kind.code().into()));
        put_unsigned(&mut out, run.len() as u64);
        let mut before = 0;
        for listed in run {
            put_unsigned(&mut out, listed.element.id - before);
            before = listed.element.id;
        }
        out.extend(run.iter().map(|listed| listed.hint));
        (LIST, out)
    };
    if runs.is_empty() { vec![(LIST, vec![0])] } else { runs.into_iter().enumerate().map(piece).collect() }
}

fn read_list(bytes: &[u8], list: &mut Vec<(ElementId, u8)>) -> Result<(), SyncError> {
    let malformed = |_| broken(LIST);
    if bytes.is_empty() {
        return Ok(());
    }
    let mut reader = Reader::new(bytes);
    let kind = reader.unsigned().map_err(malformed)?;
    let kind = u8::try_from(kind).ok().and_then(Kind::from_code).ok_or_else(|| broken(LIST))?;
    let count = reader.unsigned().map_err(malformed)?;
    let count =
        usize::try_from(count).ok().filter(|count| *count <= bytes.len()).ok_or_else(|| broken(LIST))?;
    let (mut id, begin) = (0_u64, list.len());
    for _ in 0..count {
        let next = id.checked_add(reader.unsigned().map_err(malformed)?);
        id = next.filter(|id| (1..=MAX_ID).contains(id)).ok_or_else(|| broken(LIST))?;
        list.push((ElementId::new(kind, id), 0));
    }
    let hints = bytes.get(reader.position()..).unwrap_or_default();
    if hints.len() != count {
        return Err(broken(LIST));
    }
    list.iter_mut().skip(begin).zip(hints).for_each(|((_, hint), byte)| *hint = *byte);
    Ok(())
}

/// Returns which of our entries the list lacks, and which of its entries are lacking here.
type Compared = (BTreeMap<ElementId, BTreeSet<Version>>, Vec<u8>);

fn compare(ours: &Entries, list: &[(ElementId, u8)]) -> Result<Compared, SyncError> {
    if !list.is_sorted_by_key(|(element, _)| *element) {
        return Err(broken(LIST));
    }
    let mut lacking: BTreeMap<ElementId, BTreeSet<Version>> = BTreeMap::new();
    let mut wanted = vec![true; list.len()];
    let mut place = 0;
    let all = ours.listed();
    for own in all.chunk_by(|a, b| a.element == b.element) {
        let Some(element) = own.first().map(|listed| listed.element) else { continue };
        while list.get(place).is_some_and(|(listed, _)| *listed < element) {
            place += 1;
        }
        let from = place;
        while list.get(place).is_some_and(|(listed, _)| *listed == element) {
            place += 1;
        }
        // Side by side, by their bytes.
        let hint = |place: &usize| list.get(*place).map(|(_, hint)| *hint);
        let mut theirs: Vec<usize> = (from..place).collect();
        theirs.sort_by_key(hint);
        let mut theirs = theirs.into_iter().peekable();
        let mut own: Vec<&Listed> = own.iter().collect();
        own.sort_by_key(|listed| listed.hint);
        for listed in own {
            while theirs.next_if(|place| hint(place) < Some(listed.hint)).is_some() {}
            let same = theirs.next_if(|place| hint(place) == Some(listed.hint));
            match same.and_then(|place| wanted.get_mut(place)) {
                Some(wanted) => *wanted = false,
                None => {
                    lacking.entry(element).or_default().insert(listed.version);
                }
            }
        }
    }
    Ok((lacking, bits(wanted.into_iter())))
}
