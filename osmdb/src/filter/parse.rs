//! Filters from text.

use std::str::FromStr;

use super::{Filter, MAX_CONDITIONS, MAX_FILTER_BYTES};
use crate::model::Kind;

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
