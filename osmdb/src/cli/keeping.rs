//! `reflog`, `undo`, `gc` and `authors`.

use std::time::{SystemTime, UNIX_EPOCH};

use osmdb::{AuthorInfo, Keep, Reflog};
use serde_json::json;

use super::args::GcArgs;
use super::database::{self, Directory};
use super::failure::Failure;
use super::json;
use super::output::{Out, counted, size};

const SECONDS_PER_DAY: i64 = 86_400;

/// The files are rewritten if garbage takes this part of them: an eighth.
const GARBAGE_SHARE: u64 = 8;

pub(super) fn reflog(dir: &Directory, as_json: bool) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let mut out = Out::new();
    // The latest first: that is what is asked for.
    for Reflog { number, root, what, time, merged } in db.reflog()?.into_iter().rev() {
        let time = json::time(time);
        if as_json {
            let merged = merged.map(|root| root.to_string());
            out.line(json!({
                "number": number, "root": root.to_string(), "what": what, "time": time, "merged": merged,
            }))?;
        } else {
            let time = time.as_str().unwrap_or_default();
            let merged = merged.map(|root| format!(" {root}")).unwrap_or_default();
            out.line(format_args!("{number:>6}  {time}  {root}  {what}{merged}"))?;
        }
    }
    out.finish()
}

pub(super) fn undo(dir: &Directory, to: Option<prolly::Cid>, as_json: bool) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    let undone = match to {
        Some(root) => db.undo_to(root)?,
        None => db.undo()?,
    };
    let mut out = Out::new();
    let (from, to) = (undone.from.to_string(), undone.to.to_string());
    if as_json {
        out.line(json!({ "undid": undone.what, "was": from, "root": to }))?;
    } else {
        out.line(format_args!("undid {}\nwas  {from}\nroot {to}", undone.what))?;
    }
    out.finish()
}

pub(super) fn gc(dir: &Directory, args: &GcArgs) -> Result<(), Failure> {
    let mut db = database::existing(dir)?;
    let since = args.days.map(|days| now().saturating_sub(i64::from(days) * SECONDS_PER_DAY));
    let before = db.disk_bytes()?;
    let collected = db.gc(Keep { newest: args.keep, since })?;
    // Rewriting all files for a little garbage would cost more room, for a while, than it gives back.
    let is_worth_it = collected.bytes_removed.saturating_mul(GARBAGE_SHARE) >= before;
    if is_worth_it {
        db.compact()?;
    }
    drop(db);
    // Files that are not needed any more go when the database is opened.
    let after = if is_worth_it { database::existing(dir)?.disk_bytes()? } else { before };
    let mut out = Out::new();
    if args.json {
        out.line(json!({
            "roots": { "kept": collected.roots_kept, "forgotten": collected.roots_forgotten },
            "pages": { "kept": collected.pages_kept, "removed": collected.pages_removed },
            "bytes_removed": collected.bytes_removed,
            "bytes_on_disk": { "before": before, "after": after },
        }))?;
        return out.finish();
    }
    let roots = counted(collected.roots_kept, "root is", "roots are");
    out.line(format_args!("{roots} kept, {} forgotten", collected.roots_forgotten))?;
    let pages = counted(collected.pages_kept, "page is", "pages are");
    out.line(format_args!("{pages} kept, {} removed", collected.pages_removed))?;
    if is_worth_it {
        out.line(format_args!("on disk {} before, {} now", size(before), size(after)))?;
    } else {
        out.line(format_args!(
            "on disk {}, of which {} are free again",
            size(before),
            size(collected.bytes_removed)
        ))?;
    }
    out.finish()
}

/// Returns the seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

pub(super) fn authors(dir: &Directory, name: Option<&[String]>, as_json: bool) -> Result<(), Failure> {
    let db = database::existing(dir)?;
    if let Some([author, name]) = name {
        let author = author.parse().map_err(Failure::Author)?;
        db.name_author(author, name)?;
    }
    let mut out = Out::new();
    for AuthorInfo { author, name, versions, is_here } in db.authors()? {
        let versions_text = counted(versions, "version", "versions");
        if as_json {
            out.line(json!({
                "author": author.to_string(), "name": name, "versions": versions, "here": is_here,
            }))?;
        } else {
            let here = if is_here { " (this database)" } else { "" };
            let name = name.unwrap_or_default();
            out.line(format_args!("{author}  {versions_text:>16}  {name}{here}"))?;
        }
    }
    out.finish()
}
