//! `root` and `get`.

use osmdb::{At, ElementId};

use super::database::{self, Directory};
use super::failure::Failure;
use super::json;
use super::output::{Out, complain};

pub(super) fn root(dir: &Directory, at: Option<At>, as_json: bool) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let mut out = Out::new();
    let snapshot = database::snapshot(&db, at)?;
    let root = snapshot.root().cid();
    if as_json {
        out.line(serde_json::json!({ "root": root.to_string(), "name": snapshot.root().name }))?;
    } else {
        out.line(root)?;
    }
    out.finish()
}

pub(super) fn get(dir: &Directory, at: Option<At>, elements: &[ElementId]) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let snapshot = database::snapshot(&db, at)?;
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
