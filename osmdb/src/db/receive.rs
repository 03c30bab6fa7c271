//! Taking in entries that a peer sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prolly::{Cid, PageSource, PageStore};

use super::apply::{self, Applied};
use super::load::{self, Groups, Scratch, Sorted, Sorter};
use super::reflog::{self, Cause};
use super::{Db, Policy, Refused, Snapshot, Unfit};
use crate::entry::{Known, Version};
use crate::error::Error;
use crate::model::ElementId;
use crate::root::Root;
use crate::views::keys::{self, ELEMENT_BYTES};

/// The parents of so many elements are looked up at once.
const CHUNK: usize = 10_000;

/// Entries that have come, in any order and any number: on disk if they are many.
#[derive(Debug)]
pub(crate) struct Heap {
    sorter: Sorter<ELEMENT_BYTES>,
    scratch: Scratch,
    count: u64,
}

impl Heap {
    pub(crate) fn push(&mut self, known: &Known) -> Result<(), Error> {
        self.count += 1;
        self.sorter.push(&keys::element(known.entry.element), &load::record_of(known))
    }
}

/// What came of entries that were sent.
#[derive(Debug)]
pub(crate) enum Received {
    /// They are in the database now.
    United { gained: u64, forked: Vec<ElementId>, refused: Vec<Refused>, root: Cid },
    /// They do not make the root that was announced, but this one. Nothing has changed.
    Astray(Cid),
    /// A version links to one that is not there. Nothing has changed.
    Orphan { element: ElementId, version: Version, parent: Version },
}

impl<S: PageStore + Sync> Db<S> {
    /// Begins to gather entries.
    pub(crate) fn heap(&self) -> Result<Heap, Error> {
        let scratch = Scratch::new(self.store.scratch()?);
        Ok(Heap { sorter: Sorter::new(&scratch, scratch.entries()), scratch, count: 0 })
    }

    /// Unites the database with entries that a peer sent, in one commit.
    ///
    /// `base` is the root whose entries, together with those sent, are to make the peer's root; without one
    /// that is not held against them. Signatures were checked before.
    pub(crate) fn unite(
        &self,
        base: Option<&Root>,
        theirs: Cid,
        heap: Heap,
        policy: &dyn Policy,
    ) -> Result<Received, Error> {
        let Heap { sorter, scratch, count } = heap;
        let entries = Arc::new(sorter.finish()?);
        let mut turn = self.write_turn();
        let own = self.root_record();
        let before = Snapshot::of(&self.store, base.unwrap_or(&own).clone());
        let mut gate = Entrance { policy, refused: Vec::new(), versions: BTreeSet::new() };
        if let Some((element, version, parent)) = gate.look_at(&before, &entries)? {
            return Ok(Received::Orphan { element, version, parent });
        }
        let mut made = None;
        if let Some(base) = base {
            let applied = apply::grow(&self.store, base, &entries, count, &scratch)?;
            let found = applied.root.cid();
            if found != theirs {
                return Ok(Received::Astray(found));
            }
            // Its pages are here now: what is to come may count from it.
            self.store.put(found, applied.root.encode().into())?;
            made = (base.cid() == own.cid()).then_some(applied);
        }
        let mut applied = match made.filter(|_| gate.refused.is_empty()) {
            Some(applied) => applied,
            None => {
                let (entries, count) = gate.admitted(&entries, count, &scratch)?;
                apply::grow(&self.store, &own, &entries, count, &scratch)?
            }
        };
        // What was not taken in may be another time.
        let merged = gate.refused.is_empty().then_some(theirs);
        if applied.gained > 0 || theirs != own.cid() {
            self.publish(&mut turn, &own, &applied.root, Cause { what: reflog::MERGE, merged })?;
        }
        applied.forked.sort_unstable();
        let Applied { root, gained, forked } = applied;
        Ok(Received::United { gained, forked, refused: gate.refused, root: root.cid() })
    }
}

/// What entries pass on their way in.
struct Entrance<'a> {
    policy: &'a dyn Policy,
    refused: Vec<Refused>,
    versions: BTreeSet<Version>,
}

impl Entrance<'_> {
    /// Looks at all entries. Returns one that links to a version that is neither among them nor in the
    /// database before.
    fn look_at<S: PageSource>(
        &mut self,
        before: &Snapshot<&S>,
        entries: &Sorted<ELEMENT_BYTES>,
    ) -> Result<Option<(ElementId, Version, Version)>, Error> {
        let mut groups = Groups::new(entries)?;
        let mut wanted: BTreeMap<ElementId, Vec<(Version, Version)>> = BTreeMap::new();
        while let Some(group) = groups.next()? {
            let element = group.element;
            let decode =
                |body: &load::Body| Known::decode(element, &body.bytes).map_err(Error::entry(element));
            let all = group.bodies.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
            for known in &all {
                for parent in known.entry.links() {
                    if all.iter().all(|other| other.version != *parent) {
                        wanted.entry(element).or_default().push((known.version, *parent));
                    }
                }
            }
            self.admit(&all);
            if wanted.len() >= CHUNK
                && let Some(orphan) = orphan(before, std::mem::take(&mut wanted))?
            {
                return Ok(Some(orphan));
            }
        }
        orphan(before, wanted)
    }

    /// Asks the policy. What comes after a version that is refused is refused with it.
    fn admit(&mut self, all: &[Known]) {
        let mut unfit: BTreeSet<Version> =
            all.iter().filter(|known| !self.policy.admits(&known.entry)).map(|known| known.version).collect();
        if unfit.is_empty() {
            return;
        }
        let by_policy = unfit.clone();
        loop {
            let after = |known: &&Known| {
                !unfit.contains(&known.version) && known.entry.links().iter().any(|link| unfit.contains(link))
            };
            let more: Vec<Version> = all.iter().filter(after).map(|known| known.version).collect();
            if more.is_empty() {
                break;
            }
            unfit.extend(more);
        }
        for known in all.iter().filter(|known| unfit.contains(&known.version)) {
            let why = if by_policy.contains(&known.version) { Unfit::Policy } else { Unfit::Parent };
            self.refused.push(Refused { element: known.entry.element, version: known.version, why });
        }
        self.versions.extend(unfit);
    }

    /// Returns those entries that were not refused.
    fn admitted(
        &self,
        entries: &Arc<Sorted<ELEMENT_BYTES>>,
        count: u64,
        scratch: &Scratch,
    ) -> Result<(Arc<Sorted<ELEMENT_BYTES>>, u64), Error> {
        if self.refused.is_empty() {
            return Ok((Arc::clone(entries), count));
        }
        let (mut sorter, mut left) = (Sorter::new(scratch, scratch.entries()), 0);
        let mut groups = Groups::new(entries)?;
        while let Some(group) = groups.next()? {
            for body in group.bodies {
                let known = Known::decode(group.element, &body.bytes).map_err(Error::entry(group.element))?;
                if !self.versions.contains(&known.version) {
                    sorter.push(&keys::element(group.element), &load::record_of(&known))?;
                    left += 1;
                }
            }
        }
        Ok((Arc::new(sorter.finish()?), left))
    }
}

/// Returns a version that links to one that is not in the database.
fn orphan<S: PageSource>(
    before: &Snapshot<&S>,
    wanted: BTreeMap<ElementId, Vec<(Version, Version)>>,
) -> Result<Option<(ElementId, Version, Version)>, Error> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut there = BTreeSet::new();
    for head in before.heads_of(wanted.keys().copied()) {
        let (element, value) = head?;
        let heads = Known::decode_heads(element, &value).map_err(Error::entry(element))?;
        there.extend(heads.into_iter().map(|known| (element, known.version)));
    }
    for known in before.replaced_of(wanted.keys().copied()) {
        let known = known?;
        there.insert((known.entry.element, known.version));
    }
    let lacks =
        wanted.into_iter().flat_map(|(element, links)| links.into_iter().map(move |link| (element, link)));
    let mut lacks = lacks.filter(|(element, (_, parent))| !there.contains(&(*element, *parent)));
    Ok(lacks.next().map(|(element, (version, parent))| (element, version, parent)))
}

impl<S: PageStore> Db<S> {
    /// Returns the root of this dataset without entries.
    pub(crate) fn empty(&self) -> Result<Root, Error> {
        let now = self.root_record();
        super::empty_root(&self.store, &now.name, now.trees.heads.config)
    }

    /// Returns the roots whose entries a root of this database has, the newest first, and whether each was
    /// made by an import or a merge: those before it in the reflog, and those that were merged into these. Pages of
    /// some may be gone.
    pub(crate) fn roots_below(&self, root: &Cid) -> Result<Vec<(Cid, bool)>, Error> {
        let mut log = reflog::in_effect(self.reflog()?);
        let end = log.iter().rposition(|entry| entry.root == *root).map_or(0, |place| place + 1);
        log.truncate(end);
        let roots = log.iter().rev().flat_map(|entry| {
            let own = (entry.root, [reflog::IMPORT, reflog::MERGE].contains(&entry.what.as_str()));
            [Some(own), entry.merged.map(|merged| (merged, false))]
        });
        Ok(roots.flatten().collect())
    }
}

#[cfg(test)]
impl Db<prolly::MemoryStore> {
    /// Puts an entry into a database as somebody would who has a program of his own.
    pub(crate) fn smuggle(&self, entry: crate::entry::Fresh) {
        let mut turn = self.write_turn();
        self.add(&mut turn, &self.store, vec![entry], Cause::new(reflog::EDIT)).unwrap();
    }
}
