//! What both formats have in common: the checks and the normalisation of one element.

use super::error::{ElementProblem, Problem};
use crate::entry::{Entry, Origin, OsmMeta};
use crate::model::{ElementId, Kind, Payload};

/// The most tags an element may have. The largest known have a few hundred.
///
/// ```
/// use osmdb::io::{ElementProblem, MAX_ELEMENT_TAGS, Problem, Reader};
/// let text = format!("<osm><way id='5'>{}</way></osm>", "<tag k='' v=''/>".repeat(MAX_ELEMENT_TAGS + 1));
/// let error = Reader::from_source("map.osm", 0, std::io::Cursor::new(text))?.next().unwrap().unwrap_err();
/// let Problem::Element { problem, .. } = error.problem() else { panic!("{error}") };
/// assert_eq!(*problem, ElementProblem::TooMany { what: "tags", limit: MAX_ELEMENT_TAGS });
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
pub const MAX_ELEMENT_TAGS: usize = 65_536;

/// The most nodes a way may have. OSM's own limit is 2,000; imports of old go beyond.
///
/// ```
/// use osmdb::io::{MAX_ELEMENT_REFS, Reader};
/// let text = format!("<osm><way id='5'>{}</way></osm>", "<nd ref='1'/>".repeat(MAX_ELEMENT_REFS + 1));
/// let read = Reader::from_source("map.osm", 0, std::io::Cursor::new(text))?.next().unwrap();
/// assert!(read.unwrap_err().to_string().ends_with("way/5: it has more than 1048576 nodes"));
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
pub const MAX_ELEMENT_REFS: usize = 1 << 20;

/// The most members a relation may have. OSM's own limit is 32,000. In XML, and in what is written,
/// [`MAX_ELEMENT_TEXT_BYTES`] may end before: each role takes a string's room, though it be empty.
///
/// ```
/// use osmdb::io::{MAX_ELEMENT_MEMBERS, Writer};
/// use osmdb::{ElementId, Entry, Member, Origin, OsmMeta, Payload, Tags};
///
/// # let dir = tempfile::tempdir()?;
/// let member = Member { element: ElementId::node(1), role: String::new() };
/// let payload = Payload::Relation { members: vec![member; MAX_ELEMENT_MEMBERS + 1], tags: Tags::new() };
/// let origin = Origin::Imported(OsmMeta::default());
/// let entry = Entry { element: ElementId::relation(5), payload: Some(payload), origin };
/// let error = Writer::create(dir.path().join("map.osm"))?.write(&entry).unwrap_err();
/// assert!(error.to_string().ends_with("relation/5: it has more than 1048576 members"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MAX_ELEMENT_MEMBERS: usize = 1 << 20;

/// The most bytes that the tags and roles of one XML element may take in memory together: their text, and
/// for each key, value and role the room of a string (24 bytes where addresses have 64 bits).
///
/// ```
/// use osmdb::io::{MAX_ELEMENT_TEXT_BYTES, Reader};
/// // Texts of a million bytes each.
/// let tag = format!("<tag k='name' v='{}'/>", "x".repeat(1_000_000));
/// let tags = tag.repeat(MAX_ELEMENT_TEXT_BYTES / 1_000_000 + 1);
/// let text = format!("<osm><way id='5'>{tags}</way></osm>");
/// let read = Reader::from_source("map.osm", 0, std::io::Cursor::new(text))?.next().unwrap();
/// assert!(read.unwrap_err().to_string().ends_with("the strings take more than 16777216 bytes"));
/// # Ok::<(), osmdb::io::ReadError>(())
/// ```
pub const MAX_ELEMENT_TEXT_BYTES: usize = 16 << 20;

/// The most bytes of tags, roles and user names that the elements of one PBF block may take in memory
/// together.
///
/// A block keeps each string once, so that without a limit a small file could unfold without end.
pub const MAX_BLOCK_TEXT_BYTES: usize = 256 << 20;

/// Metadata as a file has it, before normalisation. `None` where the file says nothing.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct RawMeta<'a> {
    pub(super) version: Option<i64>,
    pub(super) timestamp: Option<i64>,
    pub(super) changeset: Option<i64>,
    pub(super) uid: Option<i64>,
    pub(super) user: Option<&'a str>,
}

impl RawMeta<'_> {
    /// Reads what stands for "not set" as `None`.
    fn normalise(self) -> Result<OsmMeta, ElementProblem> {
        let positive = |number: Option<i64>| number.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
        let count = |what, number: Option<i64>| match number {
            Some(found) if found < -1 => Err(ElementProblem::Negative { what, found }),
            _ => Ok(positive(number)),
        };
        Ok(OsmMeta {
            version: positive(self.version),
            timestamp: self.timestamp.filter(|seconds| *seconds != 0),
            changeset: count("changeset", self.changeset)?,
            uid: count("uid", self.uid)?,
            user: self.user.filter(|name| !name.is_empty()).map(str::to_owned),
        })
    }
}

/// Names the element at fault.
pub(super) fn at(kind: Kind, id: i64) -> impl Fn(ElementProblem) -> Problem {
    move |problem| Problem::Element { kind, id, problem }
}

/// Which ids are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Ids {
    #[default]
    Positive,
    /// Also those below 0, which stand for new elements: see [`placeholder`].
    Placeholders,
}

impl Ids {
    fn read(self, id: i64) -> Option<u64> {
        match self {
            Self::Positive => u64::try_from(id).ok().filter(|id| *id > 0),
            Self::Placeholders => Some(id.cast_unsigned()).filter(|id| *id > 0),
        }
    }

    /// Names an element, if its id is one.
    pub(super) fn element(self, kind: Kind, id: i64) -> Result<ElementId, ElementProblem> {
        self.read(id).map(|id| ElementId::new(kind, id)).ok_or(ElementProblem::Id)
    }

    /// Checks an id that refers to another element.
    pub(super) fn reference(self, kind: Kind, id: i64) -> Result<u64, ElementProblem> {
        self.read(id).ok_or(ElementProblem::Reference { kind, id })
    }
}

/// Returns the id below 0 that a reader [of placeholders](super::Reader::with_placeholders) has read; `None`
/// for the id of an element.
///
/// ```
/// use osmdb::io::placeholder;
/// assert_eq!(placeholder((-5i64).cast_unsigned()), Some(-5));
/// assert_eq!(placeholder(osmdb::MAX_ID), None);
/// ```
#[must_use]
pub const fn placeholder(id: u64) -> Option<i64> {
    let id = id.cast_signed();
    if id < 0 { Some(id) } else { None }
}

/// Names an element, if its id is one.
pub(super) fn element_id(kind: Kind, id: i64) -> Result<ElementId, ElementProblem> {
    Ids::Positive.element(kind, id)
}

/// Puts an entry together.
pub(super) fn entry(
    element: ElementId,
    meta: RawMeta<'_>,
    payload: Option<Payload>,
) -> Result<Entry, ElementProblem> {
    Ok(Entry { element, payload, origin: Origin::Imported(meta.normalise()?) })
}

/// Checks an id that refers to another element.
pub(super) fn reference(kind: Kind, id: i64) -> Result<u64, ElementProblem> {
    Ids::Positive.reference(kind, id)
}

/// Checks how many of something there are.
pub(super) fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), ElementProblem> {
    if found <= limit { Ok(()) } else { Err(ElementProblem::TooMany { what, limit }) }
}

/// Bytes of text that may still be copied.
#[derive(Debug)]
pub(super) struct TextBudget {
    limit: usize,
    left: usize,
}

impl TextBudget {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    /// Takes a text's bytes off, and the room of the string that holds them: many empty ones add up too.
    pub(super) fn take(&mut self, text: &str) -> Result<(), ElementProblem> {
        let too_many = ElementProblem::Text { limit: self.limit };
        self.left = self
            .left
            .checked_sub(text.len())
            .and_then(|left| left.checked_sub(size_of::<String>()))
            .ok_or(too_many)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_none() {
        let unset = RawMeta {
            version: Some(-1),
            timestamp: Some(0),
            changeset: Some(-1),
            uid: Some(0),
            user: Some(""),
        };
        assert_eq!(unset.normalise(), Ok(OsmMeta::default()));
        let zeros = RawMeta { version: Some(0), changeset: Some(0), uid: Some(-1), ..RawMeta::default() };
        assert_eq!(zeros.normalise(), Ok(OsmMeta::default()));
        let named = RawMeta { uid: Some(0), user: Some("nobody"), ..RawMeta::default() };
        assert_eq!(named.normalise().unwrap().user.as_deref(), Some("nobody"));
        assert_eq!(named.normalise().unwrap().uid, None);
        let negative = RawMeta { changeset: Some(-12), ..RawMeta::default() };
        assert_eq!(negative.normalise(), Err(ElementProblem::Negative { what: "changeset", found: -12 }));
    }

    #[test]
    fn ids_and_references_are_positive() {
        assert_eq!(element_id(Kind::Way, 0), Err(ElementProblem::Id));
        assert_eq!(element_id(Kind::Way, i64::MIN), Err(ElementProblem::Id));
        assert_eq!(element_id(Kind::Way, i64::MAX).unwrap().id, crate::MAX_ID);
        assert!(reference(Kind::Node, -1).is_err());
        assert_eq!(Ids::Placeholders.element(Kind::Way, 0), Err(ElementProblem::Id));
        for id in [-1, -77, i64::MIN, 1, i64::MAX] {
            let read = Ids::Placeholders.reference(Kind::Node, id).unwrap();
            assert_eq!(placeholder(read), Some(id).filter(|id| *id < 0));
        }
    }
}
