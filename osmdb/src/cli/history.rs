//! `history`, `refs`, `changes` and `forks`.

use std::collections::{BTreeMap, BTreeSet};

use osmdb::{At, Cursor, ElementId, Entry, Origin, Payload, Revision, Snapshot, Version};
use prolly::PageSource;
use serde_json::Value;

use super::database::{self, Directory};
use super::failure::Failure;
use super::output::{Out, complain, note};
use super::{graph, json};

/// So many characters of the tags of a version are shown in a drawing.
const SHOWN_TAGS: usize = 60;

pub(super) fn history(
    dir: &Directory,
    at: Option<At>,
    element: ElementId,
    as_json: bool,
) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    show(element, &database::snapshot(&db, at)?.history(element)?, as_json)
}

pub(super) fn show(element: ElementId, revisions: &[Revision], as_json: bool) -> Result<(), Failure> {
    if revisions.is_empty() {
        complain(&format!("{element} is not in the database"));
        return Err(Failure::Said);
    }
    let mut out = Out::new();
    if as_json {
        revisions.iter().try_for_each(|revision| out.line(as_value(revision)))?;
    } else {
        drawing(revisions).into_iter().try_for_each(|line| out.line(line))?;
    }
    out.finish()
}

fn as_value(revision: &Revision) -> Value {
    let head = osmdb::Head { version: revision.version, entry: revision.entry.clone() };
    let mut value = json::head(&head);
    if let Value::Object(fields) = &mut value {
        let replaces: Vec<String> = revision.replaces.iter().map(ToString::to_string).collect();
        fields.insert("replaces".into(), replaces.into());
        fields.insert("head".into(), revision.is_head.into());
    }
    value
}

/// Draws a history, the newest version first.
fn drawing(revisions: &[Revision]) -> Vec<String> {
    let newest_first = || revisions.iter().rev();
    let places: BTreeMap<Version, usize> = newest_first().map(|revision| revision.version).zip(0..).collect();
    let behind = |revision: &Revision| -> BTreeSet<usize> {
        revision.replaces.iter().filter_map(|version| places.get(version).copied()).collect()
    };
    let things: Vec<BTreeSet<usize>> = newest_first().map(behind).collect();
    let mut lines = Vec::new();
    for (rows, revision) in graph::draw(&things).into_iter().zip(newest_first()) {
        for row in rows {
            let text = if row.contains('*') { format!("{row}  {}", described(revision)) } else { row };
            lines.push(text);
        }
    }
    lines
}

/// Describes a version in one line.
fn described(Revision { version, entry, is_head, .. }: &Revision) -> String {
    let short: String = version.to_string().chars().take(8).collect();
    let mut words = vec![format!("{short}…")];
    if let Some(time) = entry.timestamp() {
        words.push(match json::time(time) {
            Value::String(time) => time,
            other => other.to_string(),
        });
    }
    words.push(match &entry.origin {
        Origin::Imported(meta) => {
            meta.version.map_or("imported".to_owned(), |number| format!("version {number}"))
        }
        Origin::Edited(_) => "edit".to_owned(),
    });
    if let Origin::Imported(meta) = &entry.origin
        && let Some(user) = &meta.user
    {
        words.push(format!("by {}", plain(user)));
    }
    words.extend(entry.changeset().map(|changeset| format!("changeset {changeset}")));
    words.extend(is_head.then(|| "head".to_owned()));
    words.push(content(entry));
    words.join("  ")
}

/// Describes what a version holds.
fn content(entry: &Entry) -> String {
    let Some(payload) = &entry.payload else { return "deleted".to_owned() };
    let holds = match payload {
        Payload::Node { coord, .. } => coord.to_string(),
        Payload::Way { refs, .. } => super::output::counted(refs.len(), "node", "nodes"),
        Payload::Relation { members, .. } => super::output::counted(members.len(), "member", "members"),
        Payload::Changeset { .. } => String::new(),
    };
    let tags: Vec<String> = payload.tags().iter().map(|(key, value)| format!("{key}={value}")).collect();
    let tags = plain(&tags.join(", "));
    let shown: String = tags.chars().take(SHOWN_TAGS).collect();
    let more = if shown.len() < tags.len() { "…" } else { "" };
    [holds, shown + more].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// Leaves out what could confuse a terminal: texts come from anybody.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

pub(super) fn refs(
    dir: &Directory,
    at: Option<At>,
    elements: &[ElementId],
    as_json: bool,
) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    refs_of(&database::snapshot(&db, at)?, elements, as_json)
}

pub(super) fn refs_of<S: PageSource>(
    snapshot: &Snapshot<S>,
    elements: &[ElementId],
    as_json: bool,
) -> Result<(), Failure> {
    let mut users = BTreeSet::new();
    for element in elements {
        users.extend(snapshot.refs(*element)?);
    }
    let mut out = Out::new();
    for user in users {
        if as_json {
            out.line(json::element(user))?;
        } else {
            out.line(user)?;
        }
    }
    out.finish()
}

pub(super) fn changes(dir: &Directory, at: Option<At>, changeset: u64) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    changes_of(&database::snapshot(&db, at)?, changeset)
}

pub(super) fn changes_of<S: PageSource>(snapshot: &Snapshot<S>, changeset: u64) -> Result<(), Failure> {
    let mut out = Out::new();
    for version in snapshot.changes(changeset) {
        out.line(json::head(&version?))?;
    }
    out.finish()
}

pub(super) fn forks(
    dir: &Directory,
    at: Option<At>,
    as_json: bool,
    limit: Option<u64>,
    cursor: Option<&Cursor>,
) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let snapshot = database::snapshot(&db, at)?;
    let mut forks = snapshot.forks();
    if let Some(cursor) = cursor {
        forks = forks.after(cursor)?;
    }
    let mut out = Out::new();
    let most = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    for heads in forks.by_ref().take(most) {
        let heads = heads?;
        if as_json {
            heads.iter().try_for_each(|head| out.line(json::head(head)))?;
        } else if let Some(head) = heads.first() {
            out.line(head.entry.element)?;
        }
    }
    out.finish()?;
    let cursor = forks.save();
    if limit.is_some() && forks.next().transpose()?.is_some() {
        note(&format!("cursor {cursor}"));
    }
    Ok(())
}
