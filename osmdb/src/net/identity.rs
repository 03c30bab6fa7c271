//! Who a device is: its key, and how people compare it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use prolly::PageStore;

use crate::db::{Db, stored_key};
use crate::entry::{Author, DeviceKey};
use crate::error::Error;

/// How many fingerprints there are: 20 decimal digits, or 66 bits.
const FINGERPRINTS: u128 = 100_000_000_000_000_000_000;

const DIGITS: usize = 20;
const GROUP: usize = 5;

/// What people compare when two devices meet for the first time: 20 digits that follow from a device's key.
/// To find a key with the fingerprint of another takes 2⁶⁶ tries.
///
/// The digits are those of the first 16 bytes, as a number whose first byte counts most, of the BLAKE3 hash of
/// the key in the mode of key derivation, with the context `osmdb fingerprint 1`, modulo 10²⁰.
///
/// ```
/// use osmdb::DeviceKey;
/// use osmdb::net::Fingerprint;
/// let fingerprint = Fingerprint::of(&DeviceKey::new(&[7; 32]).author());
/// let text = fingerprint.to_string();
/// assert_eq!(text.len(), 23, "such as 28142-39391-20653-19938");
/// assert_eq!(text.replace('-', " ").parse(), Ok(fingerprint));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u128);

impl Fingerprint {
    /// Returns the fingerprint of a key.
    ///
    /// ```
    /// use osmdb::net::Fingerprint;
    /// let db = osmdb::Db::in_memory("osm")?;
    /// println!("{}", Fingerprint::of(&db.author()?));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn of(key: &Author) -> Self {
        let hash = blake3::derive_key("osmdb fingerprint 1", key.as_bytes());
        let first: [u8; 16] = hash.first_chunk().copied().unwrap_or_default();
        Self(u128::from_be_bytes(first) % FINGERPRINTS)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:0DIGITS$}", self.0);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && at.is_multiple_of(GROUP) {
                f.write_str("-")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A text that is no fingerprint.
///
/// ```
/// use osmdb::net::Fingerprint;
/// assert!("12345".parse::<Fingerprint>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no fingerprint: expected 20 digits, such as 28142-39391-20653-19938")]
pub struct ParseFingerprintError {
    /// What was given.
    pub text: String,
}

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    /// Reads 20 digits, with spaces and hyphens anywhere between them.
    ///
    /// # Errors
    /// There are more or fewer, or other characters.
    fn from_str(text: &str) -> Result<Self, ParseFingerprintError> {
        let digits: String = text.chars().filter(|character| !matches!(character, ' ' | '-')).collect();
        let fits = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
        let number = if fits { digits.parse().ok() } else { None };
        number.map(Self).ok_or_else(|| ParseFingerprintError { text: text.to_owned() })
    }
}

/// The device that a database is on: its key, with which it proves who it is. It is the key that signs edits,
/// see [`Db::author`].
///
/// ```
/// use osmdb::net::Identity;
/// let db = osmdb::Db::in_memory("osm")?;
/// assert_eq!(Identity::of(&db)?.author(), db.author()?);
/// # Ok::<(), osmdb::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Identity(Arc<DeviceKey>);

impl Identity {
    /// Returns the identity of a database, and makes a key for it if there is none.
    ///
    /// ```
    /// use osmdb::net::Identity;
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// println!("this is {}", Identity::of(&db)?.fingerprint());
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system gives no random number, or the store fails.
    pub fn of<S: PageStore>(db: &Db<S>) -> Result<Self, Error> {
        db.key().map(Self)
    }

    /// Returns the identity of a device that has no database, such as one that only reads what others have: of
    /// any store, such as that of its cache. Makes a key for it if there is none; in a store in memory it ends
    /// with the program.
    ///
    /// ```
    /// use osmdb::net::Identity;
    /// let cache = prolly::MemoryStore::new();
    /// assert_eq!(Identity::in_store(&cache)?.author(), Identity::in_store(&cache)?.author());
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// The system gives no random number, or the store fails.
    pub fn in_store<S: PageStore>(store: &S) -> Result<Self, Error> {
        Ok(Self(Arc::new(stored_key(store)?)))
    }

    /// Returns the public key.
    ///
    /// ```
    /// # use osmdb::net::Identity;
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// assert_eq!(Identity::of(&db)?.author().as_bytes().len(), 32);
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn author(&self) -> Author {
        self.0.author()
    }

    /// Returns what people compare.
    ///
    /// ```
    /// # use osmdb::net::{Fingerprint, Identity};
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let identity = Identity::of(&db)?;
    /// assert_eq!(identity.fingerprint(), Fingerprint::of(&identity.author()));
    /// # Ok::<(), osmdb::Error>(())
    /// ```
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.author())
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        self.0.secret()
    }
}
