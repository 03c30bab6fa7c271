//! Finding a difference that is large: lists instead of cells.
//!
//! One side, the *lister*, has fewer leaves and names them all; the other one says which of them it lacks, and
//! names the entries in those of its own leaves that the lister does not have, with OpenStreetMap's number of each
//! version, or one byte of its id. So the lister knows, but for a few, what either side lacks. Imported entries that are later than all that the
//! lister has are not named: it lacks them, whoever has them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prolly::PageSource;
use prolly::cbor::{Reader, put_unsigned};

use super::error::SyncError;
use super::holdings::{Entries, LatestTime, Leaves, Listed, ShortLeaf, short_leaf};
use super::limits::FRAME_BYTES;
use super::message::{LEAVES, LIST, WANT};
use super::sketch::Id;
use crate::entry::Version;
use crate::model::{ElementId, Kind, MAX_ID};

/// Of so many entries that were found to be lacking, one more is missed, by chance.
const MISSED: usize = 128;

/// So many entries of a list have one byte together by which it is seen whether all of them are here.
const GROUP: usize = 16;

/// The cells of entries that are sent at least when lists were exchanged.
const LEAST_CELLS: usize = 64;

/// Entries, by element.
type Chosen = BTreeMap<ElementId, BTreeSet<Version>>;

/// Messages that are to be sent, in order.
pub(crate) type Pieces = Vec<(u8, Vec<u8>)>;

/// What one side knows of the other's lists.
pub(crate) enum Bulk {
    /// The lister waits for what is wanted of its leaves.
    Asked { leaves: Vec<Id>, want: Vec<u8> },
    /// It waits for the list of entries.
    Chosen { ours: Entries, list: Heard },
    /// The other side waits for the list of leaves.
    Waiting { listed: Vec<u8> },
    /// It waits for what is wanted of its entries.
    Listed { ours: Entries, list: Vec<Listed>, lacking: Chosen, want: Vec<u8> },
}

/// What came of the lists on one side.
pub(crate) struct Matched {
    /// The entries in leaves that differ.
    pub(crate) entries: Entries,
    /// Those that the other side lacks.
    pub(crate) lacking: Chosen,
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
    pub(crate) fn ask(leaves: &Leaves, latest: LatestTime) -> (Self, Pieces) {
        let leaves: Vec<Id> = leaves.ids().collect();
        let mut bytes = latest.0.to_be_bytes().to_vec();
        bytes.extend(leaves.iter().flat_map(|id| short_leaf(*id)));
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
                listed.extend_from_slice(bytes);
                if more {
                    return Ok((Some(Self::Waiting { listed }), nothing(), None));
                }
                let (latest, listed) = listed.split_first_chunk().ok_or_else(|| broken(kind))?;
                let latest = LatestTime(i64::from_be_bytes(*latest));
                let (listed, rest) = listed.as_chunks::<{ size_of::<ShortLeaf>() }>();
                if !rest.is_empty() {
                    return Err(broken(kind));
                }
                let known: BTreeSet<ShortLeaf> = leaves.ids().map(short_leaf).collect();
                let mut messages = pieces(WANT, &bits(listed.iter().map(|leaf| !known.contains(leaf))));
                let theirs: BTreeSet<ShortLeaf> = listed.iter().copied().collect();
                let ours =
                    leaves.entries(source, leaves.ids().filter(|id| !theirs.contains(&short_leaf(*id))))?;
                let (list, lacking) = (ours.listed(Some(latest)), ours.later(latest));
                messages.extend(entry_list(&list));
                Ok((Some(Self::Listed { ours, list, lacking, want: Vec::new() }), messages, None))
            }
            (Self::Asked { leaves: named, mut want }, WANT) => {
                want.extend_from_slice(bytes);
                if more {
                    return Ok((Some(Self::Asked { leaves: named, want }), nothing(), None));
                }
                check_bits(&want, named.len())?;
                let wanted = named.iter().zip(0..).filter(|(_, place)| is_set(&want, *place));
                let ours = leaves.entries(source, wanted.map(|(id, _)| *id))?;
                Ok((Some(Self::Chosen { ours, list: Heard::default() }), nothing(), None))
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
            (Self::Listed { ours, list, mut lacking, mut want }, WANT) => {
                want.extend_from_slice(bytes);
                if more {
                    return Ok((Some(Self::Listed { ours, list, lacking, want }), nothing(), None));
                }
                check_bits(&want, list.len())?;
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
/// one byte of each, and one byte for each group of them.
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
        out.extend(run.chunks(GROUP).map(|group| sum(group.iter())));
        (LIST, out)
    };
    if runs.is_empty() { vec![(LIST, vec![0])] } else { runs.into_iter().enumerate().map(piece).collect() }
}

fn sum<'a>(group: impl Iterator<Item = &'a Listed>) -> u8 {
    group.fold(0, |sum, listed| sum ^ listed.sum)
}

/// A list that comes.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    entries: Vec<(ElementId, u8)>,
    /// Where each group ends, and its byte.
    groups: Vec<(usize, u8)>,
}

fn read_list(bytes: &[u8], heard: &mut Heard) -> Result<(), SyncError> {
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
    let Heard { entries, groups } = heard;
    let (mut id, begin) = (0_u64, entries.len());
    for _ in 0..count {
        let next = id.checked_add(reader.unsigned().map_err(malformed)?);
        id = next.filter(|id| (1..=MAX_ID).contains(id)).ok_or_else(|| broken(LIST))?;
        entries.push((ElementId::new(kind, id), 0));
    }
    let rest = bytes.get(reader.position()..).unwrap_or_default();
    let (hints, sums) = rest.split_at_checked(count).ok_or_else(|| broken(LIST))?;
    if sums.len() != count.div_ceil(GROUP) {
        return Err(broken(LIST));
    }
    entries.iter_mut().skip(begin).zip(hints).for_each(|((_, hint), byte)| *hint = *byte);
    let ends = (1..=sums.len()).map(|group| begin + count.min(group * GROUP));
    groups.extend(ends.zip(sums.iter().copied()));
    Ok(())
}

/// Returns which of our entries the list lacks, and which of its entries are lacking here.
type Compared = (Chosen, Vec<u8>);

fn compare(ours: &Entries, list: &Heard) -> Result<Compared, SyncError> {
    let Heard { entries: list, groups } = list;
    if !list.is_sorted_by_key(|(element, _)| *element) {
        return Err(broken(LIST));
    }
    let mut lacking = Chosen::new();
    // Which of our entries is the one that is listed.
    let mut matched: Vec<Option<&Listed>> = vec![None; list.len()];
    let mut place = 0;
    let all = ours.listed(None);
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
            match same.and_then(|place| matched.get_mut(place)) {
                Some(matched) => *matched = Some(listed),
                None => {
                    lacking.entry(element).or_default().insert(listed.version);
                }
            }
        }
    }
    // Where a whole group seems to be here and is not, nobody knows which of it differ.
    let mut begin = 0;
    for (end, byte) in groups {
        let group = matched.get_mut(begin..*end).unwrap_or_default();
        begin = *end;
        if group.iter().all(Option::is_some) && sum(group.iter().copied().flatten()) != *byte {
            for listed in group.iter_mut().filter_map(Option::take) {
                lacking.entry(listed.element).or_default().insert(listed.version);
            }
        }
    }
    Ok((lacking, bits(matched.iter().map(Option::is_none))))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::holdings::Salt;
    use super::*;

    /// Somebody's entries: one of each element, whose content and number are as given.
    fn entries(all: &[(u8, Option<u64>)]) -> Entries {
        let salt = Salt::new(&prolly::Cid::of(b"ours"), &prolly::Cid::of(b"theirs"), 0);
        let place = |(id, (content, number)): (u64, &(u8, Option<u64>))| {
            let version = blake3::hash(&[&id.to_be_bytes()[..], &[*content]].concat());
            (ElementId::node(id), version.to_string().parse().unwrap(), *number)
        };
        Entries::of(salt, (1..).zip(all).map(place))
    }

    fn compared(ours: &Entries, theirs: &Entries) -> (BTreeSet<ElementId>, BTreeSet<ElementId>) {
        let (list, mut heard) = (theirs.listed(None), Heard::default());
        for (kind, piece) in entry_list(&list) {
            assert_eq!(kind, LIST);
            read_list(&piece[1..], &mut heard).unwrap();
        }
        let (lacking, want) = compare(ours, &heard).unwrap();
        let wanted = list.iter().zip(0..).filter(|(_, place)| is_set(&want, *place));
        (lacking.into_keys().collect(), wanted.map(|(listed, _)| listed.element).collect())
    }

    proptest! {
        #[test]
        fn what_differs_in_its_number_is_found(
            all in vec((any::<u8>(), 1_u64..300, any::<bool>()), 1..200),
        ) {
            let ours: Vec<_> = all.iter().map(|(content, number, _)| (*content, Some(*number))).collect();
            let theirs: Vec<_> = all
                .iter()
                .map(|(content, number, other)| {
                    if *other { (content.wrapping_add(1), Some(number.min(&250) + 1)) } else { (*content, Some(*number)) }
                })
                .collect();
            let (lacking, wanted) = compared(&entries(&ours), &entries(&theirs));
            prop_assert_eq!(&lacking, &wanted);
            // Numbers from 255 on are one.
            let differs = |((_, number, other), id): (&(u8, u64, bool), u64)| {
                let seen = *other && (*number).min(255) != number.min(&250) + 1;
                seen.then_some(ElementId::node(id))
            };
            let expected: BTreeSet<ElementId> = all.iter().zip(1..).filter_map(differs).collect();
            prop_assert!(wanted.is_superset(&expected), "{:?} of {:?}", wanted, expected);
        }
    }

    #[test]
    fn equal_numbers_of_other_contents_are_found_by_groups() {
        // Another file of the same versions: users were stripped, say.
        let ours: Vec<_> = (0..10_000).map(|_| (1, Some(1))).collect();
        let mut theirs = ours.clone();
        theirs[5_000].0 = 2;
        let (lacking, wanted) = compared(&entries(&ours), &entries(&theirs));
        let group: BTreeSet<ElementId> = (4_993..5_009).map(ElementId::node).collect();
        assert_eq!((&lacking, &wanted), (&group, &group), "the sixteen of its group");
        theirs.iter_mut().for_each(|(content, _)| *content = 2);
        let (_, wanted) = compared(&entries(&ours), &entries(&theirs));
        // One byte in 256 is the same by chance.
        assert!(wanted.len() > 9_800, "{} of 10,000", wanted.len());
        let same = entries(&ours);
        assert_eq!(compared(&same, &same), Default::default());
    }

    #[test]
    fn damaged_lists_are_refused() {
        let some = entries(&[(1, None); 40]).listed(None);
        let pieces = entry_list(&some);
        let piece = &pieces[0].1[1..];
        for end in 1..piece.len() {
            assert!(read_list(&piece[..end], &mut Heard::default()).is_err(), "cut at {end}");
        }
        let longer = [piece, &[0]].concat();
        assert!(read_list(&longer, &mut Heard::default()).is_err());
    }
}
