//! Where pages come from: a peer, static files, another database.

use std::collections::HashSet;
use std::future::Future;
use std::ops::AddAssign;

use bytes::Bytes;
use prolly::cbor::Reader;
use prolly::{Cid, MAX_PAGE_BYTES, Page, StoreError, ValueRef};

use super::ask::Ask;
use super::trust::Announced;
use crate::pack::PackError;
use crate::sync::SyncError;

/// In answer to one [`Request`], no more bytes of pages than this are taken.
///
/// ```
/// use osmdb::{Incoming, MAX_READ_BYTES};
/// assert_eq!(Incoming::of([]).room(), MAX_READ_BYTES);
/// ```
pub const MAX_READ_BYTES: usize = 32 << 20;

/// What is wanted of an [`PageOrigin`].
///
/// ```
/// use osmdb::{Ask, ElementId, Request};
/// # let db = osmdb::Db::in_memory("osm")?;
/// let ask = Ask::Get(vec![ElementId::node(1)]);
/// let heads = db.snapshot().root().trees.heads.root;
/// let request = Request { root: db.root(), ask: Some(&ask), missing: &[heads], have: &[] };
/// # let _ = request;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The root of the dataset.
    pub root: Cid,
    /// The question that is being answered; `None` while the dataset is opened.
    pub ask: Option<&'a Ask>,
    /// The pages that the answer lacks now. Who cannot answer questions gives these.
    pub missing: &'a [Cid],
    /// Pages that the question touched so far and that are here, those that name the missing ones among
    /// them. Who answers questions need not send them.
    pub have: &'a [Cid],
}

/// What it cost to get pages.
///
/// ```
/// use osmdb::Traffic;
/// let mut sum = Traffic { rounds: 1, requests: 2, bytes: 300, pages: 4 };
/// sum += Traffic { rounds: 1, requests: 1, bytes: 50, pages: 1 };
/// assert_eq!(sum, Traffic { rounds: 2, requests: 3, bytes: 350, pages: 5 });
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How often somebody waited: requests that go out together are one.
    pub rounds: u64,
    /// Requests.
    pub requests: u64,
    /// Bytes that came, as they came.
    pub bytes: u64,
    /// Pages that came and were what was asked for.
    pub pages: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.pages += other.pages;
    }
}

/// Gives the pages of a dataset, later. Nothing that it gives is trusted: [`Incoming`] checks every page.
///
/// ```
/// use std::future::Future;
/// use osmdb::{Incoming, PageOrigin, OriginError, Remote, Request, Traffic};
/// use osmdb::{Coord, Db, Payload, Tags};
/// use prolly::{Cid, MemoryStore, PageSource};
///
/// /// Another database in this process.
/// struct Near(Db<MemoryStore>);
///
/// impl PageOrigin for Near {
///     fn name(&self) -> String {
///         "near".to_owned()
///     }
///
///     fn root(&self) -> impl Future<Output = Result<Cid, OriginError>> + Send {
///         std::future::ready(Ok(self.0.root()))
///     }
///
///     async fn read(&self, request: &Request<'_>, pages: &mut Incoming) -> Result<(), OriginError> {
///         for cid in request.missing {
///             if let Some(page) = self.0.store().load(cid)? {
///                 pages.page(page)?;
///             }
///         }
///         Ok(())
///     }
///
///     fn traffic(&self) -> Traffic {
///         Traffic::default()
///     }
/// }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let db = Db::in_memory("osm")?;
/// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let expected = db.get(node)?;
/// let remote = Remote::open(Near(db)).await?;
/// assert_eq!(remote.get(node).await?, expected);
/// # Ok(())
/// # }
/// # osmdb::block_on(run()).unwrap();
/// ```
pub trait PageOrigin: Send + Sync {
    /// Names it, for people.
    fn name(&self) -> String;

    /// Returns the root that it has now.
    ///
    /// # Errors
    /// It cannot be reached.
    fn root(&self) -> impl Future<Output = Result<Cid, OriginError>> + Send;

    /// Returns the root that it has now, and who stands for it: nobody, unless it says more than
    /// [`root`](Self::root).
    ///
    /// # Errors
    /// It cannot be reached.
    fn announced(&self) -> impl Future<Output = Result<Announced, OriginError>> + Send {
        async { Ok(self.root().await?.into()) }
    }

    /// Gives pages: of those that are missing, as many as it has, or all that the question touches. Each
    /// goes to [`Incoming::page`]; it may stop before the end when there is no more [room](Incoming::room).
    ///
    /// # Errors
    /// It cannot be reached, or gave something else than was asked for.
    fn read(
        &self,
        request: &Request<'_>,
        pages: &mut Incoming,
    ) -> impl Future<Output = Result<(), OriginError>> + Send;

    /// Tells whether it answers questions, and so leaves out the pages that [`Request::have`] names and gives
    /// what they link to: this is then expected too.
    fn answers_questions(&self) -> bool {
        false
    }

    /// Returns what has gone over the wire so far.
    fn traffic(&self) -> Traffic;
}

/// Why an origin gave no pages.
///
/// ```
/// use bytes::Bytes;
/// use osmdb::{Incoming, OriginError};
/// use prolly::Cid;
/// let mut pages = Incoming::of([Cid::of(b"a page")]);
/// assert!(matches!(pages.page(Bytes::from_static(b"a lie")), Err(OriginError::Unasked { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// It cannot be reached.
    #[error("{what} failed: {source}")]
    Offline {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// It has not a page that the dataset needs.
    #[error("it has no page {0}")]
    Missing(Cid),
    /// It gave a page that nobody asked for, or changed one.
    #[error("it gave the page {found}, which nobody asked for")]
    Unasked {
        /// The address of what it gave.
        found: Cid,
    },
    /// It gave a page that is longer than any.
    #[error("it gave a page of {len} bytes, more than the limit of {MAX_PAGE_BYTES}")]
    PageTooLong {
        /// Its length.
        len: usize,
    },
    /// It gave more than is taken.
    #[error("it gave more than {MAX_READ_BYTES} bytes in answer to one request")]
    TooMuch,
    /// Its files are damaged.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The connection to a peer ended, for this reason.
    #[error(transparent)]
    Peer(#[from] SyncError),
    /// A store failed that the origin reads.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It failed in its own way.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl OriginError {
    /// Tells whether the origin gave something that is not of the dataset, rather than nothing.
    ///
    /// ```
    /// use osmdb::OriginError;
    /// use prolly::Cid;
    /// assert!(OriginError::Unasked { found: Cid::of(b"a lie") }.is_lie());
    /// assert!(!OriginError::Missing(Cid::of(b"a page")).is_lie());
    /// ```
    #[must_use]
    pub const fn is_lie(&self) -> bool {
        match self {
            Self::Unasked { .. } | Self::PageTooLong { .. } | Self::TooMuch | Self::Pack(_) => true,
            Self::Peer(error) => error.is_fault_of_peer(),
            Self::Offline { .. } | Self::Missing(_) | Self::Store(_) | Self::Other(_) => false,
        }
    }
}

/// Takes the pages that an origin gives, and checks each: it must be one that is missing, the top page of a
/// tree, or one that such a page links to.
///
/// ```
/// use bytes::Bytes;
/// use osmdb::Incoming;
/// use prolly::Cid;
/// let page = Bytes::from_static(&[0x83, 0, 0x80, 0x80]);
/// let mut pages = Incoming::of([Cid::of(&page)]);
/// pages.page(page.clone())?;
/// assert!(pages.page(page).is_err(), "once is enough");
/// # Ok::<(), osmdb::OriginError>(())
/// ```
#[derive(Debug)]
pub struct Incoming {
    expected: HashSet<Cid>,
    pages: Vec<(Cid, Bytes)>,
    room: usize,
}

impl Incoming {
    /// Expects some pages, and those that they link to.
    ///
    /// ```
    /// use osmdb::Incoming;
    /// use prolly::Cid;
    /// assert!(Incoming::of([Cid::of(b"page")]).expects(&Cid::of(b"page")));
    /// ```
    #[must_use]
    pub fn of(missing: impl IntoIterator<Item = Cid>) -> Self {
        Self { expected: missing.into_iter().collect(), pages: Vec::new(), room: MAX_READ_BYTES }
    }

    /// Tells whether a page would be taken.
    ///
    /// ```
    /// use osmdb::Incoming;
    /// use prolly::Cid;
    /// assert!(!Incoming::of([]).expects(&Cid::of(b"page")));
    /// ```
    #[must_use]
    pub fn expects(&self, cid: &Cid) -> bool {
        self.expected.contains(cid)
    }

    /// Returns how many bytes more are taken.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use osmdb::Incoming;
    /// use prolly::Cid;
    /// let mut pages = Incoming::of([Cid::of(b"page")]);
    /// let room = pages.room();
    /// pages.page(Bytes::from_static(b"page"))?;
    /// assert_eq!(pages.room(), room - 4);
    /// # Ok::<(), osmdb::OriginError>(())
    /// ```
    #[must_use]
    pub const fn room(&self) -> usize {
        self.room
    }

    /// Takes a page. What it links to is expected from now on.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use osmdb::Incoming;
    /// use prolly::Cid;
    /// let mut pages = Incoming::of([Cid::of(b"page")]);
    /// assert!(pages.page(Bytes::from_static(b"page!")).is_err());
    /// assert!(pages.page(Bytes::from_static(b"page")).is_ok());
    /// ```
    ///
    /// # Errors
    /// Nobody asked for it, it is too long, or there is no room.
    pub fn page(&mut self, bytes: Bytes) -> Result<(), OriginError> {
        if bytes.len() > MAX_PAGE_BYTES {
            return Err(OriginError::PageTooLong { len: bytes.len() });
        }
        self.room = self.room.checked_sub(bytes.len()).ok_or(OriginError::TooMuch)?;
        let cid = Cid::of(&bytes);
        if !self.expected.remove(&cid) {
            return Err(OriginError::Unasked { found: cid });
        }
        self.expected.extend(links(cid, &bytes));
        self.pages.push((cid, bytes));
        Ok(())
    }

    pub(crate) fn into_pages(self) -> Vec<(Cid, Bytes)> {
        self.pages
    }
}

/// Returns the addresses that a page names, in its order: children, values out of line, parts of a value.
pub(crate) fn links(cid: Cid, bytes: &Bytes) -> Vec<Cid> {
    if let Ok(page) = Page::verify(cid, bytes.clone()) {
        let link = |index| match page.value_ref(index) {
            Some(ValueRef::Linked(_, cid)) => Some(cid),
            _ => page.child(index),
        };
        return (0..page.len()).filter_map(link).collect();
    }
    parts(bytes).unwrap_or_default()
}

/// Reads the links of a page that gathers the parts of a value.
fn parts(bytes: &[u8]) -> Option<Vec<Cid>> {
    let mut reader = Reader::new(bytes);
    let count = reader.array().ok()?;
    let links = (0..count).map(|_| reader.link().ok()).collect::<Option<Vec<_>>>()?;
    reader.end().ok()?;
    Some(links)
}
