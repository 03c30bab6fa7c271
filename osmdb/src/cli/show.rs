//! `root` and `get`.

use osmdb::{At, ElementId, Root, Snapshot};
use prolly::PageSource;

use super::database::{self, Directory};
use super::failure::Failure;
use super::json;
use super::output::{Out, complain};

pub(super) fn root(dir: &Directory, at: Option<At>, as_json: bool) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    named(database::snapshot(&db, at)?.root(), as_json)
}

pub(super) fn named(root: &Root, as_json: bool) -> Result<(), Failure> {
    let mut out = Out::new();
    if as_json {
        out.line(serde_json::json!({ "root": root.cid().to_string(), "name": root.name }))?;
    } else {
        out.line(root.cid())?;
    }
    out.finish()
}

pub(super) fn get(dir: &Directory, at: Option<At>, elements: &[ElementId]) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    heads(&database::snapshot(&db, at)?, elements)
}

pub(super) fn heads<S: PageSource>(snapshot: &Snapshot<S>, elements: &[ElementId]) -> Result<(), Failure> {
    let mut out = Out::new();
    let mut unknown = Vec::new();
    for element in elements {
        let heads = snapshot.get(*element)?;
        if heads.is_empty() {
            unknown.push(*element);
        }
        for head in &heads {
            out.line(json::head(head))?;
        }
    }
    out.finish()?;
    for element in &unknown {
        complain(&format!("{element} is not in the database"));
    }
    if unknown.is_empty() { Ok(()) } else { Err(Failure::Said) }
}
