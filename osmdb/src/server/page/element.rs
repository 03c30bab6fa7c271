//! One element, and all that is known of it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Response;
use serde_json::{Value, json};

use super::{describe, reply};
use crate::entry::shown_of;
use crate::model::{ElementId, Payload};
use crate::server::app::App;
use crate::server::ask::Ask;
use crate::server::error::ApiError;

/// So many versions are shown, the latest ones; the page says how many more there are.
const MAX_VERSIONS: usize = 200;

/// So many elements that name it are shown, and so many that it names.
const MAX_LINKS: usize = 200;

pub(super) async fn element(
    State(app): State<Arc<App>>,
    Path((kind, id)): Path<(String, String)>,
    ask: Ask,
) -> Result<Response<Body>, ApiError> {
    let element: ElementId = format!("{kind}/{id}").parse().map_err(|_| ApiError::not_found())?;
    let value = app.work(move |app| {
        let snapshot = reply::snapshot(&app.db, ask.parameter("at"))?;
        let heads = snapshot.get(element)?;
        if heads.is_empty() {
            return Err(ApiError::new(axum::http::StatusCode::NOT_FOUND, format!("{element} is not in the database")));
        }
        let shown = shown_of(&heads, |head| (head.version, &head.entry));
        let payload = shown.and_then(|head| head.entry.payload.as_ref());
        let history = snapshot.history(element)?;
        let hidden = history.len().saturating_sub(MAX_VERSIONS);
        let (refs, more_refs) = links(snapshot.refs(element)?);
        let (uses, more_uses) = links(payload.map(Payload::references).into_iter().flatten().collect());
        Ok(json!({
            "element": element.to_string(),
            "name": payload.map(|payload| describe::name(payload.tags())),
            "heads": describe::heads(app, &heads),
            "history": history.iter().skip(hidden).map(|version| describe::revision(app, version)).collect::<Value>(),
            "more_history": hidden,
            "refs": refs,
            "more_refs": more_refs,
            "uses": uses,
            "more_uses": more_uses,
            "bounds": describe::around(&snapshot, &heads)?.as_ref().map(describe::bounds),
        }))
    });
    Ok(reply::json(&value.await?))
}

/// Returns the first of some elements, each once, and how many there are behind them.
fn links(elements: Vec<ElementId>) -> (Value, usize) {
    let mut seen = std::collections::HashSet::new();
    let all: Vec<ElementId> = elements.into_iter().filter(|element| seen.insert(*element)).collect();
    let shown = all.iter().take(MAX_LINKS).map(ToString::to_string).collect();
    (shown, all.len().saturating_sub(MAX_LINKS))
}
