//! Edits made here.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use prolly::PageStore;

use super::{Db, now};
use crate::entry::{EditMeta, Entry, Fresh, Origin, Version};
use crate::error::Error;
use crate::model::{ElementId, Kind, MAX_ID, Payload};

/// Which versions of an element an edit replaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Replaces {
    /// All heads: if there are several, the edit ends the fork.
    #[default]
    Heads,
    /// These versions only: other heads stay beside the edit.
    Versions(Vec<Version>),
}

/// One edit of one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The element; it is new if it has no versions yet.
    pub element: ElementId,
    /// Its new content; `None` deletes it.
    pub payload: Option<Payload>,
    /// The versions it replaces.
    pub replaces: Replaces,
    /// The changeset it belongs to.
    pub changeset: Option<u64>,
}

/// Gives ids to new elements: a random base above 2⁶² for every session, and up from there, so that
/// elements made together sort together and do not meet another session's.
#[derive(Debug, Default)]
pub(crate) struct NewIds(Option<u64>);

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
    /// Returns an id that no other element has, here or elsewhere.
    ///
    /// # Errors
    /// The system gives no random number.
    pub fn new_id(&self, kind: Kind) -> Result<ElementId, Error> {
        let id = self.ids.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        Ok(ElementId::new(kind, id))
    }

    /// Makes a new element.
    ///
    /// # Errors
    /// The store fails; the database is as it was.
    pub fn create(&self, payload: Payload) -> Result<ElementId, Error> {
        let element = self.new_id(payload.kind())?;
        let payload = Some(payload);
        self.write(vec![Write { element, payload, replaces: Replaces::Heads, changeset: None }])?;
        Ok(element)
    }

    /// Gives an element new content, which replaces all its heads; returns the new version.
    ///
    /// # Errors
    /// The content is of another kind than the element, or the store fails; the database is as it
    /// was.
    pub fn put(&self, element: ElementId, payload: Payload) -> Result<Version, Error> {
        self.write_one(element, Some(payload))
    }

    /// Deletes an element: a tombstone replaces all its heads; returns its version.
    ///
    /// # Errors
    /// There is no such element, or the store fails; the database is as it was.
    pub fn delete(&self, element: ElementId) -> Result<Version, Error> {
        self.write_one(element, None)
    }

    fn write_one(&self, element: ElementId, payload: Option<Payload>) -> Result<Version, Error> {
        let write = Write { element, payload, replaces: Replaces::Heads, changeset: None };
        let versions = self.write(vec![write])?;
        versions.first().copied().ok_or(Error::NotFound { element })
    }

    /// Makes several edits in one commit, one after another; returns their versions. Later ones see
    /// the earlier ones.
    ///
    /// # Errors
    /// Content is of another kind than its element, an id cannot be, an element to delete or a version
    /// to replace is not there, or the store fails; the database is as it was.
    pub fn write(&self, writes: Vec<Write>) -> Result<Vec<Version>, Error> {
        let _turn = self.write_turn();
        let snapshot = self.snapshot();
        let mut heads: BTreeMap<ElementId, Vec<Version>> = BTreeMap::new();
        let mut made: Vec<Fresh> = Vec::with_capacity(writes.len());
        for Write { element, payload, replaces, changeset } in writes {
            if let Some(content) = payload.as_ref().map(Payload::kind).filter(|kind| *kind != element.kind) {
                return Err(Error::Kind { element, content });
            }
            let heads = match heads.entry(element) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(snapshot.get(element)?.into_iter().map(|head| head.version).collect())
                }
            };
            if payload.is_none() && heads.is_empty() {
                return Err(Error::NotFound { element });
            }
            let mut links = match replaces {
                Replaces::Heads => heads.clone(),
                Replaces::Versions(versions) => versions,
            };
            links.sort_unstable();
            links.dedup();
            let is_known = |link: &&Version| {
                heads.contains(link)
                    || made.iter().any(|known| known.element == element && known.version == **link)
            };
            for version in links.iter().filter(|link| !is_known(link)) {
                let replaced = snapshot.replaced(element)?;
                if replaced.iter().all(|head| head.version != *version) {
                    return Err(Error::NoVersion { element, version: *version });
                }
            }
            heads.retain(|head| !links.contains(head));
            let origin = Origin::Edited(EditMeta { links, changeset, timestamp: now() });
            let known = Fresh::new(&Entry { element, payload, origin });
            known.check().map_err(|source| Error::Invalid { element, source })?;
            heads.push(known.version);
            made.push(known);
        }
        let versions = made.iter().map(|known| known.version).collect();
        self.add(&self.store, made, "edit", None)?;
        Ok(versions)
    }
}
