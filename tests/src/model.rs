//! Which versions of an element are its heads: the rules of the design, applied one by one.

use std::collections::BTreeMap;

use osmdb::{Counts, Db, ElementId, Entry, Head, Kind, Origin, OsmMeta, Version};
use prolly::PageStore;

/// A database as a plain set of entries.
#[derive(Debug, Clone, Default)]
pub struct Model(BTreeMap<ElementId, BTreeMap<Version, Entry>>);

fn imported(entry: &Entry) -> Option<&OsmMeta> {
    match &entry.origin {
        Origin::Imported(meta) => Some(meta),
        Origin::Edited(_) => None,
    }
}

fn known_fields(meta: &OsmMeta) -> u8 {
    u8::from(meta.timestamp.is_some())
        + u8::from(meta.changeset.is_some())
        + u8::from(meta.uid.is_some())
        + u8::from(meta.user.is_some())
}

/// Tells whether one entry by itself supersedes another.
fn supersedes(new: &Entry, old: &Entry) -> bool {
    if new.links().contains(&old.version()) {
        return true;
    }
    let (Some(new_meta), Some(old_meta)) = (imported(new), imported(old)) else { return false };
    if new_meta.version != old_meta.version {
        return new_meta.version > old_meta.version;
    }
    new.payload == old.payload
        && (known_fields(new_meta), new.version()) > (known_fields(old_meta), old.version())
}

/// Tells whether an edit was made on an entry with the same imported content as this one.
fn known_to_an_edit(old: &Entry, all: &BTreeMap<Version, Entry>) -> bool {
    let Some(meta) = imported(old) else { return false };
    let twins = all.values().filter(|twin| {
        imported(twin).is_some_and(|twin| twin.version == meta.version) && twin.payload == old.payload
    });
    let mut links = all.values().flat_map(Entry::links);
    let twins: Vec<Version> = twins.map(Entry::version).collect();
    links.any(|link| twins.contains(link))
}

impl Model {
    /// Collects entries.
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut model = Self::default();
        entries.into_iter().for_each(|entry| model.add(entry));
        model
    }

    /// Adds an entry.
    pub fn add(&mut self, entry: Entry) {
        self.0.entry(entry.element).or_default().insert(entry.version(), entry);
    }

    /// Adds all entries of another set.
    pub fn merge(&mut self, other: &Self) {
        other.0.values().flat_map(BTreeMap::values).for_each(|entry| self.add(entry.clone()));
    }

    /// Returns all versions of an element, those that are heads first; both parts by version.
    #[must_use]
    pub fn versions(&self, element: ElementId) -> (Vec<Head>, Vec<Head>) {
        let Some(all) = self.0.get(&element) else { return Default::default() };
        let versions = all.iter().map(|(version, entry)| Head { version: *version, entry: entry.clone() });
        versions.partition(|head| {
            !known_to_an_edit(&head.entry, all) && !all.values().any(|new| supersedes(new, &head.entry))
        })
    }

    /// Returns the elements, in order.
    pub fn elements(&self) -> impl Iterator<Item = ElementId> + '_ {
        self.0.keys().copied()
    }

    /// Counts what a database with these entries shows.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for element in self.elements() {
            let (heads, replaced) = self.versions(element);
            counts.entries += (heads.len() + replaced.len()) as u64;
            counts.forks += u64::from(heads.len() > 1);
            let live = heads.iter().any(|head| head.entry.payload.is_some());
            match element.kind {
                _ if !live => counts.deleted += 1,
                Kind::Node => counts.nodes += 1,
                Kind::Way => counts.ways += 1,
                Kind::Relation => counts.relations += 1,
                Kind::Changeset => counts.changesets += 1,
            }
        }
        counts
    }

    /// Demands that a database holds these entries and no others, each where it belongs.
    ///
    /// # Panics
    /// It does not.
    pub fn check<S: PageStore + Sync>(&self, db: &Db<S>) {
        let snapshot = db.snapshot();
        for element in self.elements() {
            let (heads, replaced) = self.versions(element);
            assert_eq!(snapshot.get(element).expect("it reads"), heads, "the heads of {element}");
            assert_eq!(snapshot.replaced(element).expect("it reads"), replaced, "the history of {element}");
        }
        assert_eq!(db.counts(), self.counts());
        let verified = db.verify().expect("it verifies");
        assert_eq!(verified.entries, self.counts().entries);
    }
}
