//! The key of a database, and the names of those who edit.

use std::collections::BTreeMap;
use std::sync::Arc;

use prolly::{Commit, PageSource, PageStore};

use super::{Db, Snapshot};
use crate::entry::{Author, DeviceKey};
use crate::error::Error;

/// The note that holds the secret key. Notes are local: neither merging nor publishing passes them on.
const KEY_NOTE: &[u8] = b"device-key";

/// What the notes of names begin with; the key follows.
const NAME_PREFIX: &[u8] = b"author/";

/// No name of an author is longer than this, in bytes.
///
/// ```
/// use osmdb::{Db, Error, MAX_AUTHOR_NAME_BYTES};
/// let db = Db::in_memory("osm")?;
/// let long = "a".repeat(MAX_AUTHOR_NAME_BYTES + 1);
/// assert!(matches!(db.name_author(db.author()?, &long), Err(Error::AuthorName)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MAX_AUTHOR_NAME_BYTES: usize = 255;

/// Somebody who edited, or who has a name here.
///
/// ```
/// # use osmdb::{Coord, Db, Payload, Tags};
/// # let db = Db::in_memory("osm")?;
/// db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let info = &db.authors()?[0];
/// assert_eq!((info.versions, info.is_here, info.name.as_deref()), (1, true, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorInfo {
    /// The key.
    pub author: Author,
    /// The name that it was given here.
    pub name: Option<String>,
    /// How many versions are signed with it.
    pub versions: u64,
    /// Whether it is the key of this database.
    pub is_here: bool,
}

impl<S: PageSource> Snapshot<S> {
    /// Counts the versions of every author. Costs all pages of two trees.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// # let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() };
    /// let place = db.create(node(1))?;
    /// db.put(place, node(2))?;
    /// assert_eq!(db.snapshot().authors()?.get(&db.author()?), Some(&2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged.
    pub fn authors(&self) -> Result<BTreeMap<Author, u64>, Error> {
        let mut authors = BTreeMap::new();
        for known in self.entries() {
            if let Some(author) = known?.entry.author() {
                *authors.entry(author).or_insert(0) += 1;
            }
        }
        Ok(authors)
    }
}

impl<S: PageStore> Db<S> {
    /// Returns who signs the edits that are made here: the public half of a key that this database makes
    /// for itself the first time it is asked for, and keeps. The secret half never leaves the store, except
    /// with a copy of its directory: two copies edit as one author.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let db = Db::in_memory("osm")?;
    /// let me = db.author()?;
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// assert_eq!(db.get(node)?[0].entry.author(), Some(me));
    /// assert_eq!(me.to_string().parse(), Ok(me));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The system gives no random number, or the store fails.
    pub fn author(&self) -> Result<Author, Error> {
        let _turn = self.write_turn();
        Ok(self.device_key()?.author())
    }

    /// Returns the key, with which the device also proves to others who it is.
    pub(crate) fn key(&self) -> Result<Arc<DeviceKey>, Error> {
        let _turn = self.write_turn();
        self.device_key()
    }

    /// Returns the key. The caller has the turn to write.
    pub(super) fn device_key(&self) -> Result<Arc<DeviceKey>, Error> {
        if let Some(key) = self.key.get() {
            return Ok(Arc::clone(key));
        }
        let key = stored_key(&self.store)?;
        Ok(Arc::clone(self.key.get_or_init(|| Arc::new(key))))
    }

    /// Gives an author a name, for this database only; an empty one takes it away. Names are for people:
    /// nothing is decided by them.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// db.create(Payload::Node { coord: Coord::new(0, 0).unwrap(), tags: Tags::new() })?;
    /// db.name_author(db.author()?, "Amina")?;
    /// let authors = db.authors()?;
    /// assert_eq!((authors[0].name.as_deref(), authors[0].versions), (Some("Amina"), 1));
    /// assert!(authors[0].is_here);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// The name is longer than [`MAX_AUTHOR_NAME_BYTES`], or the store fails.
    pub fn name_author(&self, author: Author, name: &str) -> Result<(), Error> {
        if name.len() > MAX_AUTHOR_NAME_BYTES {
            return Err(Error::AuthorName);
        }
        let _turn = self.write_turn();
        let key = [NAME_PREFIX, author.as_bytes()].concat();
        let value = (!name.is_empty()).then(|| name.as_bytes().to_vec());
        self.store.commit(&Commit { roots: Vec::new(), notes: vec![(key, value)] })?;
        Ok(())
    }

    /// Returns everybody who edited or has a name here, in order of their keys. Costs all pages of two
    /// trees.
    ///
    /// ```
    /// # use osmdb::{Coord, Db, Payload, Tags};
    /// # let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
    /// theirs.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// ours.merge(&theirs.snapshot())?;
    /// ours.name_author(theirs.author()?, "Riverside")?;
    /// let others: Vec<_> = ours.authors()?.into_iter().filter(|info| !info.is_here).collect();
    /// assert_eq!((others.len(), others[0].name.as_deref()), (1, Some("Riverside")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A page is missing or damaged, or the store fails.
    pub fn authors(&self) -> Result<Vec<AuthorInfo>, Error> {
        let here = self.author()?;
        let mut authors = self.snapshot().authors()?;
        authors.entry(here).or_insert(0);
        let mut names = BTreeMap::new();
        for (key, name) in self.store.notes(NAME_PREFIX)? {
            let key = key.strip_prefix(NAME_PREFIX).and_then(|key| key.try_into().ok());
            let author = Author::new(key.ok_or(Error::AuthorNote)?);
            names.insert(author, String::from_utf8(name).map_err(|_| Error::AuthorNote)?);
            authors.entry(author).or_insert(0);
        }
        let info = |(author, versions)| {
            let name = names.remove(&author);
            AuthorInfo { author, name, versions, is_here: author == here }
        };
        Ok(authors.into_iter().map(info).collect())
    }
}

/// Returns the key that a store has, and makes one if it has none.
pub(crate) fn stored_key<S: PageStore>(store: &S) -> Result<DeviceKey, Error> {
    if let Some((_, secret)) = store.notes(KEY_NOTE)?.into_iter().next() {
        let secret: [u8; 32] = secret.try_into().map_err(|_| Error::DeviceKey)?;
        return Ok(DeviceKey::new(&secret));
    }
    let key = DeviceKey::generate()?;
    let note = (KEY_NOTE.to_vec(), Some(key.secret().to_vec()));
    store.commit(&Commit { roots: Vec::new(), notes: vec![note] })?;
    Ok(key)
}
