//! A batch on its way: what its elements are after each edit, and whether the outcome holds together.

use std::collections::{BTreeMap, BTreeSet};

use prolly::PageSource;

use super::batch::Made;
use super::{Replaces, Snapshot, Write};
use crate::entry::{DeviceKey, EditMeta, Entry, Fresh, Known, Origin, Version};
use crate::error::Error;
use crate::model::{ElementId, Kind, Payload};

/// What is there of the elements that a batch is about.
pub(super) struct Loaded<'a, S> {
    snapshot: &'a Snapshot<S>,
    heads: BTreeMap<ElementId, Vec<Known>>,
}

impl<'a, S: PageSource> Loaded<'a, S> {
    /// Looks up the elements and the changesets of edits, all at once.
    pub(super) fn new(snapshot: &'a Snapshot<S>, writes: &[Write]) -> Result<Self, Error> {
        let changesets = writes.iter().filter_map(|write| write.changeset);
        let elements: BTreeSet<ElementId> = writes
            .iter()
            .map(|write| write.element)
            .chain(changesets.map(|id| ElementId::new(Kind::Changeset, id)))
            .collect();
        let mut heads = BTreeMap::new();
        for pair in snapshot.heads_of(elements) {
            let (element, value) = pair?;
            heads.insert(element, Known::decode_heads(element, &value).map_err(Error::entry(element))?);
        }
        Ok(Self { snapshot, heads })
    }

    fn of(&self, element: ElementId) -> &[Known] {
        self.heads.get(&element).map_or(&[], Vec::as_slice)
    }
}

/// A head as it stands in the batch.
#[derive(Debug, Clone)]
struct Staged {
    version: Version,
    payload: Option<Payload>,
    /// Whether the batch made it.
    is_new: bool,
}

/// An element that the batch edits.
#[derive(Debug, Default)]
struct Element {
    heads: Vec<Staged>,
    /// What the versions that were replaced here name: a new version may go on naming it.
    named: BTreeSet<ElementId>,
}

impl Element {
    fn is_live(&self) -> bool {
        self.heads.iter().any(|head| head.payload.is_some())
    }

    /// Iterates over what its live heads name.
    fn names(&self) -> impl Iterator<Item = ElementId> + '_ {
        self.heads.iter().filter_map(|head| head.payload.as_ref()).flat_map(Payload::references)
    }
}

/// A batch on its way.
pub(super) struct Stage<'a, S> {
    loaded: &'a Loaded<'a, S>,
    key: &'a DeviceKey,
    /// When the edits are made, in seconds since 1970.
    time: i64,
    elements: BTreeMap<ElementId, Element>,
    made: Made,
}

impl<'a, S: PageSource> Stage<'a, S> {
    pub(super) const fn new(loaded: &'a Loaded<'a, S>, key: &'a DeviceKey, time: i64) -> Self {
        Self { loaded, key, time, elements: BTreeMap::new(), made: Vec::new() }
    }

    /// Makes an edit, and returns the version that it gives the element.
    pub(super) fn write(&mut self, write: &Write) -> Result<Version, Error> {
        let Write { element, payload, replaces, changeset, in_use: _ } = write;
        let element = *element;
        if let Some(payload) = payload {
            if payload.kind() != element.kind {
                return Err(Error::Kind { element, content: payload.kind() });
            }
            payload.check_limits().map_err(|source| Error::Limit { element, source })?;
        }
        if let Some(changeset) = changeset {
            self.check_changeset(element, *changeset)?;
        }
        let known = self.loaded.of(element);
        let staged = self.elements.entry(element).or_insert_with(|| Element::of(known));
        if payload.is_none() && staged.heads.is_empty() {
            return Err(Error::NotFound { element });
        }
        let mut links = match replaces {
            Replaces::Heads => staged.heads.iter().map(|head| head.version).collect(),
            Replaces::Versions(versions) => versions.clone(),
        };
        links.sort_unstable();
        links.dedup();
        let (replaced, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut staged.heads).into_iter().partition(|head| links.contains(&head.version));
        staged.heads = kept;
        // What an edit of this batch names by mistake is not made right by a second one.
        let old = replaced.iter().filter(|head| !head.is_new).filter_map(|head| head.payload.as_ref());
        staged.named.extend(old.flat_map(Payload::references));
        let is_unknown = |link: &&Version| replaced.iter().all(|head| head.version != **link);
        let older: Vec<Version> = links.iter().filter(is_unknown).copied().collect();
        let named = self.replaced_before(element, &older)?;
        let origin =
            Origin::Edited(EditMeta { links, changeset: *changeset, timestamp: self.time, signed: None });
        let mut entry = Entry { element, payload: payload.clone(), origin };
        self.key.sign(&mut entry);
        let fresh = Fresh::new(&entry);
        fresh.check().map_err(|source| Error::Invalid { element, source })?;
        let version = fresh.version;
        self.made.push(fresh);
        if let Some(staged) = self.elements.get_mut(&element) {
            staged.named.extend(named);
            staged.heads.push(Staged { version, payload: entry.payload, is_new: true });
        }
        Ok(version)
    }

    /// Makes sure that versions which are no heads any more are there, and returns what they name.
    fn replaced_before(&self, element: ElementId, links: &[Version]) -> Result<Vec<ElementId>, Error> {
        let mut named = Vec::new();
        let mut replaced = None;
        for version in links {
            if self.made.iter().any(|made| made.element == element && made.version == *version) {
                continue;
            }
            let all = match &mut replaced {
                Some(all) => all,
                none => none.insert(self.older(element)?),
            };
            let known = all.iter().find(|known| known.version == *version);
            let known = known.ok_or(Error::NoVersion { element, version: *version })?;
            named.extend(known.entry.payload.iter().flat_map(Payload::references));
        }
        Ok(named)
    }

    /// Returns all versions of an element that were there before the batch.
    fn older(&self, element: ElementId) -> Result<Vec<Known>, Error> {
        let mut all = self.loaded.of(element).to_vec();
        for known in self.loaded.snapshot.replaced_of([element]) {
            all.push(known?);
        }
        Ok(all)
    }

    fn check_changeset(&self, element: ElementId, changeset: u64) -> Result<(), Error> {
        let id = ElementId::new(Kind::Changeset, changeset);
        let check = |payloads: Vec<&Payload>| {
            if payloads.is_empty() {
                return Err(Error::NoChangeset { element, changeset });
            }
            let is_closed =
                |payload: &&Payload| matches!(payload, Payload::Changeset { closed: Some(_), .. });
            if payloads.iter().any(is_closed) {
                return Err(Error::ChangesetClosed { element, changeset });
            }
            Ok(())
        };
        match self.elements.get(&id) {
            Some(staged) => check(staged.heads.iter().filter_map(|head| head.payload.as_ref()).collect()),
            None => {
                check(self.loaded.of(id).iter().filter_map(|known| known.entry.payload.as_ref()).collect())
            }
        }
    }

    /// Makes sure that what the edits name is there when they are all made. Returns the elements that the
    /// edits delete and live ones name, each with one of these.
    pub(super) fn check(&self) -> Result<Vec<(ElementId, ElementId)>, Error> {
        self.check_references()?;
        self.deleted_in_use()
    }

    fn check_references(&self) -> Result<(), Error> {
        let mut unsure: BTreeMap<ElementId, ElementId> = BTreeMap::new();
        for (element, staged) in &self.elements {
            let new = staged.heads.iter().filter(|head| head.is_new).filter_map(|head| head.payload.as_ref());
            for target in new.flat_map(Payload::references).filter(|target| !staged.named.contains(target)) {
                match self.elements.get(&target) {
                    Some(target) if target.is_live() => {}
                    Some(_) => return Err(Error::Reference { element: *element, target }),
                    None => drop(unsure.entry(target).or_insert(*element)),
                }
            }
        }
        for pair in self.loaded.snapshot.heads_of(unsure.keys().copied()) {
            let (target, value) = pair?;
            let heads = Known::decode_heads(target, &value).map_err(Error::entry(target))?;
            if heads.iter().any(|known| known.entry.payload.is_some()) {
                unsure.remove(&target);
            }
        }
        match unsure.into_iter().next() {
            Some((target, element)) => Err(Error::Reference { element, target }),
            None => Ok(()),
        }
    }

    fn deleted_in_use(&self) -> Result<Vec<(ElementId, ElementId)>, Error> {
        let deleted: BTreeSet<ElementId> = self
            .elements
            .iter()
            .filter(|(_, staged)| staged.heads.iter().any(|head| head.is_new) && !staged.is_live())
            .map(|(element, _)| *element)
            .collect();
        let mut in_use: BTreeMap<ElementId, ElementId> = BTreeMap::new();
        if deleted.is_empty() {
            return Ok(Vec::new());
        }
        for (source, staged) in &self.elements {
            for target in staged.names().filter(|target| deleted.contains(target)) {
                in_use.entry(target).or_insert(*source);
            }
        }
        let before = self.loaded.snapshot.references(deleted.iter().copied(), &[Kind::Way, Kind::Relation]);
        for pair in before {
            let (target, source) = pair?;
            if !self.elements.contains_key(&source) {
                in_use.entry(target).or_insert(source);
            }
        }
        Ok(in_use.into_iter().collect())
    }

    /// Returns the entries of the batch.
    pub(super) fn finish(self) -> Made {
        self.made
    }
}

impl Element {
    fn of(known: &[Known]) -> Self {
        let staged = |known: &Known| Staged {
            version: known.version,
            payload: known.entry.payload.clone(),
            is_new: false,
        };
        Self { heads: known.iter().map(staged).collect(), named: BTreeSet::new() }
    }
}
