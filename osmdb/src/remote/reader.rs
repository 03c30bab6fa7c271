//! A dataset that is not here.

use std::sync::Mutex;

use prolly::{Cid, MemoryStore, PageStore, Step, StoreError};

use super::answering::{Answer, Answering};
use super::ask::{Ask, AskError};
use super::asking::{Asking, lock};
use super::origin::{OriginError, PageOrigin, Traffic};
use super::pins::{MAX_PINS, Pins};
use super::shelf::{Hold, Session, Shelf};
use super::trust::{Announced, Distrust, Signers, TrustError, judge};
use crate::entry::Author;
use crate::error::Error;
use crate::model::ElementId;
use crate::root::{Counts, Root};
use crate::signed_root::SignedRoot;

/// How many pages are kept in the cache if nothing else is said: about 400 MB uncompressed.
///
/// ```
/// assert_eq!(osmdb::RemoteOptions::default().cache_pages, osmdb::DEFAULT_CACHE_PAGES);
/// ```
pub const DEFAULT_CACHE_PAGES: usize = 1 << 16;

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
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// The root that is trusted. `None`: what the first origin says that can be reached, and that is believed. All
    /// else follows from the root: no origin can change, add or leave out anything below it.
    pub root: Option<Cid>,
    /// Who is believed if no root is given. `None`: every origin. `Some`: a root is read only if one of these has
    /// signed it, and not if the cache remembers that the same signer has signed a later one.
    pub signers: Option<Signers>,
    /// No more pages than this are kept in the cache; at least 1.
    pub cache_pages: usize,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self { root: None, signers: None, cache_pages: DEFAULT_CACHE_PAGES }
    }
}

impl RemoteOptions {
    /// Reads only this root, whatever an origin says.
    ///
    /// ```
    /// use osmdb::RemoteOptions;
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// assert_eq!(RemoteOptions::default().root(db.root()).root, Some(db.root()));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn root(self, root: Cid) -> Self {
        Self { root: Some(root), ..self }
    }

    /// Reads only roots that the holder of one of these keys has signed, and none that is older than one that was
    /// seen: the cache remembers the last of each signer, so that it is best one that outlives the program.
    ///
    /// ```
    /// use osmdb::{BlockingRemote, Db, PackOrigin, RemoteOptions};
    /// use prolly::MemoryStore;
    /// # let dir = tempfile::tempdir()?;
    /// let db = Db::in_memory("osm")?;
    /// db.publish_to(dir.path())?;
    /// let options = RemoteOptions::default().trusting([db.author()?]);
    /// let origins = vec![PackOrigin::directory(dir.path())];
    /// let remote = BlockingRemote::open_with(&options, origins, MemoryStore::new())?;
    /// assert_eq!(remote.signed().map(|signed| signed.root()), Some(db.root()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn trusting(self, keys: impl IntoIterator<Item = Author>) -> Self {
        Self { signers: Some(Signers::of(keys)), ..self }
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
    /// The root that an origin has is not one to be trusted; no other origin has one that is.
    #[error("{name}: {source}")]
    Trust {
        /// Its name.
        name: String,
        /// Why not.
        source: TrustError,
    },
    /// More areas were to be pinned than [`MAX_PINS`].
    #[error("{MAX_PINS} areas are pinned already: let go of one first")]
    TooManyPins,
    /// What is there of an element does not have all versions that it links to.
    #[error("the dataset lacks earlier versions of {element}")]
    Incomplete {
        /// The element.
        element: ElementId,
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
    options: RemoteOptions,
    /// Who stands for the root, if one is asked.
    announced: Option<Announced>,
    /// What is read if nobody could be asked.
    offline: Option<Pins>,
}

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
        let mut offline = None;
        let announced = match options.root {
            Some(_) => None,
            None => match newest(&origins, shelf.store(), options.signers.as_ref()).await {
                Ok(announced) => Some(announced),
                Err(error) => {
                    let pins = pinned(&shelf, options, &error)?;
                    let Some(pins) = pins else { return Err(error) };
                    let announced = Announced { root: pins.root, signed: pins.signed, peer: None };
                    offline = Some(pins);
                    Some(announced)
                }
            },
        };
        let cid = options.root.or(announced.map(|announced| announced.root)).ok_or(RemoteError::NoOrigin)?;
        let tops = Vec::new();
        let mut asking = Asking { origins: &origins, dropped: &dropped, shelf: &shelf, tops, came: 0 };
        let root = asking.open(cid).await?;
        let pages = Mutex::new(asking.came);
        Ok(Self { origins, dropped, shelf, root, pages, options: options.clone(), announced, offline })
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

    /// Returns the signature under the root, if the origin gave one. Only if [signers](RemoteOptions::signers) were
    /// named it says something that was not true anyway: somebody signed. Costs nothing.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// # let db = Db::in_memory("osm")?;
    /// db.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.signed().map(|signed| signed.author()), Some(db.author()?));
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    #[must_use]
    pub fn signed(&self) -> Option<SignedRoot> {
        self.announced.and_then(|announced| announced.signed)
    }

    /// Returns what is pinned in the cache, if no origin could be reached when this was opened: it is read at that root,
    /// and inside of those areas. `None` once somebody was reached. Costs nothing.
    ///
    /// ```
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # use osmdb::{Db, PackOrigin, Remote};
    /// # let dir = tempfile::tempdir()?;
    /// # Db::in_memory("osm")?.publish_to(dir.path())?;
    /// let remote = Remote::open(PackOrigin::directory(dir.path())).await?;
    /// assert_eq!(remote.offline(), None);
    /// # Ok(())
    /// # }
    /// # osmdb::block_on(run()).unwrap();
    /// ```
    #[must_use]
    pub const fn offline(&self) -> Option<&Pins> {
        self.offline.as_ref()
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
        if self.options.root.is_some() {
            return Ok(false);
        }
        let announced = newest(&self.origins, self.shelf.store(), self.options.signers.as_ref()).await?;
        self.offline = None;
        let cid = announced.root;
        if cid == self.root.cid() {
            self.announced = Some(announced);
            return Ok(false);
        }
        let mut asking = self.asking();
        let root = asking.open(cid).await;
        let came = asking.came;
        self.note(came);
        self.root = root?;
        self.announced = Some(announced);
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

    pub(super) fn begin(&self, ask: &Ask) -> Result<Running<'_, C>, RemoteError> {
        let answering = match &self.offline {
            Some(_) => Answering::new(&self.root, &ask.clone().by_place())?,
            None => Answering::new(&self.root, ask)?,
        };
        Ok(Running { answering, session: Session::new(&self.shelf) })
    }

    /// Returns the next part of the answer.
    pub(super) async fn go_on(
        &self,
        ask: &Ask,
        running: &mut Running<'_, C>,
    ) -> Result<Option<Answer>, RemoteError> {
        self.go_on_asking(Some(ask), running).await
    }

    /// Returns the next part of the answer; origins are told the question, or only the pages that are missing.
    pub(super) async fn go_on_asking(
        &self,
        told: Option<&Ask>,
        running: &mut Running<'_, C>,
    ) -> Result<Option<Answer>, RemoteError> {
        loop {
            match running.answering.step(&running.session)? {
                Step::Ready(answer) => return Ok(answer),
                Step::Missing(missing) => {
                    self.fetch(told, &running.session, missing).await?;
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

    /// Lets nothing be removed from the cache while what this returns is there.
    pub(super) fn hold(&self) -> Hold<'_, C> {
        Hold::new(&self.shelf)
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

/// Returns what is pinned, if nobody could be asked what the root is, and what is pinned may be read instead.
fn pinned<C: PageStore>(
    shelf: &Shelf<C>,
    options: &RemoteOptions,
    error: &RemoteError,
) -> Result<Option<Pins>, RemoteError> {
    let nobody = match error {
        RemoteError::NoOrigin => true,
        RemoteError::Origin { source: OriginError::Offline { .. }, .. } => true,
        RemoteError::Origin { source: OriginError::Peer(error), .. } => !error.is_fault_of_peer(),
        _ => false,
    };
    let is_trusted = |pins: &Pins| match &options.signers {
        None => true,
        Some(signers) => pins.signed.is_some_and(|signed| signers.trusts(&signed.author())),
    };
    Ok(Pins::in_cache(shelf.store())?.filter(|pins| nobody && is_trusted(pins)))
}

/// A question that is being answered.
#[derive(Debug)]
pub(super) struct Running<'a, C: PageStore> {
    answering: Answering,
    session: Session<'a, C>,
}

/// Returns the root that the first origin says that can be reached and is believed.
async fn newest<O: PageOrigin, C: PageStore>(
    origins: &[O],
    cache: &C,
    signers: Option<&Signers>,
) -> Result<Announced, RemoteError> {
    let mut failed = RemoteError::NoOrigin;
    for origin in origins {
        failed = match origin.announced().await {
            Ok(announced) => match judge(cache, signers, &announced) {
                Ok(()) => return Ok(announced),
                Err(Distrust::Store(error)) => return Err(error.into()),
                Err(Distrust::Trust(source)) => RemoteError::Trust { name: origin.name(), source },
            },
            Err(source) => RemoteError::Origin { name: origin.name(), source },
        };
    }
    Err(failed)
}
