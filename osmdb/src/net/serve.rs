//! Answering peers who dial, any number of them side by side.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use prolly::PageStore;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use super::HANDSHAKE_TIME;
use super::dial::{Connection, Metered, Wire};
use super::drive::sync_or_stay;
use super::error::NetError;
use super::identity::Identity;
use super::tls::{Admit, Secured};
use super::websocket::WebSocket;
use crate::db::Db;
use crate::entry::Author;
use crate::sync::{Options, Summary, SyncError};

/// So many sessions go on side by side, each with a thread of its own; who comes then, waits.
///
/// ```
/// assert_eq!(osmdb::net::MAX_SESSIONS, 16);
/// ```
pub const MAX_SESSIONS: usize = 16;

/// So many peers stay connected, beside those of whom all is exchanged once; who wants to stay then, is told to come
/// again.
///
/// ```
/// assert_eq!(osmdb::net::MAX_FOLLOWERS, 64);
/// ```
pub const MAX_FOLLOWERS: usize = 64;

/// So many connections are open, with those of whom it is not known yet who they are. Further ones are not
/// answered until one of these has ended or was given up.
const MAX_CONNECTIONS: usize = 128;

/// When a connection cannot be taken, because too many files are open, say, another try comes after this.
const PAUSE: Duration = Duration::from_millis(100);

/// How peers are answered.
///
/// ```
/// use std::sync::Arc;
/// use osmdb::net::ServeOptions;
/// let options = ServeOptions {
///     report: Arc::new(|visit| println!("{}: {}", visit.from, visit.outcome.is_ok())),
///     ..ServeOptions::default()
/// };
/// # let nobody = osmdb::Db::in_memory("osm")?.author()?;
/// assert!(!(options.admit)(&nobody), "nobody, unless somebody is named");
/// # Ok::<(), osmdb::Error>(())
/// ```
#[derive(Clone)]
pub struct ServeOptions {
    /// How each session goes.
    pub sync: Options,
    /// Who is let in.
    pub admit: Admit,
    /// Is told of every visit when it is over.
    pub report: Arc<dyn Fn(&Visit) + Send + Sync>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self { sync: Options::default(), admit: Arc::new(|_| false), report: Arc::new(|_| ()) }
    }
}

impl fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions").field("sync", &self.sync).finish_non_exhaustive()
    }
}

/// One peer that came.
///
/// ```
/// # use osmdb::net::{NetError, Visit, Wire};
/// # let visit = Visit {
/// #     from: "127.0.0.1:9".parse()?, peer: None, websocket: false, time: Default::default(),
/// #     wire: Wire::default(), outcome: Err(NetError::SlowHandshake),
/// # };
/// match &visit.outcome {
///     Ok(summary) => println!("{} gained {} entries", visit.from, summary.given),
///     Err(error) => println!("{}: {error}", visit.from),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Visit {
    /// Where it came from.
    pub from: SocketAddr,
    /// The key that it has proved.
    pub peer: Option<Author>,
    /// It came by WebSocket, and not by TCP alone.
    pub websocket: bool,
    /// How long it stayed.
    pub time: Duration,
    /// How many bytes crossed the wire.
    pub wire: Wire,
    /// What came of it.
    pub outcome: Result<Summary, NetError>,
}

/// Answers peers who come by TCP or by WebSocket, at one port, until `stop` is there; sessions that go on then
/// are waited for, but for those in which all was exchanged and the peer [stays](super::follow). A peer that
/// breaks the protocol, is silent or goes away harms no other. See the [module](super) for an example.
///
/// Every session has a thread for its work on the database. Needs a tokio runtime of several threads, with I/O
/// and time.
///
/// # Errors
/// The database has no key, and cannot make one.
pub async fn serve<S>(
    db: Arc<Db<S>>,
    listener: TcpListener,
    options: ServeOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), NetError>
where
    S: PageStore + Send + Sync + 'static,
{
    let server = Arc::new(Server::new(db, options)?);
    let next = || async {
        loop {
            match listener.accept().await {
                Ok((stream, from)) => return Some(Arc::clone(&server).receive_tcp(stream, from)),
                Err(_) => sleep(PAUSE).await,
            }
        }
    };
    server.receive_all(next, stop).await;
    Ok(())
}

/// What came of meeting a peer.
pub(super) struct Meeting {
    pub(super) websocket: bool,
    pub(super) wire: Wire,
    pub(super) connection: Result<Connection, NetError>,
}

/// What receives peers, whoever took their connections.
pub(crate) struct Server<S> {
    db: Arc<Db<S>>,
    identity: Identity,
    options: ServeOptions,
    sessions: Semaphore,
    followers: Semaphore,
    /// Says that nobody is answered any more.
    stopping: watch::Sender<bool>,
}

impl<S: PageStore + Send + Sync + 'static> Server<S> {
    pub(crate) fn new(db: Arc<Db<S>>, options: ServeOptions) -> Result<Self, NetError> {
        Ok(Self {
            identity: Identity::of(&*db)?,
            db,
            options,
            sessions: Semaphore::new(MAX_SESSIONS),
            followers: Semaphore::new(MAX_FOLLOWERS),
            stopping: watch::Sender::new(false),
        })
    }

    /// Receives those who come, until there is `stop` or nobody more; those who are here then are waited for.
    pub(super) async fn receive_all<C, V>(&self, mut next: impl FnMut() -> C, stop: impl Future<Output = ()>)
    where
        C: Future<Output = Option<V>>,
        V: Future<Output = ()> + Send + 'static,
    {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut visits = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let coming = pin!(async {
                let permit = Arc::clone(&connections).acquire_owned().await;
                next().await.map(|visit| (visit, permit))
            });
            let Either::Right((Some((visit, permit)), _)) = select(stop.as_mut(), coming).await else {
                break;
            };
            visits.spawn(async move {
                visit.await;
                drop(permit);
            });
            while visits.try_join_next().is_some() {}
        }
        self.stop();
        while visits.join_next().await.is_some() {}
    }

    /// Says farewell to those with whom all was exchanged and who stay.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Receives a peer whose wish for a WebSocket was granted by others, and reports the visit.
    #[cfg(feature = "server")]
    pub(crate) async fn receive_websocket<T>(self: Arc<Self>, stream: T, from: SocketAddr)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let meeting = async {
            let (stream, wire) = Metered::new(stream);
            let socket = WebSocket::granted(stream).await;
            let connection = self.secure(socket, &wire).await;
            Meeting { websocket: true, wire, connection }
        };
        self.receive(from, meeting).await;
    }

    /// Receives one peer who came by TCP, and reports the visit.
    async fn receive_tcp(self: Arc<Self>, stream: TcpStream, from: SocketAddr) {
        let meeting = async {
            let (stream, wire) = Metered::new(stream);
            let mut websocket = false;
            let connection = self.meet(stream, &wire, &mut websocket).await;
            Meeting { websocket, wire, connection }
        };
        self.receive(from, meeting).await;
    }

    /// Receives a peer, once it is known who it is, and reports the visit.
    pub(super) async fn receive(self: &Arc<Self>, from: SocketAddr, meeting: impl Future<Output = Meeting>) {
        let began = Instant::now();
        let Meeting { websocket, wire, connection } = meeting.await;
        let (known, outcome) = match connection {
            Ok(connection) => (connection.peer(), self.unite(connection).await),
            Err(error) => (None, Err(error)),
        };
        let peer = match &outcome {
            Err(NetError::UnknownPeer { key }) => Some(*key),
            _ => known,
        };
        (self.options.report)(&Visit { from, peer, websocket, time: began.elapsed(), wire, outcome });
    }

    /// Finds out who the peer is.
    async fn secure<T>(&self, stream: T, wire: &Wire) -> Result<Connection, NetError>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let secured = Secured::accept(stream, &self.identity, Arc::clone(&self.options.admit)).await?;
        Ok(Connection::secured(secured, wire.clone()))
    }

    /// Finds out what the peer speaks, and who it is.
    async fn meet(
        &self,
        stream: Metered<TcpStream>,
        wire: &Wire,
        websocket: &mut bool,
    ) -> Result<Connection, NetError> {
        stream.get().set_nodelay(true).map_err(NetError::of_stream)?;
        let mut first = [0];
        let peeked = timeout(HANDSHAKE_TIME, stream.get().peek(&mut first)).await;
        peeked.map_err(|_| NetError::SlowHandshake)?.map_err(NetError::of_stream)?;
        // A request of HTTP begins with `GET`, TLS with the number 22.
        *websocket = first == *b"G";
        if *websocket {
            self.secure(WebSocket::accept(stream).await?, wire).await
        } else {
            self.secure(stream, wire).await
        }
    }

    /// Exchanges everything, in a thread that may be busy with it for long.
    async fn unite(self: &Arc<Self>, connection: Connection) -> Result<Summary, NetError> {
        let (server, handle) = (Arc::clone(self), Handle::current());
        // Nobody closes the semaphore.
        let _ = self.sessions.acquire().await.map(SemaphorePermit::forget);
        let session = spawn_blocking(move || {
            let options = server.options.sync.clone();
            // Who stays makes room for others who come.
            let mut turn = Turn { sessions: Some(&server.sessions), follower: None };
            let (staying, mut stayed) = watch::channel(false);
            let stays = || {
                let room = server.followers.try_acquire().map_err(|_| SyncError::NoRoom)?;
                turn.follower = Some(room);
                turn.end();
                let _ = staying.send(true);
                Ok(())
            };
            let last = RefCell::new(None);
            let progress = |summary: &Summary| drop(last.replace(Some(summary.clone())));
            let session = pin!(sync_or_stay(&server.db, connection, options, progress, stays));
            // All was exchanged with whoever stays: it is not waited for.
            let mut stopping = server.stopping.subscribe();
            let is_over = pin!(async {
                let _ = stopping.wait_for(|stopping| *stopping).await;
                let _ = stayed.wait_for(|stayed| *stayed).await;
            });
            match handle.block_on(select(session, is_over)) {
                Either::Left((outcome, _)) => outcome,
                Either::Right(_) => last.take().ok_or_else(|| SyncError::Cut.into()),
            }
        });
        let outcome = session.await;
        outcome.unwrap_or_else(|error| Err(NetError::Io(error.into())))
    }
}

/// One of the sessions side by side, until it ends or stays.
struct Turn<'a> {
    sessions: Option<&'a Semaphore>,
    follower: Option<SemaphorePermit<'a>>,
}

impl Turn<'_> {
    fn end(&mut self) {
        self.sessions.take().into_iter().for_each(|sessions| sessions.add_permits(1));
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
