//! The limits that decide where pages end: part of what a tree is.

use crate::cbor::{self, CborError, Reader};
use crate::cid::Cid;

/// The version of the page format and of the boundary rule.
pub const FORMAT: u64 = 1;

/// No page is longer than this, in bytes.
pub const MAX_PAGE_BYTES: usize = 65_535;

/// No configuration may set a greater `leaf_max` or `branch_max`, in bytes.
pub const MAX_WINDOW_BYTES: u32 = 65_000;

/// No value is longer than this, in bytes: 16 MiB.
pub const MAX_VALUE_BYTES: u64 = 16 << 20;

/// Leaves are level 0; no page is on a higher level than this.
pub const MAX_LEVEL: u8 = 31;

/// What a link and a count add to a branch pair, in bytes. Counts are reckoned at their longest, so
/// that a count growing by a byte moves no boundary.
pub(crate) const BRANCH_PAIR_BYTES: usize = cbor::LINK_BYTES + 9;

/// The configuration of a tree. Trees of different configurations have different roots for the
/// same pairs, and refuse to be compared.
///
/// ```
/// use prolly::Config;
/// let config = Config::default();
/// assert_eq!(Config::decode(&config.encode())?, config);
/// # Ok::<(), prolly::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// A leaf ends no earlier than at this many bytes of pairs, unless it is the last.
    pub leaf_min: u32,
    /// A leaf holds at most this many bytes of pairs.
    pub leaf_max: u32,
    /// A branch ends no earlier than at this many bytes of children, unless it is the last.
    pub branch_min: u32,
    /// A branch holds at most this many bytes of children.
    pub branch_max: u32,
    /// No key is longer than this, in bytes.
    pub key_max: u32,
    /// Longer values, in bytes, live out of line, in pages of their own.
    pub inline_max: u32,
}

impl Default for Config {
    /// Leaves and branches of 4 to 12 KiB, keys and inline values of at most 1 KiB.
    fn default() -> Self {
        Self {
            leaf_min: 4 << 10,
            leaf_max: 12 << 10,
            branch_min: 4 << 10,
            branch_max: 12 << 10,
            key_max: 1 << 10,
            inline_max: 1 << 10,
        }
    }
}

/// A configuration under which trees cannot be built.
///
/// ```
/// use prolly::{Config, ConfigError};
/// let narrow = Config { leaf_max: 5_000, ..Config::default() };
/// match narrow.validate() {
///     Err(ConfigError::Window { level, max, .. }) => assert_eq!((level, max), ("leaf", 5_000)),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The record is not in its one encoding.
    #[error("the configuration record is malformed: {0}")]
    Cbor(#[from] CborError),
    /// The record is of another version of the format.
    #[error("the format version is {found}, but this program reads version {FORMAT}")]
    Format {
        /// The version found.
        found: u64,
    },
    /// The window of page sizes is too narrow for the longest pairs, or too wide.
    #[error(
        "{level} pages of {min} to {max} bytes cannot hold pairs of up to {pair} bytes: \
         the least must exceed one pair, the greatest the least by two, and be at most {MAX_WINDOW_BYTES}"
    )]
    Window {
        /// `leaf` or `branch`.
        level: &'static str,
        /// The least size, in bytes.
        min: u32,
        /// The greatest size, in bytes.
        max: u32,
        /// The longest pair, in bytes.
        pair: u64,
    },
}

impl Config {
    /// Returns the least and the greatest size of the pages on a level (0: leaves), in bytes of pairs.
    ///
    /// ```
    /// use prolly::Config;
    /// assert_eq!(Config::default().window(0), (4_096, 12_288));
    /// ```
    #[must_use]
    pub const fn window(&self, level: u8) -> (usize, usize) {
        let (min, max) =
            if level == 0 { (self.leaf_min, self.leaf_max) } else { (self.branch_min, self.branch_max) };
        (min as usize, max as usize)
    }

    /// Makes sure that a page can always end inside the window.
    ///
    /// ```
    /// use prolly::Config;
    /// assert!(Config::default().validate().is_ok());
    /// let long_keys = Config { key_max: 1 << 20, ..Config::default() };
    /// assert!(long_keys.validate().is_err(), "no page could hold such a key");
    /// ```
    ///
    /// # Errors
    /// A window is too narrow or too wide.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let encoded = |len: u32| cbor::head_len(len.into()) as u64 + u64::from(len);
        let linked = (1 + 9 + cbor::LINK_BYTES) as u64;
        let leaf = encoded(self.key_max) + encoded(self.inline_max).max(linked);
        let branch = encoded(self.key_max) + BRANCH_PAIR_BYTES as u64;
        let window = |level, min: u32, max: u32, pair: u64| {
            let fits = u64::from(min) > pair && u64::from(max) >= u64::from(min) + 2 * pair;
            if fits && max <= MAX_WINDOW_BYTES {
                Ok(())
            } else {
                Err(ConfigError::Window { level, min, max, pair })
            }
        };
        window("leaf", self.leaf_min, self.leaf_max, leaf)?;
        window("branch", self.branch_min, self.branch_max, branch)
    }

    /// Returns the record: the format version and the six limits, as an array.
    ///
    /// ```
    /// use prolly::{Config, FORMAT, cbor::Reader};
    /// let record = Config::default().encode();
    /// let mut reader = Reader::new(&record);
    /// reader.array_of(7)?;
    /// assert_eq!((reader.unsigned()?, reader.unsigned()?), (FORMAT, 4_096));
    /// # Ok::<(), prolly::cbor::CborError>(())
    /// ```
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        cbor::put_array(&mut out, 7);
        cbor::put_unsigned(&mut out, FORMAT);
        for limit in self.limits() {
            cbor::put_unsigned(&mut out, limit.into());
        }
        out
    }

    const fn limits(&self) -> [u32; 6] {
        [self.leaf_min, self.leaf_max, self.branch_min, self.branch_max, self.key_max, self.inline_max]
    }

    /// Returns the address of the record.
    ///
    /// ```
    /// use prolly::{Cid, Config};
    /// let config = Config::default();
    /// assert_eq!(config.cid(), Cid::of(&config.encode()));
    /// assert_ne!(config.cid(), Config { key_max: 100, ..config }.cid());
    /// ```
    #[must_use]
    pub fn cid(&self) -> Cid {
        Cid::of(&self.encode())
    }

    /// Reads a record.
    ///
    /// ```
    /// use prolly::{Config, ConfigError};
    /// let record = Config { key_max: 100, ..Config::default() }.encode();
    /// assert_eq!(Config::decode(&record)?.key_max, 100);
    /// assert!(matches!(Config::decode(b"something else"), Err(ConfigError::Cbor(_))));
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// It is malformed, of another format version, or allows no trees.
    pub fn decode(bytes: &[u8]) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(bytes);
        let config = Self::read(&mut reader)?;
        reader.end()?;
        Ok(config)
    }

    /// Reads a record that stands among other things.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        reader.array_of(7)?;
        let found = reader.unsigned()?;
        if found != FORMAT {
            return Err(ConfigError::Format { found });
        }
        let mut limit = || {
            let at = reader.position();
            u32::try_from(reader.unsigned()?).map_err(|_| CborError::Range { at })
        };
        let config = Self {
            leaf_min: limit()?,
            leaf_max: limit()?,
            branch_min: limit()?,
            branch_max: limit()?,
            key_max: limit()?,
            inline_max: limit()?,
        };
        config.validate()?;
        Ok(config)
    }
}
