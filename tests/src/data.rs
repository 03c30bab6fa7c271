//! Where the real extracts are. They are no part of the repository.

use std::path::{Path, PathBuf};

/// Finds a real file: in the folder that `OSMDB_TEST_DATA` names, or beside the repository. Prints a
/// line and returns `None` where it is absent: the test has nothing to do then.
#[must_use]
pub fn data(name: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("OSMDB_TEST_DATA").map_or_else(default, PathBuf::from);
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: {} is not there (OSMDB_TEST_DATA names the folder)", path.display());
    None
}
