//! Users: whoever holds a key is one. Edits that are made here are by the author of this database.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};

use super::access::holder;
use super::answer::{document, text, with_type};
use super::app::App;
use super::ask::{Ask, Form};
use super::error::ApiError;
use super::read;
use super::write::{Tag, begin_xml};
use crate::entry::Author;
use crate::timestamp::show_timestamp;

/// What notes of preferences begin with; the key follows.
const PREFERENCES: &[u8] = b"http/preference/";

/// So many preferences are kept, of so many characters each.
const MAX_PREFERENCES: usize = 150;
const MAX_CHARS: usize = 255;

/// What is allowed to whoever may use the server.
const PERMISSIONS: [&str; 4] =
    ["allow_read_prefs", "allow_write_prefs", "allow_write_api", "allow_write_notes"];

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/0.6/permissions", get(permissions))
        .route("/api/0.6/user/details", get(details))
        .route("/api/0.6/user/{id}", get(user))
        .route("/api/0.6/users", get(users))
        .route("/api/0.6/user/preferences", get(preferences).put(set_preferences))
        .route(
            "/api/0.6/user/preferences/{key}",
            get(preference).put(set_preference).delete(unset_preference),
        )
}

async fn permissions(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let allowed = if holder(&app.options, ask.headers()).is_ok() { &PERMISSIONS[..] } else { &[] };
    Ok(match form {
        Form::Xml => {
            let mut out = String::new();
            begin_xml(&mut out, "osm");
            out.push_str("  <permissions>\n");
            for name in allowed {
                let mut tag = Tag::begin(&mut out, "    ", "permission");
                tag.plain("name", name);
                tag.end("/>\n");
            }
            out.push_str("  </permissions>\n</osm>\n");
            document(form, out)
        }
        Form::Json => document(form, envelope(json!({"permissions": allowed}))),
    })
}

/// Puts what every JSON document begins with before something else.
fn envelope(rest: Value) -> String {
    let mut out = json!({"version": "0.6", "generator": super::about::GENERATOR});
    if let (Some(out), Value::Object(rest)) = (out.as_object_mut(), rest) {
        out.extend(rest);
    }
    out.to_string()
}

/// What is known of a user.
struct User {
    number: u64,
    name: String,
    /// When the database here was made, if it is its author.
    since: Option<String>,
    changesets: usize,
    is_here: bool,
}

impl User {
    fn of(app: &App, author: Author) -> Result<Self, ApiError> {
        let snapshot = app.db.snapshot();
        let mut changesets = 0;
        for id in snapshot.changeset_ids()? {
            changesets += usize::from(snapshot.changeset_author(id)? == Some(author));
        }
        let is_here = author == app.author;
        let first = if is_here { app.db.reflog()?.first().map(|record| record.time) } else { None };
        Ok(Self {
            number: app.local.user_number(author),
            name: app.local.user_name(author),
            since: first.and_then(show_timestamp),
            changesets,
            is_here,
        })
    }

    fn xml(&self, out: &mut String) {
        let mut tag = Tag::begin(out, "  ", "user");
        tag.number("id", self.number);
        tag.text("display_name", &self.name);
        self.since.iter().for_each(|since| tag.plain("account_created", since));
        tag.end(">\n");
        out.push_str(
            "    <description></description>\n    <contributor-terms agreed=\"true\"/>\n    <roles/>\n",
        );
        let mut tag = Tag::begin(out, "    ", "changesets");
        tag.number("count", self.changesets as u64);
        tag.end("/>\n");
        out.push_str(
            "    <traces count=\"0\"/>\n    <blocks>\n      <received count=\"0\" active=\"0\"/>\n    </blocks>\n",
        );
        if self.is_here {
            out.push_str(
                "    <messages>\n      <received count=\"0\" unread=\"0\"/>\n      <sent count=\"0\"/>\n    \
                 </messages>\n",
            );
        }
        out.push_str("  </user>\n");
    }

    fn json(&self) -> Value {
        let mut user = json!({
            "id": self.number,
            "display_name": self.name,
            "description": "",
            "contributor_terms": {"agreed": true},
            "roles": [],
            "changesets": {"count": self.changesets},
            "traces": {"count": 0},
            "blocks": {"received": {"count": 0, "active": 0}},
        });
        if let Some(since) = &self.since {
            user["account_created"] = since.as_str().into();
        }
        if self.is_here {
            user["messages"] = json!({"received": {"count": 0, "unread": 0}, "sent": {"count": 0}});
        }
        user
    }
}

fn written(form: Form, users: &[User], is_one: bool) -> Response<Body> {
    let body = match form {
        Form::Xml => {
            let mut out = String::new();
            begin_xml(&mut out, "osm");
            users.iter().for_each(|user| user.xml(&mut out));
            out.push_str("</osm>\n");
            out
        }
        Form::Json => {
            let mut all = users.iter().map(User::json);
            envelope(match is_one {
                true => json!({"user": all.next()}),
                false => json!({"users": all.map(|user| json!({"user": user})).collect::<Vec<_>>()}),
            })
        }
    };
    document(form, body)
}

async fn details(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let user = app.work(|app| User::of(app, app.author)).await?;
    Ok(written(form, &[user], true))
}

async fn user(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let (form, number) = (ask.form()?, ask.number(3)?);
    let unknown =
        || ApiError::new(StatusCode::NOT_FOUND, format!("The user with the id {number} was not found"));
    let author = app.local.user(number).ok_or_else(unknown)?;
    let user = app.work(move |app| User::of(app, author)).await?;
    Ok(written(form, &[user], true))
}

/// Answers with several users; those that nobody knows are passed over.
async fn users(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let missing = "The parameter users is required, and must be of the form users=id[,id[,id...]]";
    let numbers: Option<Vec<u64>> =
        ask.parameter("users").and_then(|users| users.split(',').map(|id| id.trim().parse().ok()).collect());
    let mut numbers = numbers.ok_or_else(|| ApiError::bad_request(missing))?;
    numbers.sort_unstable();
    numbers.dedup();
    let users = app.work(move |app| {
        let authors = numbers.into_iter().filter_map(|number| app.local.user(number));
        authors.map(|author| User::of(app, author)).collect::<Result<Vec<_>, _>>()
    });
    Ok(written(form, &users.await?, false))
}

fn all_preferences(app: &App) -> Result<Vec<(String, String)>, ApiError> {
    let pair = |(key, value): (Vec<u8>, Vec<u8>)| {
        let key = String::from_utf8(key.strip_prefix(PREFERENCES)?.to_vec()).ok()?;
        Some((key, String::from_utf8(value).ok()?))
    };
    Ok(app.db.notes(PREFERENCES)?.into_iter().filter_map(pair).collect())
}

fn note_key(key: &str) -> Vec<u8> {
    [PREFERENCES, key.as_bytes()].concat()
}

async fn preferences(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let all = app.work(all_preferences).await?;
    Ok(document(
        form,
        match form {
            Form::Xml => {
                let mut out = String::new();
                begin_xml(&mut out, "osm");
                out.push_str("  <preferences>\n");
                for (key, value) in &all {
                    let mut tag = Tag::begin(&mut out, "    ", "preference");
                    tag.text("k", key);
                    tag.text("v", value);
                    tag.end("/>\n");
                }
                out.push_str("  </preferences>\n</osm>\n");
                out
            }
            Form::Json => {
                let all: serde_json::Map<String, Value> =
                    all.into_iter().map(|(key, value)| (key, value.into())).collect();
                envelope(json!({"preferences": all}))
            }
        },
    ))
}

async fn set_preferences(
    State(app): State<Arc<App>>,
    ask: Ask,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let body = read::body(&app, ask.headers(), body).await?;
    let done = app.work(move |app| {
        let new = read::preferences(&body, MAX_PREFERENCES)?;
        if new.len() > MAX_PREFERENCES {
            return Err(too_many());
        }
        let old = all_preferences(app)?.into_iter().map(|(key, _)| (note_key(&key), None));
        let new = new.into_iter().map(|(key, value)| (note_key(&key), Some(value.into_bytes())));
        // What is written last counts.
        let notes: std::collections::BTreeMap<_, _> = old.chain(new).collect();
        Ok(app.db.note(notes.into_iter().collect())?)
    });
    done.await?;
    Ok(text(""))
}

fn too_many() -> ApiError {
    let text = format!("At most {MAX_PREFERENCES} preferences are kept");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, text)
}

async fn preference(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let key = ask.name(4)?;
    let all = app.work(all_preferences).await?;
    let found = all.into_iter().find(|(known, _)| *known == key);
    found.map(|(_, value)| with_type(value, "text/plain; charset=utf-8")).ok_or_else(ApiError::not_found)
}

async fn set_preference(
    State(app): State<Arc<App>>,
    ask: Ask,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let key = ask.name(4)?;
    let value = read::body(&app, ask.headers(), body).await?;
    if key.chars().count() > MAX_CHARS || value.chars().count() > MAX_CHARS {
        return Err(ApiError::bad_request(format!(
            "A preference has more than {MAX_CHARS} unicode characters"
        )));
    }
    let done = app.work(move |app| {
        let all = all_preferences(app)?;
        if all.len() >= MAX_PREFERENCES && all.iter().all(|(known, _)| *known != key) {
            return Err(too_many());
        }
        Ok(app.db.note(vec![(note_key(&key), Some(value.as_bytes().to_vec()))])?)
    });
    done.await?;
    Ok(text(""))
}

async fn unset_preference(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let key = ask.name(4)?;
    let done = app.work(move |app| {
        if all_preferences(app)?.iter().all(|(known, _)| *known != key) {
            return Err(ApiError::not_found());
        }
        Ok(app.db.note(vec![(note_key(&key), None)])?)
    });
    done.await?;
    Ok(text(""))
}
