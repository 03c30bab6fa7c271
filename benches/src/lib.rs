//! Inputs of the benches: the same on every machine.

mod generated;

use std::path::PathBuf;

pub use generated::generated;

/// A pair of 16 + 100 bytes, as an ordered index of a database might hold.
pub type Pair = ([u8; 16], [u8; 100]);

/// Returns the pair with a number. Keys of successive numbers are scattered.
#[must_use]
pub fn pair(number: u64) -> Pair {
    let mut bytes = [0; 116];
    blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut bytes);
    let (mut key, mut value) = ([0; 16], [0; 100]);
    let (front, back) = bytes.split_at(16);
    key.copy_from_slice(front);
    value.copy_from_slice(back);
    (key, value)
}

/// Returns the pairs with the first numbers, in order of their keys.
#[must_use]
pub fn sorted_pairs(count: u64) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = (0..count).map(pair).collect();
    pairs.sort_unstable();
    pairs
}

/// Returns where a real extract lies, if it is at hand: in `OSMDB_TEST_DATA`, or beside the
/// repository.
#[must_use]
pub fn extract(name: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let dir = std::env::var_os("OSMDB_TEST_DATA").map_or(beside, PathBuf::from);
    Some(dir.join(name)).filter(|path| path.exists())
}
