//! The same for programs that wait.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bytes::Bytes;
use prolly::{Cid, MemoryStore, Page, PageSource, PageStore, StoreError};

use super::answers::Answers;
use super::ask::Ask;
use super::origin::{PageOrigin, Traffic};
use super::reader::{Dropped, Remote, RemoteError, RemoteOptions};
use super::shelf::Session;
use crate::db::{Feature, Head, Neighbour, Revision, Snapshot};
use crate::entry::Version;
use crate::filter::Filter;
use crate::model::{BBox, Coord, ElementId};
use crate::root::{Counts, Root};
use crate::signed_root::SignedRoot;

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread, which sleeps while the future waits.
///
/// ```
/// assert_eq!(osmdb::block_on(async { 1 + 1 }), 2);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// A [`Remote`] for programs that wait: the same questions, without `await`.
///
/// ```
/// use osmdb::{BlockingRemote, Coord, Db, PackOrigin, Payload, Tags};
/// # let dir = tempfile::tempdir()?;
/// let db = Db::in_memory("osm")?;
/// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// db.publish_to(dir.path())?;
///
/// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
/// assert_eq!(remote.get(node)?, db.get(node)?);
/// for feature in remote.query("-1,-1,1,1".parse()?) {
///     assert_eq!(feature?.element, node);
/// }
/// println!("{} requests", remote.traffic().requests);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BlockingRemote<O, C: PageStore = MemoryStore>(Remote<O, C>);

impl<O: PageOrigin> BlockingRemote<O> {
    /// Opens a dataset: see [`Remote::open`].
    ///
    /// ```
    /// use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// let db = Db::in_memory("osm")?;
    /// db.publish_to(dir.path())?;
    /// assert_eq!(BlockingRemote::open(PackOrigin::directory(dir.path()))?.root(), db.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn open(origin: O) -> Result<Self, RemoteError> {
        Ok(Self(block_on(Remote::open(origin))?))
    }
}

impl<O: PageOrigin, C: PageStore> BlockingRemote<O, C> {
    /// Opens a dataset: see [`Remote::open_with`].
    ///
    /// ```
    /// use osmdb::{BlockingRemote, Db, PackOrigin, RemoteOptions};
    /// use prolly::FjallStore;
    /// # let dir = tempfile::tempdir()?;
    /// # let (files, cache) = (dir.path().join("files"), dir.path().join("cache"));
    /// Db::in_memory("osm")?.publish_to(&files)?;
    /// let origins = vec![PackOrigin::directory(&files)];
    /// let cache = FjallStore::open(cache)?;
    /// let remote = BlockingRemote::open_with(&RemoteOptions::default(), origins, cache)?;
    /// assert_eq!(remote.counts().entries, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn open_with(options: &RemoteOptions, origins: Vec<O>, cache: C) -> Result<Self, RemoteError> {
        Ok(Self(block_on(Remote::open_with(options, origins, cache))?))
    }

    /// Returns what does not block.
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.remote().root(), remote.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn remote(&self) -> &Remote<O, C> {
        &self.0
    }

    /// Returns the root that is read: see [`Remote::root`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// # db.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.root(), db.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn root(&self) -> Cid {
        self.0.root()
    }

    /// Returns the signature under the root: see [`Remote::signed`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// db.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.signed().map(|signed| signed.root()), Some(db.root()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn signed(&self) -> Option<SignedRoot> {
        self.0.signed()
    }

    /// Returns the root record: see [`Remote::record`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("valley")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.record().name, "valley");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn record(&self) -> &Root {
        self.0.record()
    }

    /// Returns how many elements the dataset has: see [`Remote::counts`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Counts, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.counts(), Counts::EMPTY);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.0.counts()
    }

    /// Goes on to a newer root, if there is one: see [`Remote::refresh`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let mut remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert!(!remote.refresh()?, "nothing is new");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn refresh(&mut self) -> Result<bool, RemoteError> {
        block_on(self.0.refresh())
    }

    /// Returns the origins that lied: see [`Remote::dropped`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert!(remote.dropped().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn dropped(&self) -> Vec<Dropped> {
        self.0.dropped()
    }

    /// Returns what all origins cost so far: see [`Remote::traffic`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert!(remote.traffic().bytes > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.0.traffic()
    }

    /// Returns all heads of an element: see [`Remote::get`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, ElementId, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert!(remote.get(ElementId::node(1))?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, element: ElementId) -> Result<Vec<Head>, RemoteError> {
        block_on(self.0.get(element))
    }

    /// Gives the heads of elements: see [`Remote::get_many`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, ElementId, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.get_many([ElementId::node(1), ElementId::way(1)]).count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_many(
        &self,
        elements: impl IntoIterator<Item = ElementId>,
    ) -> BlockingAnswers<'_, O, C, Vec<Head>> {
        BlockingAnswers(self.0.get_many(elements))
    }

    /// Returns one version of an element: see [`Remote::version`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, ElementId, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// let version = "ab".repeat(32).parse()?;
    /// assert_eq!(remote.version(ElementId::node(1), version)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn version(&self, element: ElementId, version: Version) -> Result<Option<Head>, RemoteError> {
        block_on(self.0.version(element, version))
    }

    /// Returns all versions of an element: see [`Remote::history`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, ElementId, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert!(remote.history(ElementId::node(1))?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn history(&self, element: ElementId) -> Result<Vec<Revision>, RemoteError> {
        block_on(self.0.history(element))
    }

    /// Returns which ways and relations name an element: see [`Remote::refs`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, ElementId, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert!(remote.refs(ElementId::node(1))?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn refs(&self, element: ElementId) -> Result<Vec<ElementId>, RemoteError> {
        block_on(self.0.refs(element))
    }

    /// Finds what touches a box: see [`Remote::query`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// let peaks = remote.query("-1,-1,1,1".parse()?).filter(&"natural=peak".parse()?);
    /// assert_eq!(peaks.count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn query(&self, bbox: BBox) -> BlockingAnswers<'_, O, C, Feature> {
        BlockingAnswers(self.0.query(bbox))
    }

    /// Counts the elements that touch a box and pass a filter: see [`Remote::count`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, Filter, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.count("-1,-1,1,1".parse()?, &Filter::new())?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn count(&self, bbox: BBox, filter: &Filter) -> Result<u64, RemoteError> {
        block_on(self.0.count(bbox, filter))
    }

    /// Answers the map call of the OSM API: see [`Remote::map`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.map("-1,-1,1,1".parse()?).count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn map(&self, bbox: BBox) -> BlockingAnswers<'_, O, C, Vec<Head>> {
        BlockingAnswers(self.0.map(bbox))
    }

    /// Finds what is nearest to a place: see [`Remote::nearest`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Coord, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// let wells = remote.nearest(Coord::new(0, 0)?, &"amenity=well".parse()?, 3);
    /// assert_eq!(wells.within(500.0).count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn nearest(
        &self,
        from: Coord,
        filter: &Filter,
        at_most: u32,
    ) -> BlockingAnswers<'_, O, C, Neighbour> {
        BlockingAnswers(self.0.nearest(from, filter, at_most))
    }

    /// Finds what passes a filter, anywhere: see [`Remote::search`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.search(&"amenity=well".parse()?).count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn search(&self, filter: &Filter) -> BlockingAnswers<'_, O, C, Feature> {
        BlockingAnswers(self.0.search(filter))
    }

    /// Brings all pages that a question touches into the cache: see [`Remote::bring`].
    ///
    /// ```
    /// # use osmdb::{Ask, BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.bring(Ask::Search("amenity=well".parse()?))?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn bring(&self, ask: Ask) -> Result<u64, RemoteError> {
        block_on(self.0.bring(ask))
    }

    /// Returns the dataset as it is at the root, over what is in the cache and, page by page, what is not:
    /// [bring](Self::bring) first what can be asked for at once.
    ///
    /// ```
    /// use osmdb::{Ask, BlockingRemote, Coord, Db, PackOrigin, Payload, Tags};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// db.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// remote.bring(Ask::Get(vec![node]))?;
    /// assert_eq!(remote.snapshot().get(node)?, db.get(node)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<RemotePages<'_, O, C>> {
        let pages = RemotePages { remote: &self.0, session: self.0.session() };
        Snapshot::of(pages, self.0.record().clone())
    }
}

/// The pages of a remote dataset, as a source that waits for each that is not in the cache.
///
/// ```
/// # use osmdb::{BlockingRemote, Db, PackOrigin};
/// use prolly::PageSource;
/// # let dir = tempfile::tempdir()?;
/// # Db::in_memory("osm")?.publish_to(dir.path())?;
/// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
/// let heads = remote.record().trees.heads.root;
/// assert!(remote.snapshot().source().load(&heads)?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RemotePages<'a, O, C: PageStore = MemoryStore> {
    remote: &'a Remote<O, C>,
    /// Knows which pages led to those that are missing.
    session: Session<'a, C>,
}

impl<O: PageOrigin, C: PageStore> RemotePages<'_, O, C> {
    fn wait<T>(
        &self,
        cid: &Cid,
        look: impl Fn(&dyn PageSource) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        loop {
            if let Some(found) = look(&self.session)? {
                return Ok(Some(found));
            }
            block_on(self.remote.fetch(None, &self.session, vec![*cid])).map_err(|error| StoreError::Io {
                what: "fetching a page",
                source: std::io::Error::other(error),
            })?;
        }
    }
}

impl<O: PageOrigin, C: PageStore> PageSource for RemotePages<'_, O, C> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.wait(cid, |source| source.load(cid))
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        self.wait(cid, |source| source.page(cid))
    }
}

/// The parts of an answer, for programs that wait: see [`Answers`].
///
/// ```
/// # use osmdb::{BlockingRemote, Coord, Db, Filter, PackOrigin};
/// # let dir = tempfile::tempdir()?;
/// # Db::in_memory("osm")?.publish_to(dir.path())?;
/// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
/// let mut found = remote.query("-1,-1,1,1".parse()?);
/// assert!(found.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked before the first part is wanted"]
pub struct BlockingAnswers<'a, O, C: PageStore = MemoryStore, T = Feature>(Answers<'a, O, C, T>);

impl<O: PageOrigin, C: PageStore> BlockingAnswers<'_, O, C, Feature> {
    /// Finds only what passes a filter: see [`Answers::filter`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Db, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.query("-1,-1,1,1".parse()?).filter(&"way".parse()?).count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn filter(self, filter: &Filter) -> Self {
        Self(self.0.filter(filter))
    }
}

impl<O: PageOrigin, C: PageStore> BlockingAnswers<'_, O, C, Neighbour> {
    /// Finds only what is at most so many metres away: see [`Answers::within`].
    ///
    /// ```
    /// # use osmdb::{BlockingRemote, Coord, Db, Filter, PackOrigin};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = BlockingRemote::open(PackOrigin::directory(dir.path()))?;
    /// assert_eq!(remote.nearest(Coord::new(0, 0)?, &Filter::new(), 1).within(9.0).count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within(self, metres: f64) -> Self {
        Self(self.0.within(metres))
    }
}

impl<O: PageOrigin, C: PageStore, T> Iterator for BlockingAnswers<'_, O, C, T> {
    type Item = Result<T, RemoteError>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next())
    }
}
