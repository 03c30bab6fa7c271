//! Searching by tags.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use serde_json::{Value, json};

use super::{describe, reply};
use crate::db::{Cursor, CursorError};
use crate::filter::{Filter, ParseFilterError};
use crate::server::app::App;
use crate::server::ask::Ask;
use crate::server::error::ApiError;

/// So many elements are listed at once.
const MAX_FOUND: usize = 500;

pub(super) async fn search(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let filter = ask.parameter("filter").unwrap_or_default().trim();
    let unfit = |error: ParseFilterError| ApiError::bad_request(error.to_string());
    let filter: Filter = filter.parse().map_err(unfit)?;
    let limit = reply::limit(&ask, MAX_FOUND)?;
    let cursor = ask.parameter("cursor").map(str::parse::<Cursor>).transpose().map_err(unfit_cursor)?;
    let value = app.work(move |app| {
        let snapshot = reply::snapshot(&app.db, ask.parameter("at"))?;
        let mut query = snapshot.find(&filter);
        if let Some(cursor) = &cursor {
            query = query.after(cursor).map_err(unfit_cursor)?;
        }
        let mut features = Vec::with_capacity(limit.min(64));
        for feature in query.by_ref().take(limit) {
            features.push(describe::feature(&snapshot, &feature?)?);
        }
        let end = query.save().to_string();
        let more = query.next().transpose()?.is_some();
        Ok(json!({ "features": Value::from(features), "cursor": more.then_some(end) }))
    });
    Ok(reply::json(&value.await?))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(super) fn unfit_cursor(error: CursorError) -> ApiError {
    ApiError::bad_request(error.to_string())
}
