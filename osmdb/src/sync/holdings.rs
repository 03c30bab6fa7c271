//! What somebody holds, as sets of short ids: the leaves of the log, and the entries in some of them.

use std::collections::{BTreeMap, BTreeSet};

use prolly::{Cid, LeafLinks, PageSource, read};

use super::sketch::Id;
use crate::db::parse_history;
use crate::entry::{Known, Version};
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
            entries.add(source, *leaf)?;
        }
        Ok(entries)
    }
}

/// Entries, each by a short id.
#[derive(Debug)]
pub(crate) struct Entries {
    salt: Salt,
    by_id: BTreeMap<Id, (ElementId, Version)>,
}

impl Entries {
    pub(crate) const fn none(salt: Salt) -> Self {
        Self { salt, by_id: BTreeMap::new() }
    }

    fn add<S: PageSource>(&mut self, source: &S, leaf: Leaf) -> Result<(), Error> {
        let (Leaf::Heads(cid) | Leaf::History(cid)) = leaf;
        let page = source.page(&cid).map_err(prolly::Error::from)?;
        let page = page.ok_or(Error::Tree(prolly::Error::Missing(cid)))?;
        for index in 0..page.len() {
            let key = page.key(index);
            if let Leaf::History(_) = leaf {
                let (element, version) = keys::parse_history(key).ok_or(Error::Key { tree: "history" })?;
                self.insert(element, version);
                continue;
            }
            let element = keys::parse_element(key).ok_or(Error::Key { tree: "heads" })?;
            let Some(value) = page.value(index) else { continue };
            let heads =
                Known::decode_versions(element, &read(source, value)?).map_err(Error::entry(element))?;
            heads.into_iter().for_each(|(version, _)| self.insert(element, version));
        }
        Ok(())
    }

    fn insert(&mut self, element: ElementId, version: Version) {
        self.by_id.insert(self.salt.entry(&version), (element, version));
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.by_id.keys().copied()
    }

    /// All, in the order of their elements.
    pub(crate) fn listed(&self) -> Vec<Listed> {
        let all = self.by_id.iter().map(|(id, (element, version))| Listed {
            element: *element,
            version: *version,
            hint: hint(*id),
        });
        let mut all: Vec<Listed> = all.collect();
        all.sort_unstable_by_key(|listed| (listed.element, listed.version));
        all
    }

    /// Those with some ids, by element.
    pub(crate) fn select(&self, ids: &[Id]) -> BTreeMap<ElementId, BTreeSet<Version>> {
        let mut selected: BTreeMap<ElementId, BTreeSet<Version>> = BTreeMap::new();
        for (element, version) in ids.iter().filter_map(|id| self.by_id.get(id)) {
            selected.entry(*element).or_default().insert(*version);
        }
        selected
    }
}

/// The start of a leaf's id, by which one is told from the few thousand others.
pub(crate) type ShortLeaf = [u8; 4];

pub(crate) fn short_leaf(id: Id) -> ShortLeaf {
    id.to_le_bytes().first_chunk().copied().unwrap_or_default()
}

/// A byte of an entry's id. Two versions of an element have the same one in one of 256 cases.
fn hint(id: Id) -> u8 {
    let [hint, ..] = id.to_le_bytes();
    hint
}

/// An entry in a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed {
    pub(crate) element: ElementId,
    pub(crate) version: Version,
    pub(crate) hint: u8,
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
