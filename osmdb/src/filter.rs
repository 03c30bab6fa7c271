//! Which elements somebody looks for, by kind and tags.

use std::fmt;
use std::str::FromStr;

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
        Self { without: [false; Kind::ALL.len()], tags: Vec::new() }
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
        self
    }

    fn with(mut self, condition: Condition) -> Self {
        self.tags.push(condition);
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
        self.tags.iter().filter_map(|condition| match condition {
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

/// A text that is no filter.
///
/// ```
/// use osmdb::{Filter, FilterProblem};
/// let error = "amenity= and name".parse::<Filter>().unwrap_err();
/// assert_eq!((error.at, error.problem), (9, FilterProblem::NoValue));
/// assert!(error.to_string().starts_with("`amenity= and name` is no filter: at character 9, "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no filter: at character {at}, {problem}")]
pub struct ParseFilterError {
    /// What was given; its beginning, if it is too long.
    pub text: String,
    /// Which character is the first that cannot be read; the first of all is 1.
    pub at: usize,
    /// What is wrong there.
    pub problem: FilterProblem,
}

/// What is wrong with the text of a filter.
///
/// ```
/// use osmdb::{Filter, FilterProblem};
/// let problem = |text: &str| text.parse::<Filter>().unwrap_err().problem;
/// assert_eq!(problem("name=\"Old Spring"), FilterProblem::Unclosed);
/// assert_eq!(problem("node and way"), FilterProblem::NoneLeft);
/// assert_eq!(problem("!access=no"), FilterProblem::Negated);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterProblem {
    /// It is longer than [`MAX_FILTER_BYTES`].
    #[error("it is longer than {MAX_FILTER_BYTES} bytes")]
    TooLong,
    /// It has more conditions than [`MAX_CONDITIONS`].
    #[error("it has more than {MAX_CONDITIONS} conditions")]
    TooMany,
    /// There is no key where one should be.
    #[error("a condition is missing: write one such as amenity=hospital, highway or way")]
    NoKey,
    /// There is no value behind an operator.
    #[error("a value is missing: write it behind the sign, or \"\" for an empty one")]
    NoValue,
    /// A quotation mark has no other one.
    #[error("the quotation mark is never closed")]
    Unclosed,
    /// A backslash stands before something that it cannot.
    #[error("inside of quotation marks, a backslash stands before a quotation mark or another backslash")]
    Escape,
    /// Something other than `and` stands behind a condition.
    #[error("the word `and` should stand between two conditions")]
    NoAnd,
    /// Only some of the words between `|` are kinds.
    #[error("only kinds have | between them: node, way, relation, changeset")]
    NoKind,
    /// No element is of all these kinds.
    #[error("nothing is of two kinds at once: write node|way for what is of either")]
    NoneLeft,
    /// `!` stands before a condition with an operator.
    #[error("write key!=value instead of !key=value")]
    Negated,
}

impl FromStr for Filter {
    type Err = ParseFilterError;

    /// Reads conditions with `and` between them: see [`Filter`].
    ///
    /// # Errors
    /// The text is no filter: the error says at which character, and why.
    fn from_str(text: &str) -> Result<Self, ParseFilterError> {
        let mut parser = Parser { text, rest: text };
        parser.filter().map_err(|problem| {
            let read = text.len() - parser.rest.len();
            let at = text.get(..read).unwrap_or_default().chars().count() + 1;
            let shown = text.chars().take(MAX_SHOWN).collect();
            ParseFilterError { text: shown, at, problem }
        })
    }
}

/// So many characters of a text that is no filter are kept for the message.
const MAX_SHOWN: usize = 200;

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

/// A key or a value, and whether it stood in quotation marks.
struct Word {
    text: String,
    quoted: bool,
}

impl Parser<'_> {
    fn filter(&mut self) -> Result<Filter, FilterProblem> {
        if self.text.len() > MAX_FILTER_BYTES {
            return Err(FilterProblem::TooLong);
        }
        let mut filter = Filter::new();
        self.skip_spaces();
        if self.rest.is_empty() {
            return Ok(filter);
        }
        for count in 0.. {
            if count == MAX_CONDITIONS {
                return Err(FilterProblem::TooMany);
            }
            let before = self.rest;
            filter = self.condition(filter)?;
            if filter.without.iter().all(|without| *without) {
                self.rest = before;
                return Err(FilterProblem::NoneLeft);
            }
            self.skip_spaces();
            if self.rest.is_empty() {
                break;
            }
            self.rest = after_and(self.rest).ok_or(FilterProblem::NoAnd)?;
            self.skip_spaces();
        }
        Ok(filter)
    }

    fn condition(&mut self, filter: Filter) -> Result<Filter, FilterProblem> {
        let negated = self.rest.strip_prefix('!');
        self.rest = negated.unwrap_or(self.rest);
        self.skip_spaces();
        let before = self.rest;
        let key = self.word(|rest| operator(rest).is_some())?;
        if key.text.is_empty() && !key.quoted {
            return Err(FilterProblem::NoKey);
        }
        self.skip_spaces();
        let Some((sign, rest)) = operator(self.rest) else {
            let kinds = if key.quoted { None } else { kinds(&key.text) };
            return match (kinds, negated) {
                (Some(kinds), negated) => {
                    let Some(kinds) = kinds else {
                        self.rest = before;
                        return Err(FilterProblem::NoKind);
                    };
                    let wanted = |kind: &Kind| kinds.contains(kind) != negated.is_some();
                    Ok(filter.of(&Kind::ALL.into_iter().filter(wanted).collect::<Vec<_>>()))
                }
                (None, Some(_)) => Ok(filter.lacks(key.text)),
                (None, None) => Ok(filter.has(key.text)),
            };
        };
        if negated.is_some() {
            return Err(FilterProblem::Negated);
        }
        self.rest = rest;
        if rest.starts_with(char::is_whitespace) && after_and(rest.trim_start()).is_some() {
            return Err(FilterProblem::NoValue);
        }
        self.skip_spaces();
        let value = self.word(|_| false)?;
        if value.text.is_empty() && !value.quoted {
            return Err(FilterProblem::NoValue);
        }
        Ok(match sign {
            Sign::Is => filter.is(key.text, value.text),
            Sign::IsNot => filter.is_not(key.text, value.text),
            Sign::Contains => filter.contains(key.text, value.text),
        })
    }

    /// Reads up to the word `and`, or to what ends it beside.
    fn word(&mut self, ends: impl Fn(&str) -> bool) -> Result<Word, FilterProblem> {
        if let Some(inside) = self.rest.strip_prefix('"') {
            return self.quoted(inside).map(|text| Word { text, quoted: true });
        }
        let is_end = |(at, character): (usize, char)| {
            let rest = self.rest.get(at..).unwrap_or_default();
            let is_and = character.is_whitespace() && after_and(rest.trim_start()).is_some();
            (is_and || ends(rest)).then_some(at)
        };
        let end = self.rest.char_indices().find_map(is_end).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        Ok(Word { text: word.trim_end().to_owned(), quoted: false })
    }

    fn quoted(&mut self, inside: &str) -> Result<String, FilterProblem> {
        let mut text = String::new();
        let mut characters = inside.chars();
        loop {
            match characters.next() {
                None => return Err(FilterProblem::Unclosed),
                Some('"') => break,
                Some('\\') => match characters.next() {
                    Some(escaped @ ('"' | '\\')) => text.push(escaped),
                    _ => return Err(FilterProblem::Escape),
                },
                Some(character) => text.push(character),
            }
        }
        let left = characters.as_str().len();
        self.rest = self.rest.get(self.rest.len() - left..).unwrap_or_default();
        Ok(text)
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

#[derive(Clone, Copy)]
enum Sign {
    Is,
    IsNot,
    Contains,
}

fn operator(rest: &str) -> Option<(Sign, &str)> {
    let signs = [("=", Sign::Is), ("!=", Sign::IsNot), ("~=", Sign::Contains)];
    signs.into_iter().find_map(|(text, sign)| Some((sign, rest.strip_prefix(text)?)))
}

/// Returns what stands behind the word `and`.
fn after_and(rest: &str) -> Option<&str> {
    rest.strip_prefix("and").filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Reads kinds with `|` between them. `Some(None)`: some of the words are kinds and some are not.
fn kinds(text: &str) -> Option<Option<Vec<Kind>>> {
    let kinds: Vec<Option<Kind>> = text.split('|').map(|word| Kind::from_name(word.trim())).collect();
    kinds.iter().any(Option::is_some).then(|| kinds.into_iter().collect())
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A condition as the test understands it.
    #[derive(Debug, Clone)]
    enum Plain {
        Kinds(Vec<Kind>),
        Tag { sign: &'static str, key: String, value: String },
    }

    impl Plain {
        fn text(&self) -> String {
            let quoted = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#));
            match self {
                Self::Kinds(kinds) => kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" | "),
                Self::Tag { sign: "", key, .. } => quoted(key),
                Self::Tag { sign: "!", key, .. } => format!("! {}", quoted(key)),
                Self::Tag { sign, key, value } => format!("{} {sign} {}", quoted(key), quoted(value)),
            }
        }

        fn holds(&self, kind: Kind, tags: &[(String, String)]) -> bool {
            let Self::Tag { sign, key, value } = self else {
                let Self::Kinds(kinds) = self else { return false };
                return kinds.contains(&kind);
            };
            let values: Vec<&str> = tags.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str()).collect();
            match *sign {
                "" => !values.is_empty(),
                "!" => values.is_empty(),
                "=" => values.contains(&value.as_str()),
                "!=" => !values.contains(&value.as_str()),
                _ => {
                    let part: Vec<char> = value.to_lowercase().chars().collect();
                    values.iter().any(|found| {
                        let found: Vec<char> = found.to_lowercase().chars().collect();
                        (0..=found.len()).any(|at| found[at..].starts_with(&part))
                    })
                }
            }
        }
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[abAÉé=!~\"\\\\ |]{0,3}",
            Just("and".to_owned()),
            Just("a and b".to_owned()),
            Just("way".to_owned())
        ]
    }

    fn plain() -> impl Strategy<Value = Plain> {
        let sign = prop::sample::select(vec!["", "!", "=", "!=", "~="]);
        let kinds = prop::sample::subsequence(Kind::ALL.to_vec(), 3..=4);
        prop_oneof![
            1 => kinds.prop_map(Plain::Kinds),
            4 => (sign, text(), text()).prop_map(|(sign, key, value)| Plain::Tag { sign, key, value }),
        ]
    }

    proptest! {
        #[test]
        fn a_filter_is_its_conditions(
            conditions in vec(plain(), 1..4),
            elements in vec((0..4u8, vec((text(), text()), 0..4)), 1..8),
        ) {
            let written = conditions.iter().map(Plain::text).collect::<Vec<_>>().join("  and\t");
            let filter: Filter = written.parse().unwrap();
            prop_assert_eq!(filter.to_string().parse::<Filter>().unwrap(), filter.clone(), "{}", filter);
            for (kind, tags) in elements {
                let kind = Kind::from_code(kind).unwrap();
                let expected = conditions.iter().all(|condition| condition.holds(kind, &tags));
                prop_assert_eq!(filter.matches(kind, &tags.into_iter().collect()), expected, "{}", filter);
            }
        }

        #[test]
        fn any_text_is_a_filter_or_not(text in "[ab=!~\"\\\\ |é]{0,12}|(and|way|a|=|!| |\\||\"){0,9}") {
            if let Ok(filter) = text.parse::<Filter>() {
                prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
            }
        }
    }

    #[test]
    fn plain_words_need_no_quotation_marks() {
        let new = Filter::new;
        let cases = [
            ("amenity=hospital", new().is("amenity", "hospital")),
            ("  highway  ", new().has("highway")),
            ("name ~= Saint Julia", new().contains("name", "Saint Julia")),
            ("name=a=b and !building", new().is("name", "a=b").lacks("building")),
            ("band=sand and land", new().is("band", "sand").has("land")),
            (
                "addr:street=Rue and\tway|relation",
                new().is("addr:street", "Rue").of(&[Kind::Way, Kind::Relation]),
            ),
            (
                "!node and access!=no",
                new().of(&[Kind::Way, Kind::Relation, Kind::Changeset]).is_not("access", "no"),
            ),
            ("\"way\"", new().has("way")),
            ("way=x", new().is("way", "x")),
            ("name=\"\"", new().is("name", "")),
            ("", new()),
            (" ", new()),
        ];
        for (text, filter) in cases {
            assert_eq!(text.parse(), Ok(filter), "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_where_it_is_none() {
        let long = "a".repeat(MAX_FILTER_BYTES + 1);
        let many = ["a"; MAX_CONDITIONS + 1].join(" and ");
        let cases = [
            ("=x", 1, FilterProblem::NoKey),
            ("a and ", 7, FilterProblem::NoKey),
            ("é= and b", 3, FilterProblem::NoValue),
            ("a=", 3, FilterProblem::NoValue),
            ("a=\"b", 3, FilterProblem::Unclosed),
            ("\"a\\b\"", 1, FilterProblem::Escape),
            ("\"a\" \"b\"", 5, FilterProblem::NoAnd),
            ("a=\"b\"c", 6, FilterProblem::NoAnd),
            ("node|house", 1, FilterProblem::NoKind),
            ("a and node and way", 16, FilterProblem::NoneLeft),
            ("!a=b", 3, FilterProblem::Negated),
            (&long, 1, FilterProblem::TooLong),
            (&many, 6 * MAX_CONDITIONS + 1, FilterProblem::TooMany),
        ];
        for (text, at, problem) in cases {
            let error = text.parse::<Filter>().unwrap_err();
            assert_eq!((error.at, error.problem), (at, problem), "{text}");
        }
    }
}
