//! Which version of an element replaces which: the rules of `order`, as links.
//!
//! - An edit replaces the versions that it links to. If one of these is imported, it also replaces the
//!   imported entry that carries the most metadata of those with the same OSM version and content.
//! - Of imported entries of one OSM version and content, that with the most metadata replaces the others.
//! - The imported entries that are left of one OSM version replace those of the version before it.
//!
//! So a version is a head if nothing replaces it.

use std::collections::{BTreeMap, BTreeSet};

use super::order::metadata;
use super::{Known, Version};

/// Where two neighbouring OSM versions have so many contents that more links than this would connect them
/// all, each content gets only one: files that disagree a thousand times are no map.
const MAX_LINKS: usize = 10_000;

/// What imported entries have in common that say the same: the OSM version and the content.
type Content<'a> = (Option<u64>, &'a [u8]);

/// An entry among those that say the same: how much is known of it, its version, its place.
type Ranked = (usize, Version, usize);

/// How the versions of an element hang together.
#[derive(Debug)]
pub(crate) struct Lineage {
    /// The places of the versions, those that are replaced before those that replace them.
    pub(crate) order: Vec<usize>,
    /// For each version, the places of those that it replaces.
    pub(crate) replaces: Vec<BTreeSet<usize>>,
}

/// Tells which of all versions of an element replaces which. They are ordered like this: imported ones by
/// OSM version, then by how much is known of them, then by version; behind these, each edit behind what it
/// links to, and else by time, then by version.
pub(crate) fn lineage(entries: &[Known]) -> Lineage {
    let places: BTreeMap<Version, usize> = entries.iter().map(|known| known.version).zip(0..).collect();
    let mut replaces = vec![BTreeSet::new(); entries.len()];
    let mut replace = |by: usize, what: usize| {
        if let Some(replaced) = replaces.get_mut(by).filter(|_| by != what) {
            replaced.insert(what);
        }
    };

    let mut imported: Vec<(Option<u64>, usize, Version, usize)> = Vec::new();
    let mut groups: BTreeMap<Content<'_>, Vec<Ranked>> = BTreeMap::new();
    for (place, known) in entries.iter().enumerate() {
        let Some(meta) = known.imported() else { continue };
        let rank = metadata(meta);
        imported.push((meta.version, rank, known.version, place));
        groups.entry((meta.version, known.content())).or_default().push((rank, known.version, place));
    }
    let mut best_of = BTreeMap::new();
    let mut levels: BTreeMap<Option<u64>, Vec<usize>> = BTreeMap::new();
    for ((version, _), group) in &groups {
        let Some((_, _, best)) = group.iter().max() else { continue };
        levels.entry(*version).or_default().push(*best);
        for (_, _, place) in group {
            replace(*best, *place);
            best_of.insert(*place, *best);
        }
    }
    for (before, after) in levels.values().zip(levels.values().skip(1)) {
        if before.len().saturating_mul(after.len()) <= MAX_LINKS {
            after.iter().for_each(|after| before.iter().for_each(|before| replace(*after, *before)));
        } else {
            let pairs = after.iter().cycle().zip(before.iter().cycle());
            pairs.take(before.len().max(after.len())).for_each(|(after, before)| replace(*after, *before));
        }
    }
    for (place, known) in entries.iter().enumerate() {
        for link in known.entry.links() {
            let Some(linked) = places.get(link) else { continue };
            replace(place, *linked);
            if let Some(best) = best_of.get(linked) {
                replace(place, *best);
            }
        }
    }

    imported.sort_unstable();
    let mut order: Vec<usize> = imported.into_iter().map(|(.., place)| place).collect();
    order.extend(edits(entries, &places));
    Lineage { order, replaces }
}

/// Puts edits behind those that they link to.
fn edits(entries: &[Known], places: &BTreeMap<Version, usize>) -> Vec<usize> {
    let is_edit = |place: &usize| entries.get(*place).is_some_and(|known| known.imported().is_none());
    let key = |place: usize| entries.get(place).map(|known| (known.entry.timestamp(), known.version, place));
    let mut waits: BTreeMap<usize, usize> = BTreeMap::new();
    let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut ready = BTreeSet::new();
    for place in (0..entries.len()).filter(is_edit) {
        let links = entries.get(place).map_or(&[][..], |known| known.entry.links());
        let links: BTreeSet<usize> =
            links.iter().filter_map(|link| places.get(link).copied()).filter(is_edit).collect();
        if links.is_empty() {
            ready.extend(key(place));
        }
        waits.insert(place, links.len());
        links.into_iter().for_each(|link| next.entry(link).or_default().push(place));
    }
    let mut order = Vec::with_capacity(waits.len());
    while let Some((.., place)) = ready.pop_first() {
        order.push(place);
        for after in next.remove(&place).unwrap_or_default() {
            if let Some(left) = waits.get_mut(&after) {
                *left -= 1;
                if *left == 0 {
                    ready.extend(key(after));
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::superseded;
    use super::*;
    use crate::entry::{EditMeta, Entry, Origin, OsmMeta};
    use crate::model::{ElementId, Payload, Tags};

    /// Imports of few versions and contents, and edits of what came before them.
    fn entries() -> impl Strategy<Value = Vec<Known>> {
        let import = (prop::option::of(0..3_u64), 0..3_u8, prop::option::of(0..2_i64), any::<bool>());
        let edit = (0..3_u8, 0..3_i64, vec(any::<prop::sample::Index>(), 0..4));
        vec(prop_oneof![import.prop_map(Ok), edit.prop_map(Err)], 1..14).prop_map(|made| {
            let mut entries: Vec<Known> = Vec::new();
            for what in made {
                let (content, origin) = match what {
                    Ok((version, content, timestamp, named)) => {
                        let user = named.then(|| "Ada".to_owned());
                        (
                            content,
                            Origin::Imported(OsmMeta { version, timestamp, user, ..OsmMeta::default() }),
                        )
                    }
                    Err((content, timestamp, links)) => {
                        let links = if entries.is_empty() { Vec::new() } else { links };
                        let mut links: Vec<Version> =
                            links.iter().map(|at| at.get(&entries).version).collect();
                        links.sort_unstable();
                        links.dedup();
                        (content, Origin::Edited(EditMeta { links, timestamp, ..EditMeta::default() }))
                    }
                };
                let tags = Tags::from([("content", content.to_string())]);
                let payload = (content > 0).then_some(Payload::Way { refs: Vec::new(), tags });
                let known = Known::new(Entry { element: ElementId::way(1), payload, origin });
                if entries.iter().all(|other| other.version != known.version) {
                    entries.push(known);
                }
            }
            entries.sort_by_key(|known| known.version);
            entries
        })
    }

    proptest! {
        #[test]
        fn what_nothing_replaces_is_a_head(entries in entries()) {
            let Lineage { order, replaces } = lineage(&entries);
            let replaced: BTreeSet<usize> = replaces.iter().flatten().copied().collect();
            let expected: Vec<bool> = superseded(&entries);
            let found: Vec<bool> = (0..entries.len()).map(|place| replaced.contains(&place)).collect();
            prop_assert_eq!(found, expected);
            let mut seen = BTreeSet::new();
            for place in order {
                prop_assert!(replaces[place].iter().all(|before| seen.contains(before)), "cause before effect");
                prop_assert!(seen.insert(place));
                for link in entries[place].entry.links() {
                    prop_assert!(replaces[place].iter().any(|before| entries[*before].version == *link));
                }
            }
            prop_assert_eq!(seen.len(), entries.len());
        }

        #[test]
        fn the_order_does_not_depend_on_how_they_come(entries in entries(), turn in 0..14_usize) {
            let named = |entries: &[Known]| -> Vec<Version> {
                lineage(entries).order.into_iter().map(|place| entries[place].version).collect()
            };
            let mut turned = entries.clone();
            turned.rotate_left(turn % entries.len());
            prop_assert_eq!(named(&entries), named(&turned));
        }
    }
}
