//! Peak memory of a streaming build to disk, each in a process of its own.

use std::process::Command;

use benches::Pair;

use crate::ours::build_on_disk;
use crate::prolly_map::Nodes;
use crate::system::Failure;

/// The systems that are measured, as the child is told.
pub const SYSTEMS: [&str; 2] = ["prolly", "prolly-map"];

/// Builds in a new process, and returns the most memory that it had.
pub fn measure(system: &str, count: u64) -> Result<u64, Failure> {
    let child =
        Command::new(std::env::current_exe()?).args(["--peak", system, &count.to_string()]).output()?;
    if !child.status.success() {
        return Err(String::from_utf8_lossy(&child.stderr).into_owned().into());
    }
    Ok(String::from_utf8(child.stdout)?.trim().parse()?)
}

/// Builds in this process, and prints the most memory that it had, in bytes.
pub fn child(system: &str, count: u64) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    match system {
        "prolly" => drop(build_on_disk(dir.path(), ascending(count))?),
        "prolly-map" => {
            let nodes = Nodes::open(dir.path())?;
            let mut builder = prolly_map::SortedBatchBuilder::new(nodes, prolly_map::Config::default());
            for (key, value) in ascending(count) {
                builder.add(key.to_vec(), value.to_vec())?;
            }
            drop(builder.build()?);
        }
        other => return Err(format!("there is no {other}").into()),
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak is known")?;
    let kib: u64 = peak.trim().trim_end_matches(" kB").trim().parse()?;
    println!("{}", kib * 1024);
    Ok(())
}

/// Pairs in order of their keys, made one by one: sorting them would be the memory that is measured.
fn ascending(count: u64) -> impl Iterator<Item = Pair> {
    (0..count).map(move |number| {
        let (mut key, value) = benches::pair(number);
        let spread = number.saturating_mul(u64::MAX / count);
        key[..8].copy_from_slice(&spread.to_be_bytes());
        (key, value)
    })
}
