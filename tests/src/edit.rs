//! Edits of data whose elements may name others that are not there.

use osmdb::{Db, ElementId, Payload, Replaces, Version, Write};
use prolly::PageStore;

/// Makes one edit, which may name what is not there, and returns its version.
///
/// # Panics
/// It cannot be made.
pub fn edit<S: PageStore + Sync>(
    db: &Db<S>,
    element: ElementId,
    payload: Option<Payload>,
    replaces: Replaces,
) -> Version {
    let write = match payload {
        Some(payload) => Write::put(element, payload),
        None => Write::delete(element),
    };
    let mut batch = db.batch();
    batch.lenient().push(match replaces {
        Replaces::Heads => write,
        Replaces::Versions(versions) => write.replacing(versions),
    });
    let written = batch.commit().expect("it can be written");
    written.edits[0].version.expect("nothing is kept in use")
}
