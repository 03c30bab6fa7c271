//! The page at `/`: a map of the database, and what it asks the server.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | the page; without a bundle, how to get one |
//! | `GET /page/…`, `GET /licences` | its script and style, and the licences of the libraries in it |
//! | `GET /tiles/{z}/{x}/{y}.mvt` | a vector tile ([`crate::tile`]); 204 if it shows nothing |
//! | `GET /api/db` | name, root, counts, key and fingerprint of this device, and a box around most of what is there |
//! | `GET /api/db/element/{kind}/{id}` | heads, history, what names it, what it names, its box |
//! | `GET /api/db/search?filter=…` | what passes a [`Filter`](crate::Filter) |
//! | `GET /api/db/forks` | elements with several heads |
//! | `POST /api/db/resolve` | `{"element", "version"}`: ends a fork with the content of one head |
//! | `GET /api/db/reflog` | the roots that the database had |
//! | `GET /api/db/trees`, `GET /api/db/trees/{name}` | the prolly trees; the pages of one, and which another root (`other`) has too |
//! | `GET /api/db/trees/{name}/page?level=…&place=…` | one page of a tree |
//! | `GET /api/db/peers` | who is known, and when all was exchanged last |
//! | `POST /api/sync` | `{"address", "accept"}`: begins to sync with a peer (`tcp:`, `ws:`); 202 |
//! | `GET /api/changes` | server-sent events: `root` when there is another one, `sync` while one goes on |
//!
//! All answers are JSON, but for tiles and events. `at` is a root, or a time as [`At`](crate::At) reads it: then the
//! answer is that of the database as it was. Lists have `limit` and `cursor`. Ids are texts (`"node/123"`),
//! because they are greater than what numbers of JavaScript hold.

mod changes;
mod describe;
mod element;
mod files;
mod forks;
mod guard;
mod past;
mod reply;
mod search;
mod sync;
mod tiles;
mod trees;

use std::sync::Arc;

use axum::middleware::from_fn;
use axum::routing::{get, post};
use axum::{Extension, Router};

use super::app::App;
use crate::tile::Tiles;

/// What requests of the page share beside the database.
#[derive(Debug, Default)]
struct Page {
    tiles: Arc<Tiles>,
    sync: Arc<sync::Syncs>,
}

/// What the page consists of, and what it asks.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(files::index))
        .route("/page/{name}", get(files::file))
        .route("/licences", get(files::licences))
        .route("/tiles/{zoom}/{x}/{y}", get(tiles::tile))
        .route("/api/db", get(describe::database))
        .route("/api/db/element/{kind}/{id}", get(element::element))
        .route("/api/db/search", get(search::search))
        .route("/api/db/forks", get(forks::forks))
        .route("/api/db/resolve", post(forks::resolve))
        .route("/api/db/reflog", get(past::reflog))
        .route("/api/db/trees", get(trees::trees))
        .route("/api/db/trees/{name}", get(trees::tree))
        .route("/api/db/trees/{name}/page", get(trees::page))
        .route("/api/db/peers", get(sync::peers))
        .route("/api/sync", post(sync::begin))
        .route("/api/changes", get(changes::changes))
        .layer(Extension(Arc::new(Page::default())))
        .layer(from_fn(guard::guard))
}
