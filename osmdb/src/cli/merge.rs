//! `merge`.

use std::fs;
use std::path::Path;

use osmdb::{Error, Merged, Refused, Snapshot};
use prolly::PageSource;
use serde_json::{Value, json};

use super::database::{self, Directory};
use super::failure::Failure;
use super::output::{Out, counted, note};

pub(super) fn merge(dir: &Directory, other: &Path, stats: bool, as_json: bool) -> Result<(), Failure> {
    if is_same(&dir.path, other) {
        return Err(Failure::Itself(dir.path.clone()));
    }
    let theirs = database::existing(&dir.other(other)).map_err(|failure| match failure {
        Failure::NoDatabase(path) => Failure::NoOther(path),
        failure => failure,
    })?;
    let theirs = theirs.snapshot();
    let (merged, here) = database::change(dir, |db| {
        let measure = || if stats { pages(&db.snapshot()).map(Some) } else { Ok(None) };
        let before = measure()?;
        let merged = db.merge(&theirs)?;
        Ok((merged, before.zip(measure()?)))
    })?;
    if !merged.refused.is_empty() {
        let refused = counted(merged.refused.len(), "version is", "versions are");
        note(&format!("{refused} not taken in, because the signature is forged: --json names them"));
    }
    let mut out = Out::new();
    if as_json {
        let counts =
            here.map(|(before, after)| Ok::<_, Failure>((before, after, pages(&theirs)?))).transpose()?;
        out.line(shown(&merged, counts))?;
        return out.finish();
    }
    out.line(format_args!(
        "gained {}, read {} here and {} there, {}",
        counted(merged.gained, "entry", "entries"),
        counted(merged.pages_here, "page", "pages"),
        merged.pages_there,
        counted(merged.forked.len(), "fork", "forks"),
    ))?;
    if let Some((before, after)) = here {
        let there = pages(&theirs)?;
        out.line(format_args!("pages here {before} before and {after} after, there {there}"))?;
        merged.forked.iter().try_for_each(|element| out.line(format_args!("fork {element}")))?;
    }
    out.line(format_args!("root {}", merged.root))?;
    out.finish()
}

fn shown(merged: &Merged, pages: Option<(u64, u64, u64)>) -> Value {
    let Merged { gained, forked, pages_here, pages_there, refused, root } = merged;
    let refused = refused.iter().map(|Refused { element, version, why }| {
        json!({ "element": element.to_string(), "version": version.to_string(), "why": why.to_string() })
    });
    let mut out = json!({
        "root": root.to_string(),
        "gained": gained,
        "forked": forked.iter().map(ToString::to_string).collect::<Value>(),
        "refused": refused.collect::<Value>(),
        "read": { "here": pages_here, "there": pages_there },
    });
    if let (Some(out), Some((before, after, there))) = (out.as_object_mut(), pages) {
        out.insert("pages".into(), json!({ "before": before, "after": after, "there": there }));
    }
    out
}

pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    // A path that does not exist is not the same as one that does; if neither does, opening tells.
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// Counts the pages of all trees.
pub(super) fn pages<S: PageSource>(snapshot: &Snapshot<S>) -> Result<u64, Error> {
    Ok(snapshot.tree_stats()?.iter().map(|(_, stats)| stats.pages).sum())
}
