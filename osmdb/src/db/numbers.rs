//! Numbers of versions, for those who know no hashes: change files and clients of the OSM API.

use std::collections::{BTreeMap, BTreeSet};

use prolly::PageSource;

use super::{Head, Snapshot};
use crate::entry::{Origin, Version};
use crate::error::Error;

impl<S: PageSource> Snapshot<S> {
    /// Returns the numbers of some heads of one element.
    pub(crate) fn numbers_of(&self, heads: &[Head], unknown: u64) -> Result<BTreeMap<Version, u64>, Error> {
        let mut versions = heads.to_vec();
        if let Some(head) = heads.iter().find(|head| matches!(head.entry.origin, Origin::Edited(_))) {
            versions.extend(self.replaced(head.entry.element)?);
        }
        let mut numbers = numbers(&versions, unknown);
        numbers.retain(|version, _| heads.iter().any(|head| head.version == *version));
        Ok(numbers)
    }
}

/// Returns the number of each version of an element: what the OSM server gave, or one more than the
/// greatest among the versions that an edit replaces. An imported version without a number counts as `unknown`.
pub(crate) fn numbers(versions: &[Head], unknown: u64) -> BTreeMap<Version, u64> {
    let mut numbers: BTreeMap<Version, u64> = BTreeMap::new();
    let mut edits: Vec<(&Head, &[Version])> = Vec::new();
    for head in versions {
        match &head.entry.origin {
            Origin::Imported(meta) => drop(numbers.insert(head.version, meta.version.unwrap_or(unknown))),
            Origin::Edited(_) => edits.push((head, head.entry.links())),
        }
    }
    let is_edit: BTreeSet<Version> = edits.iter().map(|(head, _)| head.version).collect();
    // An edit waits for the edits it replaces. Links are hashes, so that there are no circles.
    let mut waits: BTreeMap<Version, Vec<usize>> = BTreeMap::new();
    let mut open: Vec<usize> = Vec::with_capacity(edits.len());
    let mut ready: Vec<usize> = Vec::new();
    for (index, (_, links)) in edits.iter().enumerate() {
        let before: BTreeSet<&Version> = links.iter().filter(|link| is_edit.contains(link)).collect();
        before.iter().for_each(|link| waits.entry(**link).or_default().push(index));
        open.push(before.len());
        if before.is_empty() {
            ready.push(index);
        }
    }
    while let Some(index) = ready.pop() {
        let Some((head, links)) = edits.get(index) else { continue };
        let greatest = links.iter().filter_map(|link| numbers.get(link)).max();
        numbers.insert(head.version, greatest.map_or(1, |number| number.saturating_add(1)));
        for next in waits.remove(&head.version).unwrap_or_default() {
            if let Some(open) = open.get_mut(next) {
                *open -= 1;
                if *open == 0 {
                    ready.push(next);
                }
            }
        }
    }
    numbers
}
