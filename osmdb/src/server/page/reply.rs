//! Answers: JSON, and bytes that may be compressed and may be known already.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use prolly::PageSource;
use serde_json::Value;

use crate::db::{At, Db, Snapshot};
use crate::error::Error;
use crate::server::ask::Ask;
use crate::server::error::ApiError;

/// An answer of JSON, which nobody keeps.
pub(super) fn json(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Bytes as they are and compressed by gzip.
pub(super) struct Packed<'a> {
    /// Names the content.
    pub(super) hash: &'a str,
    pub(super) gzipped: Bytes,
    pub(super) plain: &'a dyn Fn() -> Bytes,
    /// How long they may be kept.
    pub(super) cache: &'static str,
}

/// Answers with bytes, compressed if the client takes that; or says that those it has are still right.
pub(super) fn packed(asked: &HeaderMap, kind: &'static str, what: Packed<'_>) -> Response<Body> {
    let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let zips = text(header::ACCEPT_ENCODING).split(',').any(|coding| {
        let (coding, quality) = coding.split_once(';').unwrap_or((coding, ""));
        coding.trim().eq_ignore_ascii_case("gzip") && quality.trim() != "q=0"
    });
    let tag = format!("\"{}{}\"", what.hash, if zips { "-gzip" } else { "" });
    let is_known =
        text(header::IF_NONE_MATCH).split(',').any(|known| known.trim().trim_start_matches("W/") == tag);
    let mut response = match (is_known, zips) {
        (true, _) => Response::new(Body::empty()),
        (false, true) => Response::new(Body::from(what.gzipped)),
        (false, false) => Response::new(Body::from((what.plain)())),
    };
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    if zips && !is_known {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(what.cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(policy, HeaderValue::from_static("same-origin"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Returns the database as it is, or as it was at the moment that was asked for.
pub(super) fn snapshot<'a>(db: &'a Db, at: Option<&str>) -> Result<Snapshot<&'a impl PageSource>, ApiError> {
    let Some(at) = at.filter(|at| !at.is_empty()) else { return Ok(db.snapshot()) };
    let at: At =
        at.parse().map_err(|error: crate::db::ParseAtError| ApiError::bad_request(error.to_string()))?;
    db.at_moment(at).map_err(|error| match error {
        Error::NoRoot { .. } | Error::NotYet { .. } => {
            ApiError::new(StatusCode::NOT_FOUND, error.to_string())
        }
        error => error.into(),
    })
}

/// Returns how many items of a list are wanted.
pub(super) fn limit(ask: &Ask, most: usize) -> Result<usize, ApiError> {
    let Some(limit) = ask.parameter("limit") else { return Ok(most) };
    let limit: usize = limit.parse().map_err(|_| ApiError::bad_request("limit is a number"))?;
    Ok(limit.clamp(1, most))
}
