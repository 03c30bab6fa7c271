//! Changesets: edits that belong together, with what their author says of them.

use std::collections::BTreeSet;

use prolly::{KeyRange, PageSource, PageStore};

use super::snapshot::changed;
use super::{Db, Snapshot, now};
use crate::entry::{Known, Version, shown};
use crate::error::Error;
use crate::model::{BBox, Closed, Coord, ElementId, Kind, Payload, Tags};
use crate::views::derive::shown_coord;
use crate::views::keys;

/// A changeset as it stands.
///
/// ```
/// # use osmdb::{Db, Tags};
/// # let db = Db::in_memory("osm")?;
/// let id = db.open_changeset(Tags::from([("comment", "the wells of the east")]))?;
/// let info = db.snapshot().changeset(id)?.ok_or("it is there")?;
/// assert_eq!(info.tags.get("comment"), Some("the wells of the east"));
/// assert_eq!((info.closed, info.bbox, info.versions), (None, None, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesetInfo {
    /// Its id.
    pub id: u64,
    /// What its author says of it.
    pub tags: Tags,
    /// When it was opened, in seconds since 1970, if that is known.
    pub opened: Option<i64>,
    /// When it was closed, in seconds since 1970; `None` while it is open.
    pub closed: Option<i64>,
    /// What its edits touched, if any of them is somewhere. Computed anew until it is closed.
    pub bbox: Option<BBox>,
    /// How many versions belong to it.
    pub versions: u64,
}

const fn element(id: u64) -> ElementId {
    ElementId::new(Kind::Changeset, id)
}

impl<S: PageStore + Sync> Db<S> {
    /// Opens a changeset with these tags (`comment`, `created_by`, `source`), and returns its id, for
    /// [`Batch::in_changeset`](super::Batch::in_changeset). It stays open until it is closed.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let survey = db.open_changeset(Tags::from([("comment", "the wells of the east")]))?;
    /// let mut batch = db.batch();
    /// batch.in_changeset(survey);
    /// batch.create(Payload::Node { coord: Coord::new(425_000_000, 15_000_000)?, tags: Tags::new() })?;
    /// batch.commit()?;
    /// db.close_changeset(survey)?;
    ///
    /// let info = db.snapshot().changeset(survey)?.ok_or("it is there")?;
    /// assert_eq!(info.versions, 1);
    /// assert_eq!(info.bbox, Some("1.5,42.5,1.5,42.5".parse()?));
    /// assert!(info.closed.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Batch::commit`](super::Batch::commit).
    pub fn open_changeset(&self, tags: Tags) -> Result<u64, Error> {
        self.create(Payload::Changeset { tags, closed: None }).map(|element| element.id)
    }

    /// Gives an open changeset other tags, which replace all that it has.
    ///
    /// ```
    /// # use osmdb::{Db, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let id = db.open_changeset(Tags::new())?;
    /// db.tag_changeset(id, Tags::from([("source", "survey")]))?;
    /// let info = db.snapshot().changeset(id)?.ok_or("it is there")?;
    /// assert_eq!(info.tags, Tags::from([("source", "survey")]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It is not there ([`Error::NoChangeset`]) or closed ([`Error::ChangesetClosed`]); otherwise as for
    /// [`Batch::commit`](super::Batch::commit).
    pub fn tag_changeset(&self, id: u64, tags: Tags) -> Result<Version, Error> {
        self.open_tags(id)?;
        self.put(element(id), Payload::Changeset { tags, closed: None })
    }

    /// Closes a changeset: no edit can belong to it afterwards. Keeps what its edits touched.
    ///
    /// ```
    /// use osmdb::{Db, Error, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let id = db.open_changeset(Tags::new())?;
    /// db.close_changeset(id)?;
    /// assert!(matches!(db.close_changeset(id), Err(Error::ChangesetClosed { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It is not there ([`Error::NoChangeset`]) or closed already ([`Error::ChangesetClosed`]); otherwise as
    /// for [`Batch::commit`](super::Batch::commit).
    pub fn close_changeset(&self, id: u64) -> Result<Version, Error> {
        let tags = self.open_tags(id)?;
        let (bbox, _) = self.snapshot().touched(id)?;
        self.put(element(id), Payload::Changeset { tags, closed: Some(Closed { at: now(), bbox }) })
    }

    fn open_tags(&self, id: u64) -> Result<Tags, Error> {
        let missing = Error::NoChangeset { element: element(id), changeset: id };
        let info = self.snapshot().changeset_payload(id)?.ok_or(missing)?;
        match info {
            (tags, None) => Ok(tags),
            (_, Some(_)) => Err(Error::ChangesetClosed { element: element(id), changeset: id }),
        }
    }
}

impl<S: PageSource> Snapshot<S> {
    /// Returns a changeset that was opened in a database; files of maps only name the numbers of theirs.
    /// Of a fork, the head that was written last counts. Costs the pages of its versions, and while it is
    /// open those of all that they name.
    ///
    /// ```
    /// # use osmdb::{Db, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let id = db.open_changeset(Tags::new())?;
    /// let snapshot = db.snapshot();
    /// assert!(snapshot.changeset(id)?.is_some_and(|info| info.closed.is_none()));
    /// assert_eq!(snapshot.changeset(7)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn changeset(&self, id: u64) -> Result<Option<ChangesetInfo>, Error> {
        let Some((tags, closed)) = self.changeset_payload(id)? else { return Ok(None) };
        let own = self.get(element(id))?.into_iter().chain(self.replaced(element(id))?);
        let opened = own.filter_map(|head| head.entry.timestamp()).min();
        let (bbox, versions) = match closed {
            Some(Closed { bbox, .. }) => (bbox, self.count_changes(id)?),
            None => self.touched(id)?,
        };
        Ok(Some(ChangesetInfo { id, tags, opened, closed: closed.map(|closed| closed.at), bbox, versions }))
    }

    pub(super) fn changeset_payload(&self, id: u64) -> Result<Option<(Tags, Option<Closed>)>, Error> {
        let Some(value) = self.root().trees.heads.get(self.source(), &keys::element(element(id)))? else {
            return Ok(None);
        };
        let heads = Known::decode_heads(element(id), &value).map_err(Error::entry(element(id)))?;
        Ok(match shown(&heads) {
            Some(Payload::Changeset { tags, closed }) => Some((tags.clone(), *closed)),
            _ => None,
        })
    }

    /// Returns which versions belong to a changeset.
    fn changed_in(&self, id: u64) -> Result<Vec<(ElementId, Version)>, Error> {
        let pairs = self.root().trees.changes.prefix(self.source(), keys::changes(id));
        pairs.map(|pair| changed(&pair?.0)).collect()
    }

    /// Counts them, without a look at each.
    pub(super) fn count_changes(&self, id: u64) -> Result<u64, Error> {
        let range = KeyRange::prefix(&keys::changes(id));
        Ok(self.root().trees.changes.count_range(self.source(), &range)?)
    }

    /// Returns the box of what the versions of a changeset touch, before and after, and how many there are.
    pub(super) fn touched(&self, id: u64) -> Result<(Option<BBox>, u64), Error> {
        let changed = self.changed_in(id)?;
        let own: BTreeSet<Version> = changed.iter().map(|(_, version)| *version).collect();
        let elements: BTreeSet<ElementId> = changed.iter().map(|(element, _)| *element).collect();
        let mut touched = Touched::default();
        for versions in self.versions_among(&elements) {
            let versions = versions?;
            let made = versions.iter().filter(|head| own.contains(&head.version));
            let before: BTreeSet<Version> =
                made.flat_map(|head| head.entry.links().iter().copied()).collect();
            for head in &versions {
                if own.contains(&head.version) || before.contains(&head.version) {
                    touched.add(head.entry.payload.as_ref());
                }
            }
        }
        for pair in self.heads_of(std::mem::take(&mut touched.ways)) {
            let (way, value) = pair?;
            for known in Known::decode_heads(way, &value).map_err(Error::entry(way))? {
                touched.add(known.entry.payload.as_ref());
            }
        }
        for pair in self.heads_of(std::mem::take(&mut touched.nodes)) {
            let (node, value) = pair?;
            if let Some(coord) = shown_coord(node, &value)? {
                touched.stretch(coord);
            }
        }
        Ok((touched.bbox(), changed.len() as u64))
    }
}

/// What edits touch, and its box as far as it is known.
#[derive(Debug, Default)]
struct Touched {
    nodes: BTreeSet<ElementId>,
    ways: BTreeSet<ElementId>,
    /// The least and the greatest latitude, and the same of the longitude.
    sides: Option<[i32; 4]>,
}

impl Touched {
    fn add(&mut self, payload: Option<&Payload>) {
        match payload {
            Some(Payload::Node { coord, .. }) => self.stretch(*coord),
            Some(payload @ (Payload::Way { .. } | Payload::Relation { .. })) => {
                for target in payload.references() {
                    match target.kind {
                        Kind::Node => drop(self.nodes.insert(target)),
                        Kind::Way => drop(self.ways.insert(target)),
                        Kind::Relation | Kind::Changeset => {}
                    }
                }
            }
            Some(Payload::Changeset { .. }) | None => {}
        }
    }

    fn stretch(&mut self, coord: Coord) {
        let (lat, lon) = (coord.lat(), coord.lon());
        let [south, north, west, east] = self.sides.unwrap_or([lat, lat, lon, lon]);
        self.sides = Some([south.min(lat), north.max(lat), west.min(lon), east.max(lon)]);
    }

    fn bbox(&self) -> Option<BBox> {
        let [south, north, west, east] = self.sides?;
        let corner = |lat: i32, lon: i32| Coord::new(lat.into(), lon.into()).ok();
        BBox::new(corner(south, west)?, corner(north, east)?).ok()
    }
}
