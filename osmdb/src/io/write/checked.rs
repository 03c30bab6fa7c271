//! An entry that a format can hold.
//!
//! All that can be wrong with an element is found here, before a byte of it is written: what is
//! [`Checked`] can be written, and read again.

use super::super::element::{
    MAX_ELEMENT_MEMBERS, MAX_ELEMENT_REFS, MAX_ELEMENT_TAGS, MAX_ELEMENT_TEXT_BYTES, TextBudget,
};
use super::error::Unwritable;
use crate::entry::{Entry, Origin};
use crate::model::{Coord, ElementId, Kind, MAX_ID, Member, Payload, Tags};

/// What a format has room for.
#[derive(Debug)]
pub(in crate::io) struct Limits {
    /// The greatest version.
    pub(in crate::io) version: u64,
    /// The greatest number of a user.
    pub(in crate::io) uid: u64,
    /// The earliest and the latest time, in seconds since 1970.
    pub(in crate::io) times: (i64, i64),
    /// Which characters a text may have.
    pub(in crate::io) character: fn(char) -> bool,
}

/// An entry that can be written.
#[derive(Debug)]
pub(in crate::io) struct Checked<'a> {
    pub(in crate::io) kind: Kind,
    pub(in crate::io) id: i64,
    pub(in crate::io) meta: Meta<'a>,
    /// `None` for a tombstone.
    pub(in crate::io) content: Option<Content<'a>>,
    /// Whether it is an edit that replaces nothing.
    pub(in crate::io) is_new: bool,
    /// About how many bytes it takes in memory.
    pub(in crate::io) weight: usize,
}

/// The content of an element, without its tags.
#[derive(Debug)]
pub(in crate::io) struct Content<'a> {
    pub(in crate::io) shape: Shape<'a>,
    pub(in crate::io) tags: &'a Tags,
}

/// What differs by the kind of element.
#[derive(Debug)]
pub(in crate::io) enum Shape<'a> {
    Node(Coord),
    Way(&'a [u64]),
    Relation(&'a [Member]),
}

/// Metadata; what stands for "not set" in files is `None`.
#[derive(Debug, Default)]
pub(in crate::io) struct Meta<'a> {
    pub(in crate::io) version: Option<u64>,
    pub(in crate::io) timestamp: Option<i64>,
    pub(in crate::io) changeset: Option<i64>,
    pub(in crate::io) uid: Option<u64>,
    pub(in crate::io) user: Option<&'a str>,
}

/// Checks whether a format can hold an entry.
pub(in crate::io) fn check<'a>(entry: &'a Entry, limits: &Limits) -> Result<Checked<'a>, Unwritable> {
    let id = checked_id(entry.element.id)?;
    let mut text = Text { budget: TextBudget::new(MAX_ELEMENT_TEXT_BYTES), weight: 64, limits };
    let content = match &entry.payload {
        // A tombstone of a changeset is none of a map's either.
        None if entry.element.kind == Kind::Changeset => return Err(Unwritable::Changeset),
        None => None,
        Some(payload) if payload.kind() != entry.element.kind => {
            return Err(Unwritable::Content(payload.kind()));
        }
        Some(payload) => Some(content(payload, &mut text)?),
    };
    let meta = meta(entry, &mut text)?;
    let is_new = matches!(&entry.origin, Origin::Edited(edit) if edit.links.is_empty());
    Ok(Checked { kind: entry.element.kind, id, meta, content, is_new, weight: text.weight })
}

fn content<'a>(payload: &'a Payload, text: &mut Text<'_>) -> Result<Content<'a>, Unwritable> {
    let (shape, tags) = match payload {
        Payload::Node { coord, tags } => (Shape::Node(*coord), tags),
        Payload::Way { refs, tags } => {
            at_most("nodes", refs.len(), MAX_ELEMENT_REFS)?;
            refs.iter().try_for_each(|id| checked_id(*id).map(drop))?;
            text.weight = text.weight.saturating_add(refs.len().saturating_mul(size_of::<u64>()));
            (Shape::Way(refs), tags)
        }
        Payload::Relation { members, tags } => {
            at_most("members", members.len(), MAX_ELEMENT_MEMBERS)?;
            for Member { element, role } in members {
                checked_member(*element)?;
                text.take(role)?;
            }
            text.weight = text.weight.saturating_add(members.len().saturating_mul(size_of::<Member>()));
            (Shape::Relation(members), tags)
        }
        Payload::Changeset { .. } => return Err(Unwritable::Changeset),
    };
    at_most("tags", tags.len(), MAX_ELEMENT_TAGS)?;
    for (key, value) in tags.iter() {
        text.take(key)?;
        text.take(value)?;
    }
    Ok(Content { shape, tags })
}

fn meta<'a>(entry: &'a Entry, text: &mut Text<'_>) -> Result<Meta<'a>, Unwritable> {
    let set = |number: Option<u64>| number.filter(|number| *number > 0);
    let meta = match &entry.origin {
        Origin::Imported(meta) => Meta {
            version: set(meta.version),
            uid: set(meta.uid),
            user: meta.user.as_deref().filter(|name| !name.is_empty()),
            ..Meta::default()
        },
        Origin::Edited(_) => Meta::default(),
    };
    let limits = text.limits;
    below("version", meta.version, limits.version)?;
    below("uid", meta.uid, limits.uid)?;
    let changeset = set(entry.changeset());
    below("changeset", changeset, MAX_ID)?;
    let timestamp = entry.timestamp().filter(|seconds| *seconds != 0);
    if let Some(seconds) = timestamp.filter(|time| !(limits.times.0..=limits.times.1).contains(time)) {
        return Err(Unwritable::Time(seconds));
    }
    if let Some(user) = meta.user {
        text.take(user)?;
    }
    // It is within 63 bits, so nothing is lost.
    Ok(Meta { timestamp, changeset: changeset.and_then(|number| i64::try_from(number).ok()), ..meta })
}

/// Counts and checks the texts of one element.
struct Text<'a> {
    budget: TextBudget,
    weight: usize,
    limits: &'a Limits,
}

impl Text<'_> {
    fn take(&mut self, text: &str) -> Result<(), Unwritable> {
        let too_long = Unwritable::Text { limit: MAX_ELEMENT_TEXT_BYTES };
        self.budget.take(text).map_err(|_| too_long)?;
        self.weight = self.weight.saturating_add(text.len()).saturating_add(size_of::<String>());
        let odd = text.chars().find(|character| !(self.limits.character)(*character));
        odd.map_or(Ok(()), |character| Err(Unwritable::Character(character)))
    }
}

fn checked_id(id: u64) -> Result<i64, Unwritable> {
    i64::try_from(id).ok().filter(|id| *id > 0).ok_or(Unwritable::Id(id))
}

fn checked_member(element: ElementId) -> Result<(), Unwritable> {
    if element.kind == Kind::Changeset {
        return Err(Unwritable::Member(element));
    }
    checked_id(element.id).map(drop)
}

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), Unwritable> {
    if found <= limit { Ok(()) } else { Err(Unwritable::TooMany { what, limit }) }
}

fn below(what: &'static str, number: Option<u64>, limit: u64) -> Result<(), Unwritable> {
    match number {
        Some(found) if found > limit => Err(Unwritable::Number { what, found, limit }),
        _ => Ok(()),
    }
}
