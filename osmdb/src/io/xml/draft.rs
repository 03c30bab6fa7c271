//! An element in the making: its attributes first, then its children.

use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;
use std::borrow::Cow;

use super::super::element::{
    self, Ids, MAX_ELEMENT_MEMBERS, MAX_ELEMENT_REFS, MAX_ELEMENT_TAGS, MAX_ELEMENT_TEXT_BYTES, RawMeta,
    TextBudget, at, at_most,
};
use super::super::error::{ElementProblem, Problem, XmlProblem};
use super::attributes::{each, shortened, whole, wrong};
use crate::entry::Entry;
use crate::model::{Coord, ElementId, Kind, Member, Payload, Tags, parse_degrees};
use crate::timestamp::parse_timestamp;

/// What is known of an element so far.
pub(super) struct Draft {
    element: ElementId,
    id: i64,
    ids: Ids,
    attributes: Attributes,
    tags: Tags,
    refs: Vec<u64>,
    members: Vec<Member>,
    text: TextBudget,
}

#[derive(Default)]
struct Attributes {
    id: Option<Result<i64, String>>,
    /// Kept with what is wrong with them: of a deleted node, nobody asks.
    lat: Option<Result<i64, ElementProblem>>,
    lon: Option<Result<i64, ElementProblem>>,
    version: Option<i64>,
    timestamp: Option<i64>,
    changeset: Option<i64>,
    uid: Option<i64>,
    user: Option<String>,
    deleted: bool,
    /// Whether an editor says that it is to be deleted.
    to_delete: bool,
}

impl Attributes {
    fn set(&mut self, name: &str, value: Cow<'_, str>) -> Result<(), ElementProblem> {
        let degrees = |attribute| parse_degrees(&value).ok_or_else(|| wrong(attribute, "degrees", &value));
        match name {
            "id" => self.id = Some(value.parse().map_err(|_| shortened(&value))),
            "lat" => self.lat = Some(degrees("lat")),
            "lon" => self.lon = Some(degrees("lon")),
            "version" => self.version = Some(whole("version", &value)?),
            "changeset" => self.changeset = Some(whole("changeset", &value)?),
            "uid" => self.uid = Some(whole("uid", &value)?),
            "user" => self.user = Some(value.into_owned()),
            "timestamp" => {
                let expected = "a time such as 2013-01-01T00:00:00Z";
                let seconds = parse_timestamp(&value).ok_or_else(|| wrong("timestamp", expected, &value))?;
                self.timestamp = Some(seconds);
            }
            "visible" => {
                self.deleted = match &*value {
                    "true" => false,
                    "false" => true,
                    other => return Err(wrong("visible", "true or false", other)),
                }
            }
            "action" => self.to_delete = &*value == "delete",
            _ => {}
        }
        Ok(())
    }

    fn meta(&self) -> RawMeta<'_> {
        RawMeta {
            version: self.version,
            timestamp: self.timestamp,
            changeset: self.changeset,
            uid: self.uid,
            user: self.user.as_deref(),
        }
    }
}

impl Draft {
    /// Reads the attributes of the element's tag. It may be known to be deleted.
    pub(super) fn new(
        kind: Kind,
        tag: &BytesStart<'_>,
        version: XmlVersion,
        ids: Ids,
        deleted: bool,
    ) -> Result<Self, Problem> {
        let mut attributes = Attributes::default();
        // The id may come last, and an error wants to name the element.
        let mut fault = None;
        each(tag, version, |name, value| {
            if let Err(problem) = attributes.set(name, value) {
                fault.get_or_insert(problem);
            }
        })?;
        let id_problem = |found| XmlProblem::Id { tag: kind.name(), found };
        let id = match attributes.id.take() {
            Some(id) => id.map_err(|found| id_problem(format!("`{found}`")))?,
            None => return Err(id_problem("none".to_owned()).into()),
        };
        // An object that was never uploaded lacks more than its id, but that is the reason.
        let element = ids.element(kind, id).map_err(at(kind, id))?;
        if let Some(fault) = fault {
            return Err(at(kind, id)(fault));
        }
        // What a change file deletes, it often calls visible: it was, before.
        attributes.deleted |= deleted || (ids == Ids::Placeholders && attributes.to_delete);
        let (tags, refs, members) = (Tags::new(), Vec::new(), Vec::new());
        let text = TextBudget::new(MAX_ELEMENT_TEXT_BYTES);
        Ok(Self { element, id, ids, attributes, tags, refs, members, text })
    }

    /// Adds a child: a tag, a node of a way, a member of a relation. Others are passed over.
    pub(super) fn child(&mut self, tag: &BytesStart<'_>, version: XmlVersion) -> Result<(), Problem> {
        // What a deleted element was is not kept.
        if self.attributes.deleted {
            return Ok(());
        }
        match (self.element.kind, tag.name().as_ref()) {
            (_, "tag") => {
                let [key, value, _] = values(tag, version, ["k", "v", ""])?;
                self.add_tag(key, value)
            }
            (Kind::Way, "nd") => {
                let [id, ..] = values(tag, version, ["ref", "", ""])?;
                self.add_ref(id.as_deref())
            }
            (Kind::Relation, "member") => {
                let [kind, id, role] = values(tag, version, ["type", "ref", "role"])?;
                self.add_member(kind.as_deref(), id.as_deref(), role)
            }
            _ => Ok(()),
        }
        .map_err(at(self.element.kind, self.id))
    }

    fn add_tag(&mut self, key: Option<String>, value: Option<String>) -> Result<(), ElementProblem> {
        let missing = |attribute| ElementProblem::Missing { tag: "tag", attribute };
        let key = key.ok_or_else(|| missing("k"))?;
        let value = value.ok_or_else(|| missing("v"))?;
        self.text.take(&key)?;
        self.text.take(&value)?;
        self.tags.push(key, value);
        at_most("tags", self.tags.len(), MAX_ELEMENT_TAGS)
    }

    fn add_ref(&mut self, id: Option<&str>) -> Result<(), ElementProblem> {
        let id = id.ok_or(ElementProblem::Missing { tag: "nd", attribute: "ref" })?;
        self.refs.push(self.ids.reference(Kind::Node, whole("ref", id)?)?);
        at_most("nodes", self.refs.len(), MAX_ELEMENT_REFS)
    }

    fn add_member(
        &mut self,
        kind: Option<&str>,
        id: Option<&str>,
        role: Option<String>,
    ) -> Result<(), ElementProblem> {
        let missing = |attribute| ElementProblem::Missing { tag: "member", attribute };
        let kind = match kind.ok_or_else(|| missing("type"))? {
            "node" => Kind::Node,
            "way" => Kind::Way,
            "relation" => Kind::Relation,
            other => return Err(wrong("type", "node, way or relation", other)),
        };
        let id = self.ids.reference(kind, whole("ref", id.ok_or_else(|| missing("ref"))?)?)?;
        // A member without a role has the empty one.
        let role = role.unwrap_or_default();
        self.text.take(&role)?;
        self.members.push(Member { element: ElementId::new(kind, id), role });
        at_most("members", self.members.len(), MAX_ELEMENT_MEMBERS)
    }

    /// Puts the entry together.
    pub(super) fn finish(mut self) -> Result<Entry, Problem> {
        let tags = std::mem::take(&mut self.tags);
        let payload = match self.element.kind {
            _ if self.attributes.deleted => Ok(None),
            Kind::Node => self.coord().map(|coord| Some(Payload::Node { coord, tags })),
            Kind::Way => Ok(Some(Payload::Way { refs: std::mem::take(&mut self.refs), tags })),
            Kind::Relation => {
                Ok(Some(Payload::Relation { members: std::mem::take(&mut self.members), tags }))
            }
            Kind::Changeset => Ok(Some(Payload::Changeset { tags, closed: None })),
        };
        payload
            .and_then(|payload| element::entry(self.element, self.attributes.meta(), payload))
            .map_err(at(self.element.kind, self.id))
    }

    fn coord(&mut self) -> Result<Coord, ElementProblem> {
        let missing = |attribute| ElementProblem::Missing { tag: "node", attribute };
        let lat = self.attributes.lat.take().ok_or_else(|| missing("lat"))??;
        let lon = self.attributes.lon.take().ok_or_else(|| missing("lon"))??;
        Ok(Coord::new(lat, lon)?)
    }
}

/// Returns the values of three attributes of a child.
fn values(
    tag: &BytesStart<'_>,
    version: XmlVersion,
    names: [&str; 3],
) -> Result<[Option<String>; 3], Problem> {
    let mut found = [None, None, None];
    each(tag, version, |name, value| {
        if let Some((_, slot)) = names.iter().zip(&mut found).find(|(wanted, _)| **wanted == name) {
            *slot = Some(value.into_owned());
        }
    })?;
    Ok(found)
}
