//! `diff`, and `export --changeset`: what was changed.

use std::path::Path;

use osmdb::io::{Action, FileFormat, Writer};
use osmdb::{Db, Difference, Entry, Error, Kind, RootError, Snapshot};
use prolly::{Cid, FjallStore};
use serde_json::{Map, Value};

use super::export::Written;
use super::failure::Failure;
use super::output::{Out, note};
use super::{database, json};

pub(super) fn diff(
    dir: &Path,
    older: Cid,
    newer: Option<Cid>,
    osc: Option<&Path>,
    as_json: bool,
) -> Result<(), Failure> {
    osc.map_or(Ok(()), look)?;
    let db = database::existing(dir)?;
    let older = at(&db, older)?;
    let newer = newer.map_or_else(|| Ok(db.snapshot()), |root| at(&db, root))?;
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
pub(super) fn changeset(dir: &Path, file: &Path, changeset: u64) -> Result<(), Failure> {
    look(file)?;
    let db = database::existing(dir)?;
    let snapshot = db.snapshot();
    let mut changes = snapshot.osm_changes_in(changeset).peekable();
    if changes.peek().is_none() {
        return Err(Failure::NoChangeset(changeset));
    }
    write(file, changes)?;
    let mut out = Out::new();
    out.line(snapshot.root().cid())?;
    out.finish()
}

/// Refuses a file whose name is not that of a change file.
fn look(file: &Path) -> Result<(), Failure> {
    match FileFormat::of(file) {
        Some(FileFormat::Change(_)) => Ok(()),
        _ => Err(Failure::NoChangeFile(file.into())),
    }
}

/// Opens the database as it was at a root.
fn at(db: &Db, root: Cid) -> Result<Snapshot<&FjallStore>, Failure> {
    Snapshot::open(db.store(), root).map_err(|error| match error {
        Error::Tree(prolly::Error::Missing(cid)) if cid == root => Failure::NoRoot(root),
        // A page of this database, but not a root record.
        Error::Root { cid, source: RootError::Cbor(_) } if cid == root => Failure::NoRoot(root),
        other => other.into(),
    })
}

/// Writes a change file.
fn write(file: &Path, changes: impl Iterator<Item = Result<(Action, Entry), Error>>) -> Result<(), Failure> {
    let mut writer = Writer::create(file)?;
    let (mut written, mut left_out) = (Written::default(), 0_u64);
    for change in changes {
        let (action, entry) = change?;
        if entry.element.kind == Kind::Changeset {
            left_out += 1;
            continue;
        }
        writer.write_change(action, &entry)?;
        written.count(entry.element.kind);
    }
    writer.finish()?;
    note(&format!("{written} written to {}", file.display()));
    super::export::say_changesets(left_out);
    Ok(())
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
