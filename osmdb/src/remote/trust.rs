//! Whom a reader believes what the root is, and what it has seen of them.

use std::fmt;
use std::sync::Arc;

use prolly::cbor::{CborError, Reader, put_array, put_link, put_unsigned};
use prolly::{Cid, Commit, PageStore, StoreError};

use crate::entry::Author;
use crate::signed_root::SignedRoot;

/// What the notes in a cache of what was seen begin with; the key of who signed follows.
const PREFIX: &[u8] = b"seen/";

/// Whose signature under a root is trusted.
///
/// ```
/// use osmdb::Signers;
/// # let db = osmdb::Db::in_memory("osm")?;
/// let signers = Signers::of([db.author()?]);
/// assert!(signers.trusts(&db.author()?));
/// // Whoever has a key that begins so:
/// let some = Signers::those(|key| key.as_bytes()[0] < 128);
/// # let _ = some;
/// # Ok::<(), osmdb::Error>(())
/// ```
#[derive(Clone)]
pub struct Signers(Arc<dyn Fn(&Author) -> bool + Send + Sync>);

impl Signers {
    /// Trusts these.
    ///
    /// ```
    /// # let key = osmdb::Db::in_memory("osm")?.author()?;
    /// assert!(!osmdb::Signers::of([]).trusts(&key));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn of(keys: impl IntoIterator<Item = Author>) -> Self {
        let keys: Vec<Author> = keys.into_iter().collect();
        Self::those(move |key| keys.contains(key))
    }

    /// Trusts those of whom it is said.
    ///
    /// ```
    /// # let key = osmdb::Db::in_memory("osm")?.author()?;
    /// assert!(osmdb::Signers::those(|_| true).trusts(&key));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn those(trusts: impl Fn(&Author) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(trusts))
    }

    /// Tells whether the holder of a key is trusted.
    ///
    /// ```
    /// # let key = osmdb::Db::in_memory("osm")?.author()?;
    /// assert!(osmdb::Signers::of([key]).trusts(&key));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn trusts(&self, key: &Author) -> bool {
        (self.0)(key)
    }
}

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signers(..)")
    }
}

/// The root that an origin has now, and who stands for it.
///
/// ```
/// use osmdb::Announced;
/// # let db = osmdb::Db::in_memory("osm")?;
/// // Somebody says so.
/// let announced = Announced { root: db.root(), signed: None, peer: None };
/// assert_eq!(Announced::from(db.root()), announced);
/// # Ok::<(), osmdb::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// The root.
    pub root: Cid,
    /// The signature under it, if there is one.
    pub signed: Option<SignedRoot>,
    /// The key of who says so, if the connection has proved it.
    pub peer: Option<Author>,
}

impl From<Cid> for Announced {
    fn from(root: Cid) -> Self {
        Self { root, signed: None, peer: None }
    }
}

/// The root that an origin has is not one to be trusted.
///
/// ```
/// use osmdb::{BlockingRemote, Db, PackOrigin, RemoteError, RemoteOptions, Signers, TrustError};
/// use prolly::MemoryStore;
/// # let dir = tempfile::tempdir()?;
/// let (ours, friends) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
/// ours.publish_to(dir.path())?;
/// let options = RemoteOptions { signers: Some(Signers::of([friends.author()?])), ..Default::default() };
/// let origins = vec![PackOrigin::directory(dir.path())];
/// match BlockingRemote::open_with(&options, origins, MemoryStore::new()) {
///     Err(RemoteError::Trust { source: TrustError::Stranger { author }, .. }) => {
///         assert_eq!(author, ours.author()?);
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Nobody signed it.
    #[error("nobody has signed the root {root}")]
    Unsigned {
        /// The root.
        root: Cid,
    },
    /// Somebody signed it who is not trusted.
    #[error("the root is signed by somebody who is not trusted: {author}")]
    Stranger {
        /// Who signed it.
        author: Author,
    },
    /// The same signer has signed a later one, which was seen before.
    #[error("the root has the number {found}, but {author} signed another later, with the number {seen}")]
    Older {
        /// Who signed both.
        author: Author,
        /// The number of the later one.
        seen: u64,
        /// The number of the one that the origin has.
        found: u64,
    },
    /// The same signer has signed another root with the same number.
    #[error("{author} has signed two roots with the number {number}: the other one is {seen}")]
    Twice {
        /// Who signed both.
        author: Author,
        /// The number.
        number: u64,
        /// The root that was seen before.
        seen: Cid,
    },
}

/// Why a root is not taken.
pub(super) enum Distrust {
    Trust(TrustError),
    Store(StoreError),
}

impl From<StoreError> for Distrust {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Decides whether a root is taken, and remembers it.
pub(super) fn judge<C: PageStore>(
    cache: &C,
    signers: Option<&Signers>,
    announced: &Announced,
) -> Result<(), Distrust> {
    let refused = |error| Err(Distrust::Trust(error));
    let Announced { root, signed, peer } = announced;
    // Whoever is known by the connection is believed of its own root.
    let is_its_own = |author: Author| *peer == Some(author);
    match (signers, signed) {
        (Some(_), None) => return refused(TrustError::Unsigned { root: *root }),
        (Some(signers), Some(signed)) if !signers.trusts(&signed.author()) => {
            return refused(TrustError::Stranger { author: signed.author() });
        }
        // Nobody is trusted more than others.
        (None, None) => return Ok(()),
        (None, Some(signed)) if !is_its_own(signed.author()) => return Ok(()),
        (_, Some(_)) => {}
    }
    let Some(signed) = signed else { return Ok(()) };
    let (author, number) = (signed.author(), signed.number());
    let key = [PREFIX, author.as_bytes()].concat();
    let notes = cache.notes(&key)?;
    // A damaged note is as good as none: what is in a cache can be lost.
    let seen = notes.iter().find_map(|(_, note)| read(note).ok());
    match seen {
        Some((seen, _)) if seen > number => {
            return refused(TrustError::Older { author, seen, found: number });
        }
        Some((seen, before)) if seen == number && before != *root => {
            return refused(TrustError::Twice { author, number, seen: before });
        }
        Some((seen, _)) if seen == number => return Ok(()),
        _ => {}
    }
    let mut note = Vec::new();
    put_array(&mut note, 2);
    put_unsigned(&mut note, number);
    put_link(&mut note, root);
    cache.commit(&Commit { roots: Vec::new(), notes: vec![(key, Some(note))] })?;
    Ok(())
}

fn read(note: &[u8]) -> Result<(u64, Cid), CborError> {
    let mut reader = Reader::new(note);
    reader.array_of(2)?;
    let seen = (reader.unsigned()?, reader.link()?);
    reader.end()?;
    Ok(seen)
}
