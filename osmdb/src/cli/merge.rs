//! `merge`.

use std::fs;
use std::path::Path;

use osmdb::{Error, Snapshot};
use prolly::PageSource;

use super::database;
use super::failure::Failure;
use super::output::{Out, counted};

pub(super) fn merge(dir: &Path, other: &Path, stats: bool) -> Result<(), Failure> {
    if is_same(dir, other) {
        return Err(Failure::Itself(dir.into()));
    }
    let theirs = database::existing(other).map_err(|failure| match failure {
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
    let mut out = Out::new();
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

pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    // A path that does not exist is not the same as one that does; if neither does, opening tells.
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// Counts the pages of all trees.
pub(super) fn pages<S: PageSource>(snapshot: &Snapshot<S>) -> Result<u64, Error> {
    Ok(snapshot.tree_stats()?.iter().map(|(_, stats)| stats.pages).sum())
}
