//! One element as a client sends it.

use quick_xml::events::BytesStart;

use super::xml::Xml;
use crate::entry::Version;
use crate::model::{Coord, Kind, MAX_MEMBERS, MAX_TAGS, MAX_TEXT_CHARS, MAX_WAY_NODES, Tags, parse_degrees};
use crate::server::error::ApiError;

/// What is to become of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Modify,
    Delete {
        /// It is to stay if something names it.
        if_unused: bool,
    },
}

/// An element as a client sends it. Ids below 0 stand for elements that are created with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) action: Action,
    pub(crate) kind: Kind,
    pub(crate) id: i64,
    pub(crate) version: Option<u64>,
    pub(crate) changeset: u64,
    /// The head that it replaces, if it names one.
    pub(crate) hash: Option<Version>,
    pub(crate) content: Content,
    pub(crate) tags: Tags,
}

/// What an element has beside tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// It is to be deleted, and what it has does not matter.
    Nothing,
    Node(Coord),
    Way(Vec<i64>),
    Relation(Vec<(Kind, i64, String)>),
}

/// Returns the kind of element that a tag begins.
pub(super) fn kind_of(tag: &BytesStart<'_>) -> Option<Kind> {
    Kind::from_name(tag.name().as_ref()).filter(|kind| *kind != Kind::Changeset)
}

/// Reads a document with one element of a kind.
pub(crate) fn single(text: &str, kind: Kind, action: Action) -> Result<Edit, ApiError> {
    let mut xml = Xml::new(kind.name(), text);
    xml.root("osm")?;
    let mut found = None;
    while let Some(tag) = xml.child()? {
        if found.is_none() && kind_of(&tag) == Some(kind) {
            found = Some(element(&mut xml, &tag, kind, action)?);
        } else {
            xml.skip()?;
        }
    }
    xml.end()?;
    found.ok_or_else(|| xml.bad(&format!("XML doesn't contain an osm/{kind} element.")))
}

#[derive(Default)]
struct Attributes {
    id: Option<i64>,
    version: Option<u64>,
    changeset: Option<u64>,
    lat: Option<i64>,
    lon: Option<i64>,
    hash: Option<Version>,
}

/// Reads an element whose tag has begun, with all that is in it.
pub(super) fn element(
    xml: &mut Xml<'_>,
    tag: &BytesStart<'_>,
    kind: Kind,
    action: Action,
) -> Result<Edit, ApiError> {
    let mut attributes = Attributes::default();
    let is_delete = matches!(action, Action::Delete { .. });
    xml.attributes(tag, |name, value| {
        match name {
            "id" => attributes.id = Some(value.parse().map_err(|_| "id is not a number")?),
            // What is created has no version yet, whatever is said.
            "version" if action != Action::Create => {
                attributes.version = Some(value.parse().map_err(|_| "version is not a number")?);
            }
            "changeset" => {
                attributes.changeset = Some(value.parse().map_err(|_| "Changeset id is not a number")?);
            }
            "lat" if !is_delete => attributes.lat = Some(parse_degrees(&value).ok_or("lat is not a number")?),
            "lon" if !is_delete => attributes.lon = Some(parse_degrees(&value).ok_or("lon is not a number")?),
            "osmdb:version" if action != Action::Create => {
                attributes.hash = Some(value.parse().map_err(|_| "osmdb:version names no version")?);
            }
            _ => {}
        }
        Ok(())
    })?;
    let bad = |xml: &Xml<'_>, message: &str| xml.bad_in(tag, message);
    let changeset = attributes.changeset.ok_or_else(|| bad(xml, "Changeset id is missing"))?;
    let id = match (attributes.id, action) {
        (Some(0), Action::Modify | Action::Delete { .. }) => {
            return Err(bad(xml, &format!("ID of {kind} cannot be zero when updating.")));
        }
        (None, Action::Modify | Action::Delete { .. }) => {
            return Err(bad(xml, "ID is required when updating."));
        }
        (id, _) => id.unwrap_or(0),
    };
    if attributes.version.is_none() && action != Action::Create {
        return Err(bad(xml, "Version is required when updating"));
    }
    let Attributes { version, lat, lon, hash, .. } = attributes;
    if is_delete {
        xml.skip()?;
        return Ok(Edit {
            action,
            kind,
            id,
            version,
            changeset,
            hash,
            content: Content::Nothing,
            tags: Tags::new(),
        });
    }
    let mut draft = Draft::default();
    while let Some(child) = xml.child()? {
        draft.child(xml, kind, &child)?;
        xml.skip()?;
    }
    let content = match kind {
        Kind::Node | Kind::Changeset => {
            let lat = lat.ok_or_else(|| bad(xml, "lat missing"))?;
            let lon = lon.ok_or_else(|| bad(xml, "lon missing"))?;
            let coord = Coord::new(lat, lon).map_err(|_| bad(xml, "The node is outside this world"))?;
            Content::Node(coord)
        }
        Kind::Way => match draft.count {
            0 => {
                let text = format!("Precondition failed: Way {id} must have at least one node");
                return Err(ApiError::new(axum::http::StatusCode::PRECONDITION_FAILED, text));
            }
            1..=MAX_WAY_NODES => Content::Way(draft.refs),
            found => return Err(too_many(found, "nodes", "way", id, MAX_WAY_NODES)),
        },
        Kind::Relation if draft.count > MAX_MEMBERS => {
            return Err(too_many(draft.count, "members", "relation", id, MAX_MEMBERS));
        }
        Kind::Relation => Content::Relation(draft.members),
    };
    check_tags(kind, id, &draft.tags)?;
    Ok(Edit { action, kind, id, version, changeset, hash, content, tags: draft.tags })
}

fn too_many(found: usize, what: &str, kind: &str, id: i64, most: usize) -> ApiError {
    ApiError::bad_request(format!(
        "You tried to add {found} {what} to {kind} {id}, however only {most} are allowed"
    ))
}

/// What is inside an element.
#[derive(Default)]
struct Draft {
    tags: Tags,
    refs: Vec<i64>,
    members: Vec<(Kind, i64, String)>,
    /// How many nodes or members there are; no more than the most are kept.
    count: usize,
}

impl Draft {
    fn child(&mut self, xml: &Xml<'_>, kind: Kind, tag: &BytesStart<'_>) -> Result<(), ApiError> {
        let missing = |name: &str| xml.bad_in(tag, &format!("{name} is missing"));
        let number = |text: Option<String>| {
            let text = text.ok_or_else(|| missing("ref"))?;
            let number = text.parse().ok().filter(|number| *number != 0);
            number.ok_or_else(|| xml.bad_in(tag, "ref is no id"))
        };
        match (kind, tag.name().as_ref()) {
            (_, "tag") => {
                read_tag(xml, tag, &mut self.tags)?;
            }
            (Kind::Way, "nd") => {
                let [id] = xml.values(tag, ["ref"])?;
                let id = number(id)?;
                self.count += 1;
                if self.count <= MAX_WAY_NODES {
                    self.refs.push(id);
                }
            }
            (Kind::Relation, "member") => {
                let [of, id, role] = xml.values(tag, ["type", "ref", "role"])?;
                let of = of.ok_or_else(|| missing("type"))?.to_ascii_lowercase();
                let of = Kind::from_name(&of).filter(|kind| *kind != Kind::Changeset);
                let of = of.ok_or_else(|| xml.bad_in(tag, "type is not node, way or relation"))?;
                let id = number(id)?;
                let role = role.unwrap_or_default();
                check_text("Relation Role", &role)?;
                self.count += 1;
                if self.count <= MAX_MEMBERS {
                    self.members.push((of, id, role));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads a tag. What has too many is refused at once, and not when all are read.
pub(super) fn read_tag(xml: &Xml<'_>, tag: &BytesStart<'_>, tags: &mut Tags) -> Result<(), ApiError> {
    let [key, value] = xml.values(tag, ["k", "v"])?;
    let missing = |name: &str| xml.bad_in(tag, &format!("{name} is missing"));
    if tags.len() == MAX_TAGS {
        return Err(xml.bad_in(tag, &format!("More than {MAX_TAGS} tags are not allowed")));
    }
    tags.push(key.ok_or_else(|| missing("k"))?, value.ok_or_else(|| missing("v"))?);
    Ok(())
}

/// Makes sure that tags are those of OSM.
pub(super) fn check_tags(kind: Kind, id: i64, tags: &Tags) -> Result<(), ApiError> {
    let mut keys: Vec<&str> = Vec::with_capacity(tags.len());
    for (key, value) in tags.iter() {
        if key.is_empty() {
            return Err(ApiError::bad_request("Key may not be empty"));
        }
        check_text("Key", key)?;
        check_text("Value", value)?;
        keys.push(key);
    }
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair.first() == pair.last()) {
        Some([key, ..]) => {
            Err(ApiError::bad_request(format!("Element {kind}/{id} has duplicate tags with key {key}")))
        }
        _ => Ok(()),
    }
}

fn check_text(what: &str, text: &str) -> Result<(), ApiError> {
    // No text has more characters than bytes.
    if text.len() > MAX_TEXT_CHARS && text.chars().count() > MAX_TEXT_CHARS {
        return Err(ApiError::bad_request(format!(
            "{what} has more than {MAX_TEXT_CHARS} unicode characters"
        )));
    }
    Ok(())
}
