//! Running operations over a source that answers later.
//!
//! The driver needs no runtime: its futures run on any. It lets an operation step as far as the pages
//! at hand allow, asks for all that the operation then lacks, and lets it step again.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;

use crate::cid::Cid;
use crate::config::MAX_PAGE_BYTES;
use crate::diff::{Change, Diff};
use crate::error::{Error, StoreError};
use crate::get::Get;
use crate::many::{GetMany, Sample, SelectMany};
use crate::page::{PageError, Value};
use crate::rank::{CountRange, Rank, Select};
use crate::run::Run;
use crate::scan::Scan;
use crate::step::Step;
use crate::store::{PageSink, PageSource};
use crate::value::ReadValue;
use crate::verify::{Measure, TreeStats};

/// What takes steps until it has its result.
///
/// A closure over any other operation is one too: an [`Edit`](crate::Edit), which also needs a sink, is
/// run as `&mut |source: &dyn PageSource| edit.step(source, &sink)`.
///
/// ```
/// # use prolly::{Config, Edit, MemoryStore, Operation, PageSource, Step, Tree};
/// # let store = MemoryStore::new();
/// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
/// let mut edit = Edit::new(tree, [("d", Some("4"))])?;
/// let mut operation = |source: &dyn PageSource| edit.step(source, &store);
/// let Step::Ready(edited) = operation.advance(&store)? else { unreachable!("all pages are here") };
/// assert_eq!(edited.count(&store)?, 4);
/// # Ok::<(), prolly::Error>(())
/// ```
pub trait Operation {
    /// What it results in. A walk or a comparison has its next result; it is run again for the one after.
    type Output;

    /// Steps on.
    ///
    /// ```
    /// # use prolly::{Config, Get, MemoryStore, Operation, Step, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let mut get = Get::new(tree, "a");
    /// assert_eq!(get.advance(&MemoryStore::new())?, Step::Missing(vec![tree.root]));
    /// assert!(matches!(get.advance(&store)?, Step::Ready(Some(_))));
    /// # Ok::<(), prolly::Error>(())
    /// ```
    ///
    /// # Errors
    /// The source failed, or a page is damaged.
    fn advance(&mut self, source: &dyn PageSource) -> Result<Step<Self::Output>, Error>;
}

impl<T, F: FnMut(&dyn PageSource) -> Result<Step<T>, Error>> Operation for F {
    type Output = T;

    fn advance(&mut self, source: &dyn PageSource) -> Result<Step<T>, Error> {
        self(source)
    }
}

macro_rules! operations {
    ($($kind:ty => $output:ty),* $(,)?) => {$(
        impl Operation for $kind {
            type Output = $output;

            fn advance(&mut self, source: &dyn PageSource) -> Result<Step<$output>, Error> {
                self.step(source)
            }
        }
    )*};
}
operations! {
    Get => Option<Value>,
    GetMany => Vec<Option<Value>>,
    Rank => u64,
    Select => Option<(Bytes, Value)>,
    SelectMany => Vec<(Bytes, Value)>,
    CountRange => u64,
    Sample => Vec<(Bytes, Value)>,
    Scan => Option<Run>,
    Diff => Option<Change>,
    Measure => TreeStats,
    ReadValue => Bytes,
}

/// Gives pages later: a peer, a server, an object store.
///
/// ```
/// use std::future::Future;
/// use bytes::Bytes;
/// use prolly::{AsyncSource, Cid, StoreError};
///
/// /// Has nothing, and says so.
/// struct Nobody;
///
/// impl AsyncSource for Nobody {
///     fn fetch(&self, cids: &[Cid]) -> impl Future<Output = Result<Vec<Option<Bytes>>, StoreError>> + Send {
///         std::future::ready(Ok(vec![None; cids.len()]))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let pages = Nobody.fetch(&[Cid::of(b"page")]).await;
/// assert!(matches!(pages.as_deref(), Ok([None])));
/// # });
/// ```
pub trait AsyncSource {
    /// Fetches pages, each in the place of its address. `None`: it has no such page. The bytes are not
    /// trusted: whoever asked checks their hashes.
    ///
    /// # Errors
    /// The source failed: nothing of this request has arrived.
    fn fetch(&self, cids: &[Cid]) -> impl Future<Output = Result<Vec<Option<Bytes>>, StoreError>> + Send;
}

/// Runs operations over the pages at hand and those of a source that answers later.
///
/// An operation says all that it lacks, so a walk over any range costs one round per level of the tree,
/// however many pages that are. They are asked for in requests of at most [`batch`](Self::batch) pages,
/// of which at most [`in_flight`](Self::in_flight) are under way at once. Every page is checked against
/// its address before it is put into the store at hand. A future that is dropped stops the operation
/// where it is; pages that have arrived stay.
///
/// ```
/// use std::future::Future;
/// use prolly::{AsyncSource, Cid, Config, Fetch, Get, MemoryStore, PageSource, StoreError, Tree, Value};
///
/// /// A peer; this one is not far away.
/// struct Peer(MemoryStore);
///
/// impl AsyncSource for Peer {
///     fn fetch(
///         &self,
///         cids: &[Cid],
///     ) -> impl Future<Output = Result<Vec<Option<bytes::Bytes>>, StoreError>> + Send {
///         let pages = cids.iter().map(|cid| self.0.load(cid)).collect();
///         async { pages }
///     }
/// }
///
/// # async fn run() -> Result<(), prolly::Error> {
/// let peer = Peer(MemoryStore::new());
/// let tree = Tree::build(&peer.0, Config::default(), [("well", "deep")])?;
/// let here = MemoryStore::new();
/// let fetch = Fetch::new(&here, &peer);
/// let found = fetch.run(&mut Get::new(tree, "well")).await?;
/// assert_eq!(found, Some(Value::Inline("deep".into())));
/// assert_eq!(here.len(), 1, "what was needed is here now");
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Fetch<H, A> {
    here: H,
    from: A,
    batch: usize,
    in_flight: usize,
}

impl<A: AsyncSource> AsyncSource for &A {
    fn fetch(&self, cids: &[Cid]) -> impl Future<Output = Result<Vec<Option<Bytes>>, StoreError>> + Send {
        (**self).fetch(cids)
    }
}

/// The pages of a request, and what came of them.
type Answer = (Vec<Cid>, Result<Vec<Option<Bytes>>, StoreError>);

impl<H: PageSource + PageSink, A: AsyncSource + Sync> Fetch<H, A> {
    /// Makes a driver: 64 pages in a request, 4 requests at once.
    ///
    /// ```
    /// # use std::future::Future;
    /// # use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    /// # use prolly::{AsyncSource, Cid, Config, Fetch, KeyRange, MemoryStore, PageSource};
    /// # use prolly::{Scan, StoreError, Tree};
    /// # struct Peer(MemoryStore, AtomicUsize);
    /// # impl AsyncSource for Peer {
    /// #     fn fetch(
    /// #         &self,
    /// #         cids: &[Cid],
    /// #     ) -> impl Future<Output = Result<Vec<Option<bytes::Bytes>>, StoreError>> + Send {
    /// #         self.1.fetch_add(1, Relaxed);
    /// #         let pages = cids.iter().map(|cid| self.0.load(cid)).collect();
    /// #         async { pages }
    /// #     }
    /// # }
    /// # async fn run() -> Result<(), prolly::Error> {
    /// # let peer = Peer(MemoryStore::new(), AtomicUsize::new(0));
    /// # let pairs = (0u32..1_000).map(|n| (n.to_be_bytes(), [0; 32]));
    /// # let tree = Tree::build(&peer.0, Config::default(), pairs)?;
    /// # let here = MemoryStore::new();
    /// let fetch = Fetch::new(&here, &peer);
    /// assert!(fetch.here().is_empty(), "nothing is fetched before it is needed");
    /// # let _ = (tree, Scan::new(tree, vec![KeyRange::all()]));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run()).unwrap();
    /// ```
    #[must_use]
    pub const fn new(here: H, from: A) -> Self {
        Self { here, from, batch: 64, in_flight: 4 }
    }

    /// Sets how many pages a request asks for at most; at least 1.
    ///
    /// ```
    /// # use std::future::Future;
    /// # use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    /// # use prolly::{AsyncSource, Cid, Config, Fetch, KeyRange, MemoryStore, PageSource};
    /// # use prolly::{Scan, StoreError, Tree};
    /// # struct Peer(MemoryStore, AtomicUsize);
    /// # impl AsyncSource for Peer {
    /// #     fn fetch(
    /// #         &self,
    /// #         cids: &[Cid],
    /// #     ) -> impl Future<Output = Result<Vec<Option<bytes::Bytes>>, StoreError>> + Send {
    /// #         self.1.fetch_add(1, Relaxed);
    /// #         let pages = cids.iter().map(|cid| self.0.load(cid)).collect();
    /// #         async { pages }
    /// #     }
    /// # }
    /// # async fn run() -> Result<(), prolly::Error> {
    /// # let peer = Peer(MemoryStore::new(), AtomicUsize::new(0));
    /// # let pairs = (0u32..1_000).map(|n| (n.to_be_bytes(), [0; 32]));
    /// # let tree = Tree::build(&peer.0, Config::default(), pairs)?;
    /// # let here = MemoryStore::new();
    /// let fetch = Fetch::new(&here, &peer).batch(1);
    /// let mut scan = Scan::new(tree, vec![KeyRange::all()]);
    /// while fetch.run(&mut scan).await?.is_some() {}
    /// assert_eq!(peer.1.load(Relaxed), here.len(), "as many requests as pages");
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run()).unwrap();
    /// ```
    #[must_use]
    pub const fn batch(mut self, pages: usize) -> Self {
        self.batch = if pages == 0 { 1 } else { pages };
        self
    }

    /// Sets how many requests are under way at once at most; at least 1.
    ///
    /// ```
    /// # use std::future::Future;
    /// # use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    /// # use prolly::{AsyncSource, Cid, Config, Fetch, KeyRange, MemoryStore, PageSource};
    /// # use prolly::{Scan, StoreError, Tree};
    /// # #[derive(Default)]
    /// # struct Peer {
    /// #     pages: MemoryStore,
    /// #     under_way: AtomicUsize,
    /// #     most: AtomicUsize,
    /// # }
    /// # impl AsyncSource for Peer {
    /// #     fn fetch(
    /// #         &self,
    /// #         cids: &[Cid],
    /// #     ) -> impl Future<Output = Result<Vec<Option<bytes::Bytes>>, StoreError>> + Send {
    /// #         let pages = cids.iter().map(|cid| self.pages.load(cid)).collect();
    /// #         async move {
    /// #             let others = self.under_way.fetch_add(1, Relaxed);
    /// #             self.most.fetch_max(others + 1, Relaxed);
    /// #             tokio::task::yield_now().await;
    /// #             self.under_way.fetch_sub(1, Relaxed);
    /// #             pages
    /// #         }
    /// #     }
    /// # }
    /// # async fn run() -> Result<(), prolly::Error> {
    /// # let peer = Peer::default();
    /// # let pairs = (0u32..1_000).map(|n| (n.to_be_bytes(), [0; 32]));
    /// # let tree = Tree::build(&peer.pages, Config::default(), pairs)?;
    /// # let here = MemoryStore::new();
    /// let fetch = Fetch::new(&here, &peer).batch(1).in_flight(2);
    /// let mut scan = Scan::new(tree, vec![KeyRange::all()]);
    /// while fetch.run(&mut scan).await?.is_some() {}
    /// assert_eq!(here.len(), peer.pages.len(), "all pages came");
    /// assert_eq!(peer.most.load(Relaxed), 2, "two at a time");
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run()).unwrap();
    /// ```
    #[must_use]
    pub const fn in_flight(mut self, requests: usize) -> Self {
        self.in_flight = if requests == 0 { 1 } else { requests };
        self
    }

    /// Returns where pages are put.
    ///
    /// ```
    /// # use std::future::Future;
    /// # use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    /// # use prolly::{AsyncSource, Cid, Config, Fetch, KeyRange, MemoryStore, PageSource};
    /// # use prolly::{Scan, StoreError, Tree};
    /// # struct Peer(MemoryStore, AtomicUsize);
    /// # impl AsyncSource for Peer {
    /// #     fn fetch(
    /// #         &self,
    /// #         cids: &[Cid],
    /// #     ) -> impl Future<Output = Result<Vec<Option<bytes::Bytes>>, StoreError>> + Send {
    /// #         self.1.fetch_add(1, Relaxed);
    /// #         let pages = cids.iter().map(|cid| self.0.load(cid)).collect();
    /// #         async { pages }
    /// #     }
    /// # }
    /// # async fn run() -> Result<(), prolly::Error> {
    /// # let peer = Peer(MemoryStore::new(), AtomicUsize::new(0));
    /// # let pairs = (0u32..1_000).map(|n| (n.to_be_bytes(), [0; 32]));
    /// # let tree = Tree::build(&peer.0, Config::default(), pairs)?;
    /// # let here = MemoryStore::new();
    /// let fetch = Fetch::new(here, &peer);
    /// fetch.run(&mut Scan::new(tree, vec![KeyRange::all()])).await?;
    /// assert!(fetch.here().contains(&tree.root)?);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run()).unwrap();
    /// ```
    pub const fn here(&self) -> &H {
        &self.here
    }

    /// Runs an operation to its result, or to its next one. After an error it can be run again: it goes
    /// on from where it is.
    ///
    /// ```
    /// # use std::future::Future;
    /// # use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    /// # use prolly::{AsyncSource, Cid, Config, Fetch, KeyRange, MemoryStore, PageSource};
    /// # use prolly::{Scan, StoreError, Tree};
    /// # struct Peer(MemoryStore, AtomicUsize);
    /// # impl AsyncSource for Peer {
    /// #     fn fetch(
    /// #         &self,
    /// #         cids: &[Cid],
    /// #     ) -> impl Future<Output = Result<Vec<Option<bytes::Bytes>>, StoreError>> + Send {
    /// #         self.1.fetch_add(1, Relaxed);
    /// #         let pages = cids.iter().map(|cid| self.0.load(cid)).collect();
    /// #         async { pages }
    /// #     }
    /// # }
    /// # async fn run() -> Result<(), prolly::Error> {
    /// # let peer = Peer(MemoryStore::new(), AtomicUsize::new(0));
    /// # let pairs = (0u32..1_000).map(|n| (n.to_be_bytes(), [0; 32]));
    /// # let tree = Tree::build(&peer.0, Config::default(), pairs)?;
    /// # let here = MemoryStore::new();
    /// let fetch = Fetch::new(&here, &peer);
    /// let (mut scan, mut pairs) = (Scan::new(tree, vec![KeyRange::all()]), 0);
    /// while let Some(run) = fetch.run(&mut scan).await? {
    ///     pairs += run.len();
    /// }
    /// assert_eq!(pairs, 1_000);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run()).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Missing`]: the source has not a page that the tree needs. [`Error::Page`]: it gave
    /// something else for one. Or a store or the source failed.
    pub async fn run<O: Operation>(&self, operation: &mut O) -> Result<O::Output, Error> {
        loop {
            match operation.advance(&self.here)? {
                Step::Ready(output) => return Ok(output),
                Step::Missing(cids) => self.bring(cids).await?,
            }
        }
    }

    /// Brings pages here. Fails after all requests under way have ended, so that what they bring stays.
    async fn bring(&self, wanted: Vec<Cid>) -> Result<(), Error> {
        let mut waiting = wanted.chunks(self.batch);
        let mut under_way: Vec<Pin<Box<dyn Future<Output = Answer> + Send + '_>>> = Vec::new();
        let mut failed = None;
        loop {
            while failed.is_none()
                && under_way.len() < self.in_flight
                && let Some(cids) = waiting.next()
            {
                let (cids, from) = (cids.to_vec(), &self.from);
                under_way.push(Box::pin(async move {
                    let answer = from.fetch(&cids).await;
                    (cids, answer)
                }));
            }
            if under_way.is_empty() {
                return failed.map_or(Ok(()), Err);
            }
            let (index, (cids, answer)) = poll_fn(|context| {
                for (index, request) in under_way.iter_mut().enumerate() {
                    if let Poll::Ready(answer) = request.as_mut().poll(context) {
                        return Poll::Ready((index, answer));
                    }
                }
                Poll::Pending
            })
            .await;
            drop(under_way.swap_remove(index));
            if let Err(error) = self.take(&cids, answer) {
                failed.get_or_insert(error);
            }
        }
    }

    fn take(&self, cids: &[Cid], answer: Result<Vec<Option<Bytes>>, StoreError>) -> Result<(), Error> {
        let pages = answer?;
        for (place, cid) in cids.iter().enumerate() {
            let bytes = pages.get(place).cloned().flatten().ok_or(Error::Missing(*cid))?;
            if bytes.len() > MAX_PAGE_BYTES {
                return Err(Error::page(cid)(PageError::TooLong { len: bytes.len() }));
            }
            let found = Cid::of(&bytes);
            if found != *cid {
                return Err(Error::page(cid)(PageError::Hash { found }));
            }
            self.here.put(*cid, bytes)?;
        }
        Ok(())
    }
}
