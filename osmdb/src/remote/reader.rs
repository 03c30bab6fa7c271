//! A dataset that is not here.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use prolly::{Cid, MemoryStore, PageSource, PageStore, Step, StoreError};

use super::answering::{Answer, Answering};
use super::answers::Answers;
use super::ask::{Ask, AskError, AskNearest};
use super::origin::{Incoming, OriginError, PageOrigin, Request, Traffic, links};
use super::shelf::{Session, Shelf};
use crate::db::{Feature, Head, Neighbour, Revision};
use crate::entry::Version;
use crate::error::Error;
use crate::filter::Filter;
use crate::model::{BBox, Coord, ElementId};
use crate::root::{Counts, RawRoot, Root};

/// How many pages are kept in the cache if nothing else is said: about 400 MB uncompressed.
///
/// ```
/// assert_eq!(osmdb::RemoteOptions::default().cache_pages, osmdb::DEFAULT_CACHE_PAGES);
/// ```
pub const DEFAULT_CACHE_PAGES: usize = 1 << 16;

/// From so many missing pages on, several origins are asked side by side.
const MIN_SHARED: usize = 8;

/// How a remote dataset is opened.
///
/// ```
/// use osmdb::RemoteOptions;
/// # let db = osmdb::Db::in_memory("osm")?;
/// // Only this root is read, whatever an origin says.
/// let options = RemoteOptions { root: Some(db.root()), ..RemoteOptions::default() };
/// # let _ = options;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteOptions {
    /// The root that is trusted. `None`: what the first origin says that can be reached. All else follows
    /// from the root: no origin can change, add or leave out anything below it.
    pub root: Option<Cid>,
    /// No more pages than this are kept in the cache; at least 1.
    pub cache_pages: usize,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self { root: None, cache_pages: DEFAULT_CACHE_PAGES }
    }
}

/// Reading a dataset that is not here failed.
///
/// ```
/// use osmdb::{BlockingRemote, PackOrigin, RemoteError};
/// # let dir = tempfile::tempdir()?;
/// let nothing_there = PackOrigin::directory(dir.path());
/// assert!(matches!(BlockingRemote::open(nothing_there), Err(RemoteError::Origin { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// A page is damaged though its hash is right: so is the dataset.
    #[error(transparent)]
    Read(#[from] Error),
    /// The question cannot be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// All origins failed; this is the last of them.
    #[error("{name}: {source}")]
    Origin {
        /// Its name.
        name: String,
        /// How it failed.
        source: OriginError,
    },
    /// There is no origin to ask: none was given, or all have lied before.
    #[error("there is nobody left to ask")]
    NoOrigin,
    /// The cache failed.
    #[error("the cache failed: {0}")]
    Cache(#[from] StoreError),
}

/// An origin that lied, and is not asked any more.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use osmdb::{PackOrigin, Remote};
/// # let dir = tempfile::tempdir()?;
/// # osmdb::Db::in_memory("osm")?.publish_to(dir.path())?;
/// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
/// assert!(remote.dropped().is_empty());
/// # Ok(())
/// # }
/// # osmdb::block_on(run()).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Its name.
    pub name: String,
    /// What it did.
    pub reason: String,
}

/// A dataset that is not here, at one root: the questions of a [`Snapshot`](crate::Snapshot), with pages from
/// one or several [`PageOrigin`]s and a cache.
///
/// Every page is checked against the link that named it, so an answer is right and complete whoever gave the
/// pages. A question costs one round per level of the trees that it reads, or one in all if an origin answers
/// questions. The pages that came stay in the cache and are never asked for again; they never change, so the
/// cache is right for every root. A future that is dropped stops asking.
///
/// It needs no runtime of its own; writes to a cache on disk happen on the thread that polls.
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
/// # let dir = tempfile::tempdir()?;
/// let db = Db::in_memory("osm")?;
/// let tags = Tags::from([("natural", "peak")]);
/// let peak = db.create(Payload::Node { coord: Coord::new(425_900_000, 15_600_000)?, tags })?;
/// db.publish_to(dir.path())?;
///
/// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
/// assert_eq!(remote.root(), db.root());
/// let mut found = remote.query("1.5,42.5,1.6,42.6".parse()?).filter(&"natural".parse()?);
/// while let Some(feature) = found.next().await {
///     assert_eq!(feature?.element, peak);
/// }
/// # Ok(())
/// # }
/// # osmdb::block_on(run()).unwrap();
/// ```
#[derive(Debug)]
pub struct Remote<O, C: PageStore = MemoryStore> {
    origins: Vec<O>,
    /// Why an origin is not asked any more, in its place.
    dropped: Mutex<Vec<Option<Dropped>>>,
    shelf: Shelf<C>,
    root: Root,
    /// Pages that came.
    pages: Mutex<u64>,
    trusted: Option<Cid>,
}

/// What came of a request to one of several origins.
type Came<'a> = Pin<Box<dyn Future<Output = (usize, Incoming, Result<(), OriginError>)> + Send + 'a>>;

impl<O: PageOrigin> Remote<O> {
    /// Opens the dataset of one origin at the root that it says, with a cache in memory. Costs the root
    /// record and the configuration.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use osmdb::{Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// let db = Db::in_memory("osm")?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.counts(), db.counts());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// The origin cannot be reached, or lies, or has no dataset.
    pub async fn open(origin: O) -> Result<Self, RemoteError> {
        Self::open_with(&RemoteOptions::default(), vec![origin], MemoryStore::new()).await
    }
}

impl<O: PageOrigin, C: PageStore> Remote<O, C> {
    /// Opens a dataset that several origins have, with a cache in any store that is used for nothing else: in
    /// a [`FjallStore`](prolly::FjallStore) it outlives the program.
    ///
    /// Origins that are given first are preferred; where much is missing they are asked side by side. One
    /// that gives a wrong page is not asked again, and [named](Self::dropped); what one has not, the others
    /// are asked for.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use osmdb::{Db, ElementId, PackOrigin, Remote, RemoteOptions};
    /// use prolly::FjallStore;
    /// # let dir = tempfile::tempdir()?;
    /// # let (here, there) = (dir.path().join("cache"), dir.path().join("files"));
    /// Db::in_memory("osm")?.publish_to(&there)?;
    /// let options = RemoteOptions { cache_pages: 1_000, ..RemoteOptions::default() };
    /// let origins = vec![PackOrigin::directory(&there)];
    /// let remote = Remote::open_with(&options, origins, FjallStore::open(&here)?).await?;
    /// assert!(remote.get(ElementId::node(1)).await?.is_empty());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin can be reached or all lie, the root is none, or the cache fails.
    pub async fn open_with(options: &RemoteOptions, origins: Vec<O>, cache: C) -> Result<Self, RemoteError> {
        let shelf = Shelf::new(cache, options.cache_pages)?;
        let dropped = Mutex::new(vec![None; origins.len()]);
        let cid = match options.root {
            Some(root) => root,
            None => newest(&origins).await?,
        };
        let tops = Vec::new();
        let mut asking = Asking { origins: &origins, dropped: &dropped, shelf: &shelf, tops, came: 0 };
        let root = asking.open(cid).await?;
        let pages = Mutex::new(asking.came);
        Ok(Self { origins, dropped, shelf, root, pages, trusted: options.root })
    }

    /// Returns the root that is read. Costs nothing.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.root(), db.root());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    #[must_use]
    pub fn root(&self) -> Cid {
        self.root.cid()
    }

    /// Returns the root record: the name, the trees and the counts. Costs nothing.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// Db::in_memory("valley")?.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.record().name, "valley");
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    #[must_use]
    pub const fn record(&self) -> &Root {
        &self.root
    }

    /// Returns how many elements the dataset has. Costs nothing.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Counts, Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.counts(), Counts::EMPTY);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.root.counts
    }

    /// Goes on to the root that the first origin says that can be reached, and tells whether it is another
    /// one. If a root was given when this was opened, it stays. What is in the cache still counts.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// let db = Db::in_memory("osm")?;
    /// db.publish_to(dir.path())?;
    /// let mut remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// assert!(remote.get(node).await?.is_empty(), "still at the old root");
    /// assert!(remote.refresh().await?);
    /// assert_eq!(remote.get(node).await?.len(), 1);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`open`](Remote::open); the root stays.
    pub async fn refresh(&mut self) -> Result<bool, RemoteError> {
        if self.trusted.is_some() {
            return Ok(false);
        }
        let cid = newest(&self.origins).await?;
        if cid == self.root.cid() {
            return Ok(false);
        }
        let mut asking = self.asking();
        let root = asking.open(cid).await;
        let came = asking.came;
        self.note(came);
        self.root = root?;
        Ok(true)
    }

    /// Returns the origins that gave something wrong, and are not asked any more.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// for liar in remote.dropped() {
    ///     println!("{} is not asked any more: {}", liar.name, liar.reason);
    /// }
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    #[must_use]
    pub fn dropped(&self) -> Vec<Dropped> {
        lock(&self.dropped).iter().flatten().cloned().collect()
    }

    /// Returns what all origins together cost so far.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.traffic().requests, 1);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let mut sum = Traffic { pages: *lock(&self.pages), ..Traffic::default() };
        self.origins.iter().for_each(|origin| sum += Traffic { pages: 0, ..origin.traffic() });
        sum
    }

    /// Returns the store of the cache.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Db, PackOrigin, Remote};
    /// use prolly::PageSource;
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert!(remote.cache().contains(&remote.root())?);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    #[must_use]
    pub const fn cache(&self) -> &C {
        self.shelf.store()
    }

    /// Makes the pages that came durable in the store of the cache; this also happens when it is dropped.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// remote.flush()?;
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// The store fails.
    pub fn flush(&self) -> Result<(), RemoteError> {
        Ok(self.shelf.flush()?)
    }

    /// Returns all heads of an element: see [`Snapshot::get`](crate::Snapshot::get).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.get(node).await?, db.get(node)?);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn get(&self, element: ElementId) -> Result<Vec<Head>, RemoteError> {
        let heads = self.first(Ask::Get(vec![element]), Answer::heads).await?;
        Ok(heads.unwrap_or_default())
    }

    /// Gives the heads of elements, by id, each once; those that never existed are passed over. Costs one
    /// round per level for all together.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, ElementId, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// let mut heads = remote.get_many([ElementId::way(1), node, node]);
    /// assert_eq!(heads.next().await.transpose()?, Some(db.get(node)?));
    /// assert!(heads.next().await.is_none());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    pub fn get_many(&self, elements: impl IntoIterator<Item = ElementId>) -> Answers<'_, O, C, Vec<Head>> {
        let mut elements: Vec<ElementId> = elements.into_iter().collect();
        elements.sort_unstable();
        elements.dedup();
        Answers::new(self, Ask::Get(elements), Answer::heads)
    }

    /// Returns one version of an element: see [`Snapshot::version`](crate::Snapshot::version).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let first = db.get(node)?.remove(0);
    /// db.delete(node)?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.version(node, first.version).await?, Some(first));
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn version(&self, element: ElementId, version: Version) -> Result<Option<Head>, RemoteError> {
        self.first(Ask::Version(element, version), Answer::version).await
    }

    /// Returns all versions of an element, causes before effects: see
    /// [`Snapshot::history`](crate::Snapshot::history).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.delete(node)?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.history(node).await?, db.snapshot().history(node)?);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn history(&self, element: ElementId) -> Result<Vec<Revision>, RemoteError> {
        Ok(self.first(Ask::History(element), Answer::history).await?.unwrap_or_default())
    }

    /// Returns which ways and relations name an element: see [`Snapshot::refs`](crate::Snapshot::refs).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let way = db.create(Payload::Way { refs: vec![node.id], tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.refs(node).await?, [way]);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn refs(&self, element: ElementId) -> Result<Vec<ElementId>, RemoteError> {
        Ok(self.first(Ask::Refs(element), Answer::refs).await?.unwrap_or_default())
    }

    /// Finds what touches a box: see [`Snapshot::query`](crate::Snapshot::query). Nothing is asked before the
    /// first [`next`](Answers::next).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # for value in ["peak", "spring"] {
    /// #     let tags = Tags::from([("natural", value)]);
    /// #     db.create(Payload::Node { coord: Coord::new(0, 0)?, tags })?;
    /// # }
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// let mut peaks = remote.query("-1,-1,1,1".parse()?).filter(&"natural=peak".parse()?);
    /// assert!(peaks.next().await.transpose()?.is_some());
    /// assert!(peaks.next().await.is_none());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    pub const fn query(&self, bbox: BBox) -> Answers<'_, O, C, Feature> {
        Answers::new(self, Ask::Query(bbox, Filter::new()), Answer::feature)
    }

    /// Counts the elements that touch a box and pass a filter: see
    /// [`Query::count_elements`](crate::Query::count_elements).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, Filter, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.count("-1,-1,1,1".parse()?, &Filter::new()).await?, 1);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn count(&self, bbox: BBox, filter: &Filter) -> Result<u64, RemoteError> {
        Ok(self.first(Ask::Count(bbox, filter.clone()), Answer::count).await?.unwrap_or_default())
    }

    /// Answers the map call of the OSM API: the live heads of all elements, nodes, ways, relations, each by
    /// id. See [`Snapshot::map`](crate::Snapshot::map).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// let mut map = remote.map("-1,-1,1,1".parse()?);
    /// assert_eq!(map.next().await.transpose()?, Some(db.get(node)?));
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    pub const fn map(&self, bbox: BBox) -> Answers<'_, O, C, Vec<Head>> {
        Answers::new(self, Ask::Map(bbox), Answer::heads)
    }

    /// Finds what is nearest to a place and passes a filter, the nearest first, and no more than so many:
    /// see [`Snapshot::nearest`](crate::Snapshot::nearest).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # let well = Payload::Node { coord: Coord::new(0, 90)?, tags: Tags::from([("amenity", "well")]) };
    /// # db.create(well)?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// let mut wells = remote.nearest(Coord::new(0, 0)?, &"amenity=well".parse()?, 1).within(500.0);
    /// assert_eq!(wells.next().await.unwrap()?.metres.round(), 1.0);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    pub fn nearest(&self, from: Coord, filter: &Filter, at_most: u32) -> Answers<'_, O, C, Neighbour> {
        let ask = Ask::Nearest(AskNearest { from, filter: filter.clone(), within: None, at_most });
        Answers::new(self, ask, Answer::neighbour)
    }

    /// Finds what passes a filter, anywhere: see [`Snapshot::find`](crate::Snapshot::find).
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Coord, Db, PackOrigin, Payload, Remote, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # let well = Payload::Node { coord: Coord::new(0, 90)?, tags: Tags::from([("amenity", "well")]) };
    /// # db.create(well)?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert!(remote.search(&"amenity=well".parse()?).next().await.is_some());
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    pub fn search(&self, filter: &Filter) -> Answers<'_, O, C, Feature> {
        Answers::new(self, Ask::Search(filter.clone()), Answer::feature)
    }

    /// Brings all pages that a question touches into the cache, and returns how many parts its answer has.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use osmdb::{Ask, Coord, Db, PackOrigin, Payload, Remote, Snapshot, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// remote.bring(Ask::Get(vec![node])).await?;
    /// // What was brought can be asked for as often as one likes, with nobody to ask.
    /// assert_eq!(Snapshot::open(remote.cache(), remote.root())?.get(node)?, db.get(node)?);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// No origin gives what the answer needs, or a page is damaged.
    pub async fn bring(&self, ask: Ask) -> Result<u64, RemoteError> {
        let mut parts = 0;
        let mut running = self.begin(&ask)?;
        while self.go_on(&ask, &mut running).await?.is_some() {
            parts += 1;
        }
        Ok(parts)
    }

    async fn first<T>(&self, ask: Ask, take: fn(Answer) -> Option<T>) -> Result<Option<T>, RemoteError> {
        let mut running = self.begin(&ask)?;
        Ok(self.go_on(&ask, &mut running).await?.and_then(take))
    }

    pub(super) fn begin(&self, ask: &Ask) -> Result<Running<'_, C>, RemoteError> {
        let answering = Answering::new(&self.root, ask)?;
        Ok(Running { answering, session: Session::new(&self.shelf) })
    }

    /// Returns the next part of the answer.
    pub(super) async fn go_on(
        &self,
        ask: &Ask,
        running: &mut Running<'_, C>,
    ) -> Result<Option<Answer>, RemoteError> {
        loop {
            match running.answering.step(&running.session)? {
                Step::Ready(answer) => return Ok(answer),
                Step::Missing(missing) => {
                    self.fetch(Some(ask), &running.session, missing).await?;
                }
            }
        }
    }

    /// Brings some of the pages that are missing.
    pub(super) async fn fetch(
        &self,
        ask: Option<&Ask>,
        session: &Session<'_, C>,
        missing: Vec<Cid>,
    ) -> Result<(), RemoteError> {
        let mut asking = self.asking();
        let result = asking.fetch(self.root.cid(), ask, session, missing).await;
        let came = asking.came;
        self.note(came);
        result
    }

    pub(super) fn session(&self) -> Session<'_, C> {
        Session::new(&self.shelf)
    }

    fn asking(&self) -> Asking<'_, O, C> {
        let tops = self.root.trees.named().map(|(_, tree)| tree.root).to_vec();
        Asking { origins: &self.origins, dropped: &self.dropped, shelf: &self.shelf, tops, came: 0 }
    }

    fn note(&self, came: u64) {
        *lock(&self.pages) += came;
    }
}

/// A question that is being answered.
#[derive(Debug)]
pub(super) struct Running<'a, C: PageStore> {
    answering: Answering,
    session: Session<'a, C>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the root that the first origin says that can be reached.
async fn newest<O: PageOrigin>(origins: &[O]) -> Result<Cid, RemoteError> {
    let mut failed = RemoteError::NoOrigin;
    for origin in origins {
        match origin.root().await {
            Ok(cid) => return Ok(cid),
            Err(source) => failed = RemoteError::Origin { name: origin.name(), source },
        }
    }
    Err(failed)
}

/// Asks origins for pages.
struct Asking<'a, O, C: PageStore> {
    origins: &'a [O],
    dropped: &'a Mutex<Vec<Option<Dropped>>>,
    shelf: &'a Shelf<C>,
    /// The top pages of the trees, which an origin may give at any time.
    tops: Vec<Cid>,
    came: u64,
}

impl<O: PageOrigin, C: PageStore> Asking<'_, O, C> {
    /// Reads the root record and its configuration.
    async fn open(&mut self, cid: Cid) -> Result<Root, RemoteError> {
        let damaged = |source| Error::Root { cid, source };
        let raw = RawRoot::decode(&self.load(cid, cid).await?).map_err(damaged)?;
        let config = self.load(cid, raw.config).await?;
        Ok(raw.with_config(&config).map_err(damaged)?)
    }

    async fn load(&mut self, root: Cid, cid: Cid) -> Result<bytes::Bytes, RemoteError> {
        let session = Session::new(self.shelf);
        loop {
            match session.load(&cid)? {
                Some(bytes) => return Ok(bytes),
                None => self.fetch(root, None, &session, vec![cid]).await?,
            }
        }
    }

    /// Asks until something has come. What failed is asked no more for these pages; who lied, never.
    async fn fetch(
        &mut self,
        root: Cid,
        ask: Option<&Ask>,
        session: &Session<'_, C>,
        missing: Vec<Cid>,
    ) -> Result<(), RemoteError> {
        let have = session.touched();
        let mut asked = vec![false; self.origins.len()];
        let mut failed = RemoteError::NoOrigin;
        loop {
            let left: Vec<usize> = self.left(&asked);
            let Some(first) = left.first() else { return Err(failed) };
            let shares = if missing.len() < MIN_SHARED { vec![*first] } else { left };
            let share = missing.len().div_ceil(shares.len()).max(1);
            let requests = shares.iter().zip(missing.chunks(share)).filter_map(|(index, missing)| {
                let request = Request { root, ask, missing, have: &have };
                let origin = self.origins.get(*index)?;
                let links =
                    if origin.answers_questions() { links_of_all(session, &have) } else { Vec::new() };
                let expected = missing.iter().copied().chain(self.tops.iter().copied()).chain(links);
                Some(request_of(*index, origin, request, Incoming::of(expected)))
            });
            let mut some = false;
            let mut went_well = true;
            for (index, pages, result) in all(requests.collect()).await {
                let (pages, wanted) = (pages.into_pages(), pages_wanted(index, &shares, share, &missing));
                self.came += pages.len() as u64;
                some |= !pages.is_empty();
                let lacks = pages.is_empty().then_some(wanted).flatten();
                session.take(pages)?;
                let result = match (result, lacks) {
                    (Ok(()), Some(cid)) => Err(OriginError::Missing(cid)),
                    (result, _) => result,
                };
                if let Err(source) = result {
                    if let Some(asked) = asked.get_mut(index) {
                        *asked = true;
                    }
                    failed = self.blame(index, source);
                    went_well = false;
                }
            }
            // What is still missing will be asked for again, if there is anybody to ask.
            if some && (went_well || !self.left(&asked).is_empty()) {
                return Ok(());
            }
        }
    }

    /// Returns the origins that can be asked.
    fn left(&self, asked: &[bool]) -> Vec<usize> {
        let dropped = lock(self.dropped);
        let is_left = |index: &usize| {
            asked.get(*index) == Some(&false) && dropped.get(*index).is_some_and(Option::is_none)
        };
        (0..self.origins.len()).filter(is_left).collect()
    }

    fn blame(&self, index: usize, source: OriginError) -> RemoteError {
        let name = self.origins.get(index).map(PageOrigin::name).unwrap_or_default();
        if source.is_lie()
            && let Some(dropped) = lock(self.dropped).get_mut(index)
        {
            *dropped = Some(Dropped { name: name.clone(), reason: source.to_string() });
        }
        RemoteError::Origin { name, source }
    }
}

/// Returns the first page that was wanted of an origin.
fn pages_wanted(index: usize, shares: &[usize], share: usize, missing: &[Cid]) -> Option<Cid> {
    let place = shares.iter().position(|known| *known == index)?;
    missing.get(place * share).copied()
}

/// Returns what pages that are here link to: somebody who answers questions leaves these pages out.
fn links_of_all<S: PageSource>(here: &S, have: &[Cid]) -> Vec<Cid> {
    let page = |cid: &Cid| here.load(cid).ok().flatten().map(|bytes| links(*cid, &bytes));
    have.iter().filter_map(page).flatten().collect()
}

fn request_of<'a, O: PageOrigin>(
    index: usize,
    origin: &'a O,
    request: Request<'a>,
    mut pages: Incoming,
) -> Came<'a> {
    Box::pin(async move {
        let result = origin.read(&request, &mut pages).await;
        (index, pages, result)
    })
}

/// Waits for all requests together.
async fn all(mut requests: Vec<Came<'_>>) -> Vec<(usize, Incoming, Result<(), OriginError>)> {
    let mut came = Vec::with_capacity(requests.len());
    poll_fn(|context| {
        requests.retain_mut(|request| match request.as_mut().poll(context) {
            Poll::Ready(answer) => {
                came.push(answer);
                false
            }
            Poll::Pending => true,
        });
        if requests.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    came
}
