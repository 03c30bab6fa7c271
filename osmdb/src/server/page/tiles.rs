//! Vector tiles.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Response, StatusCode, header};

use super::Page;
use super::reply::{self, Packed};
use crate::server::app::App;
use crate::server::ask::Ask;
use crate::server::error::ApiError;
use crate::tile::TileId;

const TILE: &str = "application/vnd.mapbox-vector-tile";

pub(super) async fn tile(
    State(app): State<Arc<App>>,
    Extension(page): Extension<Arc<Page>>,
    Path((zoom, x, y)): Path<(String, String, String)>,
    ask: Ask,
) -> Result<Response<Body>, ApiError> {
    let id = parse(&zoom, &x, &y).ok_or_else(ApiError::not_found)?;
    let at = ask.parameter("at").filter(|at| !at.is_empty()).map(str::to_owned);
    // At a root that is named, nothing ever changes.
    let cache = match &at {
        Some(at) if at.parse::<prolly::Cid>().is_ok() => "private, max-age=31536000, immutable",
        _ => "no-cache",
    };
    let tiles = Arc::clone(&page.tiles);
    let tile = app
        .work(move |app| {
            let tile = tiles.get(&reply::snapshot(&app.db, at.as_deref())?, id)?;
            // Compressing takes a moment, too.
            let _ = tile.gzipped();
            Ok(tile)
        })
        .await?;
    if tile.bytes().is_empty() {
        let mut empty = Response::new(Body::empty());
        *empty.status_mut() = StatusCode::NO_CONTENT;
        empty.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        return Ok(empty);
    }
    let plain = || tile.bytes().clone();
    let packed = Packed { hash: tile.hash(), gzipped: tile.gzipped().clone(), plain: &plain, cache };
    Ok(reply::packed(ask.headers(), TILE, packed))
}

fn parse(zoom: &str, x: &str, y: &str) -> Option<TileId> {
    let y = y.strip_suffix(".mvt").unwrap_or(y);
    TileId::new(zoom.parse().ok()?, x.parse().ok()?, y.parse().ok()?)
}
