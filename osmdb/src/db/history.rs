//! Single versions, the history of an element, the versions of a changeset.

use std::collections::BTreeSet;

use prolly::{KeyRange, PageSource};

use super::find::{FindHistory, FindVersion};
use super::items::each;
use super::snapshot::{changed, parse_history};
use super::{Head, Snapshot};
use crate::entry::{Entry, Known, Version};
use crate::error::Error;
use crate::model::ElementId;
use crate::views::keys;

/// Versions of a changeset are looked up this many at a time, to bound memory.
const CHUNK: usize = 1000;

/// A version of an element, and its place in the element's history.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags, Write};
/// # let db = Db::in_memory("osm")?;
/// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
/// # let element = db.create(node(1))?;
/// # let first = db.get(element)?[0].version;
/// # db.put(element, node(2))?;
/// # // Somebody who knows only the first version edits too.
/// # let mut batch = db.batch();
/// # batch.push(Write::put(element, node(3)).replacing([first]));
/// # batch.commit()?;
/// // The first version, and two edits that did not know of each other:
/// let history = db.snapshot().history(element)?;
/// assert_eq!(history.iter().filter(|revision| revision.is_head).count(), 2);
/// assert!(history[1].replaces == [first] && history[2].replaces == [first]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The version.
    pub version: Version,
    /// The record.
    pub entry: Entry,
    /// The versions that it replaces, in the order of the history; behind them those that it links to and
    /// that are not in the database.
    pub replaces: Vec<Version>,
    /// Whether it is a head: nothing replaces it.
    pub is_head: bool,
}

impl<S: PageSource> Snapshot<S> {
    /// Returns one version of an element; `None` if it is not there. Costs one page for each level of two
    /// trees.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let element = db.create(node(1))?;
    /// let first = db.get(element)?[0].version;
    /// db.put(element, node(2))?;
    /// let found = db.snapshot().version(element, first)?;
    /// assert_eq!(found.and_then(|head| head.entry.payload), Some(node(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn version(&self, element: ElementId, version: Version) -> Result<Option<Head>, Error> {
        Ok(FindVersion::new(&self.root().trees, element, version).step(self.source())?.complete()?)
    }

    /// Returns the version with this hash, of whatever element; `None` if it is not there.
    ///
    /// No tree is ordered by hash alone, so this costs all pages of `history` and of `heads`, and the hash
    /// of every head: ask for an element's [`version`](Self::version) where the element is known.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let version = db.get(node)?[0].version;
    /// let found = db.snapshot().find_version(version.to_string().parse()?)?;
    /// assert_eq!(found.map(|head| head.entry.element), Some(node));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn find_version(&self, version: Version) -> Result<Option<Head>, Error> {
        for run in self.root().trees.history.runs(self.source(), vec![KeyRange::all()]) {
            let run = run?;
            if let Some((key, _)) = run.iter().find(|(key, _)| key.ends_with(version.as_bytes())) {
                let (element, found) = keys::parse_history(key).ok_or(Error::Key { tree: "history" })?;
                if found == version {
                    return self.version(element, version);
                }
            }
        }
        for heads in self.heads() {
            if let Some(head) = heads?.into_iter().find(|head| head.version == version) {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// Returns all versions of an element, causes before effects, and which of them replaces which; none if
    /// it never existed.
    ///
    /// Imported versions come first, by their OSM version; where this is the same, that of which less is
    /// known is first. Behind them come edits, each behind those that it links to, and else by time. An
    /// edit replaces what it links to; an imported version replaces that of the OSM version before it, and
    /// those with its OSM version and content of which less is known. So the order, and who replaces whom,
    /// are the same in all databases that have these versions. Costs the pages that hold them, and memory for
    /// all of them.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let element = db.create(node(1))?;
    /// let second = db.put(element, node(2))?;
    /// let history = db.snapshot().history(element)?;
    /// assert_eq!(history.len(), 2);
    /// assert_eq!(history[1].version, second);
    /// assert_eq!(history[1].replaces, [history[0].version]);
    /// assert!(history[1].is_head && !history[0].is_head);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn history(&self, element: ElementId) -> Result<Vec<Revision>, Error> {
        Ok(FindHistory::new(&self.root().trees, element).step(self.source())?.complete()?)
    }

    /// Iterates over the versions that belong to a changeset, imported or edited: nodes, ways, relations,
    /// each by id. Ends after the first error. Costs the pages of three trees that hold them.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let changeset = db.open_changeset(Tags::new())?;
    /// let mut batch = db.batch();
    /// batch.in_changeset(changeset);
    /// batch.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let written = batch.commit()?;
    /// let snapshot = db.snapshot();
    /// let found = snapshot.changes(changeset).next().transpose()?;
    /// assert_eq!(found.map(|head| head.version), written.edits[0].version);
    /// assert_eq!(snapshot.changes(8).count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An item is an error where a page is missing or damaged.
    pub fn changes(&self, changeset: u64) -> impl Iterator<Item = Result<Head, Error>> + '_ {
        let mut names = self.root().trees.changes.prefix(self.source(), keys::changes(changeset));
        let mut ended = false;
        let chunks = std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let names = names.by_ref().take(CHUNK).map(|pair| changed(&pair?.0));
            let found = names.collect::<Result<Vec<_>, _>>().and_then(|names| self.versions_of(&names));
            ended = found.as_ref().map_or(true, Vec::is_empty);
            Some(found)
        });
        chunks.flat_map(each)
    }

    /// Looks up versions of elements that are there, in order.
    fn versions_of(&self, names: &[(ElementId, Version)]) -> Result<Vec<Head>, Error> {
        let mut elements: Vec<ElementId> = names.iter().map(|(element, _)| *element).collect();
        elements.dedup();
        let wanted: BTreeSet<(ElementId, Version)> = names.iter().copied().collect();
        let mut found = Vec::with_capacity(names.len());
        for pair in self.heads_of(elements) {
            let (element, value) = pair?;
            let heads = Known::decode_heads(element, &value).map_err(Error::entry(element))?;
            found.extend(
                heads.into_iter().filter(|head| wanted.contains(&(element, head.version))).map(Head::from),
            );
        }
        let keys = names.iter().map(|(element, version)| keys::history(*element, version)).collect();
        for pair in self.root().trees.history.prefixes(self.source(), keys) {
            found.push(parse_history(pair?)?.into());
        }
        found.sort_by_key(|head| (head.entry.element, head.version));
        if found.len() == names.len() { Ok(found) } else { Err(Error::Key { tree: "changes" }) }
    }
}
