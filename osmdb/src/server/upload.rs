//! Uploads: edits that are made together, or not at all.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::routing::{post, put};

use super::answer::{document, text};
use super::app::App;
use super::ask::Ask;
use super::changesets;
use super::elements::KINDS;
use super::error::ApiError;
use super::plan::{Conflicts, Done, Line, Plan};
use super::read::{self, Action, Edit};
use super::write;
use crate::db::now;
use crate::error::Error;
use crate::model::Kind;

/// An upload is planned anew so often if the database changes meanwhile.
const TRIES: usize = 20;

pub(crate) fn routes() -> Router<Arc<App>> {
    let mut router = Router::new().route("/api/0.6/changeset/{id}/upload", post(upload));
    for kind in KINDS {
        router = router
            .route(&format!("/api/0.6/{kind}/create"), put(create))
            .route(&format!("/api/0.6/{kind}s"), post(create))
            .route(&format!("/api/0.6/{kind}/{{id}}"), put(modify).delete(delete))
            .route(&format!("/api/0.6/{kind}/{{id}}/forks"), put(resolve));
    }
    router
}

/// Takes a change file (osmChange).
///
/// - `?fork=true`: an edit of a version that others have replaced meanwhile becomes a fork, which everybody sees,
///   instead of a refusal.
/// - `?resolve=true`: edits of forks replace all heads, and not only the one that is shown.
async fn upload(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    let (form, number) = (ask.form()?, ask.number(3)?);
    let conflicts = conflicts(&ask)?;
    let body = read::body(&app, ask.headers(), body).await?;
    let written = app.work(move |app| {
        // What cannot be is said before all of a long body is read.
        changesets::open(app, &app.db.snapshot(), number)?;
        let most = app.options.limits.changeset_elements;
        let edits = read::change(&body, most, || changesets::closed(number, now()))?;
        drop(body);
        let lines = write_all(app, number, &edits, conflicts)?;
        Ok(write::diff_result(form, &lines))
    });
    Ok(document(form, written.await?))
}

fn conflicts(ask: &Ask) -> Result<Conflicts, ApiError> {
    match (ask.is("fork"), ask.is("resolve")) {
        (false, false) => Ok(Conflicts::Refuse),
        (true, false) => Ok(Conflicts::Fork),
        (false, true) => Ok(Conflicts::Resolve),
        (true, true) => Err(ApiError::bad_request("An upload makes forks or ends them: ask for one of both")),
    }
}

async fn create(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    let name = ask.segment(2);
    let kind = Kind::from_name(name.strip_suffix('s').unwrap_or(name)).ok_or_else(ApiError::not_found)?;
    let body = read::body(&app, ask.headers(), body).await?;
    let made = app.work(move |app| {
        let edit = read::single(&body, kind, Action::Create)?;
        let lines = write_all(app, edit.changeset, std::slice::from_ref(&edit), Conflicts::Refuse)?;
        Ok(lines.first().map_or(0, |line| line.element.id))
    });
    Ok(text(made.await?.to_string()))
}

async fn modify(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    let conflicts = conflicts(&ask)?;
    one(app, ask, body, Action::Modify, conflicts).await
}

async fn delete(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    let conflicts = conflicts(&ask)?;
    one(app, ask, body, Action::Delete { if_unused: false }, conflicts).await
}

/// Ends a fork: the content that is sent replaces all heads. Of our own.
async fn resolve(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    one(app, ask, body, Action::Modify, Conflicts::Resolve).await
}

/// Changes one element, and answers with its new version.
async fn one(
    app: Arc<App>,
    ask: Ask,
    body: Body,
    action: Action,
    conflicts: Conflicts,
) -> Result<Response<Body>, ApiError> {
    let element = ask.element()?;
    let body = read::body(&app, ask.headers(), body).await?;
    let made = app.work(move |app| {
        let edit = read::single(&body, element.kind, action)?;
        if u64::try_from(edit.id) != Ok(element.id) {
            let text = format!(
                "The id in the url ({}) is not the same as provided in the xml ({})",
                element.id, edit.id
            );
            return Err(ApiError::bad_request(text));
        }
        let lines = write_all(app, edit.changeset, std::slice::from_ref(&edit), conflicts)?;
        Ok(lines.first().map_or(0, |line| line.number))
    });
    Ok(text(made.await?.to_string()))
}

/// Makes edits in a changeset, all or none.
fn write_all(app: &App, number: u64, edits: &[Edit], conflicts: Conflicts) -> Result<Vec<Line>, ApiError> {
    for _ in 0..TRIES {
        let snapshot = app.db.snapshot();
        let (changeset, versions) = changesets::open(app, &snapshot, number)?;
        let most = app.options.limits.changeset_elements;
        if versions.saturating_add(edits.len() as u64) > most {
            return Err(changesets::closed(number, now()));
        }
        let mut plan = Plan::new(app, &snapshot, conflicts, edits)?;
        edits.iter().try_for_each(|edit| plan.add(edit, number))?;
        if plan.writes.is_empty() {
            return Ok(plan.lines);
        }
        let mut batch = app.db.batch();
        batch.in_changeset(changeset);
        for write in plan.writes.iter().cloned() {
            batch.push(write);
        }
        match batch.commit_at(&snapshot.root().cid()) {
            Ok(None) => {}
            Ok(Some(written)) => {
                for line in &mut plan.lines {
                    let edited = line.write.and_then(|at| written.edits.get(at));
                    if edited.is_some_and(|edited| edited.version.is_none()) {
                        (line.done, line.number) = (Done::Kept, line.before);
                    }
                }
                return Ok(plan.lines);
            }
            Err(Error::ChangesetClosed { .. }) => return Err(changesets::closed(number, now())),
            Err(error) => return Err(plan.explain(error)?),
        }
    }
    Err(ApiError::new(
        axum::http::StatusCode::SERVICE_UNAVAILABLE,
        "The database changes all the time: try again",
    ))
}
