//! What every system of the comparison can be asked to do.

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::Pair;

pub type Failure = Box<dyn std::error::Error>;
/// What a piece of work took; `None`: the system has nothing like it.
pub type Timed = Result<Option<Duration>, Failure>;
pub type Key = [u8; 16];

/// Holds the pairs and does the work of one row, timed by itself. What it is not for, it leaves out.
pub trait System {
    fn name(&self) -> &'static str;

    /// Builds the pairs anew, from the order of their keys; the rows below begin from these.
    fn build(&mut self, sorted: &[Pair]) -> Timed;

    /// Builds the same from any order, and forgets it.
    fn build_random(&mut self, pairs: &[Pair]) -> Timed;

    fn get(&mut self, keys: &[Key]) -> Timed;

    /// Puts what was built on disk, once, and gets keys from there, freshly opened for every call.
    fn cold_get(&mut self, keys: &[Key]) -> Timed;

    /// Walks from a key over so many pairs, which are handed out one by one to keep.
    fn scan(&mut self, from: &Key, most: usize) -> Timed;

    /// Walks over all pairs, which are only looked at.
    fn visit(&mut self, count: usize) -> Timed;

    /// Applies a batch to the pairs as built.
    fn batch(&mut self, batch: &[Pair]) -> Timed;

    /// Compares the pairs as built with what the latest batch made of them, and expects this many
    /// changes.
    fn diff(&mut self, _expected: usize) -> Timed {
        Ok(None)
    }

    /// Merges two batches that were applied to the pairs as built, each for itself.
    fn merge(&mut self, _left: &[Pair], _right: &[Pair]) -> Timed {
        Ok(None)
    }

    /// Proves keys one by one, each proof as bytes; and how long those are together.
    fn prove(&mut self, _keys: &[Key]) -> Result<Option<(Duration, u64)>, Failure> {
        Ok(None)
    }

    /// Checks the proofs made before, from their bytes.
    fn verify(&mut self) -> Timed {
        Ok(None)
    }

    /// What is stored for the pairs as built.
    fn bytes(&self) -> Result<Option<u64>, Failure>;
}

pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = black_box(work());
    (result, start.elapsed())
}

pub fn expect(found: usize, expected: usize) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(format!("{found} found, {expected} expected").into()) }
}

/// Adds up the bytes of a directory.
pub fn dir_bytes(dir: &std::path::Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { dir_bytes(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}
