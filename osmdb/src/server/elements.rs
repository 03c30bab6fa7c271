//! Reading elements: one, its versions, several, and what belongs to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use prolly::PageSource;

use super::app::App;
use super::ask::Ask;
use super::error::ApiError;
use super::view::{View, shown};
use super::write::Elements;
use crate::db::Snapshot;
use crate::model::{ElementId, Kind, MAX_ID, Payload};
use crate::timestamp::http_date;

/// The kinds that have paths.
pub(crate) const KINDS: [Kind; 3] = [Kind::Node, Kind::Way, Kind::Relation];

pub(crate) fn routes() -> Router<Arc<App>> {
    let mut router = Router::new()
        .route("/api/0.6/node/{id}/ways", get(ways))
        .route("/api/0.6/way/{id}/full", get(full))
        .route("/api/0.6/relation/{id}/full", get(full));
    for kind in KINDS {
        router = router
            .route(&format!("/api/0.6/{kind}/{{id}}"), get(element))
            .route(&format!("/api/0.6/{kind}/{{id}}/{{version}}"), get(version))
            .route(&format!("/api/0.6/{kind}/{{id}}/history"), get(history))
            .route(&format!("/api/0.6/{kind}/{{id}}/relations"), get(relations))
            .route(&format!("/api/0.6/{kind}/{{id}}/forks"), get(forks))
            .route(&format!("/api/0.6/{kind}s"), get(several));
    }
    router
}

/// There is no such element.
pub(crate) fn unknown(element: ElementId) -> ApiError {
    let ElementId { kind, id } = element;
    ApiError::new(StatusCode::NOT_FOUND, format!("The {kind} with the id {id} was not found"))
}

/// There was such an element.
pub(crate) fn deleted(element: ElementId) -> ApiError {
    let ElementId { kind, id } = element;
    ApiError::new(StatusCode::GONE, format!("The {kind} with the id {id} has already been deleted"))
}

/// Returns the heads of an element that is there and not deleted.
fn live<S: PageSource>(snapshot: &Snapshot<S>, element: ElementId) -> Result<Vec<crate::db::Head>, ApiError> {
    let heads = snapshot.get(element)?;
    match shown(&heads) {
        None => Err(unknown(element)),
        Some(head) if head.entry.payload.is_none() => Err(deleted(element)),
        Some(_) => Ok(heads),
    }
}

async fn element(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let (form, element, all) = (ask.form()?, ask.element()?, ask.is("forks"));
    let views = app.work(move |app| {
        let snapshot = app.db.snapshot();
        Ok(View::of_heads(&snapshot, live(&snapshot, element)?, all)?)
    });
    let views = views.await?;
    let modified = views.iter().filter_map(|view| view.entry.timestamp()).max().and_then(http_date);
    let send = app.send(form, move |app, out| {
        let mut elements = Elements::begin(app, form, out, None);
        views.iter().try_for_each(|view| elements.put(view))?;
        elements.end();
        Ok(())
    });
    let mut response = send.await?;
    if let Some(modified) = modified.and_then(|date| HeaderValue::from_str(&date).ok()) {
        response.headers_mut().insert(header::LAST_MODIFIED, modified);
    }
    Ok(response)
}

async fn version(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let (form, element, number) = (ask.form()?, ask.element()?, ask.number(4)?);
    let send = app.send(form, move |app, out| {
        let views = View::of_history(&app.db.snapshot(), element, false)?;
        let view = views.into_iter().find(|view| view.number == number).ok_or_else(|| unknown(element))?;
        let mut elements = Elements::begin(app, form, out, None);
        elements.put(&view)?;
        elements.end();
        Ok(())
    });
    send.await
}

async fn history(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let (form, element, all) = (ask.form()?, ask.element()?, ask.is("forks"));
    let send = app.send(form, move |app, out| {
        let views = View::of_history(&app.db.snapshot(), element, all)?;
        if views.is_empty() {
            return Err(unknown(element));
        }
        let mut elements = Elements::begin(app, form, out, None);
        views.iter().try_for_each(|view| elements.put(view))?;
        elements.end();
        Ok(())
    });
    send.await
}

/// Answers with all heads of an element, deletions too: of our own.
async fn forks(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let (form, element) = (ask.form()?, ask.element()?);
    let send = app.send(form, move |app, out| {
        let snapshot = app.db.snapshot();
        let heads = snapshot.get(element)?;
        if heads.is_empty() {
            return Err(unknown(element));
        }
        let mut elements = Elements::begin(app, form, out, None);
        View::of_heads(&snapshot, heads, true)?.iter().try_for_each(|view| elements.put(view))?;
        elements.end();
        Ok(())
    });
    send.await
}

/// Writes those of some elements that are there and not deleted.
fn put_live<S: PageSource>(
    elements: &mut Elements<'_>,
    snapshot: &Snapshot<S>,
    wanted: &BTreeSet<ElementId>,
    all: bool,
) -> Result<(), ApiError> {
    for heads in snapshot.heads_among(wanted) {
        let heads = heads?;
        if shown(&heads).is_some_and(|head| head.entry.payload.is_some()) {
            View::of_heads(snapshot, heads, all)?.iter().try_for_each(|view| elements.put(view))?;
        }
    }
    Ok(())
}

async fn ways(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    naming(app, ask, Kind::Way).await
}

async fn relations(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    naming(app, ask, Kind::Relation).await
}

/// Answers with what names an element; with an empty list if it never was.
async fn naming(app: Arc<App>, ask: Ask, by: Kind) -> Result<Response<Body>, ApiError> {
    let (form, element, all) = (ask.form()?, ask.element()?, ask.is("forks"));
    let send = app.send(form, move |app, out| {
        let snapshot = app.db.snapshot();
        let naming: BTreeSet<ElementId> =
            snapshot.refs(element)?.into_iter().filter(|naming| naming.kind == by).collect();
        let mut elements = Elements::begin(app, form, out, None);
        for heads in snapshot.heads_among(&naming) {
            let heads = heads?;
            // Another head may name it, which nobody sees.
            let names = |head: &crate::db::Head| {
                head.entry
                    .payload
                    .as_ref()
                    .is_some_and(|payload| payload.references().any(|id| id == element))
            };
            if all || shown(&heads).is_some_and(names) {
                View::of_heads(&snapshot, heads, all)?.iter().try_for_each(|view| elements.put(view))?;
            }
        }
        elements.end();
        Ok(())
    });
    send.await
}

/// Answers with a way and its nodes; or with a relation, its members, and the nodes of member ways.
async fn full(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let (form, element, all) = (ask.form()?, ask.element()?, ask.is("forks"));
    let send = app.send(form, move |app, out| {
        let snapshot = app.db.snapshot();
        let heads = live(&snapshot, element)?;
        let payload = shown(&heads).and_then(|head| head.entry.payload.as_ref());
        let mut wanted: BTreeSet<ElementId> = payload.into_iter().flat_map(Payload::references).collect();
        let ways: BTreeSet<ElementId> = wanted.iter().copied().filter(|id| id.kind == Kind::Way).collect();
        for heads in snapshot.heads_among(&ways) {
            let heads = heads?;
            let way = shown(&heads).and_then(|head| head.entry.payload.as_ref());
            wanted.extend(way.into_iter().flat_map(Payload::references));
        }
        wanted.insert(element);
        let mut elements = Elements::begin(app, form, out, None);
        put_live(&mut elements, &snapshot, &wanted, all)?;
        elements.end();
        Ok(())
    });
    send.await
}

/// Answers with several elements of a kind, deleted ones too.
async fn several(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let name = ask.segment(2);
    let kind = name.strip_suffix('s').and_then(Kind::from_name).ok_or_else(ApiError::not_found)?;
    let missing = || {
        format!("The parameter {name} is required, and must be of the form {name}=ID[vVER][,ID[vVER],...].")
    };
    let text = ask.parameter(name).unwrap_or_default();
    let wanted: Option<BTreeSet<(u64, Option<u64>)>> = text.split(',').map(id_and_version).collect();
    let wanted = wanted.ok_or_else(|| ApiError::bad_request(missing()))?;
    let most = app.options.limits.elements;
    if wanted.len() > most {
        return Err(ApiError::bad_request(format!("At most {most} elements are answered at once")));
    }
    let all = ask.is("forks");
    let send = app.send(form, move |app, out| {
        let snapshot = app.db.snapshot();
        let heads: BTreeSet<ElementId> = wanted
            .iter()
            .filter(|(_, version)| version.is_none())
            .map(|(id, _)| ElementId::new(kind, *id))
            .collect();
        // All that is to be answered is found first: one that is missing makes it a refusal.
        let mut missing = heads.clone();
        let mut found = snapshot.heads_among(&heads);
        found.try_for_each(|heads| {
            for head in heads? {
                missing.remove(&head.entry.element);
            }
            Ok::<(), ApiError>(())
        })?;
        let mut old = Vec::new();
        for (id, version) in wanted.iter().filter_map(|(id, version)| Some((*id, (*version)?))) {
            let element = ElementId::new(kind, id);
            let views = View::of_history(&snapshot, element, false)?;
            match views.into_iter().find(|view| view.number == version) {
                Some(view) => old.push(view),
                None => missing.extend([element]),
            }
        }
        if let Some(missing) = missing.first() {
            return Err(unknown(*missing));
        }
        let mut old = old.into_iter().peekable();
        let mut elements = Elements::begin(app, form, out, None);
        for heads in snapshot.heads_among(&heads) {
            let heads = heads?;
            let Some(element) = heads.first().map(|head| head.entry.element) else { continue };
            while let Some(view) = old.next_if(|view| view.entry.element < element) {
                elements.put(&view)?;
            }
            View::of_heads(&snapshot, heads, all)?.iter().try_for_each(|view| elements.put(view))?;
        }
        old.try_for_each(|view| elements.put(&view))?;
        elements.end();
        Ok(())
    });
    send.await
}

/// Reads `12` or `12v3`.
fn id_and_version(text: &str) -> Option<(u64, Option<u64>)> {
    let (id, version) = match text.trim().split_once('v') {
        Some((id, version)) => (id, Some(version.parse().ok()?)),
        None => (text.trim(), None),
    };
    let id = id.parse().ok().filter(|id| (1..=MAX_ID).contains(id))?;
    Some((id, version))
}
