//! What all requests share: the database, and the turns in which it is worked on.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prolly::FjallStore;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

use super::access::Access;
use super::error::ApiError;
use super::limits::Limits;
use super::local::Local;
use super::metrics::Metrics;
use super::notes::Notes;
use super::oauth::Codes;
use super::read::LONG_BODIES;
use crate::db::Db;
use crate::entry::Author;
use crate::net::{self, NetError};

/// What is told of every request.
///
/// ```
/// use std::sync::Arc;
/// use osmdb::server::Log;
/// let log: Log = Arc::new(|logged| eprintln!("{logged:?}"));
/// ```
pub type Log = Arc<dyn Fn(&Logged<'_>) + Send + Sync>;

/// How a server answers.
///
/// ```
/// use osmdb::server::{Access, ServerOptions};
/// let mut options = ServerOptions::default();
/// options.access = Access::Tokens("osm.db".into());
/// assert_eq!(options.limits.map_nodes, 50_000);
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct ServerOptions {
    /// What a request may cost.
    pub limits: Limits,
    /// The directory of the database. There it is kept who the peers are that the page syncs with, and what came of
    /// a sync that was cut; without one, neither is kept.
    pub home: Option<PathBuf>,
    /// Who may ask.
    pub access: Access,
    /// Pages from these origins (`https://editor.example`) may change what is here, beside those of this machine.
    /// With tokens, pages from anywhere may, if they have one.
    pub origins: Vec<String>,
    /// A folder with a build of iD (`dist` of the npm package `@openstreetmap/id`), served at `/edit/`. The packages that
    /// it takes its presets from are looked for in the `node_modules` that it lies in, or in its folder `npm`.
    pub editor: Option<PathBuf>,
    /// How peers are answered who sync at `/sync`, by WebSocket; none are, if this is `None`.
    pub peers: Option<net::ServeOptions>,
    /// Is told of every request when it is answered.
    pub log: Option<Log>,
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limits, home, access, origins, editor, peers, log: _ } = self;
        let mut out = f.debug_struct("ServerOptions");
        out.field("limits", limits).field("home", home).field("access", access).field("origins", origins);
        out.field("editor", editor).field("peers", peers).finish_non_exhaustive()
    }
}

/// A request that was answered.
///
/// ```
/// use std::sync::Arc;
/// use osmdb::server::ServerOptions;
/// let mut options = ServerOptions::default();
/// options.log = Some(Arc::new(|logged| println!("{} {}: {}", logged.method, logged.path, logged.status)));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Logged<'a> {
    /// Where it came from.
    pub from: SocketAddr,
    /// The method, such as `GET`.
    pub method: &'a str,
    /// The path with its parameters, as it came, but for those of logging in.
    pub path: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// How long it took until the answer began.
    pub time: Duration,
    /// Why it was refused, if it was.
    pub refused: Option<&'a str>,
}

/// A server at work.
pub(crate) struct App {
    pub(crate) db: Arc<Db>,
    pub(crate) options: ServerOptions,
    /// Who edits here.
    pub(crate) author: Author,
    pub(crate) local: Local,
    pub(crate) notes: Notes,
    pub(crate) codes: Codes,
    pub(crate) metrics: Metrics,
    /// What receives peers.
    pub(crate) peers: Option<Arc<net::Server<FjallStore>>>,
    /// Peers who are here.
    pub(crate) visits: Mutex<JoinSet<()>>,
    /// Long bodies that may come.
    pub(crate) long_bodies: Arc<Semaphore>,
    /// Threads that work on the database.
    turns: Arc<Semaphore>,
    /// Whether the server is to end: then answers that have no end are ended.
    pub(crate) ending: watch::Sender<bool>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("options", &self.options).finish_non_exhaustive()
    }
}

impl App {
    pub(crate) fn new(db: Arc<Db>, options: ServerOptions) -> Result<Self, NetError> {
        // A key is made now, so that no request has to, and has a number that clients can ask for.
        let author = db.author()?;
        let local = Local::new(Arc::clone(&db))?;
        local.user_number(author);
        local.save()?;
        let notes = Notes::new(Arc::clone(&db))?;
        let turns = Arc::new(Semaphore::new(options.limits.at_work.max(1)));
        let peers = options.peers.clone();
        let peers = peers.map(|peers| net::Server::new(Arc::clone(&db), peers).map(Arc::new)).transpose()?;
        let (codes, metrics, visits) = (Codes::default(), Metrics::default(), Mutex::default());
        let long_bodies = Arc::new(Semaphore::new(LONG_BODIES));
        let ending = watch::Sender::new(false);
        Ok(Self {
            db,
            options,
            author,
            local,
            notes,
            codes,
            metrics,
            peers,
            visits,
            long_bodies,
            turns,
            ending,
        })
    }

    /// Works on the database, in a thread that may take long, when it is the request's turn.
    pub(crate) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let worked = self.start(work).await?.await;
        worked.unwrap_or_else(|error| Err(ApiError::internal(error)))
    }

    /// Starts work on the database when it is the request's turn.
    pub(crate) async fn start<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<JoinHandle<Result<T, ApiError>>, ApiError> {
        let permit = Arc::clone(&self.turns).acquire_owned().await.map_err(ApiError::internal)?;
        let app = Arc::clone(self);
        Ok(spawn_blocking(move || {
            let worked = work(&app);
            drop(permit);
            worked
        }))
    }
}
