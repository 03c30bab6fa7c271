//! Single edits: batches of one.

use prolly::PageStore;

use super::{Db, Write};
use crate::entry::Version;
use crate::error::Error;
use crate::model::{ElementId, Payload};

impl<S: PageStore + Sync> Db<S> {
    /// Makes a new element: a batch of one.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let tags = Tags::from([("natural", "spring")]);
    /// let spring = db.create(Payload::Node { coord: Coord::new(425_000_000, 15_000_000)?, tags })?;
    /// assert_eq!(db.get(spring)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Batch::commit`](crate::Batch::commit).
    pub fn create(&self, payload: Payload) -> Result<ElementId, Error> {
        let mut batch = self.batch();
        let element = batch.create(payload)?;
        batch.commit()?;
        Ok(element)
    }

    /// Gives an element new content, which replaces all its heads, and returns the new version: a batch of
    /// one.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let at = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let node = db.create(at(1))?;
    /// let version = db.put(node, at(2))?;
    /// assert_eq!(db.get(node)?[0].version, version);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Batch::commit`](crate::Batch::commit).
    pub fn put(&self, element: ElementId, payload: Payload) -> Result<Version, Error> {
        self.write_one(Write::put(element, payload))
    }

    /// Deletes an element, which no live one may name, and returns the version of the tombstone, which
    /// replaces all its heads: a batch of one.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// # let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// let tombstone = db.delete(node)?;
    /// let heads = db.get(node)?;
    /// assert_eq!(heads[0].version, tombstone);
    /// assert_eq!(heads[0].entry.payload, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Batch::commit`](crate::Batch::commit).
    pub fn delete(&self, element: ElementId) -> Result<Version, Error> {
        self.write_one(Write::delete(element))
    }

    /// Ends a fork: a new version with the content of one of the heads, chosen by its version, replaces
    /// all heads. For a content made by hand, [`put`](Self::put) does the same.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags, Write};
    /// let db = Db::in_memory("osm")?;
    /// let at = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let node = db.create(at(1))?;
    /// let first = db.get(node)?[0].version;
    /// let ours = db.put(node, at(2))?;
    /// // Somebody who knows only the first version edits too.
    /// let mut batch = db.batch();
    /// batch.push(Write::put(node, at(3)).replacing([first]));
    /// batch.commit()?;
    /// assert_eq!(db.get(node)?.len(), 2);
    ///
    /// db.resolve(node, ours)?;
    /// let heads = db.get(node)?;
    /// assert_eq!((heads.len(), heads[0].entry.payload.clone()), (1, Some(at(2))));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// The version is no head of the element ([`Error::NoVersion`]); otherwise as for [`Batch::commit`](crate::Batch::commit).
    pub fn resolve(&self, element: ElementId, chosen: Version) -> Result<Version, Error> {
        let heads = self.get(element)?;
        let head = heads.into_iter().find(|head| head.version == chosen);
        let head = head.ok_or(Error::NoVersion { element, version: chosen })?;
        self.write_one(match head.entry.payload {
            Some(payload) => Write::put(element, payload),
            None => Write::delete(element),
        })
    }

    fn write_one(&self, write: Write) -> Result<Version, Error> {
        let element = write.element;
        let mut batch = self.batch();
        batch.push(write);
        let written = batch.commit()?;
        written.edits.first().and_then(|edited| edited.version).ok_or(Error::NotFound { element })
    }
}
