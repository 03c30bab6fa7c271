//! `stats` and `verify`.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

use osmdb::{At, Counts};
use prolly::{Cid, TreeStats};
use serde_json::{Map, Value, json};

use super::database::{self, Directory};
use super::failure::Failure;
use super::output::{Out, counted, grouped, note, size};

/// What a database holds.
struct Stats {
    root: Cid,
    counts: Counts,
    trees: Vec<(&'static str, TreeStats)>,
    bytes_on_disk: u64,
}

pub(super) fn stats(dir: &Directory, at: Option<At>, as_json: bool) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let snapshot = database::snapshot(&db, at)?;
    let stats = Stats {
        root: snapshot.root().cid(),
        counts: snapshot.root().counts,
        trees: snapshot.tree_stats()?,
        bytes_on_disk: bytes_on_disk(&dir.path)
            .map_err(Failure::file(&dir.path, "measuring the directory"))?,
    };
    let mut out = Out::new();
    if as_json {
        out.line(stats.to_json())?;
    } else {
        stats.print(&mut out)?;
    }
    out.finish()
}

impl Stats {
    fn to_json(&self) -> Value {
        let Counts { entries, nodes, ways, relations, changesets, deleted, forks } = self.counts;
        let tree = |(name, stats): &(&str, TreeStats)| {
            let TreeStats { pairs, pages, bytes, long_values, height } = *stats;
            let stats = json!({
                "pairs": pairs, "pages": pages, "bytes": bytes, "height": height, "long_values": long_values
            });
            ((*name).to_owned(), stats)
        };
        let trees: Map<String, Value> = self.trees.iter().map(tree).collect();
        json!({
            "root": self.root.to_string(),
            "nodes": nodes,
            "ways": ways,
            "relations": relations,
            "changesets": changesets,
            "deleted": deleted,
            "entries": entries,
            "forks": forks,
            "trees": trees,
            "bytes_on_disk": self.bytes_on_disk,
        })
    }

    fn print(&self, out: &mut Out) -> Result<(), Failure> {
        let Counts { entries, nodes, ways, relations, changesets, deleted, forks } = self.counts;
        let rows = [
            ("nodes", nodes),
            ("ways", ways),
            ("relations", relations),
            ("changesets", changesets),
            ("deleted", deleted),
            ("entries", entries),
            ("forks", forks),
        ];
        for (name, count) in rows {
            out.line(format_args!("{name:<12}{:>14}", grouped(count)))?;
        }
        let titles = ["pairs", "pages", "bytes", "height", "long values"];
        let [pairs, pages, bytes, height, long] = titles;
        out.line("")?;
        out.line(format_args!("{:<12}{pairs:>14}{pages:>12}{bytes:>16}{height:>8}{long:>13}", "tree"))?;
        let mut sum = TreeStats::default();
        for (name, stats) in &self.trees {
            sum.pairs += stats.pairs;
            sum.pages += stats.pages;
            sum.bytes += stats.bytes;
            sum.height = sum.height.max(stats.height);
            sum.long_values += stats.long_values;
            row(out, name, stats)?;
        }
        row(out, "all", &sum)?;
        out.line("")?;
        out.line(format_args!("{:<12}{}", "on disk", size(self.bytes_on_disk)))?;
        out.line(format_args!("{:<12}{}", "root", self.root))
    }
}

fn row(out: &mut Out, name: &str, stats: &TreeStats) -> Result<(), Failure> {
    let [pairs, pages, bytes, long] = [stats.pairs, stats.pages, stats.bytes, stats.long_values].map(grouped);
    out.line(format_args!("{name:<12}{pairs:>14}{pages:>12}{bytes:>16}{:>8}{long:>13}", stats.height))
}

/// Sums what a directory takes of the disk.
fn bytes_on_disk(dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    let mut stack = vec![dir.to_owned()];
    while let Some(path) = stack.pop() {
        let meta = match fs::symlink_metadata(&path) {
            // The store removes files of its own while it is open.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            // The directory itself may be named by a symbolic link.
            Ok(meta) if meta.is_symlink() && path == dir => fs::metadata(&path)?,
            meta => meta?,
        };
        sum += allocated(&meta);
        if meta.is_dir() {
            for entry in fs::read_dir(&path)? {
                stack.push(entry?.path());
            }
        }
    }
    Ok(sum)
}

#[cfg(unix)]
fn allocated(meta: &Metadata) -> u64 {
    // Journals are sparse files: their length says nothing.
    std::os::unix::fs::MetadataExt::blocks(meta) * 512
}

#[cfg(not(unix))]
fn allocated(meta: &Metadata) -> u64 {
    meta.len()
}

pub(super) fn verify(dir: &Directory, repair: bool, as_json: bool) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    if repair {
        let repaired = db.repair()?;
        let what = if repaired.from == repaired.to { "the root is as it was" } else { "the root is another" };
        note(&format!("all trees are derived anew: {what}"));
    }
    let verified = db.verify()?;
    let pages: u64 = verified.trees.iter().map(|(_, stats)| stats.pages).sum();
    let mut out = Out::new();
    if as_json {
        let root = db.root().to_string();
        let trees = verified.trees.len();
        out.line(json!({ "root": root, "entries": verified.entries, "pages": pages, "trees": trees }))?;
        return out.finish();
    }
    out.line(format_args!(
        "sound: {} in {} of {}",
        counted(verified.entries, "entry", "entries"),
        counted(pages, "page", "pages"),
        counted(verified.trees.len(), "tree", "trees"),
    ))?;
    out.finish()
}
