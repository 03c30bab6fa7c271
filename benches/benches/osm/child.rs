//! Imports in processes of their own, so that each has its own peak of memory.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use osmdb::Db;

use crate::Failure;

/// What an import took.
#[derive(Clone, Copy)]
pub struct Imported {
    pub elements: u64,
    pub time: Duration,
    pub peak_bytes: u64,
    pub disk_bytes: u64,
}

/// Imports in a new process.
pub fn start(system: &str, file: &Path, dir: &Path) -> Result<Imported, Failure> {
    let child =
        Command::new(std::env::current_exe()?).arg("--child").arg(system).args([file, dir]).output()?;
    if !child.status.success() {
        return Err(String::from_utf8_lossy(&child.stderr).into_owned().into());
    }
    let text = String::from_utf8(child.stdout)?;
    let numbers: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [elements, nanos, peak_bytes, disk_bytes] = numbers[..] else {
        return Err(format!("the child said {text}").into());
    };
    Ok(Imported { elements, time: Duration::from_nanos(nanos), peak_bytes, disk_bytes })
}

/// Imports in this process, from nothing to durable, and prints what it took.
pub fn import(system: &str, file: &Path, dir: &Path) -> Result<(), Failure> {
    let start = Instant::now();
    let (elements, time) = match system {
        "ours" => {
            let db = Db::create_or_open(dir)?;
            let imported = db.import(&[file], |_, _| {})?;
            (imported.read, start.elapsed())
        }
        #[cfg(feature = "peers")]
        "sqlite" => {
            std::fs::create_dir_all(dir)?;
            let elements = crate::sqlite::Sqlite::open(dir)?.import(file)?;
            (elements, start.elapsed())
        }
        other => return Err(format!("there is no {other}").into()),
    };
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak is known")?;
    let kib: u64 = peak.trim().trim_end_matches(" kB").trim().parse()?;
    println!("{elements} {} {} {}", time.as_nanos(), kib * 1024, disk_bytes(dir)?);
    Ok(())
}

/// Adds up what a directory takes on the disk: the engine's journal is a sparse file.
fn disk_bytes(dir: &Path) -> Result<u64, Failure> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let (path, meta) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        bytes += if meta.is_dir() { disk_bytes(&path)? } else { meta.blocks() * 512 };
    }
    Ok(bytes)
}
