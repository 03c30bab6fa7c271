//! Standing for a root: signing it, with a number that only grows.

use std::sync::PoisonError;

use prolly::cbor::{CborError, Reader, put_array, put_link, put_unsigned};
use prolly::{Cid, Commit, PageStore};

use super::{Db, now};
use crate::error::Error;
use crate::signed_root::SignedRoot;

/// The note of the root that was signed last.
const NOTE: &[u8] = b"signed";

impl<S: PageStore> Db<S> {
    /// Signs the root that the database has now with its key, so that readers who trust the key can tell it from
    /// others, and from older ones. The same root is signed once.
    ///
    /// Costs a commit of one note, if another root was signed last.
    ///
    /// ```
    /// # use osmdb::Db;
    /// let db = Db::in_memory("osm")?;
    /// let signed = db.sign_root()?;
    /// assert_eq!((signed.root(), signed.author()), (db.root(), db.author()?));
    /// assert_eq!(db.sign_root()?, signed);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system gives no random number for a key, or the store fails.
    pub fn sign_root(&self) -> Result<SignedRoot, Error> {
        self.sign(|| self.root())
    }

    /// Signs a root of this database, which then counts as later than all that were signed before.
    pub(crate) fn sign(&self, root: impl FnOnce() -> Cid) -> Result<SignedRoot, Error> {
        let key = self.key()?;
        let mut last = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at with the lock held: what is signed later is as late.
        let root = root();
        if let Some(signed) = last.filter(|last| last.root() == root) {
            return Ok(signed);
        }
        let before = match *last {
            Some(last) => Some((last.number(), last.root())),
            None => self.noted()?,
        };
        let number = match before {
            Some((number, last)) if last == root => number,
            before => {
                let least = before.map_or(0, |(number, _)| number.saturating_add(1));
                let number = u64::try_from(now()).unwrap_or(0).max(least);
                let mut note = Vec::new();
                put_array(&mut note, 2);
                put_unsigned(&mut note, number);
                put_link(&mut note, &root);
                // Before anybody sees it: two roots never have the same number.
                self.store()
                    .commit(&Commit { roots: Vec::new(), notes: vec![(NOTE.to_vec(), Some(note))] })?;
                number
            }
        };
        let signed = SignedRoot::sign(&key, root, number);
        *last = Some(signed);
        Ok(signed)
    }

    /// Returns what was signed last.
    fn noted(&self) -> Result<Option<(u64, Cid)>, Error> {
        let Some((_, note)) = self.store().notes(NOTE)?.into_iter().find(|(key, _)| key == NOTE) else {
            return Ok(None);
        };
        read(&note).map(Some).map_err(|_| Error::SignedNote)
    }
}

fn read(note: &[u8]) -> Result<(u64, Cid), CborError> {
    let mut reader = Reader::new(note);
    reader.array_of(2)?;
    let noted = (reader.unsigned()?, reader.link()?);
    reader.end()?;
    Ok(noted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Coord, Payload, Tags};

    #[test]
    fn numbers_grow_whatever_the_clock_says_and_outlive_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Db::create_or_open(dir.path().join("osm.db")).unwrap();
        let edit = |db: &Db| {
            db.create(Payload::Node { coord: Coord::new(0, 0).unwrap(), tags: Tags::new() }).unwrap();
        };
        let db = open();
        let mut numbers = Vec::new();
        for _ in 0..5 {
            edit(&db);
            numbers.push(db.sign_root().unwrap().number());
        }
        let last = db.sign_root().unwrap();
        drop(db);
        let db = open();
        assert_eq!(db.sign_root().unwrap(), last, "the same root is not signed anew");
        edit(&db);
        numbers.push(db.sign_root().unwrap().number());
        // A root that the database had is late when it is signed again.
        let old = db.sign(|| last.root()).unwrap();
        numbers.push(old.number());
        numbers.push(db.sign_root().unwrap().number());
        assert!(numbers.is_sorted_by(|before, behind| before < behind), "{numbers:?}");
    }
}
