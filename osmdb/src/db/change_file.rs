//! Changes as a change file (`.osc`) says them.
//!
//! A change file knows one version of each element at a time, and orders versions by their number. Edits
//! made here have no number, so they get one: one more than the greatest among what they replace.

use std::collections::BTreeSet;

use prolly::PageSource;

use super::diff::{Difference, shown};
use super::numbers::numbers;
use super::snapshot::changed;
use super::{Head, Snapshot};
use crate::entry::{Entry, Origin, OsmMeta};
use crate::error::Error;
use crate::io::Action;
use crate::model::{ElementId, Kind};
use crate::views::keys;

/// Elements of a changeset are looked up this many at a time, to bound memory.
const CHUNK: usize = 20_000;

/// What a version counts as whose number nobody knows: what is made of it is the first that has one.
const UNKNOWN: u64 = 0;

/// One line of a change file: what happens, and to what.
type Change = Result<(Action, Entry), Error>;

impl<S: PageSource> Snapshot<S> {
    /// Tells what [differs](Self::changes_since) from an older root as a change file does: what to create,
    /// modify and delete to make the older map the newer one. Give it to
    /// [`Writer::write_change`](crate::io::Writer::write_change).
    ///
    /// Four things a change file cannot say:
    ///
    /// - changesets: they are left out;
    /// - forks: of several live heads, the one that a map shows is written, and heads that no map shows are
    ///   not;
    /// - what an edit replaces, and who signed it: it has a number instead of links, one more than the
    ///   greatest among what it replaces and among the heads at the older root. So edits of two databases may
    ///   get one number;
    /// - an element that the newer root has not, though no version deletes it: it is written as deleted,
    ///   with a number one higher.
    ///
    /// To pass on everything, merge databases.
    ///
    /// Costs the pages that differ, and for each element that was edited here one lookup in each of the two
    /// histories.
    ///
    /// ```
    /// use osmdb::io::{Action, Writer};
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("today.osc");
    /// let db = Db::in_memory("osm")?;
    /// let spring = db.create(Payload::Node { coord: Coord::new(1, 2)?, tags: Tags::new() })?;
    /// let yesterday = db.snapshot();
    /// db.delete(spring)?;
    /// let today = db.snapshot();
    ///
    /// let mut writer = Writer::create(&path)?;
    /// for change in today.osm_changes_since(&yesterday)? {
    ///     let (action, entry) = change?;
    ///     assert_eq!((action, entry.element), (Action::Delete, spring));
    ///     writer.write_change(action, &entry)?;
    /// }
    /// writer.finish()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The roots are of datasets with different names or configurations.
    pub fn osm_changes_since<'a, T: PageSource>(
        &'a self,
        older: &'a Snapshot<T>,
    ) -> Result<impl Iterator<Item = Change> + 'a, Error> {
        let differences = self.changes_since(older)?;
        Ok(differences.filter_map(|difference| match difference {
            Ok(difference) if difference.element.kind == Kind::Changeset => None,
            Ok(difference) => self.osm_change(older, &difference).transpose(),
            Err(error) => Some(Err(error)),
        }))
    }

    fn osm_change<T: PageSource>(
        &self,
        older: &Snapshot<T>,
        difference: &Difference,
    ) -> Result<Option<(Action, Entry)>, Error> {
        let Some(action) = difference.action() else { return Ok(None) };
        let newest = shown(&difference.after)
            .or_else(|| difference.after.iter().max_by_key(|head| (head.entry.timestamp(), head.version)));
        if let Some(Head { entry: Entry { origin: Origin::Imported(_), .. }, .. }) = newest {
            return Ok(newest.map(|head| (action, head.entry.clone())));
        }
        let before = older.numbers_of(&difference.before, UNKNOWN)?.into_values().max();
        let after_before = before.map_or(1, |number| number.saturating_add(1));
        let Some(head) = newest else {
            let origin = Origin::Imported(OsmMeta { version: Some(after_before), ..OsmMeta::default() });
            return Ok(Some((action, Entry { element: difference.element, payload: None, origin })));
        };
        let number = self.numbers_of(std::slice::from_ref(head), UNKNOWN)?.into_values().max().unwrap_or(1);
        Ok(Some((action, numbered(&head.entry, number.max(after_before)))))
    }

    /// Tells what was done in a changeset as a change file does: all versions that name it, element by
    /// element in order, the versions of one element by age. What is said of edits at
    /// [`osm_changes_since`](Self::osm_changes_since) is so here.
    ///
    /// Costs the pages that hold these versions and all others of their elements.
    ///
    /// ```
    /// use osmdb::io::Action;
    /// use osmdb::{Db, ElementId};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("map.osm");
    /// std::fs::write(&path, "<osm><way id='5' version='3' changeset='8'/>
    ///     <way id='6' version='1' changeset='9'/></osm>")?;
    /// let db = Db::in_memory("osm")?;
    /// db.import(&[&path], |_, _| {})?;
    /// let changes: Vec<_> = db.snapshot().osm_changes_in(8).collect::<Result<_, _>>()?;
    /// assert_eq!((changes.len(), changes[0].0), (1, Action::Modify));
    /// assert_eq!(changes[0].1.element, ElementId::way(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An item is an error where a page is missing or damaged.
    pub fn osm_changes_in(&self, changeset: u64) -> impl Iterator<Item = Change> + '_ {
        let pairs = self.root().trees.changes.prefix(self.source(), keys::changes(changeset));
        let mut elements = pairs.map(|pair| Ok(changed(&pair?.0)?.0));
        let mut chunks = std::iter::from_fn(move || chunk(&mut elements).transpose());
        let mut ready = Vec::new().into_iter();
        std::iter::from_fn(move || {
            loop {
                if let Some(change) = ready.next() {
                    return Some(change);
                }
                let changes = chunks.next()?.and_then(|elements| self.changes_of(&elements, changeset));
                match changes {
                    Ok(changes) => ready = changes.into_iter(),
                    Err(error) => return Some(Err(error)),
                }
            }
        })
    }

    /// Returns what a changeset did to some elements.
    fn changes_of(&self, elements: &BTreeSet<ElementId>, changeset: u64) -> Result<Vec<Change>, Error> {
        let mut changes = Vec::new();
        for versions in self.versions_among(elements) {
            let versions = versions?;
            let numbers = numbers(&versions, UNKNOWN);
            for Head { version, entry } in
                versions.iter().filter(|head| head.entry.changeset() == Some(changeset))
            {
                let number = numbers.get(version).copied().unwrap_or(0);
                let action = match entry.payload {
                    None => Action::Delete,
                    Some(_) if number == 1 => Action::Create,
                    Some(_) => Action::Modify,
                };
                let entry = match entry.origin {
                    Origin::Imported(_) => entry.clone(),
                    Origin::Edited(_) => numbered(entry, number),
                };
                changes.push(Ok((action, entry)));
            }
        }
        Ok(changes)
    }
}

/// Takes the next elements, each once; `None` at the end.
fn chunk(
    elements: &mut impl Iterator<Item = Result<ElementId, Error>>,
) -> Result<Option<BTreeSet<ElementId>>, Error> {
    let mut chunk = BTreeSet::new();
    for element in elements.by_ref() {
        chunk.insert(element?);
        if chunk.len() == CHUNK {
            break;
        }
    }
    Ok((!chunk.is_empty()).then_some(chunk))
}

/// Returns an edit as a file has it: with a number in place of links.
fn numbered(entry: &Entry, number: u64) -> Entry {
    let meta = OsmMeta {
        version: Some(number),
        timestamp: entry.timestamp(),
        changeset: entry.changeset(),
        ..OsmMeta::default()
    };
    Entry { origin: Origin::Imported(meta), ..entry.clone() }
}
