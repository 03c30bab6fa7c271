//! `diff`, and `export --changeset`: what was changed.

use std::path::Path;

use osmdb::io::{Action, FileFormat, Writer};
use osmdb::{At, Difference, Entry, Error};
use serde_json::{Map, Value};

use super::database::{self, Directory};
use super::export::{self, Written};
use super::failure::Failure;
use super::json;
use super::output::{Out, note};

pub(super) fn diff(
    dir: &Directory,
    older: At,
    newer: Option<At>,
    osc: Option<&Path>,
    as_json: bool,
) -> Result<(), Failure> {
    osc.map_or(Ok(()), look)?;
    let db = database::existing(dir)?;
    let older = database::snapshot(&db, Some(older))?;
    let newer = database::snapshot(&db, newer)?;
    let mut out = Out::new();
    if let Some(file) = osc {
        write(file, newer.osm_changes_since(&older)?)?;
        out.line(newer.root().cid())?;
    } else {
        for difference in newer.changes_since(&older)? {
            let difference = difference?;
            let action = difference.action().map_or("heads", Action::name);
            if as_json {
                out.line(shown(action, &difference))?;
            } else {
                out.line(format_args!("{action} {}", difference.element))?;
            }
        }
    }
    out.finish()
}

/// Exports what was done in a changeset.
pub(super) fn changeset(
    dir: &Directory,
    at: Option<At>,
    file: &Path,
    changeset: u64,
    as_json: bool,
) -> Result<(), Failure> {
    look(file)?;
    let db = database::existing(dir)?;
    let snapshot = database::snapshot(&db, at)?;
    let mut changes = snapshot.osm_changes_in(changeset).peekable();
    if changes.peek().is_none() {
        return Err(Failure::NoChangeset(changeset));
    }
    let written = write(file, changes)?;
    export::report(snapshot.root().cid(), &written, as_json)
}

/// Refuses a file whose name is not that of a change file.
fn look(file: &Path) -> Result<(), Failure> {
    match FileFormat::of(file) {
        Some(FileFormat::Change(_)) => Ok(()),
        _ => Err(Failure::NoChangeFile(file.into())),
    }
}

/// Writes a change file.
fn write(
    file: &Path,
    changes: impl Iterator<Item = Result<(Action, Entry), Error>>,
) -> Result<Written, Failure> {
    let mut writer = Writer::create(file)?;
    let mut written = Written::default();
    for change in changes {
        let (action, entry) = change?;
        writer.write_change(action, &entry)?;
        written.count(entry.element.kind);
    }
    writer.finish()?;
    note(&format!("{written} written to {}", file.display()));
    Ok(written)
}

fn shown(action: &str, Difference { element, before, after }: &Difference) -> Value {
    let heads = |heads: &[osmdb::Head]| Value::from(heads.iter().map(json::head).collect::<Vec<_>>());
    let mut out = Map::new();
    out.insert("action".into(), action.into());
    out.insert("type".into(), element.kind.name().into());
    out.insert("id".into(), element.id.into());
    out.insert("before".into(), heads(before));
    out.insert("after".into(), heads(after));
    out.into()
}
