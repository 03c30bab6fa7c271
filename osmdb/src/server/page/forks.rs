//! Forks: which there are, and ending one.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::search::unfit_cursor;
use super::{describe, reply};
use crate::db::Cursor;
use crate::entry::{Version, shown_of};
use crate::error::Error;
use crate::model::ElementId;
use crate::server::app::App;
use crate::server::ask::Ask;
use crate::server::error::ApiError;

/// So many forks are listed at once.
const MAX_FORKS: usize = 200;

pub(super) async fn forks(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let limit = reply::limit(&ask, MAX_FORKS)?;
    let cursor = ask.parameter("cursor").map(str::parse::<Cursor>).transpose().map_err(unfit_cursor)?;
    let value = app.work(move |app| {
        let snapshot = reply::snapshot(&app.db, ask.parameter("at"))?;
        let mut forks = snapshot.forks();
        if let Some(cursor) = &cursor {
            forks = forks.after(cursor).map_err(unfit_cursor)?;
        }
        let mut found = Vec::new();
        for heads in forks.by_ref().take(limit) {
            let heads = heads?;
            let Some(first) = heads.first() else { continue };
            let shown = shown_of(&heads, |head| (head.version, &head.entry));
            let payload = shown.and_then(|head| head.entry.payload.as_ref());
            found.push(json!({
                "element": first.entry.element.to_string(),
                "heads": heads.len(),
                "name": payload.map(|payload| describe::name(payload.tags())),
                "bounds": describe::around(&snapshot, &heads)?.as_ref().map(describe::bounds),
            }));
        }
        let end = forks.save().to_string();
        let more = forks.next().transpose()?.is_some();
        Ok(json!({ "forks": Value::from(found), "cursor": more.then_some(end) }))
    });
    Ok(reply::json(&value.await?))
}

pub(super) async fn resolve(State(app): State<Arc<App>>, body: Bytes) -> Result<Response<Body>, ApiError> {
    let wanted = "The body is {\"element\": \"node/123\", \"version\": …}";
    let body: Value = serde_json::from_slice(&body).map_err(|_| ApiError::bad_request(wanted))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let element: ElementId = text("element").parse().map_err(|_| ApiError::bad_request(wanted))?;
    let version: Version = text("version").parse().map_err(|_| ApiError::bad_request(wanted))?;
    let value = app.work(move |app| {
        let new = app.db.resolve(element, version).map_err(|error| match error {
            Error::NoVersion { .. } => ApiError::new(
                StatusCode::CONFLICT,
                format!("{element} has no such head any more: somebody has changed it meanwhile"),
            ),
            error => ApiError::new(StatusCode::CONFLICT, error.to_string()),
        })?;
        Ok(json!({ "version": new.to_string(), "root": app.db.root().to_string() }))
    });
    Ok(reply::json(&value.await?))
}
