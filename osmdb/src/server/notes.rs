//! Notes: places with a question, and what people answer. They are of this server alone, and not synced.

mod ask;
mod show;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::error::ApiError;
use crate::db::{Db, now};
use crate::error::Error;
use crate::model::Coord;
use crate::timestamp::show_timestamp;

pub(crate) use ask::{LIMIT, MOST, routes};

/// What the notes of notes begin with; the number follows.
const NOTES: &[u8] = b"http/note/";

/// No comment has more characters.
const MAX_TEXT: usize = 2_000;

/// So many comments a note takes.
const MAX_COMMENTS: usize = 1_000;

/// So many notes are kept.
const MAX_NOTES: usize = 100_000;

/// What happened to a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Opened,
    Commented,
    Closed,
    Reopened,
}

impl Action {
    const ALL: [Self; 4] = [Self::Opened, Self::Commented, Self::Closed, Self::Reopened];

    const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Commented => "commented",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comment {
    at: i64,
    action: Action,
    text: String,
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    number: u64,
    coord: Coord,
    comments: Vec<Comment>,
}

impl Note {
    /// Returns when it was closed; `None` if it is open.
    fn closed(&self) -> Option<i64> {
        let last = self.comments.iter().rev().find(|comment| comment.action != Action::Commented)?;
        (last.action == Action::Closed).then_some(last.at)
    }

    fn created(&self) -> i64 {
        self.comments.first().map_or(0, |comment| comment.at)
    }

    fn changed(&self) -> i64 {
        self.comments.last().map_or(0, |comment| comment.at)
    }

    fn record(&self) -> Vec<u8> {
        let comments = self.comments.iter();
        let comments =
            comments.map(|one| json!({"at": one.at, "action": one.action.name(), "text": one.text}));
        let comments: Vec<Value> = comments.collect();
        json!({"lat": self.coord.lat(), "lon": self.coord.lon(), "comments": comments})
            .to_string()
            .into_bytes()
    }

    fn parse(number: u64, record: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(record).ok()?;
        let coord = Coord::new(value.get("lat")?.as_i64()?, value.get("lon")?.as_i64()?).ok()?;
        let comment = |value: &Value| {
            let name = value.get("action")?.as_str()?;
            Some(Comment {
                at: value.get("at")?.as_i64()?,
                action: Action::ALL.into_iter().find(|action| action.name() == name)?,
                text: value.get("text")?.as_str()?.to_owned(),
            })
        };
        let comments = value.get("comments")?.as_array()?.iter().map(comment).collect::<Option<_>>()?;
        Some(Self { number, coord, comments })
    }
}

/// All notes, in memory and in the store.
#[derive(Debug)]
pub(crate) struct Notes {
    db: Arc<Db>,
    all: Mutex<BTreeMap<u64, Note>>,
}

impl Notes {
    pub(crate) fn new(db: Arc<Db>) -> Result<Self, Error> {
        let mut all = BTreeMap::new();
        for (key, record) in db.notes(NOTES)? {
            let number = key.strip_prefix(NOTES).and_then(|key| key.try_into().ok()).map(u64::from_be_bytes);
            if let Some(note) = number.and_then(|number| Note::parse(number, &record)) {
                all.insert(note.number, note);
            }
        }
        Ok(Self { db, all: Mutex::new(all) })
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, Note>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a note.
    fn open(&self, coord: Coord, text: String) -> Result<Note, ApiError> {
        let mut all = self.all();
        if all.len() >= MAX_NOTES {
            let text = format!("At most {MAX_NOTES} notes are kept");
            return Err(ApiError::new(StatusCode::INSUFFICIENT_STORAGE, text));
        }
        let number = all.last_key_value().map_or(1, |(number, _)| number + 1);
        let comment = Comment { at: now(), action: Action::Opened, text };
        self.keep(&mut all, Note { number, coord, comments: vec![comment] })
    }

    /// Comments, closes or reopens a note.
    fn add(&self, number: u64, action: Action, text: String) -> Result<Note, ApiError> {
        let mut all = self.all();
        let mut note = all.get(&number).cloned().ok_or_else(|| unknown(number))?;
        let conflict = |text| ApiError::new(StatusCode::CONFLICT, text);
        match (action, note.closed()) {
            (Action::Reopened, None) => return Err(conflict(format!("The note {number} is already open"))),
            (Action::Commented | Action::Closed, Some(at)) => {
                let at = show_timestamp(at).unwrap_or_default().replace('T', " ").replace('Z', " UTC");
                return Err(conflict(format!("The note {number} was closed at {at}")));
            }
            _ => {}
        }
        if note.comments.len() >= MAX_COMMENTS {
            return Err(ApiError::bad_request(format!("A note takes at most {MAX_COMMENTS} comments")));
        }
        note.comments.push(Comment { at: now(), action, text });
        self.keep(&mut all, note)
    }

    /// Writes a note, and shows it once it is durable.
    fn keep(&self, all: &mut BTreeMap<u64, Note>, note: Note) -> Result<Note, ApiError> {
        let key = [NOTES, &note.number.to_be_bytes()[..]].concat();
        self.db.note(vec![(key, Some(note.record()))])?;
        all.insert(note.number, note.clone());
        Ok(note)
    }
}

fn unknown(number: u64) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("The note with the id {number} was not found"))
}
