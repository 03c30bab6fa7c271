//! Which elements somebody looks for, by kind and tags.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::parse::{FilterProblem, ParseFilterError};
use crate::model::{Kind, Tags};

/// No filter's text is longer than this, in bytes.
///
/// ```
/// use osmdb::{Filter, FilterProblem, MAX_FILTER_BYTES};
/// assert!("a".repeat(MAX_FILTER_BYTES).parse::<Filter>().is_ok());
/// let error = "a".repeat(MAX_FILTER_BYTES + 1).parse::<Filter>().unwrap_err();
/// assert_eq!(error.problem, FilterProblem::TooLong);
/// ```
pub const MAX_FILTER_BYTES: usize = 4096;

/// No filter has more conditions than this.
///
/// ```
/// use osmdb::{Filter, FilterProblem, MAX_CONDITIONS};
/// assert!(["name"; MAX_CONDITIONS].join(" and ").parse::<Filter>().is_ok());
/// let error = ["name"; MAX_CONDITIONS + 1].join(" and ").parse::<Filter>().unwrap_err();
/// assert_eq!(error.problem, FilterProblem::TooMany);
/// ```
pub const MAX_CONDITIONS: usize = 64;

/// Which elements are looked for: conditions on kind and tags, all of which must hold.
///
/// As text, conditions have the word `and` between them:
///
/// | condition | holds if |
/// |---|---|
/// | `node`, `way\|relation` | the element is of this kind, of one of these kinds |
/// | `!relation` | it is of another kind |
/// | `amenity=hospital` | a tag has this key and this value |
/// | `highway` | a tag has this key |
/// | `name~=spring` | a tag has this key, and its value contains this text |
/// | `access!=no` | no tag has this key and this value: so also if there is no such key |
/// | `!building` | no tag has this key |
///
/// `~=` disregards case as Unicode maps it to lower case (`É` is `é`), and nothing else: `é` is not `e`, and
/// there are no wildcards. Keys and values may have spaces in them; those that begin or end with one, are
/// the name of a kind, or contain the word `and`, a quotation mark or, in a key, `=`, stand in quotation
/// marks, inside of which `\"` and `\\` are a quotation mark and a backslash.
///
/// The empty text is the filter that lets everything pass. A filter knows nothing of places: where to look
/// is for the query to say.
///
/// ```
/// use osmdb::{Filter, Kind, Tags};
/// let filter: Filter = "way and highway and name~=rue de and access!=no".parse()?;
/// assert!(filter.matches(Kind::Way, &Tags::from([("highway", "path"), ("name", "Rue de l'Église")])));
/// assert!(!filter.matches(Kind::Way, &Tags::from([("highway", "path")])));
/// assert_eq!(filter, Filter::new().of(&[Kind::Way]).has("highway").contains("name", "rue de").is_not("access", "no"));
/// assert_eq!("\"name:en\" = \"salt and pepper\"".parse::<Filter>()?, Filter::new().is("name:en", "salt and pepper"));
/// # Ok::<(), osmdb::ParseFilterError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The kinds that do not pass, by code.
    without: [bool; Kind::ALL.len()],
    tags: Vec<Condition>,
    /// Everything in a box is looked at, whatever it costs.
    by_place: bool,
}

/// A condition on tags.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Has(String),
    Lacks(String),
    Is(String, String),
    IsNot(String, String),
    /// Holds the text as it was given, too.
    Contains(String, Lower),
}

/// What a tag must have for a filter to let anything pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand<'a> {
    pub(crate) key: &'a str,
    /// `None`: any.
    pub(crate) value: Option<&'a str>,
}

/// A text, and what it is in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lower {
    given: String,
    lower: String,
}

impl Condition {
    fn holds(&self, tags: &Tags) -> bool {
        let mut tags = tags.iter();
        match self {
            Self::Has(key) => tags.any(|(k, _)| k == key),
            Self::Lacks(key) => tags.all(|(k, _)| k != key),
            Self::Is(key, value) => tags.any(|(k, v)| k == key && v == value),
            Self::IsNot(key, value) => tags.all(|(k, v)| k != key || v != value),
            Self::Contains(key, part) => {
                tags.any(|(k, v)| k == key && v.to_lowercase().contains(&part.lower))
            }
        }
    }
}

impl Filter {
    /// Returns the filter that lets everything pass.
    ///
    /// ```
    /// use osmdb::{Filter, Kind, Tags};
    /// assert!(Filter::new().matches(Kind::Node, &Tags::new()));
    /// assert_eq!("".parse(), Ok(Filter::new()));
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { without: [false; Kind::ALL.len()], tags: Vec::new(), by_place: false }
    }

    /// Lets pass only elements of these kinds.
    ///
    /// ```
    /// use osmdb::{Filter, Kind, Tags};
    /// let filter = Filter::new().of(&[Kind::Way, Kind::Relation]);
    /// assert!(filter.matches(Kind::Way, &Tags::new()) && !filter.matches(Kind::Node, &Tags::new()));
    /// assert_eq!("way|relation".parse(), Ok(filter));
    /// ```
    #[must_use]
    pub fn of(mut self, kinds: &[Kind]) -> Self {
        for (kind, without) in Kind::ALL.iter().zip(&mut self.without) {
            *without |= !kinds.contains(kind);
        }
        self
    }

    /// Lets pass only what has a tag with this key.
    ///
    /// ```
    /// use osmdb::{Filter, Kind, Tags};
    /// let filter = Filter::new().has("highway");
    /// assert!(filter.matches(Kind::Way, &Tags::from([("highway", "path")])));
    /// assert_eq!("highway".parse(), Ok(filter));
    /// ```
    #[must_use]
    pub fn has(self, key: impl Into<String>) -> Self {
        self.with(Condition::Has(key.into()))
    }

    /// Lets pass only what has no tag with this key.
    ///
    /// ```
    /// use osmdb::{Filter, Kind, Tags};
    /// let filter = Filter::new().lacks("building");
    /// assert!(!filter.matches(Kind::Way, &Tags::from([("building", "yes")])));
    /// assert_eq!("!building".parse(), Ok(filter));
    /// ```
    #[must_use]
    pub fn lacks(self, key: impl Into<String>) -> Self {
        self.with(Condition::Lacks(key.into()))
    }

    /// Lets pass only what has a tag with this key and this value.
    ///
    /// ```
    /// use osmdb::{Filter, Kind, Tags};
    /// let filter = Filter::new().is("amenity", "hospital");
    /// assert!(!filter.matches(Kind::Node, &Tags::from([("amenity", "clinic")])));
    /// assert_eq!("amenity=hospital".parse(), Ok(filter));
    /// ```
    #[must_use]
    pub fn is(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(Condition::Is(key.into(), value.into()))
    }

    /// Lets pass only what has no tag with this key and this value.
    ///
    /// ```
    /// use osmdb::{Filter, Kind, Tags};
    /// let filter = Filter::new().is_not("access", "no");
    /// assert!(filter.matches(Kind::Way, &Tags::new()));
    /// assert!(!filter.matches(Kind::Way, &Tags::from([("access", "no")])));
    /// assert_eq!("access!=no".parse(), Ok(filter));
    /// ```
    #[must_use]
    pub fn is_not(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(Condition::IsNot(key.into(), value.into()))
    }

    /// Lets pass only what has a tag with this key whose value contains this text, in either case.
    ///
    /// ```
    /// use osmdb::{Filter, Kind, Tags};
    /// let filter = Filter::new().contains("name", "spring");
    /// assert!(filter.matches(Kind::Node, &Tags::from([("name", "Old Spring")])));
    /// assert_eq!("name~=spring".parse(), Ok(filter));
    /// ```
    #[must_use]
    pub fn contains(self, key: impl Into<String>, part: impl Into<String>) -> Self {
        let given = part.into();
        let lower = given.to_lowercase();
        self.with(Condition::Contains(key.into(), Lower { given, lower }))
    }

    /// Lets pass only what another filter lets pass too.
    ///
    /// ```
    /// use osmdb::{Filter, Kind};
    /// let ways = Filter::new().of(&[Kind::Way]);
    /// assert_eq!(ways.and(Filter::new().has("highway")), "way and highway".parse()?);
    /// # Ok::<(), osmdb::ParseFilterError>(())
    /// ```
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (without, other) in self.without.iter_mut().zip(other.without) {
            *without |= other;
        }
        self.tags.extend(other.tags);
        self.by_place |= other.by_place;
        self
    }

    fn with(mut self, condition: Condition) -> Self {
        self.tags.push(condition);
        self
    }

    /// Lets the same pass, but has a query for a box look at everything in it, and never at what has a tag: for
    /// whoever has the pages of the box alone. It is not written with the filter's text.
    ///
    /// ```
    /// use osmdb::{Filter, Kind, Tags};
    /// let filter = "amenity".parse::<Filter>()?.by_place();
    /// assert!(!filter.matches(Kind::Node, &Tags::new()));
    /// # Ok::<(), osmdb::ParseFilterError>(())
    /// ```
    #[must_use]
    pub const fn by_place(mut self) -> Self {
        self.by_place = true;
        self
    }

    /// Tells whether elements of a kind can pass.
    ///
    /// ```
    /// use osmdb::{Filter, Kind};
    /// let filter: Filter = "way and highway".parse()?;
    /// assert!(filter.admits(Kind::Way) && !filter.admits(Kind::Node));
    /// # Ok::<(), osmdb::ParseFilterError>(())
    /// ```
    #[must_use]
    pub fn admits(&self, kind: Kind) -> bool {
        Kind::ALL.iter().zip(self.without).any(|(known, without)| *known == kind && !without)
    }

    /// Tells whether there is a condition on tags.
    ///
    /// ```
    /// use osmdb::Filter;
    /// assert!("way and highway".parse::<Filter>()?.asks_for_tags());
    /// assert!(!"way".parse::<Filter>()?.asks_for_tags());
    /// # Ok::<(), osmdb::ParseFilterError>(())
    /// ```
    #[must_use]
    pub const fn asks_for_tags(&self) -> bool {
        !self.tags.is_empty()
    }

    /// Tells whether anything can pass that has a place of its own.
    pub(crate) fn admits_places(&self) -> bool {
        self.admits(Kind::Node) || self.admits(Kind::Way)
    }

    /// Returns tags that whatever passes has, all of them.
    pub(crate) fn demands(&self) -> impl Iterator<Item = Demand<'_>> {
        let looked_up = if self.by_place { &[] } else { self.tags.as_slice() };
        looked_up.iter().filter_map(|condition| match condition {
            Condition::Has(key) | Condition::Contains(key, _) => Some(Demand { key, value: None }),
            Condition::Is(key, value) => Some(Demand { key, value: Some(value) }),
            Condition::Lacks(_) | Condition::IsNot(..) => None,
        })
    }

    /// Tells whether an element of this kind with these tags passes.
    ///
    /// ```
    /// use osmdb::{Filter, Kind, Tags};
    /// let filter: Filter = "way and highway".parse()?;
    /// let path = Tags::from([("highway", "path")]);
    /// assert!(filter.matches(Kind::Way, &path) && !filter.matches(Kind::Node, &path));
    /// # Ok::<(), osmdb::ParseFilterError>(())
    /// ```
    #[must_use]
    pub fn matches(&self, kind: Kind, tags: &Tags) -> bool {
        self.admits(kind) && self.tags.iter().all(|condition| condition.holds(tags))
    }
}

impl fmt::Display for Filter {
    /// Writes a text that reads back as the same filter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::with_capacity(self.tags.len() + 1);
        if self.without.contains(&true) {
            let names = Kind::ALL.iter().filter(|kind| self.admits(**kind)).map(|kind| kind.name());
            parts.push(names.collect::<Vec<_>>().join("|"));
        }
        parts.extend(self.tags.iter().map(|condition| match condition {
            Condition::Has(key) => word(key),
            Condition::Lacks(key) => format!("!{}", word(key)),
            Condition::Is(key, value) => format!("{}={}", word(key), word(value)),
            Condition::IsNot(key, value) => format!("{}!={}", word(key), word(value)),
            Condition::Contains(key, part) => format!("{}~={}", word(key), word(&part.given)),
        }));
        f.write_str(&parts.join(" and "))
    }
}

/// Puts quotation marks around all but the plainest words.
fn word(text: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || "_:-./".contains(character);
    let is_special = text.is_empty() || text == "and" || Kind::from_name(text).is_some();
    if text.chars().all(is_plain) && !is_special {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
