//! `import`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use osmdb::io::Reader;
use osmdb::{ElementId, Imported};
use serde_json::json;

use super::database::{self, Directory};
use super::failure::Failure;
use super::output::{Out, counted, grouped, note};

/// So many forks are named; `get` shows them.
const FORKS_NAMED: usize = 5;

pub(super) fn import(dir: &Directory, files: &[PathBuf], as_json: bool) -> Result<(), Failure> {
    files.iter().try_for_each(|file| look(file))?;
    let start = Instant::now();
    let (imported, root) = database::change(dir, |db| {
        let bar = Bar::new();
        let imported = db.import(files, |read, total| bar.show(read, total));
        bar.end();
        Ok((imported?, db.root()))
    })?;
    note(&summary(&imported, files.len(), start.elapsed()));
    let mut out = Out::new();
    if as_json {
        let Imported { read, gained, forked } = imported;
        let forked: Vec<String> = forked.iter().map(ToString::to_string).collect();
        out.line(json!({ "root": root.to_string(), "read": read, "gained": gained, "forked": forked }))?;
    } else {
        out.line(root)?;
    }
    out.finish()
}

/// Refuses a file that is none of ours before a database is created for it.
fn look(file: &Path) -> Result<(), Failure> {
    // What a pipe has given once it does not give again.
    if fs::metadata(file).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
        return Ok(());
    }
    Ok(Reader::open(file).map(drop)?)
}

fn summary(imported: &Imported, files: usize, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = imported.read.saturating_mul(1000) / millis;
    let read = counted(imported.read, "version", "versions");
    let files = counted(files, "file", "files");
    let new = match imported.gained {
        0 => "nothing new".to_owned(),
        gained => format!("{} new", grouped(gained)),
    };
    let forks = match imported.forked.len() {
        0 => "no forks".to_owned(),
        number => format!("{} ({})", counted(number, "fork", "forks"), named(&imported.forked)),
    };
    format!("{read} read from {files} in {seconds:.1} s ({} elements/s): {new}, {forks}", grouped(rate))
}

fn named(forked: &[ElementId]) -> String {
    let mut names: Vec<String> = forked.iter().take(FORKS_NAMED).map(ToString::to_string).collect();
    if forked.len() > FORKS_NAMED {
        names.push("…".to_owned());
    }
    names.join(", ")
}

/// How far the reading is; shown on terminals only.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        // It draws to the standard error, and hides itself where that is no terminal.
        let bar = ProgressBar::new(0);
        let template = "{msg:8} [{bar:32}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message("reading");
        Self(bar)
    }

    fn show(&self, read: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(read.min(total));
        if read >= total {
            // All is read; sorting and writing the trees has no measure.
            if let Ok(style) = ProgressStyle::with_template("{spinner} building the trees, {elapsed}") {
                self.0.set_style(style);
            }
            self.0.enable_steady_tick(Duration::from_millis(100));
        }
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
