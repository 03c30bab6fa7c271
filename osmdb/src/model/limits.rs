//! What an OSM server takes, and so what an edit may hold. Files may hold more: what is read is kept.
//!
//! The numbers are those that the OSM API announces, or enforces where it announces none:
//! <https://wiki.openstreetmap.org/wiki/API_v0.6>. Where it knows none, they are ours ([`MAX_TAGS`], [`MAX_TEXTS_BYTES`]).

use super::{Payload, Tags};

/// No key, value or role of an edit has more characters (Unicode scalar values).
///
/// ```
/// use osmdb::{MAX_TEXT_CHARS, Payload, Tags};
/// let named = |chars| Payload::Way { refs: vec![1, 2], tags: Tags::from([("name", "é".repeat(chars))]) };
/// assert!(named(MAX_TEXT_CHARS).check_limits().is_ok());
/// assert!(named(MAX_TEXT_CHARS + 1).check_limits().is_err());
/// ```
pub const MAX_TEXT_CHARS: usize = 255;

/// No way of an edit has more nodes.
///
/// ```
/// use osmdb::{MAX_WAY_NODES, Payload, Tags};
/// let way = |nodes| Payload::Way { refs: vec![1; nodes], tags: Tags::new() };
/// assert!(way(MAX_WAY_NODES).check_limits().is_ok());
/// assert!(way(MAX_WAY_NODES + 1).check_limits().is_err());
/// ```
pub const MAX_WAY_NODES: usize = 2_000;

/// No relation of an edit has more members.
///
/// ```
/// use osmdb::{ElementId, MAX_MEMBERS, Member, Payload, Tags};
/// let stop = Member { element: ElementId::node(1), role: "stop".to_owned() };
/// let relation = |members| Payload::Relation { members: vec![stop.clone(); members], tags: Tags::new() };
/// assert!(relation(MAX_MEMBERS).check_limits().is_ok());
/// assert!(relation(MAX_MEMBERS + 1).check_limits().is_err());
/// ```
pub const MAX_MEMBERS: usize = 32_000;

/// No element of an edit has more tags. OSM knows no limit, but no element there has a tenth as many; each one is an entry
/// of the tags tree.
///
/// ```
/// use osmdb::{MAX_TAGS, Payload, Tags};
/// let tagged = |tags: usize| {
///     let tags: Vec<_> = (0..tags).map(|number| (number.to_string(), "yes")).collect();
///     Payload::Way { refs: vec![1, 2], tags: tags.into_iter().collect() }
/// };
/// assert!(tagged(MAX_TAGS).check_limits().is_ok());
/// assert!(tagged(MAX_TAGS + 1).check_limits().is_err());
/// ```
pub const MAX_TAGS: usize = 5_000;

/// The keys, values and roles of an edit are together no longer, in bytes: whatever it is, an element fits into a value of
/// a tree (16 MiB) and into a message of a sync.
///
/// ```
/// use osmdb::{ElementId, MAX_MEMBERS, MAX_TEXTS_BYTES, Member, Payload, Tags};
/// let relation = |role: &str| {
///     let member = Member { element: ElementId::node(1), role: role.repeat(255) };
///     Payload::Relation { members: vec![member; MAX_MEMBERS], tags: Tags::new() }
/// };
/// assert!(255 * MAX_MEMBERS < MAX_TEXTS_BYTES && relation("a").check_limits().is_ok());
/// assert!(relation("й").check_limits().is_err());
/// ```
pub const MAX_TEXTS_BYTES: usize = 8 << 20;

/// Content that an OSM server would not take.
///
/// ```
/// use osmdb::{Coord, Db, Error, LimitError, Payload, Tags};
/// let tags = Tags::from([("name", "Spring"), ("name", "Well")]);
/// let spring = Payload::Node { coord: Coord::new(425_121_500, 15_029_000)?, tags };
/// match Db::in_memory("osm")?.create(spring) {
///     Err(Error::Limit { source: LimitError::KeyTwice(key), .. }) => assert_eq!(key, "name"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// A text is too long.
    #[error("the {what} `{start}…` has {found} characters, and {MAX_TEXT_CHARS} is the most")]
    Text {
        /// Which: `key`, `value` or `role`.
        what: &'static str,
        /// How it begins.
        start: String,
        /// How many characters it has.
        found: usize,
    },
    /// A text has a character that XML cannot hold.
    #[error("the {what} has the character U+{:04X}, which OSM files cannot hold", u32::from(*.character))]
    Character {
        /// Which: `key`, `value` or `role`.
        what: &'static str,
        /// The character.
        character: char,
    },
    /// A key is empty.
    #[error("a tag has no key")]
    NoKey,
    /// A key is there twice.
    #[error("the key `{0}` is there twice")]
    KeyTwice(String),
    /// A way has no node.
    #[error("a way has at least one node")]
    NoNodes,
    /// A way has too many nodes.
    #[error("a way has at most {MAX_WAY_NODES} nodes, and this one has {0}: split it")]
    TooManyNodes(usize),
    /// A relation has too many members.
    #[error("a relation has at most {MAX_MEMBERS} members, and this one has {0}: split it")]
    TooManyMembers(usize),
    /// An element has too many tags.
    #[error("an element has at most {MAX_TAGS} tags, and this one has {0}")]
    TooManyTags(usize),
    /// Keys, values and roles are together too long.
    #[error(
        "the keys, values and roles of an element have at most {MAX_TEXTS_BYTES} bytes, and these have {0}"
    )]
    TooMuchText(usize),
}

impl Payload {
    /// Makes sure that an OSM server would take this content. Edits are held to it, imports are not.
    ///
    /// ```
    /// use osmdb::{LimitError, Payload, Tags};
    /// let way = Payload::Way { refs: vec![1; 2_001], tags: Tags::new() };
    /// assert_eq!(way.check_limits(), Err(LimitError::TooManyNodes(2_001)));
    /// ```
    ///
    /// # Errors
    /// The first thing that is too long, too many, or missing.
    pub fn check_limits(&self) -> Result<(), LimitError> {
        match self {
            Self::Node { .. } | Self::Changeset { .. } => {}
            Self::Way { refs, .. } => match refs.len() {
                0 => return Err(LimitError::NoNodes),
                1..=MAX_WAY_NODES => {}
                found => return Err(LimitError::TooManyNodes(found)),
            },
            Self::Relation { members, .. } => {
                if members.len() > MAX_MEMBERS {
                    return Err(LimitError::TooManyMembers(members.len()));
                }
                members.iter().try_for_each(|member| text("role", &member.role))?;
            }
        }
        tags(self.tags())?;
        let of_tags: usize = self.tags().iter().map(|(key, value)| key.len() + value.len()).sum();
        let of_roles: usize = match self {
            Self::Relation { members, .. } => members.iter().map(|member| member.role.len()).sum(),
            _ => 0,
        };
        match of_tags + of_roles {
            0..=MAX_TEXTS_BYTES => Ok(()),
            found => Err(LimitError::TooMuchText(found)),
        }
    }
}

fn tags(tags: &Tags) -> Result<(), LimitError> {
    if tags.len() > MAX_TAGS {
        return Err(LimitError::TooManyTags(tags.len()));
    }
    let mut keys = Vec::with_capacity(tags.len());
    for (key, value) in tags.iter() {
        if key.is_empty() {
            return Err(LimitError::NoKey);
        }
        text("key", key)?;
        text("value", value)?;
        keys.push(key);
    }
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair.first() == pair.last()) {
        Some([key, ..]) => Err(LimitError::KeyTwice((*key).to_owned())),
        _ => Ok(()),
    }
}

fn text(what: &'static str, text: &str) -> Result<(), LimitError> {
    // No text has more characters than bytes.
    if text.len() > MAX_TEXT_CHARS {
        let found = text.chars().count();
        if found > MAX_TEXT_CHARS {
            return Err(LimitError::Text { what, start: text.chars().take(20).collect(), found });
        }
    }
    let is_odd = |character: &char| matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    match text.chars().find(is_odd) {
        Some(character) => Err(LimitError::Character { what, character }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Coord, ElementId, Member};

    fn node(tags: &[(&str, &str)]) -> Payload {
        let tags = tags.iter().copied().collect();
        Payload::Node { coord: Coord::new(0, 0).unwrap(), tags }
    }

    #[test]
    fn characters_count_and_not_bytes() {
        let long = "ñ".repeat(MAX_TEXT_CHARS);
        assert_eq!(node(&[(&long, &long)]).check_limits(), Ok(()));
        let longer = format!("{long}x");
        let error = |what| LimitError::Text { what, start: "ñ".repeat(20), found: MAX_TEXT_CHARS + 1 };
        assert_eq!(node(&[(&longer, "x")]).check_limits(), Err(error("key")));
        assert_eq!(node(&[("x", &longer)]).check_limits(), Err(error("value")));
        let member = |role: &str| {
            let members = vec![Member { element: ElementId::node(1), role: role.to_owned() }];
            Payload::Relation { members, tags: Tags::new() }
        };
        assert_eq!(member(&long).check_limits(), Ok(()));
        assert_eq!(member(&longer).check_limits(), Err(error("role")));
    }

    #[test]
    fn keys_are_there_and_differ() {
        assert_eq!(node(&[("", "x")]).check_limits(), Err(LimitError::NoKey));
        assert_eq!(node(&[("a", ""), ("b", "1")]).check_limits(), Ok(()));
        let twice = node(&[("b", "1"), ("a", ""), ("b", "2")]);
        assert_eq!(twice.check_limits(), Err(LimitError::KeyTwice("b".to_owned())));
        let odd = LimitError::Character { what: "value", character: '\u{1}' };
        assert_eq!(node(&[("a", "\u{1}")]).check_limits(), Err(odd));
        assert_eq!(node(&[("a", "line\n\ttab")]).check_limits(), Ok(()));
    }

    #[test]
    fn ways_and_relations_have_limits() {
        let way = |nodes| Payload::Way { refs: vec![1; nodes], tags: Tags::new() }.check_limits();
        assert_eq!([way(0), way(1), way(2_000)], [Err(LimitError::NoNodes), Ok(()), Ok(())]);
        assert_eq!(way(2_001), Err(LimitError::TooManyNodes(2_001)));
        let member = Member { element: ElementId::way(1), role: String::new() };
        let relation =
            |members| Payload::Relation { members: vec![member.clone(); members], tags: Tags::new() };
        assert_eq!(relation(32_000).check_limits(), Ok(()));
        assert_eq!(relation(32_001).check_limits(), Err(LimitError::TooManyMembers(32_001)));
    }

    #[test]
    fn the_largest_element_fits_into_a_value() {
        let role = "\u{1f600}".repeat(MAX_TEXTS_BYTES / MAX_MEMBERS / 4);
        let member = Member { element: ElementId::way(i64::MAX.unsigned_abs()), role };
        let mut payload = Payload::Relation { members: vec![member; MAX_MEMBERS], tags: Tags::new() };
        assert_eq!(payload.check_limits(), Ok(()));
        if let Payload::Relation { tags, .. } = &mut payload {
            *tags = (0..MAX_TAGS).map(|number| (number.to_string(), "")).collect();
        }
        assert_eq!(payload.check_limits(), Ok(()));
        let entry = crate::entry::Entry {
            element: ElementId::relation(1),
            payload: Some(payload),
            origin: crate::entry::Origin::Edited(crate::entry::EditMeta::default()),
        };
        let len = entry.to_record().len() as u64;
        assert!(len < prolly::MAX_VALUE_BYTES, "{len} bytes");
    }
}
