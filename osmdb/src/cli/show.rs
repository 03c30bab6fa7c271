//! `root` and `get`.

use std::path::Path;

use osmdb::{At, ElementId, Snapshot};
use prolly::PageSource;

use super::failure::Failure;
use super::output::{Out, complain};
use super::{database, json};

pub(super) fn root(dir: &Path, at: Option<At>) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let mut out = Out::new();
    out.line(database::snapshot(&db, at)?.root().cid())?;
    out.finish()
}

pub(super) fn get(dir: &Path, at: Option<At>, elements: &[ElementId]) -> Result<(), Failure> {
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
