//! The map call.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::routing::get;
use prolly::PageSource;

use super::app::App;
use super::ask::{Ask, area};
use super::error::ApiError;
use super::send::Outlet;
use super::view::View;
use super::write::Elements;
use crate::db::Snapshot;
use crate::entry::Entry;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/0.6/map", get(map))
}

/// Answers with what is in a box. Of a fork, the head is answered that is shown, or all heads are
/// (`?forks=true`). How many heads a fork has is told by its live ones.
async fn map(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let bbox = ask.bbox()?;
    let limits = &app.options.limits;
    if area(bbox) > limits.map_area {
        let most = limits.map_area / 100_000_000;
        let (whole, part) = (most / 1_000_000, most % 1_000_000);
        return Err(ApiError::bad_request(format!(
            "The maximum bbox size is {whole}.{part:06}, and your request was too large. Either request a smaller \
             area, or use planet.osm"
        )));
    }
    let most = limits.map_nodes;
    let all = ask.is("forks");
    let send = move |app: &App, out: &mut Outlet| {
        let snapshot = app.db.snapshot();
        let map = snapshot.map_up_to(bbox, most)?;
        if map.nodes() > most {
            return Err(ApiError::bad_request(format!(
                "You requested too many nodes (limit is {most}). Either request a smaller area, or use planet.osm"
            )));
        }
        let mut elements = Elements::begin(app, form, out, Some(bbox));
        let mut entries = map.entries().peekable();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let element = entry.element;
            let is_same = |next: &Result<Entry, _>| next.as_ref().is_ok_and(|next| next.element == element);
            let mut is_fork = false;
            while entries.next_if(is_same).is_some() {
                is_fork = true;
            }
            put(&mut elements, &snapshot, entry, is_fork, all)?;
        }
        elements.end();
        Ok(())
    };
    app.send(form, send).await
}

/// Writes an element of which one live head is known, and whether there are others.
fn put<S: PageSource>(
    elements: &mut Elements<'_>,
    snapshot: &Snapshot<S>,
    entry: Entry,
    is_fork: bool,
    all: bool,
) -> Result<(), ApiError> {
    if !is_fork && !all {
        return elements.put(&View::of_single(snapshot, entry)?);
    }
    let views = View::of_heads(snapshot, snapshot.get(entry.element)?, all)?;
    views.iter().try_for_each(|view| elements.put(view))
}
