//! Reading OSM files into a database.

use std::path::Path;
use std::sync::Arc;

use prolly::PageStore;

use super::load::{self, Scratch};
use super::reflog::{self, Cause};
use super::{Db, Snapshot, apply};
use crate::error::Error;
use crate::io::Reader;
use crate::model::ElementId;

/// What an import did.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("village.osm");
/// std::fs::write(&path, r#"<osm version="0.6"><node id="1" version="2" lat="42.5" lon="1.5"/></osm>"#)?;
/// let db = osmdb::Db::in_memory("osm")?;
/// let first = db.import(&[&path], |_, _| {})?;
/// assert_eq!((first.read, first.gained), (1, 1));
/// let again = db.import(&[&path], |_, _| {})?;
/// assert_eq!((again.read, again.gained), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// How many versions the files hold.
    pub read: u64,
    /// How many of them were new.
    pub gained: u64,
    /// The elements that have become forks, in order.
    pub forked: Vec<ElementId>,
}

impl<S: PageStore + Sync> Db<S> {
    /// Imports OSM files (`.osm.pbf`, `.osm` and `.osc`, the last two also packed, told apart by their
    /// content) in one commit. A change file adds what it creates and modifies, and tombstones of what it
    /// deletes. Imported entries carry nothing of this machine or this moment, so the same files
    /// give the same root everywhere.
    ///
    /// All cores take part. Memory is bounded, whatever the files' size: about 250 MB beside the caches of
    /// the store; entries that take more are sorted in files, in the directory that the store names for such
    /// ([`PageStore::scratch`]). Into an empty database all trees are built at once. What the database
    /// has already costs a look; the rest is applied as edits are, or, if it is more than a fifth of what
    /// there is, all trees are built anew.
    ///
    /// While it reads, it reports how many bytes of all files it has read, and how many there are.
    ///
    /// ```
    /// use osmdb::{Db, ElementId};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("village.osm");
    /// std::fs::write(&path, r#"<osm version="0.6"><node id="1" version="2" lat="42.5" lon="1.5"/></osm>"#)?;
    /// let db = Db::in_memory("osm")?;
    /// assert_eq!(db.import(&[&path], |_read, _total| {})?.gained, 1);
    /// assert_eq!(db.get(ElementId::node(1))?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A file cannot be read, or the store fails; the database is as it was.
    pub fn import<P: AsRef<Path>>(
        &self,
        files: &[P],
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Imported, Error> {
        let readers = files.iter().map(Reader::open).collect::<Result<Vec<_>, _>>()?;
        let total = readers.iter().map(Reader::total).sum();
        let scratch = Scratch::new(self.store.scratch()?);
        let (entries, read) = load::read(readers, &scratch, |read| progress(read, total))?;
        progress(total, total);
        let mut turn = self.write_turn();
        let old = self.root_record();
        let mut applied = if old.counts.entries == 0 {
            load::load(&self.store, &old, &entries, &scratch)?
        } else {
            let snapshot = Snapshot::of(&self.store, old.clone());
            let (new, count) = apply::differing(&snapshot, &entries, &scratch)?;
            drop(entries);
            apply::grow(&self.store, &old, &Arc::new(new), count, &scratch)?
        };
        self.publish(&mut turn, &old, &applied.root, Cause::new(reflog::IMPORT))?;
        applied.forked.sort_unstable();
        Ok(Imported { read, gained: applied.gained, forked: applied.forked })
    }
}
