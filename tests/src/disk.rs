//! Directories as a whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns every file below a directory with its content, and every directory with none.
#[must_use]
pub fn files_in(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).expect("the directory can be read") {
            let path = entry.expect("the directory can be read").path();
            if path.is_dir() {
                found.insert(path.clone(), None);
                waiting.push(path);
            } else {
                found.insert(path.clone(), Some(fs::read(&path).expect("the file can be read")));
            }
        }
    }
    found
}

/// Copies a directory with all that is in it.
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for (path, content) in files_in(from) {
        let target = to.join(path.strip_prefix(from).expect("it lies below"));
        match content {
            None => fs::create_dir_all(target).expect("a directory can be made"),
            Some(content) => {
                fs::create_dir_all(target.parent().expect("it lies in one"))
                    .expect("a directory can be made");
                fs::write(target, content).expect("a file can be written");
            }
        }
    }
}
