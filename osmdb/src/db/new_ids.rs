//! Ids of new elements.

use std::sync::PoisonError;

use prolly::PageStore;

use super::Db;
use crate::error::Error;
use crate::model::{ElementId, Kind, MAX_ID};

/// Gives ids to new elements: a random base above 2⁶² for every session, and up from there, so that
/// elements made together sort together and do not meet another session's.
#[derive(Debug, Default)]
pub(super) struct NewIds(Option<u64>);

impl NewIds {
    fn next(&mut self) -> Result<u64, Error> {
        let id = match self.0.and_then(|last| last.checked_add(1)).filter(|id| *id <= MAX_ID) {
            Some(id) => id,
            None => (1 << 62) | (getrandom::u64()? >> 2),
        };
        self.0 = Some(id);
        Ok(id)
    }
}

impl<S: PageStore> Db<S> {
    /// Returns an id that no other element has, here or elsewhere: from 2⁶² to 2⁶³−1, a random one first and
    /// then those behind it. Costs no page, and nothing is written.
    ///
    /// ```
    /// # use osmdb::{Db, Kind};
    /// # let db = Db::in_memory("osm")?;
    /// let (first, second) = (db.new_id(Kind::Node)?, db.new_id(Kind::Node)?);
    /// assert_ne!(first, second);
    /// assert!(first.id >= 1 << 62 && first.kind == Kind::Node);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The system gives no random number.
    pub fn new_id(&self, kind: Kind) -> Result<ElementId, Error> {
        let id = self.ids.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        Ok(ElementId::new(kind, id))
    }
}
