//! Directories that are no databases, and databases that are in use.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use osmdb::{Db, Error};
use prolly::StoreError;
use tests::{Worker, files_in, node, to_pbf};

fn hold(db: &Path) -> Worker {
    let mut worker = Worker::start(env!("CARGO_BIN_EXE_worker"), db, &["hold".to_owned()]);
    assert!(worker.next_root().is_some(), "it has the database open");
    worker
}

fn is_locked(db: &Path) -> bool {
    let locked = |error: Error| matches!(error, Error::Tree(prolly::Error::Store(StoreError::Locked { .. })));
    let opened = Db::open(db).err().map(locked);
    assert_eq!(Db::create_or_open(db).err().map(locked), opened);
    opened == Some(true)
}

#[test]
fn a_directory_with_something_else_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("photos")).unwrap();
    std::fs::write(dir.path().join("photos/summit.jpg"), b"\xff\xd8\xff").unwrap();
    std::fs::write(dir.path().join("README"), "mine").unwrap();
    let before = files_in(dir.path());
    for opened in [Db::open(dir.path()), Db::create_or_open(dir.path())] {
        let error = opened.unwrap_err();
        assert!(
            matches!(error, Error::Tree(prolly::Error::Store(StoreError::NotAStore { .. }))),
            "{error:?}"
        );
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
        assert_eq!(files_in(dir.path()), before);
    }
}

#[test]
fn a_file_is_no_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "mine").unwrap();
    assert!(Db::open(file.path()).is_err());
    assert!(Db::create_or_open(file.path()).is_err());
    assert_eq!(std::fs::read(file.path()).unwrap(), b"mine");
}

#[test]
fn opening_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Db::open(dir.path().join("none")).is_err());
    assert!(Db::open(dir.path()).is_err(), "it is empty");
    assert_eq!(files_in(dir.path()), Default::default());
    // An empty directory may become one.
    let root = Db::create_or_open(dir.path()).unwrap().root();
    assert_eq!(Db::open(dir.path()).unwrap().root(), root);
}

#[test]
fn a_database_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, to_pbf(&[node(1, 0, 0, &[])])).unwrap();
    let path = dir.path().join("db");
    let db = Db::create_or_open(&path).unwrap();
    db.import(&[&file], |_, _| {}).unwrap();
    let root = db.root();
    assert!(is_locked(&path), "by this process");
    drop(db);

    let worker = hold(&path);
    assert!(is_locked(&path), "by another process");
    assert!(worker.finish().finished);
    assert_eq!(Db::open(&path).unwrap().root(), root);

    let report = hold(&path).kill_after(Duration::ZERO);
    assert!(!report.finished);
    let db = Db::open(&path).unwrap();
    assert_eq!(db.root(), root, "the dead hold no lock");
    db.verify().unwrap();
}
