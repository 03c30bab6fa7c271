//! What all requests share: the database, and the turns in which it is worked on.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::error::ApiError;
use super::limits::Limits;
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
}

/// A server at work.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) db: Arc<Db>,
    pub(crate) options: ServerOptions,
    /// Threads that work on the database.
    work: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(db: Arc<Db>, options: ServerOptions) -> Result<Self, Error> {
        // A key is made now, so that no request has to.
        db.author()?;
        let work = Arc::new(Semaphore::new(options.limits.at_work.max(1)));
        Ok(Self { db, options, work })
    }

    /// Works on the database, in a thread that may take long, when it is the request's turn.
    pub(crate) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.work).acquire_owned().await.map_err(ApiError::internal)?;
        let app = Arc::clone(self);
        let worked = spawn_blocking(move || {
            let worked = work(&app);
            drop(permit);
            worked
        });
        worked.await.unwrap_or_else(|error| Err(ApiError::internal(error)))
    }
}
