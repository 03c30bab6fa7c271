//! `watch`.
//!
//! The directory of a database is open in one process at a time. So it is closed while nothing changes: a
//! look at the number of its last commit needs no lock. What has changed is written aside, so that whoever
//! reads slowly keeps nobody from writing.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use osmdb::{Db, Error, Update, WatchScope, What};
use prolly::{Cid, FjallStore};
use serde_json::{Map, Value};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tempfile::SpooledTempFile;

use super::args::WatchArgs;
use super::database::{self, Directory};
use super::failure::{FAILED, Failure};
use super::json;
use super::output::{Out, note};

/// How often the number of the last commit is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// After so long the user is told that another process has the database open.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who has not ended so long after being asked to is stuck.
const STUCK: Duration = Duration::from_secs(2);

/// So many bytes of lines are kept in memory, and more than that in a file.
const SPOOL_BYTES: usize = 4 << 20;

pub(super) fn watch(dir: &Directory, args: &WatchArgs) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    let db = database::existing(dir)?;
    let since = args.since.map(|at| Ok::<_, Failure>(database::snapshot(&db, Some(at))?.root().cid()));
    let begin = since.transpose()?.unwrap_or_else(|| db.root());
    note(&format!("watching {} from root {begin} on", dir.path.display()));
    let mut told = look(dir, args, db, begin, args.present)?;
    let mut locked: Option<Instant> = None;
    let mut is_noted = false;
    while !stop.is_asked() {
        let number =
            FjallStore::last_commit(&dir.path).map_err(|error| database::opening(&dir.path, error))?;
        if number != told.commit {
            if let Some(db) = database::unless_locked(dir)? {
                locked = None;
                told = look(dir, args, db, told.root, false)?;
                continue;
            }
            let since = *locked.get_or_insert_with(Instant::now);
            if !is_noted && since.elapsed() >= PATIENCE {
                note(&format!("waiting for another process to close {}", dir.path.display()));
                is_noted = true;
            }
        }
        thread::sleep(LOOK_AGAIN);
    }
    note(&format!("root {}", told.root));
    Ok(())
}

/// How far was told.
struct Told {
    root: Cid,
    commit: u64,
}

/// Tells what has changed since a root.
fn look(dir: &Directory, args: &WatchArgs, db: Db, since: Cid, present: bool) -> Result<Told, Failure> {
    let scope = match (args.element, args.bbox) {
        (Some(element), _) => WatchScope::Element(element),
        (None, Some(bbox)) => WatchScope::Box(bbox),
        (None, None) => WatchScope::Database,
    };
    let mut watch = match db.watch(scope)?.since(since) {
        Err(Error::NoRoot { .. }) => {
            note("what was told of last is collected: changes since are left out");
            db.watch(scope)?
        }
        watch => watch?,
    };
    if present {
        watch = watch.with_present()?;
    }
    let mut lines = Lines(SpooledTempFile::new(SPOOL_BYTES));
    while let Some(update) = watch.next_within(Duration::ZERO)? {
        lines.push(&update, args.json)?;
    }
    let root = watch.root();
    // Nobody else writes before the database is closed.
    let commit = FjallStore::last_commit(&dir.path).map_err(|error| database::opening(&dir.path, error))?;
    drop(watch);
    drop(db);
    lines.print()?;
    Ok(Told { root, commit })
}

/// Lines that wait to be printed.
struct Lines(SpooledTempFile);

impl Lines {
    fn push(&mut self, update: &Update, as_json: bool) -> Result<(), Failure> {
        let Update { element, what, heads } = update;
        let what = name(*what);
        let written = if as_json {
            let mut out = Map::new();
            out.insert("what".into(), what.into());
            out.insert("type".into(), element.kind.name().into());
            out.insert("id".into(), element.id.into());
            out.insert("heads".into(), heads.iter().map(json::head).collect::<Value>());
            writeln!(self.0, "{}", Value::from(out))
        } else {
            writeln!(self.0, "{what} {element}")
        };
        written.map_err(spooling)
    }

    fn print(mut self) -> Result<(), Failure> {
        let mut out = Out::new();
        let mut buffer = [0; 16 << 10];
        self.0.seek(SeekFrom::Start(0)).map_err(spooling)?;
        loop {
            match self.0.read(&mut buffer).map_err(spooling)? {
                0 => return out.finish(),
                len => out.bytes(buffer.get(..len).unwrap_or_default())?,
            }
        }
    }
}

fn spooling(error: io::Error) -> Failure {
    Failure::file(std::env::temp_dir(), "keeping the lines")(error)
}

const fn name(what: What) -> &'static str {
    match what {
        What::Present => "present",
        What::Added => "added",
        What::Updated => "updated",
        What::Removed => "removed",
        What::Forked => "forked",
    }
}

/// Whether the user has asked to end.
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn listen() -> Result<Self, Failure> {
        let (asked, is_stuck) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGINT, SIGTERM] {
            // Asked again after a while, the program ends at once: its reader may not read any more.
            flag::register_conditional_shutdown(signal, FAILED.into(), Arc::clone(&is_stuck))
                .and_then(|_| flag::register(signal, Arc::clone(&asked)))
                .map_err(Failure::Signals)?;
        }
        let stop = Self(asked);
        let ended = Self(Arc::clone(&stop.0));
        // A signal may come twice at once, to a process and to its group.
        thread::spawn(move || {
            while !ended.is_asked() {
                thread::sleep(LOOK_AGAIN);
            }
            thread::sleep(STUCK);
            is_stuck.store(true, Ordering::Relaxed);
        });
        Ok(stop)
    }

    fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
