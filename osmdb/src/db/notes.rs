//! Notes beside the pages: what only this database knows, and no other learns of.

use prolly::{Commit, Note, PageStore};

use super::Db;
use crate::error::Error;

/// A note to be written: its key, and its record; `None` removes it.
pub(crate) type NewNote = (Vec<u8>, Option<Vec<u8>>);

impl<S: PageStore> Db<S> {
    /// Returns the notes whose keys begin with a prefix, in order of their keys.
    pub(crate) fn notes(&self, prefix: &[u8]) -> Result<Vec<Note>, Error> {
        Ok(self.store.notes(prefix)?)
    }

    /// Writes notes, all or none. When this returns, they survive a crash.
    pub(crate) fn note(&self, notes: Vec<NewNote>) -> Result<(), Error> {
        let _turn = self.write_turn();
        self.store.commit(&Commit { roots: Vec::new(), notes })?;
        Ok(())
    }
}
