//! The questions about one element, in steps: they know no source.

use std::collections::BTreeSet;

use prolly::{PageSource, Scan, Step};

use super::places::{HeadsOf, PairsOf};
use super::snapshot::parse_history;
use super::{Head, Revision};
use crate::entry::{Known, Lineage, Version, lineage};
use crate::error::Error;
use crate::model::{ElementId, Kind};
use crate::root::Trees;
use crate::views::keys;

/// Finds one version of an element: among those that were replaced, then among its heads.
#[derive(Debug)]
pub(crate) struct FindVersion {
    element: ElementId,
    version: Version,
    replaced: Option<PairsOf>,
    heads: HeadsOf,
}

impl FindVersion {
    pub(crate) fn new(trees: &Trees, element: ElementId, version: Version) -> Self {
        let replaced = PairsOf::new(Scan::prefixes(trees.history, vec![keys::history(element, &version)]));
        let heads = HeadsOf::new(trees.heads, [element]);
        Self { element, version, replaced: Some(replaced), heads }
    }

    pub(crate) fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Option<Head>>, Error> {
        if let Some(replaced) = &mut self.replaced {
            match replaced.step(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(Some(pair)) => return Ok(Step::Ready(Some(parse_history(pair)?.into()))),
                Step::Ready(None) => self.replaced = None,
            }
        }
        Ok(match self.heads.step(source)? {
            Step::Missing(cids) => Step::Missing(cids),
            Step::Ready(None) => Step::Ready(None),
            Step::Ready(Some((_, value))) => {
                let heads = Known::decode_heads(self.element, &value).map_err(Error::entry(self.element))?;
                let found = heads.into_iter().find(|head| head.version == self.version);
                Step::Ready(found.map(Head::from))
            }
        })
    }
}

/// Finds all versions of an element, and orders them. Asks both trees at once.
#[derive(Debug)]
pub(crate) struct FindHistory {
    /// `None` when they are known.
    finding_heads: Option<HeadsOf>,
    heads: Vec<Known>,
    finding_replaced: Option<PairsOf>,
    replaced: Vec<Known>,
}

impl FindHistory {
    pub(crate) fn new(trees: &Trees, element: ElementId) -> Self {
        let heads = HeadsOf::new(trees.heads, [element]);
        let replaced = PairsOf::new(Scan::prefixes(trees.history, vec![keys::element(element)]));
        let (finding_heads, finding_replaced) = (Some(heads), Some(replaced));
        Self { finding_heads, heads: Vec::new(), finding_replaced, replaced: Vec::new() }
    }

    pub(crate) fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Vec<Revision>>, Error> {
        let mut missing = Vec::new();
        if let Some(heads) = &mut self.finding_heads {
            match heads.step(source)? {
                Step::Missing(cids) => missing = cids,
                Step::Ready(found) => {
                    if let Some((element, value)) = found {
                        self.heads = Known::decode_heads(element, &value).map_err(Error::entry(element))?;
                    }
                    self.finding_heads = None;
                }
            }
        }
        while let Some(replaced) = &mut self.finding_replaced {
            match replaced.step(source)? {
                Step::Ready(Some(pair)) => self.replaced.push(parse_history(pair)?),
                Step::Ready(None) => self.finding_replaced = None,
                Step::Missing(cids) => {
                    // Both trees may be the empty one.
                    let others = cids.into_iter().filter(|cid| !missing.contains(cid)).collect::<Vec<_>>();
                    missing.extend(others);
                    break;
                }
            }
        }
        if !missing.is_empty() {
            return Ok(Step::Missing(missing));
        }
        let mut all = std::mem::take(&mut self.heads);
        let heads = all.len();
        all.append(&mut self.replaced);
        Ok(Step::Ready(ordered(all, heads)))
    }
}

/// Orders the versions of an element, the first of which are its heads: causes before effects.
fn ordered(all: Vec<Known>, heads: usize) -> Vec<Revision> {
    let Lineage { order, mut replaces } = lineage(&all);
    let versions: Vec<Version> = all.iter().map(|known| known.version).collect();
    let known: BTreeSet<&Version> = versions.iter().collect();
    let mut ranks = vec![0; order.len()];
    for (rank, place) in order.iter().enumerate() {
        if let Some(slot) = ranks.get_mut(*place) {
            *slot = rank;
        }
    }
    let mut revisions: Vec<(usize, Revision)> = Vec::with_capacity(all.len());
    for ((place, Known { version, entry, .. }), rank) in all.into_iter().enumerate().zip(&ranks) {
        let mut replaced: Vec<usize> =
            replaces.get_mut(place).map(std::mem::take).into_iter().flatten().collect();
        replaced.sort_by_key(|place| ranks.get(*place));
        let mut replaces: Vec<Version> =
            replaced.into_iter().filter_map(|place| versions.get(place).copied()).collect();
        replaces.extend(entry.links().iter().filter(|link| !known.contains(link)));
        revisions.push((*rank, Revision { version, entry, replaces, is_head: place < heads }));
    }
    revisions.sort_by_key(|(rank, _)| *rank);
    revisions.into_iter().map(|(_, revision)| revision).collect()
}

/// Finds which ways and relations name an element.
#[derive(Debug)]
pub(crate) struct FindRefs {
    scan: Scan,
    found: Vec<ElementId>,
}

impl FindRefs {
    pub(crate) fn new(trees: &Trees, element: ElementId) -> Self {
        let prefixes = [Kind::Way, Kind::Relation].map(|kind| keys::references_by(element, kind));
        Self { scan: Scan::prefixes(trees.refs, prefixes.to_vec()), found: Vec::new() }
    }

    pub(crate) fn step<S: PageSource>(&mut self, source: &S) -> Result<Step<Vec<ElementId>>, Error> {
        loop {
            match self.scan.step(source)? {
                Step::Missing(cids) => return Ok(Step::Missing(cids)),
                Step::Ready(None) => return Ok(Step::Ready(std::mem::take(&mut self.found))),
                Step::Ready(Some(run)) => {
                    for (key, _) in &run {
                        let (_, by) = keys::parse_reference(key).ok_or(Error::Key { tree: "refs" })?;
                        self.found.push(by);
                    }
                }
            }
        }
    }
}
