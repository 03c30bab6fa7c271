//! What somebody holds, as sets of short ids: the leaves of the log, and the entries in some of them.

use std::collections::{BTreeMap, BTreeSet};

use prolly::{Cid, LeafLinks, PageSource, read};

use super::sketch::Id;
use crate::db::parse_history;
use crate::entry::{Entry, Known, Origin, Version};
use crate::error::Error;
use crate::model::ElementId;
use crate::root::Root;
use crate::views::keys;

/// Makes ids that nobody can choose beforehand: what is hashed depends on what both sides hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Salt([u8; 32]);

impl Salt {
    pub(crate) fn new(ours: &Cid, theirs: &Cid, round: u32) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("osmdb sync 1: ids of cells");
        hasher.update(ours.min(theirs).as_bytes());
        hasher.update(ours.max(theirs).as_bytes());
        hasher.update(&round.to_be_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    fn id(&self, hash: &[u8; 32]) -> Id {
        let hash = blake3::keyed_hash(&self.0, hash);
        u64::from_le_bytes(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }

    pub(crate) fn leaf(&self, leaf: &Cid) -> Id {
        self.id(leaf.as_bytes())
    }

    pub(crate) fn entry(&self, version: &Version) -> Id {
        self.id(version.as_bytes())
    }
}

/// The leaves of the trees that are the log.
#[derive(Debug)]
pub(crate) struct Leaves {
    salt: Salt,
    by_id: BTreeMap<Id, Leaf>,
}

#[derive(Debug, Clone, Copy)]
enum Leaf {
    Heads(Cid),
    History(Cid),
}

impl Leaf {
    /// Shows the entries in it.
    fn each<S: PageSource>(self, source: &S, mut show: impl FnMut(Place)) -> Result<(), Error> {
        let (Self::Heads(cid) | Self::History(cid)) = self;
        let page = source.page(&cid).map_err(prolly::Error::from)?;
        let page = page.ok_or(Error::Tree(prolly::Error::Missing(cid)))?;
        for index in 0..page.len() {
            let key = page.key(index);
            let Some(value) = page.value(index) else { continue };
            let value = read(source, value)?;
            if let Self::History(_) = self {
                let known = parse_history((bytes::Bytes::copy_from_slice(key), value))?;
                show(Place::new(known.version, &known.entry));
                continue;
            }
            let element = keys::parse_element(key).ok_or(Error::Key { tree: "heads" })?;
            let heads = Known::decode_versions(element, &value).map_err(Error::entry(element))?;
            heads.iter().for_each(|(version, entry)| show(Place::new(*version, entry)));
        }
        Ok(())
    }
}

impl Leaves {
    /// Lists them. Reads the branches alone.
    pub(crate) fn read<S: PageSource>(source: &S, root: &Root, salt: Salt) -> Result<Self, Error> {
        let mut by_id = BTreeMap::new();
        let trees = [(root.trees.heads, Leaf::Heads as fn(Cid) -> Leaf), (root.trees.history, Leaf::History)];
        for (tree, leaf) in trees {
            for cid in LeafLinks::new(tree).step(source)?.complete()? {
                by_id.insert(salt.leaf(&cid), leaf(cid));
            }
        }
        Ok(Self { salt, by_id })
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.by_id.keys().copied()
    }

    /// Lists the entries in some of the leaves, which are here.
    pub(crate) fn entries<S: PageSource>(
        &self,
        source: &S,
        leaves: impl IntoIterator<Item = Id>,
    ) -> Result<Entries, Error> {
        let mut entries = Entries { salt: self.salt, by_id: BTreeMap::new() };
        for leaf in leaves.into_iter().filter_map(|id| self.by_id.get(&id)) {
            leaf.each(source, |place| entries.insert(place))?;
        }
        Ok(entries)
    }

    /// Returns the latest timestamp of the imported entries in a sample of the leaves.
    pub(crate) fn latest<S: PageSource>(&self, source: &S) -> Result<LatestTime, Error> {
        let mut latest = None;
        for leaf in self.by_id.values().take(SAMPLED_LEAVES) {
            leaf.each(source, |place| latest = latest.max(place.time))?;
        }
        Ok(LatestTime(latest.unwrap_or(i64::MAX)))
    }
}

/// So many leaves, those with the least ids, are looked at for the latest time: a sample of a large dataset.
const SAMPLED_LEAVES: usize = 4096;

/// The latest timestamp of the imported entries that somebody has, or nearly so. What is later they lack, but for a
/// few entries that a sample has missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LatestTime(pub(crate) i64);

impl LatestTime {
    /// Tells whether they are likely to lack an entry.
    fn excludes(self, time: Option<i64>) -> bool {
        time.is_some_and(|time| time > self.0)
    }
}

/// Entries, each by a short id.
#[derive(Debug)]
pub(crate) struct Entries {
    salt: Salt,
    by_id: BTreeMap<Id, Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    element: ElementId,
    version: Version,
    /// The timestamp of an imported entry, and OpenStreetMap's number of its version.
    time: Option<i64>,
    number: Option<u64>,
}

impl Place {
    const fn new(version: Version, entry: &Entry) -> Self {
        let (time, number) = match &entry.origin {
            Origin::Imported(meta) => (meta.timestamp, meta.version),
            Origin::Edited(_) => (None, None),
        };
        Self { element: entry.element, version, time, number }
    }
}

impl Entries {
    pub(crate) const fn none(salt: Salt) -> Self {
        Self { salt, by_id: BTreeMap::new() }
    }

    #[cfg(test)]
    pub(crate) fn of(salt: Salt, all: impl Iterator<Item = (ElementId, Version, Option<u64>)>) -> Self {
        let mut entries = Self::none(salt);
        all.for_each(|(element, version, number)| {
            entries.insert(Place { element, version, time: None, number });
        });
        entries
    }

    fn insert(&mut self, place: Place) {
        self.by_id.insert(self.salt.entry(&place.version), place);
    }

    /// Those later than all that somebody has, by element.
    pub(crate) fn later(&self, latest: LatestTime) -> BTreeMap<ElementId, BTreeSet<Version>> {
        let mut found: BTreeMap<ElementId, BTreeSet<Version>> = BTreeMap::new();
        for place in self.by_id.values().filter(|place| latest.excludes(place.time)) {
            found.entry(place.element).or_default().insert(place.version);
        }
        found
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.by_id.keys().copied()
    }

    /// All but those later than all that somebody has, in the order of their elements.
    pub(crate) fn listed(&self, latest: Option<LatestTime>) -> Vec<Listed> {
        let may_be = |place: &Place| !latest.is_some_and(|latest| latest.excludes(place.time));
        let some = self.by_id.iter().filter(|(_, place)| may_be(place));
        let mut all: Vec<Listed> = some
            .map(|(id, place)| {
                let Place { element, version, number, .. } = *place;
                let [sum, ..] = id.to_le_bytes();
                let hint = number.map_or(sum, |number| u8::try_from(number).unwrap_or(u8::MAX));
                Listed { element, version, hint, sum }
            })
            .collect();
        all.sort_unstable_by_key(|listed| (listed.element, listed.version));
        all
    }

    /// Those with some ids, by element.
    pub(crate) fn select(&self, ids: &[Id]) -> BTreeMap<ElementId, BTreeSet<Version>> {
        let mut selected: BTreeMap<ElementId, BTreeSet<Version>> = BTreeMap::new();
        for place in ids.iter().filter_map(|id| self.by_id.get(id)) {
            selected.entry(place.element).or_default().insert(place.version);
        }
        selected
    }
}

/// The start of a leaf's id, by which one is told from the few thousand others.
pub(crate) type ShortLeaf = [u8; 4];

pub(crate) fn short_leaf(id: Id) -> ShortLeaf {
    id.to_le_bytes().first_chunk().copied().unwrap_or_default()
}

/// An entry in a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed {
    pub(crate) element: ElementId,
    pub(crate) version: Version,
    /// What tells it from other versions of the element, mostly: OpenStreetMap's number, or if it has none, the
    /// byte below.
    pub(crate) hint: u8,
    /// A byte of its id.
    pub(crate) sum: u8,
}

/// Returns some versions of an element: heads, or history.
pub(crate) fn entries_of<S: PageSource>(
    source: &S,
    root: &Root,
    element: ElementId,
    versions: &BTreeSet<Version>,
) -> Result<Vec<Known>, Error> {
    let mut found = Vec::with_capacity(versions.len());
    if let Some(value) = root.trees.heads.get(source, &keys::element(element))? {
        let heads = Known::decode_heads(element, &value).map_err(Error::entry(element))?;
        found.extend(heads.into_iter().filter(|known| versions.contains(&known.version)));
    }
    for version in versions {
        if found.iter().any(|known| known.version == *version) {
            continue;
        }
        let key = keys::history(element, version);
        if let Some(value) = root.trees.history.get(source, &key)? {
            found.push(parse_history((bytes::Bytes::copy_from_slice(&key), value))?);
        }
    }
    Ok(found)
}
