//! A database as it is at one root. Reads pages from anywhere.

use bytes::Bytes;
use prolly::{Cid, KeyRange, PageSource, Tree, TreeStats};

use super::find::FindRefs;
use super::items::each;
use super::query::Query;
use crate::entry::{Entry, Known, Version};
use crate::error::Error;
use crate::filter::Filter;
use crate::geohash::{GeohashError, geohash_bbox};
use crate::model::{BBox, ElementId, Kind};
use crate::root::{RawRoot, Root, RootError};
use crate::views::keys;

/// A database as it is at one root: it does not change, whatever is written meanwhile.
///
/// ```
/// use osmdb::{BBox, Coord, Db, ElementId, Payload, Tags};
/// let db = Db::in_memory("osm")?;
/// let tags = Tags::from([("natural", "peak")]);
/// let peak = db.create(Payload::Node { coord: Coord::new(425_900_000, 15_600_000)?, tags })?;
/// let snapshot = db.snapshot();
/// assert_eq!(snapshot.get(peak)?.len(), 1);
/// let found: Result<Vec<_>, _> = snapshot.query("1.5,42.5,1.6,42.6".parse()?).collect();
/// assert_eq!(found?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Snapshot<S> {
    source: S,
    root: Root,
}

/// A version of an element, and its record: a head, unless earlier versions were asked for.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let head = &db.get(node)?[0];
/// assert_eq!(head.entry.element, node);
/// assert_eq!(head.version, head.entry.version());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The version.
    pub version: Version,
    /// The record.
    pub entry: Entry,
}

impl From<Known> for Head {
    fn from(known: Known) -> Self {
        Self { version: known.version, entry: known.entry }
    }
}

impl<S: PageSource> Snapshot<S> {
    pub(crate) const fn of(source: S, root: Root) -> Self {
        Self { source, root }
    }

    /// Opens a database at a root, with pages from any source. Costs the root record and the configuration,
    /// one page each.
    ///
    /// ```
    /// use osmdb::Snapshot;
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// // Any other source of pages will do: what it gives is as good as its hash.
    /// let snapshot = Snapshot::open(db.store(), db.root())?;
    /// assert_eq!(snapshot.get(node)?, db.get(node)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The root's record or its configuration is missing or damaged.
    pub fn open(source: S, cid: Cid) -> Result<Self, Error> {
        let damaged = |source: RootError| Error::Root { cid, source };
        let load = |cid: Cid| source.load(&cid)?.ok_or(Error::Tree(prolly::Error::Missing(cid)));
        let raw = RawRoot::decode(&load(cid)?).map_err(damaged)?;
        let config = load(raw.config)?;
        let root = raw.with_config(&config).map_err(damaged)?;
        Ok(Self { source, root })
    }

    /// Returns the root record: the name, the trees and the counts. Costs no page.
    ///
    /// ```
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let snapshot = db.snapshot();
    /// assert_eq!(snapshot.root().cid(), db.root());
    /// assert_eq!(snapshot.root().name, "osm");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn root(&self) -> &Root {
        &self.root
    }

    /// Returns where the pages come from.
    ///
    /// ```
    /// use osmdb::{ElementId, Snapshot};
    /// use prolly::Counting;
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let snapshot = Snapshot::open(Counting::new(db.store()), db.root())?;
    /// let before = snapshot.source().pages();
    /// assert!(snapshot.get(ElementId::node(1))?.is_empty());
    /// assert_eq!(snapshot.source().pages() - before, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Returns all heads of an element, sorted by version; none if it never existed. Several heads
    /// are a fork; a head without payload is a deletion. Costs one page per level of the tree.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let before = db.snapshot();
    /// db.delete(node)?;
    /// assert!(before.get(node)?[0].entry.payload.is_some());
    /// assert!(db.snapshot().get(node)?[0].entry.payload.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn get(&self, element: ElementId) -> Result<Vec<Head>, Error> {
        let value = self.root.trees.heads.get(&self.source, &keys::element(element))?;
        let Some(value) = value else { return Ok(Vec::new()) };
        let heads = Known::decode_versions(element, &value).map_err(Error::entry(element))?;
        Ok(heads.into_iter().map(|(version, entry)| Head { version, entry }).collect())
    }

    /// Returns the versions of an element that others have replaced, sorted by version. Costs the pages of
    /// `history` that hold them.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let element = db.create(node(1))?;
    /// assert!(db.snapshot().replaced(element)?.is_empty());
    /// db.put(element, node(2))?;
    /// assert_eq!(db.snapshot().replaced(element)?[0].entry.payload, Some(node(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn replaced(&self, element: ElementId) -> Result<Vec<Head>, Error> {
        self.replaced_of([element]).map(|known| Ok(known?.into())).collect()
    }

    /// Finds what touches a box: every live node in it that has tags or stands alone, every way
    /// whose line touches it, and every relation that has one of these as a member.
    ///
    /// Nodes and ways come in the order of the spatial index, relations last, by id. A forked
    /// element comes once for every head that is there. Costs the pages that cover the box.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let coord = |lon| Coord::new(425_000_000, lon);
    /// let west = db.create(Payload::Node { coord: coord(10_000_000)?, tags: Tags::new() })?;
    /// let east = db.create(Payload::Node { coord: coord(30_000_000)?, tags: Tags::new() })?;
    /// let road = db.create(Payload::Way { refs: vec![west.id, east.id], tags: Tags::new() })?;
    /// // The road passes through, though neither of its nodes is there.
    /// let found = db.snapshot().query("1.9,42.4,2.1,42.6".parse()?).next().unwrap()?;
    /// assert_eq!(found.element, road);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn query(&self, bbox: BBox) -> Query<&S> {
        Query::new(&self.source, &self.root, Some(bbox))
    }

    /// Finds what passes a filter, wherever it is: every live node that has tags or stands alone, every live way
    /// and every live relation. So also what no box finds: ways none of whose nodes is known, and relations none
    /// of whose members is anywhere.
    ///
    /// They come in the order of [`query`](Self::query), ways without a place behind what has one. Costs, if the
    /// filter demands a tag (`amenity=hospital`, `highway`, `name~=spring`), the pages of the tags tree that say
    /// what has it, and those of what is found, or all pages of the spatial tree if that is less; without a
    /// demand all of these, and the heads of all relations.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let mut batch = db.batch();
    /// for number in 1..=1_000_i64 {
    ///     let kind = if number % 100 == 0 { "hospital" } else { "bench" };
    ///     let tags = Tags::from([("amenity", kind)]);
    ///     batch.create(Payload::Node { coord: Coord::new(number * 1_000, number * 1_000)?, tags })?;
    /// }
    /// batch.commit()?;
    /// let hospitals = db.snapshot().find(&"amenity=hospital".parse()?).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(hospitals.len(), 10);
    /// assert_eq!(db.snapshot().find(&"amenity!=hospital".parse()?).count_elements()?, 990);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn find(&self, filter: &Filter) -> Query<&S> {
        Query::new(&self.source, &self.root, None).filter(filter)
    }

    /// Finds what touches the cell of a geohash, given by 1 to 12 digits, as [`query`](Self::query) does.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let tags = Tags::from([("natural", "peak")]);
    /// db.create(Payload::Node { coord: Coord::new(425_121_500, 15_029_000)?, tags })?;
    /// assert_eq!(db.snapshot().query_geohash("sp91f")?.count(), 1);
    /// assert_eq!(db.snapshot().query_geohash("sp91g")?.count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// This is no geohash.
    pub fn query_geohash(&self, prefix: &str) -> Result<Query<&S>, GeohashError> {
        Ok(self.query(geohash_bbox(prefix)?))
    }

    /// Returns which ways and relations name an element, in order: those with a live head that names it.
    /// Costs the pages of `refs` that say so.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let way = db.create(Payload::Way { refs: vec![node.id], tags: Tags::new() })?;
    /// assert_eq!(db.snapshot().refs(node)?, [way]);
    /// assert!(db.snapshot().refs(way)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn refs(&self, element: ElementId) -> Result<Vec<ElementId>, Error> {
        Ok(FindRefs::new(&self.root.trees, element).step(&self.source)?.complete()?)
    }

    /// Measures every tree: how many pairs, pages, uncompressed bytes and levels it has, with the names and
    /// in the order of [`Trees::named`](crate::Trees::named). Costs all pages.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let stats = db.snapshot().tree_stats()?;
    /// assert_eq!(stats.len(), 6);
    /// assert_eq!((stats[0].0, stats[0].1.pairs, stats[0].1.pages), ("heads", 1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn tree_stats(&self) -> Result<Vec<(&'static str, TreeStats)>, Error> {
        let measure = |(name, tree): (&'static str, Tree)| Ok((name, tree.stats(&self.source)?));
        self.root.trees.named().into_iter().map(measure).collect()
    }

    /// Iterates over all versions of all elements: heads first, then what they replaced.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<Known, Error>> + '_ {
        let all = || vec![KeyRange::all()];
        let heads = self.root.trees.heads.ranges(&self.source, all()).flat_map(|pair| {
            let heads = pair.map_err(Error::from).and_then(|(key, value)| {
                let element = keys::parse_element(&key).ok_or(Error::Key { tree: "heads" })?;
                Known::decode_heads(element, &value).map_err(Error::entry(element))
            });
            each(heads)
        });
        let history = self.root.trees.history.ranges(&self.source, all());
        heads.chain(history.map(|pair| parse_history(pair?)))
    }

    /// Looks up the heads of elements, in order.
    pub(crate) fn heads_of(
        &self,
        elements: impl IntoIterator<Item = ElementId>,
    ) -> impl Iterator<Item = Result<(ElementId, Bytes), Error>> + '_ {
        let keys = elements.into_iter().map(keys::element).collect();
        self.root.trees.heads.prefixes(&self.source, keys).map(heads_of)
    }

    /// Looks up what versions of elements others have replaced, in order.
    pub(crate) fn replaced_of(
        &self,
        elements: impl IntoIterator<Item = ElementId>,
    ) -> impl Iterator<Item = Result<Known, Error>> + '_ {
        let keys = elements.into_iter().map(keys::element).collect();
        self.root.trees.history.prefixes(&self.source, keys).map(|pair| parse_history(pair?))
    }

    /// Finds, for some elements, which elements of a kind name them; in order.
    pub(crate) fn references(
        &self,
        targets: impl IntoIterator<Item = ElementId>,
        by: &[Kind],
    ) -> impl Iterator<Item = Result<(ElementId, ElementId), Error>> + '_ {
        let prefix = |target| by.iter().map(move |kind| keys::references_by(target, *kind));
        let prefixes = targets.into_iter().flat_map(prefix).collect();
        let pairs = self.root.trees.refs.prefixes(&self.source, prefixes);
        pairs.map(|pair| keys::parse_reference(&pair?.0).ok_or(Error::Key { tree: "refs" }))
    }
}

/// Reads the key of a pair of the heads tree.
pub(super) fn heads_of(pair: Result<(Bytes, Bytes), prolly::Error>) -> Result<(ElementId, Bytes), Error> {
    let (key, value) = pair?;
    keys::parse_element(&key).map(|element| (element, value)).ok_or(Error::Key { tree: "heads" })
}

/// Reads a key of the changes tree, all but the changeset.
pub(super) fn changed(key: &[u8]) -> Result<(ElementId, Version), Error> {
    keys::parse_change(key).ok_or(Error::Key { tree: "changes" })
}

/// Reads a pair of the history tree, and checks the record against the version it is filed under.
pub(crate) fn parse_history((key, value): (Bytes, Bytes)) -> Result<Known, Error> {
    let (element, version) = keys::parse_history(&key).ok_or(Error::Key { tree: "history" })?;
    let known = Known::decode(element, &value).map_err(Error::entry(element))?;
    if known.version != version {
        let source = crate::entry::EntryError::Version { found: known.version };
        return Err(Error::Entry { element, source });
    }
    Ok(known)
}
