//! Peers who sync at the port of the API: what they say goes through a WebSocket, as it does at a port of its own.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::app::App;
use super::error::ApiError;

/// The path at which peers call: `ws://HOST:PORT/sync`.
pub(crate) const PATH: &str = "/sync";

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From(pub(crate) SocketAddr);

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route(PATH, get(sync))
}

/// Grants a WebSocket, in which both sides prove their keys. No token is asked for.
async fn sync(
    State(app): State<Arc<App>>,
    Extension(From(from)): Extension<From>,
    request: Request,
) -> Result<Response<Body>, ApiError> {
    let peers = app.peers.clone().ok_or_else(ApiError::not_found)?;
    let headers = request.headers();
    // Programs do not say which page they are from; pages have no business here.
    if headers.contains_key(header::ORIGIN) {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "Only peers sync here, and no pages"));
    }
    let key = asked(headers).ok_or_else(|| {
        ApiError::new(
            StatusCode::UPGRADE_REQUIRED,
            "Peers sync here by WebSocket: osmdb sync ws://HOST:PORT/sync",
        )
    })?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(ApiError::internal)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let granted = response.headers_mut();
    granted.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    granted.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    granted.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    let mut visits = app.visits.lock().unwrap_or_else(PoisonError::into_inner);
    while visits.try_join_next().is_some() {}
    visits.spawn(async move {
        // Who goes away before the stream is there, was not here.
        if let Ok(stream) = hyper::upgrade::on(request).await {
            peers.receive_websocket(TokioIo::new(stream), from).await;
        }
    });
    Ok(response)
}

/// Returns the key of a request for a WebSocket; `None` if it is another one.
fn asked(headers: &HeaderMap) -> Option<String> {
    let has = |name: HeaderName, value: &str| {
        let text = headers.get(name).and_then(|text| text.to_str().ok()).unwrap_or_default();
        text.split(',').any(|part| part.trim().eq_ignore_ascii_case(value))
    };
    let is_one = has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    is_one.then(|| key.to_owned())
}
