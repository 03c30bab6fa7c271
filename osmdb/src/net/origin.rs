//! Asking a peer for pages: an origin for [`Remote`](crate::Remote).

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Mutex as StdMutex;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::{Buf, Bytes};
use prolly::Cid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::entry::Author;
use crate::remote::{Announced, Ask, Incoming, OriginError, PageOrigin, Request, Traffic};
use crate::sync::SyncError;
use crate::sync::asking::{Answered, Asker};

/// So much is read from a stream at once, in bytes.
const READ_BYTES: usize = 64 << 10;

/// How often it is looked whether the peer takes too long.
const TICK: Duration = Duration::from_secs(1);

/// A peer who answers questions, over any two-way stream of bytes: one round trip for each, whatever it reads.
///
/// A peer who breaks the protocol, is silent for [`MAX_SILENCE`](crate::sync::MAX_SILENCE) or takes longer for one
/// message than [`MAX_MESSAGE_TIME`](crate::sync::MAX_MESSAGE_TIME) is asked no more: the connection has failed. To
/// look at the time it needs the timer of a tokio runtime; polled without a runtime it waits for ever.
///
/// ```
/// use std::sync::Arc;
/// use osmdb::net::{self, PeerOrigin};
/// use osmdb::{Ask, Coord, Db, Payload, Remote, Tags};
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let there = Arc::new(Db::in_memory("osm")?);
/// let tags = Tags::from([("natural", "peak")]);
/// let peak = there.create(Payload::Node { coord: Coord::new(425_900_000, 15_600_000)?, tags })?;
/// let (near, far) = tokio::io::duplex(1 << 16);
/// # let db = Arc::clone(&there);
/// tokio::spawn(async move { net::sync_over(&*db, far, Default::default(), |_| ()).await });
///
/// // What is asked first is asked with the greeting: one round trip for both.
/// let origin = PeerOrigin::asking("hilltop", near, Ask::Get(vec![peak]));
/// let remote = Remote::open(origin).await?;
/// assert_eq!(remote.get(peak).await?, there.get(peak)?);
/// assert_eq!(remote.traffic().rounds, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PeerOrigin<T> {
    name: String,
    peer: Option<Author>,
    connection: Mutex<Connection<T>>,
    traffic: StdMutex<Traffic>,
}

struct Connection<T> {
    /// Not there once the connection has failed.
    stream: Option<T>,
    /// What is to be written.
    out: Bytes,
    asker: Result<Asker, Option<SyncError>>,
    first: Option<Ask>,
    /// The root that the peer answered from first.
    root: Option<Cid>,
    /// Pages that came before they were asked for, in order.
    ahead: Vec<Bytes>,
}

impl<T> fmt::Debug for PeerOrigin<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerOrigin").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<T> PeerOrigin<T> {
    /// Asks the peer at the other end of a stream. The name is for people.
    ///
    /// ```
    /// use osmdb::net::PeerOrigin;
    /// use osmdb::PageOrigin;
    /// let (near, _far) = tokio::io::duplex(1 << 16);
    /// assert_eq!(PeerOrigin::new("hilltop", near).name(), "hilltop");
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, stream: T) -> Self {
        Self::with(name.into(), stream, None)
    }

    /// Asks the peer, and with the greeting a question that will come: so it is answered in the same round trip
    /// in which the dataset is opened.
    ///
    /// ```
    /// use osmdb::net::PeerOrigin;
    /// use osmdb::{Ask, ElementId};
    /// let (near, _far) = tokio::io::duplex(1 << 16);
    /// let origin = PeerOrigin::asking("hilltop", near, Ask::Refs(ElementId::node(1)));
    /// # let _ = origin;
    /// ```
    #[must_use]
    pub fn asking(name: impl Into<String>, stream: T, first: Ask) -> Self {
        Self::with(name.into(), stream, Some(first))
    }

    /// Says whose key the stream has proved the peer to have: it is believed of the root that it has itself, and if
    /// it ever gives an older one, that is noticed.
    ///
    /// ```
    /// # use osmdb::net::{Connection, PeerOrigin};
    /// # let (stream, _) = tokio::io::duplex(1);
    /// # let connection = Connection::new(stream);
    /// let key = connection.peer();
    /// let origin = PeerOrigin::new("hilltop", connection).of_peer(key);
    /// # let _ = origin;
    /// ```
    #[must_use]
    pub fn of_peer(mut self, peer: Option<Author>) -> Self {
        self.peer = peer;
        self
    }

    /// Waits no longer than this for a sign of life.
    #[cfg(test)]
    pub(crate) fn with_patience(mut self, patience: Duration) -> Self {
        if let Ok(asker) = &mut self.connection.get_mut().asker {
            asker.patience = patience;
        }
        self
    }

    fn with(name: String, stream: T, first: Option<Ask>) -> Self {
        let asker = Asker::new().map_err(Some);
        let connection = Connection {
            stream: Some(stream),
            out: Bytes::new(),
            asker,
            first,
            root: None,
            ahead: Vec::new(),
        };
        Self { name, peer: None, connection: Mutex::new(connection), traffic: StdMutex::default() }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Asks, and waits for the whole answer.
    async fn ask(&mut self, request: Option<&Request<'_>>) -> Result<(Answered, Traffic), OriginError> {
        let answered = self.try_to_ask(request).await;
        if answered.is_err() {
            // What comes after an error is no answer to anything: the peer is dropped.
            self.stream = None;
        }
        answered
    }

    async fn try_to_ask(
        &mut self,
        request: Option<&Request<'_>>,
    ) -> Result<(Answered, Traffic), OriginError> {
        let asker = match &mut self.asker {
            Ok(asker) => asker,
            Err(error) => return Err(error.take().unwrap_or(SyncError::Cut).into()),
        };
        let stream = self.stream.as_mut().ok_or(SyncError::Cut)?;
        let before = asker.traffic();
        match request {
            None => asker.ask(None, self.first.as_ref(), &[], &[]),
            Some(Request { root, ask, missing, have }) => asker.ask(Some(root), *ask, missing, have),
        }?;
        let offline = |source| OriginError::Offline { what: "the connection to the peer".to_owned(), source };
        let began = Instant::now();
        let mut answer = Answered::default();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            if self.out.is_empty() {
                self.out = asker.send().unwrap_or_default();
            }
            if self.out.is_empty() {
                break;
            }
            // What was written is known even if nobody waits any more.
            let written = tick_while(asker, began, stream.write(&self.out)).await?.map_err(offline)?;
            if written == 0 {
                return Err(offline(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        tick_while(asker, began, stream.flush()).await?.map_err(offline)?;
        while answer.end.is_none() {
            let read = tick_while(asker, began, stream.read(&mut buffer)).await?.map_err(offline)?;
            if read == 0 {
                return Err(SyncError::Cut.into());
            }
            asker.receive(buffer.get(..read).unwrap_or_default(), &mut answer)?;
        }
        let after = asker.traffic();
        let bytes = after.1 - before.1;
        Ok((answer, Traffic { rounds: 1, requests: 1, bytes, pages: 0 }))
    }
}

/// Waits for something, and tells the time meanwhile. Without a runtime there is no timer, and patience has no end.
async fn tick_while<F: Future>(asker: &mut Asker, began: Instant, wait: F) -> Result<F::Output, SyncError> {
    let mut wait = pin!(wait);
    if tokio::runtime::Handle::try_current().is_err() {
        return Ok(wait.await);
    }
    loop {
        match timeout(TICK, &mut wait).await {
            Ok(done) => return asker.tick_alive(began.elapsed()).map(|()| done),
            Err(_) => asker.tick(began.elapsed())?,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> PageOrigin for PeerOrigin<T> {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn root(&self) -> Result<Cid, OriginError> {
        Ok(self.announced().await?.root)
    }

    async fn announced(&self) -> Result<Announced, OriginError> {
        let mut connection = self.connection.lock().await;
        let (answer, traffic) = connection.ask(None).await?;
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner) += traffic;
        let (root, _) = answer.end.ok_or(SyncError::Cut)?;
        (connection.root, connection.ahead, connection.first) = (Some(root), answer.pages, None);
        Ok(Announced { root, signed: answer.signed, peer: self.peer })
    }

    async fn read(&self, request: &Request<'_>, pages: &mut Incoming) -> Result<(), OriginError> {
        let mut connection = self.connection.lock().await;
        // What came with the greeting is looked at first: it was sent in the order in which it is needed.
        let mut rest = Vec::new();
        let mut some = false;
        for page in std::mem::take(&mut connection.ahead) {
            if pages.expects(&Cid::of(&page)) {
                some = true;
                pages.page(page)?;
            } else {
                rest.push(page);
            }
        }
        connection.ahead = rest;
        if some {
            return Ok(());
        }
        let (answer, traffic) = connection.ask(Some(request)).await?;
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner) += traffic;
        answer.pages.into_iter().try_for_each(|page| pages.page(page))
    }

    fn answers_questions(&self) -> bool {
        true
    }

    fn traffic(&self) -> Traffic {
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
