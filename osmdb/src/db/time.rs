//! The database as it was.

use std::fmt;
use std::str::FromStr;

use prolly::{Cid, PageStore};

use super::{Db, Snapshot};
use crate::error::Error;
use crate::timestamp::parse_timestamp;

/// A moment of a database: a root, or a time.
///
/// As text it is a root, as `osmdb root` prints it, or a time: `2026-11-21T08:30:00Z`, also with an offset
/// such as `+01:00` instead of `Z`; a date, which is its first second in UTC; or seconds since 1970.
///
/// ```
/// use osmdb::At;
/// assert_eq!("2026-11-21T08:30:00Z".parse(), Ok(At::Time(1_795_249_800)));
/// assert_eq!("1970-01-02".parse(), Ok(At::Time(86_400)));
/// assert_eq!("-5".parse(), Ok(At::Time(-5)));
/// # Ok::<(), osmdb::ParseAtError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The root.
    Root(Cid),
    /// The time, in seconds since 1970.
    Time(i64),
}

/// A text that names no moment.
///
/// ```
/// use osmdb::{At, ParseAtError};
/// let error = "yesterday".parse::<At>();
/// assert_eq!(error, Err(ParseAtError { text: "yesterday".to_owned() }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no root and no time: write a root, 2026-11-21, 2026-11-21T08:30:00Z or seconds since 1970"
)]
pub struct ParseAtError {
    /// What was given.
    pub text: String,
}

impl FromStr for At {
    type Err = ParseAtError;

    fn from_str(text: &str) -> Result<Self, ParseAtError> {
        let root = || text.parse().ok().map(Self::Root);
        let seconds = || text.parse().ok().map(Self::Time);
        let time = || parse_timestamp(text).or_else(|| parse_timestamp(&format!("{text}T00:00:00Z")));
        seconds()
            .or_else(|| time().map(Self::Time))
            .or_else(root)
            .ok_or_else(|| ParseAtError { text: text.to_owned() })
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(root) => root.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}

impl<S: PageStore> Db<S> {
    /// Returns the database as it is or was at a root: one of the [`reflog`](Self::reflog), or any other
    /// whose pages are here. Costs the root record; nothing is copied.
    ///
    /// The pages of a root that is not the present one stay until they are collected: a snapshot does not
    /// keep them.
    ///
    /// ```
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let db = Db::in_memory("osm")?;
    /// let before = db.root();
    /// let node = db.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// assert!(db.at(before)?.get(node)?.is_empty());
    /// assert_eq!(db.at(db.root())?.get(node)?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoRoot`]: its pages are not here, or it is no root. Or the store fails.
    pub fn at(&self, root: Cid) -> Result<Snapshot<&S>, Error> {
        let gone = Error::NoRoot { root };
        let snapshot = match Snapshot::open(self.store(), root) {
            Ok(snapshot) => snapshot,
            Err(
                Error::Tree(prolly::Error::Missing(_))
                | Error::Root { source: crate::root::RootError::Cbor(_), .. },
            ) => {
                return Err(gone);
            }
            Err(error) => return Err(error),
        };
        for (_, tree) in snapshot.root().trees.named() {
            if !self.store().contains(&tree.root).map_err(prolly::Error::from)? {
                return Err(gone);
            }
        }
        Ok(snapshot)
    }

    /// Returns the database as it was at a time, in seconds since 1970: at the last root that the reflog
    /// dates then or earlier. Costs the reflog and the root record. The clock of this machine dates the
    /// reflog; where it was set back, the latest change counts.
    ///
    /// ```
    /// use osmdb::{Db, Error};
    /// # let db = Db::in_memory("osm")?;
    /// // At the end of the year 2999, unless it changes before:
    /// assert_eq!(db.at_time(32_503_679_999)?.root().cid(), db.root());
    /// assert!(matches!(db.at_time(0), Err(Error::NotYet { time: 0, first: Some(1..) })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotYet`]: the reflog begins later. Otherwise as for [`at`](Self::at).
    pub fn at_time(&self, time: i64) -> Result<Snapshot<&S>, Error> {
        let log = self.reflog()?;
        let then = log.iter().rev().find(|record| record.time <= time);
        let first = log.iter().map(|record| record.time).min();
        self.at(then.ok_or(Error::NotYet { time, first })?.root)
    }

    /// Returns the database as it was at a moment.
    ///
    /// ```
    /// use osmdb::At;
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let text = db.root().to_string();
    /// assert_eq!(db.at_moment(text.parse()?)?.root().cid(), db.root());
    /// assert!(db.at_moment(At::Time(0)).is_err(), "there was no database in 1970");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`at`](Self::at) and [`at_time`](Self::at_time).
    pub fn at_moment(&self, at: At) -> Result<Snapshot<&S>, Error> {
        match at {
            At::Root(root) => self.at(root),
            At::Time(time) => self.at_time(time),
        }
    }
}
