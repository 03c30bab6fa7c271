//! Edits of data whose elements may name others that are not there.

use osmdb::{Db, ElementId, Payload, Replaces, Version, Write};
use prolly::{Commit, Faults, FaultyStore, PageStore};

use crate::Rng;

/// Opens an empty database whose key is always the same for the same random numbers.
///
/// # Panics
/// A database cannot be made in memory.
#[must_use]
pub fn peer(rng: &mut Rng) -> Db<FaultyStore> {
    let store = FaultyStore::new(Faults::new(0));
    let secret: Vec<u8> = (0..4).flat_map(|_| rng.bits().to_be_bytes()).collect();
    let key = (b"device-key".to_vec(), Some(secret));
    store.commit(&Commit { roots: Vec::new(), notes: vec![key] }).expect("nothing fails here");
    Db::with_store(store, "osm").expect("an empty store is a database")
}

/// Makes one edit at a time in seconds since 1970, which may name what is not there, and returns its version.
///
/// # Panics
/// It cannot be made.
pub fn edit<S: PageStore + Sync>(
    db: &Db<S>,
    element: ElementId,
    payload: Option<Payload>,
    replaces: Replaces,
    time: i64,
) -> Version {
    let write = match payload {
        Some(payload) => Write::put(element, payload),
        None => Write::delete(element),
    };
    let mut batch = db.batch();
    batch.lenient().made_at(time).push(match replaces {
        Replaces::Heads => write,
        Replaces::Versions(versions) => write.replacing(versions),
    });
    let written = batch.commit().expect("it can be written");
    written.edits[0].version.expect("nothing is kept in use")
}
