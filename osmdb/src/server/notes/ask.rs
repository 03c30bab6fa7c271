//! What is asked of notes.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, header};
use axum::routing::{get, post};

use super::show::{document, one};
use super::{Action, MAX_TEXT, Note, unknown};
use crate::db::now;
use crate::model::{BBox, Coord, parse_degrees};
use crate::server::app::App;
use crate::server::ask::{Ask, area};
use crate::server::error::ApiError;
use crate::server::read;
use crate::timestamp::parse_timestamp;

/// So many notes are answered, unless more are asked for, and at most.
pub(crate) const LIMIT: usize = 100;
pub(crate) const MOST: usize = 10_000;

/// Notes that were closed longer ago than so many days are not answered, unless they are asked for.
const DAYS: i64 = 7;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/0.6/notes", get(in_box).post(create))
        .route("/api/0.6/notes/search", get(search))
        .route("/api/0.6/notes/{id}", get(single))
        .route("/api/0.6/notes/{id}/comment", post(comment))
        .route("/api/0.6/notes/{id}/close", post(close))
        .route("/api/0.6/notes/{id}/reopen", post(reopen))
}

/// How many are asked for.
fn limit(ask: &Ask) -> Result<usize, ApiError> {
    let Some(limit) = ask.parameter("limit") else { return Ok(LIMIT) };
    let limit = limit.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| ApiError::bad_request(format!("Note limit must be between 1 and {MOST}")))
}

/// Tells which notes are wanted by their age: open ones, and those that were closed lately.
fn is_recent(ask: &Ask) -> Result<impl Fn(&Note) -> bool + use<>, ApiError> {
    let days = match ask.parameter("closed") {
        None => DAYS,
        Some(days) => {
            days.parse().map_err(|_| ApiError::bad_request("Note closed must be a number of days"))?
        }
    };
    let since = now().saturating_sub(days.saturating_mul(86_400));
    Ok(move |note: &Note| note.closed().is_none_or(|closed| days < 0 || (days > 0 && closed >= since)))
}

fn contains(bbox: BBox, coord: Coord) -> bool {
    let (low, high) = (bbox.south_west(), bbox.north_east());
    (low.lat()..=high.lat()).contains(&coord.lat()) && (low.lon()..=high.lon()).contains(&coord.lon())
}

async fn in_box(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let (form, bbox, limit, is_recent) = (ask.form()?, ask.bbox()?, limit(&ask)?, is_recent(&ask)?);
    let most = app.options.limits.note_area;
    if area(bbox) > most {
        let degrees = most / 100_000_000_000_000;
        return Err(ApiError::bad_request(format!(
            "The maximum bbox size is {degrees}, and your request was too large. Either request a smaller area, or \
             use planet.osm"
        )));
    }
    let mut found: Vec<Note> = app
        .notes
        .all()
        .values()
        .filter(|note| contains(bbox, note.coord) && is_recent(note))
        .cloned()
        .collect();
    found.sort_by_key(|note| Reverse((note.changed(), note.number)));
    found.truncate(limit);
    Ok(document(&app, form, ask.host(), &found))
}

async fn search(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let (form, limit, is_recent) = (ask.form()?, limit(&ask)?, is_recent(&ask)?);
    let bbox = ask.parameter("bbox").map(|_| ask.bbox()).transpose()?;
    let text = ask.parameter("q").map(str::to_lowercase);
    let time = |name: &str| {
        let bad = |text: &str| ApiError::bad_request(format!("Date {text} is in a wrong format"));
        let read = |text: &str| {
            parse_timestamp(text)
                .or_else(|| parse_timestamp(&format!("{text}T00:00:00Z")))
                .ok_or_else(|| bad(text))
        };
        ask.parameter(name).map(read).transpose()
    };
    let (from, to) = (time("from")?, time("to")?);
    let by_creation = ask.parameter("sort") == Some("created_at");
    let mut found: Vec<Note> = app
        .notes
        .all()
        .values()
        .filter(|note| {
            bbox.is_none_or(|bbox| contains(bbox, note.coord))
                && is_recent(note)
                && from.is_none_or(|from| note.created() >= from)
                && to.is_none_or(|to| note.created() <= to)
                && text.as_ref().is_none_or(|text| {
                    note.comments.iter().any(|comment| comment.text.to_lowercase().contains(text))
                })
        })
        .cloned()
        .collect();
    found.sort_by_key(|note| {
        Reverse((if by_creation { note.created() } else { note.changed() }, note.number))
    });
    if ask.parameter("order") == Some("oldest") {
        found.reverse();
    }
    found.truncate(limit);
    Ok(document(&app, form, ask.host(), &found))
}

async fn single(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let (form, number) = (ask.form()?, ask.number(3)?);
    let note = app.notes.all().get(&number).cloned().ok_or_else(|| unknown(number))?;
    Ok(one(&app, form, ask.host(), &note))
}

/// Returns parameters of the address, or of a form in the body.
struct Given(Vec<(String, String)>);

impl Given {
    async fn of(app: &Arc<App>, ask: &Ask, body: Body) -> Result<Self, ApiError> {
        let body = read::body(app, ask.headers(), body).await?;
        let kind = ask.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
        let is_form = kind.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"));
        let fields = if is_form { body.as_bytes() } else { b"" };
        Ok(Self(form_urlencoded::parse(fields).into_owned().collect()))
    }

    fn get<'a>(&'a self, ask: &'a Ask, name: &str) -> Option<&'a str> {
        let own = || self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        ask.parameter(name).or_else(own)
    }

    fn text(&self, ask: &Ask, is_needed: bool) -> Result<String, ApiError> {
        let text = self.get(ask, "text").unwrap_or_default();
        if is_needed && text.is_empty() {
            return Err(ApiError::bad_request("No text was given"));
        }
        if text.chars().count() > MAX_TEXT {
            return Err(ApiError::bad_request(format!("A comment has at most {MAX_TEXT} characters")));
        }
        Ok(text.to_owned())
    }
}

async fn create(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let given = Given::of(&app, &ask, body).await?;
    let degrees = |name: &str| {
        let text =
            given.get(&ask, name).ok_or_else(|| ApiError::bad_request(format!("No {name} was given")))?;
        parse_degrees(text).ok_or_else(|| ApiError::bad_request(format!("{name} was not a number")))
    };
    let (lat, lon) = (degrees("lat")?, degrees("lon")?);
    let text = given.text(&ask, true)?;
    let coord = Coord::new(lat, lon).map_err(|_| ApiError::bad_request("The note is outside this world"))?;
    let note = app.work(move |app| app.notes.open(coord, text)).await?;
    Ok(one(&app, form, ask.host(), &note))
}

async fn comment(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    add(app, ask, body, Action::Commented).await
}

async fn close(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    add(app, ask, body, Action::Closed).await
}

async fn reopen(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    add(app, ask, body, Action::Reopened).await
}

async fn add(app: Arc<App>, ask: Ask, body: Body, action: Action) -> Result<Response<Body>, ApiError> {
    let (form, number) = (ask.form()?, ask.number(3)?);
    let given = Given::of(&app, &ask, body).await?;
    let text = given.text(&ask, action == Action::Commented)?;
    let note = app.work(move |app| app.notes.add(number, action, text)).await?;
    Ok(one(&app, form, ask.host(), &note))
}
