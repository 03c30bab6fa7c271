//! Elements on the standard input: JSON as `get` prints it, or an OSM file.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use osmdb::io::Reader;
use osmdb::{Coord, ElementId, Kind, MAX_ID, Member, Payload, Tags, Version};
use serde_json::{Deserializer, Map, Value};

use super::failure::Failure;

/// More than this is not read from the standard input: files are for `import`.
const MAX_INPUT_BYTES: u64 = 256 << 20;

/// What is wrong with an element of the standard input.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputProblem {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("expected an object, such as {{\"type\":\"node\",\"lat\":42.5,\"lon\":1.5,\"tags\":{{}}}}")]
    NoObject,
    #[error("`{name}` is missing: expected {expected}")]
    Missing { name: &'static str, expected: &'static str },
    #[error("`{name}` is {found}: expected {expected}")]
    Odd { name: &'static str, found: String, expected: &'static str },
    #[error("it has no id: `osmdb create` makes new elements")]
    NoId,
    #[error("the id {0} is there twice")]
    Twice(String),
    #[error("it names {0}, which is no element of the input: ids below 0 stand for new elements")]
    Unknown(String),
    #[error("it is deleted, and would be new: `osmdb delete` and `osmdb put` delete")]
    Deleted,
}

/// An id as it was given: one below 0, or any in what is all new, stands for a new element.
pub(super) type GivenId = (Kind, i64);

/// One element as it was given.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) kind: Kind,
    pub(super) id: Option<i64>,
    /// The version that it was made from.
    pub(super) version: Option<Version>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Node(Coord, Tags),
    Way(Vec<i64>, Tags),
    Relation(Vec<(GivenId, String)>, Tags),
    Changeset(Tags),
    Deleted,
}

impl Given {
    /// Returns the id as it was given.
    pub(super) fn given_id(&self) -> Option<GivenId> {
        self.id.map(|id| (self.kind, id))
    }

    /// Tells whether it is to be deleted.
    pub(super) const fn is_deleted(&self) -> bool {
        matches!(self.content, Content::Deleted)
    }

    /// Makes the content, with the new ids in the places of those that stand for them; `None` if it is deleted.
    pub(super) fn payload(self, new: &HashMap<GivenId, ElementId>) -> Result<Option<Payload>, InputProblem> {
        let find = |(kind, id): GivenId| match new.get(&(kind, id)) {
            Some(element) => Ok(*element),
            None => existing(kind, id).ok_or_else(|| InputProblem::Unknown(format!("{}/{id}", kind.name()))),
        };
        Ok(Some(match self.content {
            Content::Deleted => return Ok(None),
            Content::Node(coord, tags) => Payload::Node { coord, tags },
            Content::Way(refs, tags) => {
                let refs = refs.into_iter().map(|id| Ok(find((Kind::Node, id))?.id));
                Payload::Way { refs: refs.collect::<Result<_, InputProblem>>()?, tags }
            }
            Content::Relation(members, tags) => {
                let member = |(id, role)| Ok(Member { element: find(id)?, role });
                let members = members.into_iter().map(member).collect::<Result<_, InputProblem>>()?;
                Payload::Relation { members, tags }
            }
            Content::Changeset(tags) => Payload::Changeset { tags, closed: None },
        }))
    }
}

/// Returns an element that may be in the database.
pub(super) fn existing(kind: Kind, id: i64) -> Option<ElementId> {
    let id = u64::try_from(id).ok().filter(|id| (1..=MAX_ID).contains(id))?;
    Some(ElementId::new(kind, id))
}

/// Reads all elements of an input.
pub(super) fn read(input: impl Read) -> Result<Vec<Given>, Failure> {
    let mut bytes = Vec::new();
    input.take(MAX_INPUT_BYTES + 1).read_to_end(&mut bytes).map_err(Failure::Input)?;
    if bytes.len() as u64 > MAX_INPUT_BYTES {
        return Err(Failure::LongInput(MAX_INPUT_BYTES >> 20));
    }
    let given = match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{' | b'[') => json(&bytes)?,
        Some(_) => file(bytes)?,
        None => Vec::new(),
    };
    if given.is_empty() { Err(Failure::NoInput) } else { Ok(given) }
}

/// Reads JSON: objects one after another, or arrays of them.
fn json(bytes: &[u8]) -> Result<Vec<Given>, Failure> {
    let mut all = Vec::new();
    for value in Deserializer::from_slice(bytes).into_iter::<Value>() {
        let at = all.len() + 1;
        let values = match value.map_err(|error| Failure::Element { at, problem: error.into() })? {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let at = all.len() + 1;
            all.push(element(&value).map_err(|problem| Failure::Element { at, problem })?);
        }
    }
    Ok(all)
}

/// Reads an OSM file.
fn file(bytes: Vec<u8>) -> Result<Vec<Given>, Failure> {
    let total = bytes.len() as u64;
    let mut all = Vec::new();
    for entry in Reader::from_source("the standard input", total, Cursor::new(bytes))?.with_placeholders() {
        let entry = entry?;
        let content = match entry.payload {
            None => Content::Deleted,
            Some(Payload::Node { coord, tags }) => Content::Node(coord, tags),
            Some(Payload::Way { refs, tags }) => {
                Content::Way(refs.into_iter().map(u64::cast_signed).collect(), tags)
            }
            Some(Payload::Relation { members, tags }) => {
                let member =
                    |Member { element, role }: Member| ((element.kind, element.id.cast_signed()), role);
                Content::Relation(members.into_iter().map(member).collect(), tags)
            }
            Some(Payload::Changeset { tags, .. }) => Content::Changeset(tags),
        };
        let id = Some(entry.element.id.cast_signed());
        all.push(Given { kind: entry.element.kind, id, version: None, content });
    }
    Ok(all)
}

fn element(value: &Value) -> Result<Given, InputProblem> {
    let object = value.as_object().ok_or(InputProblem::NoObject)?;
    let kind = kind(object)?;
    let id = optional(object, "id", "a whole number", Value::as_i64)?;
    let version = optional(object, "version", "64 hexadecimal digits", |value| value.as_str()?.parse().ok())?;
    if object.get("deleted").is_some_and(|deleted| *deleted == Value::Bool(true)) {
        return Ok(Given { kind, id, version, content: Content::Deleted });
    }
    let tags = optional(object, "tags", "an object of texts", tags)?.unwrap_or_default();
    let content = match kind {
        Kind::Node => Content::Node(coord(object)?, tags),
        Kind::Way => {
            let nodes = |value: &Value| value.as_array()?.iter().map(Value::as_i64).collect();
            Content::Way(required(object, "nodes", "an array of ids", nodes)?, tags)
        }
        Kind::Relation => {
            let members = |value: &Value| value.as_array()?.iter().map(member).collect();
            let expected = "an array such as [{\"type\":\"way\",\"ref\":5,\"role\":\"outer\"}]";
            Content::Relation(required(object, "members", expected, members)?, tags)
        }
        Kind::Changeset => Content::Changeset(tags),
    };
    Ok(Given { kind, id, version, content })
}

fn kind(object: &Map<String, Value>) -> Result<Kind, InputProblem> {
    required(object, "type", "node, way or relation", |value| Kind::from_name(value.as_str()?))
}

/// Reads a place from the numbers as they were written, so that nothing is rounded on the way.
fn coord(object: &Map<String, Value>) -> Result<Coord, InputProblem> {
    let degrees = |name| required(object, name, "degrees", |value| Some(value.as_number()?.to_string()));
    let (lat, lon) = (degrees("lat")?, degrees("lon")?);
    let expected = "degrees on the globe";
    let text = format!("{lat},{lon}");
    text.parse().map_err(|_| InputProblem::Odd { name: "lat,lon", found: text.clone(), expected })
}

fn tags(value: &Value) -> Option<Tags> {
    value.as_object()?.iter().map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
}

fn member(value: &Value) -> Option<(GivenId, String)> {
    let kind = Kind::from_name(value.get("type")?.as_str()?)?;
    let role = value.get("role").map_or(Some(""), Value::as_str)?;
    Some(((kind, value.get("ref")?.as_i64()?), role.to_owned()))
}

fn required<T>(
    object: &Map<String, Value>,
    name: &'static str,
    expected: &'static str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<T, InputProblem> {
    optional(object, name, expected, read)?.ok_or(InputProblem::Missing { name, expected })
}

fn optional<T>(
    object: &Map<String, Value>,
    name: &'static str,
    expected: &'static str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, InputProblem> {
    let Some(value) = object.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let found = || value.to_string().chars().take(60).collect();
    read(value).map(Some).ok_or_else(|| InputProblem::Odd { name, found: found(), expected })
}
