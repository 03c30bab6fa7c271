//! Databases that hold given entries: they come as from a peer.

use osmdb::sync::{Options, Session, SyncError};
use osmdb::{Counts, Db, Root, Trees};
use prolly::{Commit, Config, MemoryStore, PageSink, PageStore, RootChange, Tree};

use super::text;
use crate::reference::entry::Entry;
use crate::reference::{Address, sync};

/// Makes an empty database with a configuration.
///
/// # Errors
/// The name or the configuration is not valid.
pub fn empty(name: &str, config: Config) -> Result<Db<MemoryStore>, String> {
    config.validate().map_err(text)?;
    let store = MemoryStore::new();
    store.put(config.cid(), config.encode().into()).map_err(text)?;
    let tree = Tree::empty(&store, config).map_err(text)?;
    let trees = Trees { heads: tree, history: tree, spatial: tree, refs: tree, changes: tree, tags: tree };
    let root = Root { name: name.to_owned(), trees, counts: Counts::EMPTY };
    store.put(root.cid(), root.encode().into()).map_err(text)?;
    let change = RootChange { name: "main".to_owned(), expected: None, new: Some(root.cid()) };
    store.commit(&Commit { roots: vec![change], notes: Vec::new() }).map_err(text)?;
    Db::with_store(store, name).map_err(text)
}

/// Adds records of entries to a database.
///
/// # Errors
/// One is malformed, forged, or replaces what is not there.
pub fn add(db: &Db<MemoryStore>, records: &[Vec<u8>]) -> Result<(), String> {
    let entries = records.iter().map(|record| Entry::read(record)).collect::<Result<Vec<_>, _>>()?;
    // The root that they make is in the error of who expects another one.
    let root = match tell(db, &entries, &[0; 32]) {
        Err(SyncError::Root { found, .. }) => *found.as_bytes(),
        Err(error) => return Err(error.to_string()),
        Ok(()) => return Err("a database whose root is zeros".to_owned()),
    };
    if root == *db.root().as_bytes() { Ok(()) } else { tell(db, &entries, &root).map_err(text) }
}

/// Tells a database what a peer says that has these entries beside those of the database.
fn tell(db: &Db<MemoryStore>, entries: &[Entry], root: &Address) -> Result<(), SyncError> {
    let snapshot = db.snapshot();
    let ours = snapshot.root();
    let base = *ours.cid().as_bytes();
    let config = ours.trees.heads.config;
    let config = crate::reference::Config {
        leaf: [config.leaf_min, config.leaf_max],
        branch: [config.branch_min, config.branch_max],
        key_max: config.key_max,
        inline_max: config.inline_max,
    };
    let mut session = Session::new(db, Options::default())?;
    let hello = sync::hello(sync::tag(&config, &ours.name), root, &[base]);
    session.receive(&sync::frame(sync::HELLO, &hello))?;
    session.receive(&sync::frame(sync::DELTA, &base))?;
    for (kind, body) in sync::stream(entries) {
        session.receive(&sync::frame(kind, &body))?;
    }
    while session.send()?.is_some() {}
    session.receive(&sync::frame(sync::DONE, &sync::done(root, 0, 0)))
}
