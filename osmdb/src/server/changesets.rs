//! Changesets: opening, reading, closing, and what was done in them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::routing::{get, put};
use prolly::PageSource;

use super::answer::{document, text};
use super::app::App;
use super::ask::Ask;
use super::error::ApiError;
use super::read;
use super::view::{UNKNOWN, View, limited};
use super::write::{self, Summary, changesets_document};
use crate::db::{ChangesetState, Snapshot, now, numbers};
use crate::entry::{Author, Origin};
use crate::error::Error;
use crate::model::{BBox, Tags};
use crate::timestamp::{parse_timestamp, show_timestamp};

/// An open changeset closes when nothing was added for so many seconds, and at last when it is so old.
const IDLE: i64 = 3_600;
const OLD: i64 = 86_400;

/// So many changesets are answered at most.
pub(crate) const MOST: usize = 100;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/0.6/changeset/create", put(create))
        .route("/api/0.6/changeset/{id}", get(changeset).put(update))
        .route("/api/0.6/changeset/{id}/close", put(close))
        .route("/api/0.6/changeset/{id}/download", get(download))
        .route("/api/0.6/changesets", get(changesets))
}

/// There is no changeset of this number.
fn unknown(number: u64) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("The changeset with the id {number} was not found"))
}

/// A changeset takes no more. Clients read the number and the time.
pub(crate) fn closed(number: u64, at: i64) -> ApiError {
    let at = show_timestamp(at).unwrap_or_default().replace('T', " ").replace('Z', " UTC");
    ApiError::new(StatusCode::CONFLICT, format!("The changeset {number} was closed at {at}"))
}

/// Returns when a changeset was closed or ran out; `None` if it is open.
fn closed_at<S: PageSource>(
    snapshot: &Snapshot<S>,
    id: u64,
    state: &ChangesetState,
) -> Result<Option<i64>, Error> {
    if state.closed.is_some() {
        return Ok(state.closed);
    }
    let (now, opened) = (now(), state.opened.unwrap_or_default());
    if now > opened.saturating_add(OLD) {
        return Ok(Some(opened.saturating_add(OLD)));
    }
    if now <= opened.saturating_add(IDLE) {
        return Ok(None);
    }
    let last = snapshot.changeset_span(id)?.last.unwrap_or(opened).max(opened);
    let ends = last.saturating_add(IDLE);
    Ok((now > ends).then_some(ends))
}

/// Returns the id of a changeset that edits can be added to, and how many it has.
pub(crate) fn open<S: PageSource>(
    app: &App,
    snapshot: &Snapshot<S>,
    number: u64,
) -> Result<(u64, u64), ApiError> {
    let id = app.local.changeset_id(number).ok_or_else(|| unknown(number))?;
    let Some(state) = snapshot.changeset_state(id)? else {
        // One of OpenStreetMap, whose edits alone are here.
        let is_imported = id == number && snapshot.changes(id).next().is_some();
        return Err(if is_imported { not_yours() } else { unknown(number) });
    };
    if state.author != Some(app.author) {
        return Err(not_yours());
    }
    if let Some(at) = closed_at(snapshot, id, &state)? {
        if state.closed.is_none() {
            // What ran out is closed for all, so that nobody else adds to it. Who was quicker is right.
            let _ = app.db.close_changeset(id);
        }
        return Err(closed(number, at));
    }
    Ok((id, state.versions))
}

fn not_yours() -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "The user doesn't own that changeset")
}

async fn create(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    let tags = read::body(&app, ask.headers(), body).await?;
    let number = app.work(move |app| {
        let id = app.db.open_changeset(read::changeset_tags(&tags)?).map_err(refused)?;
        let number = app.local.changeset_number(id);
        app.local.save()?;
        Ok(number)
    });
    Ok(text(number.await?.to_string()))
}

async fn update(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    let (form, number) = (ask.form()?, ask.number(3)?);
    let tags = read::body(&app, ask.headers(), body).await?;
    let written = app.work(move |app| {
        let tags = read::changeset_tags(&tags)?;
        let (id, _) = open(app, &app.db.snapshot(), number)?;
        app.db.tag_changeset(id, tags).map_err(|error| closed_meanwhile(error, number))?;
        let summary = Summary::of(app, &app.db.snapshot(), number)?.ok_or_else(|| unknown(number))?;
        Ok(changesets_document(form, &[summary], true, false))
    });
    Ok(document(form, written.await?))
}

async fn close(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    let number = ask.number(3)?;
    // Nothing is asked of the body, but it is taken, so that the connection goes on.
    read::body(&app, ask.headers(), body).await?;
    let done = app.work(move |app| {
        let (id, _) = open(app, &app.db.snapshot(), number)?;
        app.db.close_changeset(id).map_err(|error| closed_meanwhile(error, number))?;
        Ok(())
    });
    done.await?;
    Ok(text(""))
}

/// What was asked for came too late.
fn closed_meanwhile(error: Error, number: u64) -> ApiError {
    match error {
        Error::ChangesetClosed { .. } => closed(number, now()),
        error => refused(error),
    }
}

/// Says why tags were not taken.
fn refused(error: Error) -> ApiError {
    match error {
        Error::Limit { source, .. } => ApiError::bad_request(source.to_string()),
        error => error.into(),
    }
}

async fn changeset(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let (form, number) = (ask.form()?, ask.number(3)?);
    let discussion = ask.parameter("include_discussion").is_some_and(|value| value != "false");
    let written = app.work(move |app| {
        let summary = Summary::of(app, &app.db.snapshot(), number)?.ok_or_else(|| unknown(number))?;
        app.local.save()?;
        Ok(changesets_document(form, &[summary], true, discussion))
    });
    Ok(document(form, written.await?))
}

impl Summary {
    /// Finds out what is known of a changeset: all, if it was opened in a database; of one of OpenStreetMap what
    /// its edits tell.
    fn of<S: PageSource>(app: &App, snapshot: &Snapshot<S>, number: u64) -> Result<Option<Self>, ApiError> {
        let Some(id) = app.local.changeset_id(number) else { return Ok(None) };
        if let (Some(info), Some(state)) = (snapshot.changeset(id)?, snapshot.changeset_state(id)?) {
            let closed = closed_at(snapshot, id, &state)?;
            let author = state.author;
            return Ok(Some(Self {
                number,
                id: (id != number).then_some(id),
                tags: info.tags,
                created: info.opened,
                closed,
                is_open: closed.is_none(),
                bbox: info.bbox,
                changes: info.versions,
                uid: author.map(|author| app.local.user_number(author)),
                user: author.map(|author| app.local.user_name(author)),
                author,
            }));
        }
        let (bbox, changes) = snapshot.changeset_extent(id)?;
        if changes == 0 {
            return Ok(None);
        }
        let span = snapshot.changeset_span(id)?;
        let (uid, user) = match span.sample.map(|head| head.entry.origin) {
            Some(Origin::Imported(meta)) => (meta.uid, meta.user),
            _ => (None, None),
        };
        Ok(Some(Self {
            number,
            id: None,
            tags: Tags::new(),
            created: span.first,
            closed: span.last,
            is_open: false,
            bbox,
            changes,
            uid,
            user,
            author: None,
        }))
    }
}

/// Answers with what was done in a changeset, as a change file.
async fn download(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let number = ask.number(3)?;
    let send = app.send(super::ask::Form::Xml, move |app, out| {
        let snapshot = app.db.snapshot();
        let id = app.local.changeset_id(number).ok_or_else(|| unknown(number))?;
        let mut elements = BTreeSet::new();
        for head in snapshot.changes(id) {
            elements.insert(head?.entry.element);
        }
        if elements.is_empty() && snapshot.changeset(id)?.is_none() {
            return Err(unknown(number));
        }
        write::begin_xml(out.text(), "osmChange");
        for versions in snapshot.versions_among(&elements) {
            let versions = versions?;
            let numbers = numbers(&versions, UNKNOWN);
            let own = versions.into_iter().filter(|head| head.entry.changeset() == Some(id));
            let view = |head: crate::db::Head| {
                let number = limited(numbers.get(&head.version).copied());
                View { number, hash: None, heads: None, entry: head.entry }
            };
            let mut own: Vec<View> = own.map(view).collect();
            own.sort_by_key(|view| (view.number, view.entry.timestamp()));
            for view in own {
                let section = match (&view.entry.payload, view.number) {
                    (None, _) => "delete",
                    (Some(_), 1) => "create",
                    (Some(_), _) => "modify",
                };
                out.text().extend(["  <", section, ">\n"]);
                write::change(app, out.text(), &view);
                out.text().extend(["  </", section, ">\n"]);
                out.go_on(app)?;
            }
        }
        out.text().push_str("</osmChange>\n");
        Ok(())
    });
    send.await
}

/// Which changesets are asked for.
#[derive(Debug, Default)]
struct Wanted {
    bbox: Option<BBox>,
    author: Option<Author>,
    /// It is not closed before the first, and not opened after the second.
    time: (Option<i64>, Option<i64>),
    is_open: Option<bool>,
    numbers: Option<BTreeSet<u64>>,
    oldest_first: bool,
    limit: usize,
}

impl Wanted {
    fn of(app: &App, ask: &Ask) -> Result<Self, ApiError> {
        let mut wanted = Self { limit: MOST, ..Self::default() };
        if ask.parameter("bbox").is_some() {
            wanted.bbox = Some(ask.bbox()?);
        }
        let no_user = || ApiError::new(StatusCode::NOT_FOUND, "No such user");
        match (ask.parameter("user"), ask.parameter("display_name")) {
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_request(
                    "provide either the user ID or display name, but not both",
                ));
            }
            (Some(user), None) => {
                let number = user.parse().map_err(|_| ApiError::bad_request("invalid user ID"))?;
                wanted.author = Some(app.local.user(number).ok_or_else(no_user)?);
            }
            (None, Some(name)) => wanted.author = Some(app.local.user_named(name).ok_or_else(no_user)?),
            (None, None) => {}
        }
        if let Some(time) = ask.parameter("time") {
            let mut times = time.split(',');
            wanted.time.0 = times.next().map(point).transpose()?;
            wanted.time.1 = times.next().map(point).transpose()?;
            if times.next().is_some() {
                return Err(ApiError::bad_request("bad time range"));
            }
        }
        let is = |name: &str| ask.parameter(name).is_some_and(|value| value != "false");
        wanted.is_open = match (is("open"), is("closed")) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        };
        if let Some(numbers) = ask.parameter("changesets") {
            let numbers = numbers.split(',').map(|number| number.trim().parse().ok()).collect::<Option<_>>();
            let none = || ApiError::bad_request("No changesets were given to search for");
            wanted.numbers = Some(numbers.ok_or_else(none)?);
        }
        match ask.parameter("order") {
            None | Some("newest") => {}
            Some("oldest") => wanted.oldest_first = true,
            Some(_) => return Err(ApiError::bad_request("Order must be newest or oldest")),
        }
        if let Some(limit) = ask.parameter("limit") {
            let limit = limit.parse().ok().filter(|limit| (1..=MOST).contains(limit));
            let text = format!("Changeset limit must be between 1 and {MOST}");
            wanted.limit = limit.ok_or_else(|| ApiError::bad_request(text))?;
        }
        Ok(wanted)
    }

    fn fits(&self, summary: &Summary) -> bool {
        let (from, to) = self.time;
        let touches = |bbox: BBox| summary.bbox.is_some_and(|other| overlap(bbox, other));
        self.bbox.is_none_or(touches)
            && self.author.is_none_or(|author| summary.author == Some(author))
            && from.is_none_or(|from| summary.is_open || summary.closed.is_some_and(|closed| closed >= from))
            && to.is_none_or(|to| summary.created.is_some_and(|created| created <= to))
            && self.is_open.is_none_or(|is_open| summary.is_open == is_open)
    }
}

fn point(text: &str) -> Result<i64, ApiError> {
    let time = parse_timestamp(text).or_else(|| parse_timestamp(&format!("{text}T00:00:00Z")));
    time.ok_or_else(|| ApiError::bad_request(format!("no time information in \"{text}\"")))
}

fn overlap(one: BBox, other: BBox) -> bool {
    let (low, high) = (one.south_west(), one.north_east());
    let (other_low, other_high) = (other.south_west(), other.north_east());
    low.lat() <= other_high.lat()
        && other_low.lat() <= high.lat()
        && low.lon() <= other_high.lon()
        && other_low.lon() <= high.lon()
}

async fn changesets(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let found = app.work(move |app| {
        let wanted = Wanted::of(app, &ask)?;
        let snapshot = app.db.snapshot();
        let numbers = match &wanted.numbers {
            Some(numbers) => numbers.iter().copied().collect::<Vec<_>>(),
            None => {
                let ids = snapshot.changeset_ids()?;
                ids.into_iter().map(|id| app.local.changeset_number(id)).collect()
            }
        };
        let mut found = Vec::new();
        for number in numbers {
            let summary = Summary::of(app, &snapshot, number)?;
            found.extend(summary.filter(|summary| wanted.fits(summary)));
        }
        found.sort_by_key(|summary| Reverse((summary.created, summary.number)));
        if wanted.oldest_first {
            found.reverse();
        }
        found.truncate(wanted.limit);
        app.local.save()?;
        Ok(changesets_document(form, &found, false, false))
    });
    Ok(document(form, found.await?))
}
