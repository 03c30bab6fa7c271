//! What all requests share: the database, and the turns in which it is worked on.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, spawn_blocking};

use super::error::ApiError;
use super::limits::Limits;
use super::local::Local;
use crate::db::Db;
use crate::error::Error;

/// How a server answers.
///
/// ```
/// use osmdb::server::ServerOptions;
/// assert_eq!(ServerOptions::default().limits.map_nodes, 50_000);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ServerOptions {
    /// What a request may cost.
    pub limits: Limits,
    /// The directory of the database. There it is kept who the peers are that the page syncs with, and what came of
    /// a sync that was cut; without one, neither is kept.
    pub home: Option<PathBuf>,
}

/// A server at work.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) db: Arc<Db>,
    pub(crate) options: ServerOptions,
    pub(crate) local: Local,
    /// Threads that work on the database.
    turns: Arc<Semaphore>,
    /// Whether the server is to end: then answers that have no end are ended.
    pub(crate) ending: watch::Sender<bool>,
}

impl App {
    pub(crate) fn new(db: Arc<Db>, options: ServerOptions) -> Result<Self, Error> {
        // A key is made now, so that no request has to.
        db.author()?;
        let local = Local::new(Arc::clone(&db))?;
        let turns = Arc::new(Semaphore::new(options.limits.at_work.max(1)));
        Ok(Self { db, options, local, turns, ending: watch::Sender::new(false) })
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
