//! `bundle`, `take`, and `sync` with a stick.

use std::path::{Path, PathBuf};

use clap::Args;
use osmdb::bundle::{Announced, BundleError, Options, Summary, Torn, Wrote};
use osmdb::{At, Db};
use serde_json::{Value, json};

use super::database::{self, Directory};
use super::failure::{Failure, io_advice, semicolon};
use super::json as as_json;
use super::keeping::now;
use super::output::{Out, complain, counted, grouped, note, plain, size};
use super::peers::ago;
use super::sync;

/// What is written, and where.
#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// The file, such as valley.osmb
    file: PathBuf,
    /// Only what came after this root of `osmdb reflog`, or after this time
    #[arg(long, value_name = "ROOT|TIME", allow_hyphen_values = true)]
    since: Option<At>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is taken in.
#[derive(Debug, Args)]
pub(super) struct TakeArgs {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn bundle(dir: &Directory, args: &BundleArgs) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let since = args.since.map(|since| database::snapshot(&db, Some(since))).transpose()?;
    let wrote = db.write_bundle(&args.file, since.map(|since| since.root().cid()))?;
    let mut out = Out::new();
    if args.json {
        out.line(written(&wrote))?;
    } else {
        out.line(told(&wrote))?;
        out.line(format_args!("since {}", wrote.base))?;
        out.line(format_args!("root {}", wrote.root))?;
    }
    out.finish()
}

pub(super) fn take(dir: &Directory, args: &TakeArgs) -> Result<(), Failure> {
    database::change(dir, |db| {
        let summary = db.take_bundles(&args.files, &Options::default())?;
        let is_bad = !summary.problems.is_empty();
        report(None, &summary, args.json, is_bad)
    })
}

/// Unites with what is on a stick, or in one file.
pub(super) fn sync_with(db: &Db, place: &Path, json: bool) -> Result<(), Failure> {
    let options = Options::default();
    if place.is_file() {
        let summary = db.take_bundles(&[place], &options)?;
        return report(Some(place), &summary, json, !summary.problems.is_empty());
    }
    let summary = db.sync_stick(place, &options)?;
    // What begins elsewhere may be of use to others.
    let is_bad = |problem: &BundleError| !matches!(problem, BundleError::Base { .. });
    let is_bad = summary.unwritten.is_some() || summary.problems.iter().any(is_bad);
    report(Some(place), &summary, json, is_bad)
}

/// Says what has come of it, and what has not.
fn report(place: Option<&Path>, summary: &Summary, json: bool, is_bad: bool) -> Result<(), Failure> {
    let mut out = Out::new();
    if json {
        out.line(shown(place, summary))?;
    } else {
        print(&mut out, place, summary)?;
    }
    out.finish()?;
    for Torn { path, at, bytes } in &summary.torn {
        let bytes = counted(*bytes, "byte", "bytes");
        note(&format!("{}: the last {bytes}, from byte {at} on, are torn off: ignored", path.display()));
    }
    for problem in summary.problems.iter().chain(&summary.unwritten) {
        complain(&plain(&format!("{problem}{}", semicolon(advice(problem)))));
    }
    if is_bad { Err(Failure::Said) } else { Ok(()) }
}

fn print(out: &mut Out, place: Option<&Path>, summary: &Summary) -> Result<(), Failure> {
    if let Some(place) = place {
        out.line(format_args!("synced with {}", place.display()))?;
    }
    out.line(format_args!(
        "gained {}, {}, {} refused, read {}",
        counted(summary.gained, "entry", "entries"),
        counted(summary.forked.len(), "fork", "forks"),
        grouped(summary.refused.len() as u64),
        size(summary.bytes_in),
    ))?;
    if let Some(wrote) = &summary.wrote {
        out.line(told(wrote))?;
    }
    let now = now();
    for Announced { author, root, time, is_here, is_united, .. } in &summary.announced {
        let key: String = author.to_string().chars().take(16).collect();
        let who = if *is_here { " (this database)" } else { "" };
        let state = if *is_united { "" } else { ", not united" };
        let age = ago(now.saturating_sub(*time));
        out.line(format_args!("device {key}{who} had root {root} {age} ago{state}"))?;
    }
    out.line(format_args!("root {}", summary.root))
}

fn told(wrote: &Wrote) -> String {
    let Wrote { path, files, entries, bytes, .. } = wrote;
    let files = if *files > 1 { format!(" and {} more", files - 1) } else { String::new() };
    let entries = counted(*entries, "entry", "entries");
    format!("wrote {entries}, {}, to {}{files}", size(*bytes), path.display())
}

fn written(wrote: &Wrote) -> Value {
    let Wrote { path, files, base, root, entries, bytes } = wrote;
    json!({
        "file": path.display().to_string(),
        "files": files,
        "since": base.to_string(),
        "root": root.to_string(),
        "entries": entries,
        "bytes": bytes,
    })
}

fn shown(place: Option<&Path>, summary: &Summary) -> Value {
    let now = now();
    let announced = summary.announced.iter().map(|one| {
        let Announced { author, root, time, path, is_here, is_united } = one;
        json!({
            "device": author.to_string(),
            "here": is_here,
            "root": root.to_string(),
            "time": as_json::time(*time),
            "age_seconds": now.saturating_sub(*time),
            "file": path.display().to_string(),
            "united": is_united,
        })
    });
    let torn = summary.torn.iter().map(
        |Torn { path, at, bytes }| json!({ "file": path.display().to_string(), "at": at, "bytes": bytes }),
    );
    json!({
        "peer": place.map(|place| place.display().to_string()),
        "way": "bundles",
        "gained": summary.gained,
        "received": summary.received,
        "forked": summary.forked.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "refused": sync::refused(&summary.refused),
        "bytes_in": summary.bytes_in,
        "bytes_out": summary.wrote.as_ref().map_or(0, |wrote| wrote.bytes),
        "wrote": summary.wrote.as_ref().map(written),
        "devices": announced.collect::<Vec<_>>(),
        "torn": torn.collect::<Vec<_>>(),
        "problems": summary.problems.iter().chain(&summary.unwritten).map(ToString::to_string).collect::<Vec<_>>(),
        "root": summary.root.to_string(),
    })
}

/// Says what to do about a problem, where that is not in it.
pub(super) fn advice(error: &BundleError) -> &'static str {
    match error {
        BundleError::Io { source, .. } => io_advice(source),
        BundleError::Full { .. } => "make room and try again: what was there is as it was",
        BundleError::NotABundle { .. } => "name a file that `osmdb bundle` wrote",
        BundleError::Version { .. } => "use a newer program",
        BundleError::Damaged { .. } => "ask whoever wrote it for it again",
        BundleError::Base { .. } => "ask for one that begins earlier, or with everything",
        BundleError::Forged { .. } => "it was not taken in",
        _ => "",
    }
}
