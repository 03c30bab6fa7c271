//! The OSM API 0.6 over HTTP: what editors such as JOSM and iD speak, from a database on this machine.
//!
//! [`serve`] answers requests at one port until it is told to stop. What is asked and answered follows the API of
//! OpenStreetMap (<https://wiki.openstreetmap.org/wiki/API_v0.6>) and its reference server, error texts included,
//! because clients read them. What a world without a central server needs beside it stands in attributes and
//! parameters of our own, which clients pass over.
//!
//! ```
//! use std::sync::Arc;
//! use osmdb::Db;
//! use osmdb::server::{self, ServerOptions};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # let dir = tempfile::tempdir()?;
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let db = Arc::new(Db::create_or_open(dir.path().join("osm.db"))?);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let until = async { drop(stopped.await) };
//! let server = tokio::spawn(server::serve(db, listener, ServerOptions::default(), until));
//!
//! let mut stream = tokio::net::TcpStream::connect(address).await?;
//! stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer).await?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
//! drop(stop);
//! server.await??;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod about;
mod access;
mod answer;
mod app;
mod ask;
mod changesets;
mod editor;
mod elements;
mod error;
mod limits;
mod listen;
mod local;
mod map;
mod metrics;
mod notes;
mod oauth;
mod page;
mod patient;
mod plan;
mod read;
mod send;
mod sync;
mod tokens;
mod upload;
mod users;
mod view;
mod write;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;

pub use self::access::Access;
pub use self::app::{Log, Logged, ServerOptions};
pub use self::limits::Limits;
pub use self::tokens::{MAX_TOKEN_NAME_BYTES, TokenError, Tokens};
pub(crate) use app::App;
pub(crate) use error::ApiError;

use crate::db::Db;
use crate::net::NetError;

/// The port at which editors look for a server, if none is named.
///
/// ```
/// assert_eq!(osmdb::server::DEFAULT_PORT, 5000);
/// ```
pub const DEFAULT_PORT: u16 = 5000;

/// Answers requests until `stop` is there; those that have begun by then are answered, and what they write is
/// written. See the [module](self) for an example.
///
/// Needs a tokio runtime of several threads, with I/O and time.
///
/// # Errors
/// The store fails, or the database has no key and cannot make one.
pub async fn serve(
    db: Arc<Db>,
    listener: TcpListener,
    options: ServerOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), NetError> {
    let app = Arc::new(App::new(db, options)?);
    let routes = routes().with_state(Arc::clone(&app));
    listen::listen(&app, listener, routes, stop).await;
    Ok(())
}

/// All that is answered. Every room has its own routes.
fn routes() -> Router<Arc<App>> {
    Router::new()
        .merge(about::routes())
        .merge(page::routes())
        .merge(changesets::routes())
        .merge(editor::routes())
        .merge(elements::routes())
        .merge(map::routes())
        .merge(metrics::routes())
        .merge(notes::routes())
        .merge(oauth::routes())
        .merge(sync::routes())
        .merge(upload::routes())
        .merge(users::routes())
        .fallback(|| async { ApiError::not_found() })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
}
