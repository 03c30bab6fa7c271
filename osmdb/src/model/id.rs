//! Kinds of elements and their ids.

use std::fmt;
use std::str::FromStr;

/// The greatest element id: ids are positive 63-bit integers.
///
/// ```
/// assert!(format!("node/{}", osmdb::MAX_ID).parse::<osmdb::ElementId>().is_ok());
/// assert!(format!("node/{}", osmdb::MAX_ID + 1).parse::<osmdb::ElementId>().is_err());
/// ```
pub const MAX_ID: u64 = (1 << 63) - 1;

/// What an element is. The order (node, way, relation, changeset) is the order of every listing.
///
/// ```
/// use osmdb::Kind;
/// let kind: Option<Kind> = Kind::from_name("way");
/// assert_eq!(kind, Some(Kind::Way));
/// assert!(Kind::Node < Kind::Way && Kind::Way < Kind::Relation && Kind::Relation < Kind::Changeset);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A point.
    Node,
    /// A line or a ring through nodes.
    Way,
    /// A group of elements with roles.
    Relation,
    /// A group of edits made together.
    Changeset,
}

impl Kind {
    /// The kinds in order.
    ///
    /// ```
    /// let names = osmdb::Kind::ALL.map(|kind| kind.name());
    /// assert_eq!(names, ["node", "way", "relation", "changeset"]);
    /// ```
    pub const ALL: [Self; 4] = [Self::Node, Self::Way, Self::Relation, Self::Changeset];

    /// Returns the number that stands for this kind in keys and records, from 0 to 3.
    ///
    /// ```
    /// assert_eq!(osmdb::Kind::ALL.map(|kind| kind.code()), [0, 1, 2, 3]);
    /// ```
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Node => 0,
            Self::Way => 1,
            Self::Relation => 2,
            Self::Changeset => 3,
        }
    }

    /// Returns the kind that a number stands for; `None` beyond 3.
    ///
    /// ```
    /// use osmdb::Kind;
    /// assert_eq!(Kind::from_code(2), Some(Kind::Relation));
    /// assert_eq!(Kind::from_code(4), None);
    /// ```
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Returns the name as OSM writes it: `node`, `way`, `relation`, `changeset`.
    ///
    /// ```
    /// assert_eq!(osmdb::Kind::Relation.name(), "relation");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Way => "way",
            Self::Relation => "relation",
            Self::Changeset => "changeset",
        }
    }

    /// Returns the kind of that name, in lower case; `None` if there is none.
    ///
    /// ```
    /// use osmdb::Kind;
    /// assert_eq!(Kind::from_name("node"), Some(Kind::Node));
    /// assert_eq!(Kind::from_name("Node"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names one element: a kind and an id, written `node/123`.
///
/// ```
/// use osmdb::{ElementId, Kind};
/// let id: ElementId = "way/5".parse()?;
/// assert_eq!(id, ElementId::new(Kind::Way, 5));
/// assert_eq!(id.to_string(), "way/5");
/// # Ok::<(), osmdb::ParseIdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementId {
    /// What it is.
    pub kind: Kind,
    /// Its number, from 1 to [`MAX_ID`].
    pub id: u64,
}

impl ElementId {
    /// Names an element. The id is not checked here: an edit whose id is not from 1 to [`MAX_ID`] is refused.
    ///
    /// ```
    /// use osmdb::{ElementId, Kind};
    /// assert_eq!(ElementId::new(Kind::Changeset, 7).to_string(), "changeset/7");
    /// ```
    #[must_use]
    pub const fn new(kind: Kind, id: u64) -> Self {
        Self { kind, id }
    }

    /// Names a node.
    ///
    /// ```
    /// assert_eq!(osmdb::ElementId::node(7).to_string(), "node/7");
    /// ```
    #[must_use]
    pub const fn node(id: u64) -> Self {
        Self::new(Kind::Node, id)
    }

    /// Names a way.
    ///
    /// ```
    /// assert_eq!(osmdb::ElementId::way(7).to_string(), "way/7");
    /// ```
    #[must_use]
    pub const fn way(id: u64) -> Self {
        Self::new(Kind::Way, id)
    }

    /// Names a relation.
    ///
    /// ```
    /// assert_eq!(osmdb::ElementId::relation(7).to_string(), "relation/7");
    /// ```
    #[must_use]
    pub const fn relation(id: u64) -> Self {
        Self::new(Kind::Relation, id)
    }
}

impl fmt::Display for ElementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

/// An element's name could not be read.
///
/// ```
/// use osmdb::{ElementId, ParseIdError};
/// for text in ["7", "node/0", "node/-7", "house/7"] {
///     assert_eq!(text.parse::<ElementId>(), Err(ParseIdError { text: text.to_owned() }));
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no element: write a kind and a positive number, such as node/123")]
pub struct ParseIdError {
    /// What was given.
    pub text: String,
}

impl FromStr for ElementId {
    type Err = ParseIdError;

    /// Reads a kind, a slash and an id, as [`Display`](fmt::Display) writes them.
    ///
    /// # Errors
    /// There is no such kind, or the id is not a number from 1 to [`MAX_ID`].
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let parsed = text.split_once('/').and_then(|(kind, id)| {
            let kind = Kind::from_name(kind)?;
            let digits = id.bytes().all(|byte| byte.is_ascii_digit());
            let id = id.parse().ok().filter(|id| (1..=MAX_ID).contains(id))?;
            digits.then_some(Self { kind, id })
        });
        parsed.ok_or_else(|| ParseIdError { text: text.to_owned() })
    }
}
