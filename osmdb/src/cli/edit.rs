//! `create`, `put`, `delete`, `resolve` and `changeset`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;

use osmdb::{ChangesetInfo, Db, ElementId, InUse, Tags, Version, Write, Written};
use serde_json::json;

use super::args::{ChangesetVerb, DeleteArgs, EditArgs};
use super::database::{self, Directory};
use super::failure::Failure;
use super::input::{self, Given, GivenId, InputProblem};
use super::json;
use super::output::Out;

/// Makes new elements of all that is on the standard input.
pub(super) fn create(dir: &Directory, args: &EditArgs) -> Result<(), Failure> {
    edit(dir, args, |_| true)
}

/// Gives elements the content that is on the standard input.
pub(super) fn put(dir: &Directory, args: &EditArgs) -> Result<(), Failure> {
    edit(dir, args, |given| given.id.is_some_and(|id| id < 0))
}

fn edit(dir: &Directory, args: &EditArgs, is_new: impl Fn(&Given) -> bool) -> Result<(), Failure> {
    let given = input::read(io::stdin().lock())?;
    let (written, placeholders) = database::change(dir, |db| {
        let new = new_ids(db, &given, is_new)?;
        let mut batch = db.batch();
        if args.lenient {
            batch.lenient();
        }
        if let Some(changeset) = args.changeset {
            batch.in_changeset(changeset);
        }
        let placeholders: Vec<Option<i64>> = new.iter().map(|new| new.and_then(|(_, id)| id)).collect();
        let by_id: HashMap<GivenId, ElementId> = new
            .iter()
            .flatten()
            .filter_map(|(element, id)| Some(((element.kind, (*id)?), *element)))
            .collect();
        for (at, (given, new)) in (1..).zip(given.into_iter().zip(&new)) {
            let in_place = |problem| Failure::Element { at, problem };
            let element = match new {
                Some((element, _)) => *element,
                None => given
                    .id
                    .and_then(|id| input::existing(given.kind, id))
                    .ok_or(in_place(InputProblem::NoId))?,
            };
            let version = given.version.filter(|_| new.is_none() && !args.heads);
            let write = match given.payload(&by_id).map_err(in_place)? {
                Some(payload) => Write::put(element, payload),
                None => Write::delete(element),
            };
            batch.push(match version {
                Some(version) => write.replacing([version]),
                None => write,
            });
        }
        Ok((batch.commit()?, placeholders))
    })?;
    report(&written, &placeholders, args.json)
}

/// A new element, and the id that it came with.
type New = (ElementId, Option<i64>);

/// Gives ids to the elements that are new.
fn new_ids(db: &Db, given: &[Given], is_new: impl Fn(&Given) -> bool) -> Result<Vec<Option<New>>, Failure> {
    let mut seen: HashMap<GivenId, usize> = HashMap::new();
    let mut new = Vec::with_capacity(given.len());
    for (at, given) in (1..).zip(given) {
        if !is_new(given) {
            new.push(None);
            continue;
        }
        if given.is_deleted() {
            return Err(Failure::Element { at, problem: InputProblem::Deleted });
        }
        if let Some(id) = given.given_id() {
            match seen.entry(id) {
                Entry::Vacant(entry) => drop(entry.insert(at)),
                Entry::Occupied(_) => {
                    let problem = InputProblem::Twice(format!("{}/{}", id.0.name(), id.1));
                    return Err(Failure::Element { at, problem });
                }
            }
        }
        new.push(Some((db.new_id(given.kind)?, given.id)));
    }
    Ok(new)
}

pub(super) fn delete(dir: &Directory, args: &DeleteArgs) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let mut batch = db.batch();
    if let Some(changeset) = args.changeset {
        batch.in_changeset(changeset);
    }
    let in_use = match (args.if_unused, args.even_if_used) {
        (true, _) => InUse::Keep,
        (false, true) => InUse::Delete,
        (false, false) => InUse::Refuse,
    };
    for element in &args.elements {
        let write = Write::delete(*element).if_in_use(in_use);
        batch.push(if args.versions.is_empty() { write } else { write.replacing(args.versions.clone()) });
    }
    report(&batch.commit()?, &[], args.json)
}

pub(super) fn resolve(
    dir: &Directory,
    element: ElementId,
    version: Version,
    as_json: bool,
) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let mut out = Out::new();
    let version = db.resolve(element, version)?.to_string();
    if as_json {
        out.line(json!({ "type": element.kind.name(), "id": element.id, "version": version }))?;
    } else {
        out.line(format_args!("{element} {version}"))?;
    }
    out.finish()
}

pub(super) fn changeset(dir: &Directory, verb: ChangesetVerb) -> Result<(), Failure> {
    let mut out = Out::new();
    match verb {
        ChangesetVerb::Open { tags, json } => {
            let id = database::change(dir, |db| Ok(db.open_changeset(list(&tags))?))?;
            if json { out.line(json!({ "id": id }))? } else { out.line(id)? }
        }
        ChangesetVerb::Tag { id, tags, json } => {
            version(&mut out, id, database::existing(dir)?.tag_changeset(id, list(&tags))?, json)?;
        }
        ChangesetVerb::Close { id, json } => {
            version(&mut out, id, database::existing(dir)?.close_changeset(id)?, json)?;
        }
        ChangesetVerb::Show { id } => {
            let info = database::existing(dir)?.snapshot().changeset(id)?;
            let info = info.ok_or(Failure::NoChangeset(id))?;
            out.line(shown(&info))?;
        }
    }
    out.finish()
}

/// Prints the new version of a changeset.
fn version(out: &mut Out, id: u64, version: Version, as_json: bool) -> Result<(), Failure> {
    if as_json { out.line(json!({ "id": id, "version": version.to_string() })) } else { out.line(version) }
}

fn list(tags: &[(String, String)]) -> Tags {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn shown(info: &ChangesetInfo) -> serde_json::Value {
    let ChangesetInfo { id, tags, opened, closed, bbox, versions } = info;
    json!({
        "type": "changeset",
        "id": id,
        "tags": json::tags(tags),
        "opened": opened.map(json::time),
        "closed": closed.map(json::time),
        "bbox": bbox.map(|bbox| bbox.to_string()),
        "versions": versions,
    })
}

/// Prints what became of each edit.
fn report(written: &Written, placeholders: &[Option<i64>], as_json: bool) -> Result<(), Failure> {
    let mut out = Out::new();
    for (index, edited) in written.edits.iter().enumerate() {
        let version = edited.version.map(|version| version.to_string());
        if as_json {
            let placeholder = placeholders.get(index).copied().flatten();
            out.line(json!({
                "type": edited.element.kind.name(),
                "id": edited.element.id,
                "version": version,
                "given_id": placeholder,
            }))?;
        } else {
            let version = version.as_deref().unwrap_or("is in use and was kept");
            out.line(format_args!("{} {version}", edited.element))?;
        }
    }
    out.finish()
}
