//! Entries as requests and responses have them.

use serde_json::{Value, json};

use super::{Params, hex};
use crate::reference::entry::{
    CHANGESET, Edited, Element, Entry, Imported, NODE, Origin, Payload, RELATION, Tags, WAY,
};

impl Params<'_> {
    /// Returns an entry.
    ///
    /// # Errors
    /// It has not the form of one. What it says may be impossible all the same.
    pub fn entry(self) -> Result<Entry, String> {
        let element = self.at("element").element()?;
        let (payload, origin) = (self.at("payload"), self.at("origin"));
        Ok(Entry {
            element,
            payload: if payload.0.is_null() { None } else { Some(payload.payload(element.0)?) },
            origin: if origin.at("imported").0.is_null() { origin.edited()? } else { origin.imported()? },
        })
    }

    /// Returns an integer that is written as a text, for it may be above 2⁵³.
    fn decimal<T: std::str::FromStr>(self) -> Result<T, String> {
        self.text()?.parse().map_err(|_| format!("not a number: {:.40}", self.0.to_string()))
    }

    fn optional<T>(self, read: impl Fn(Self) -> Result<T, String>) -> Result<Option<T>, String> {
        if self.0.is_null() { Ok(None) } else { read(self).map(Some) }
    }

    fn element(self) -> Result<Element, String> {
        let kind = u8::try_from(self.nth(0).number()?).map_err(|_| "no kind")?;
        Ok((kind, self.nth(1).decimal()?))
    }

    fn coordinate(self) -> Result<i64, String> {
        self.0.as_i64().ok_or_else(|| format!("not a number: {:.40}", self.0.to_string()))
    }

    fn tags(self) -> Result<Tags, String> {
        self.items()?.map(|tag| Ok((tag.nth(0).text()?.to_owned(), tag.nth(1).text()?.to_owned()))).collect()
    }

    fn payload(self, kind: u8) -> Result<Payload, String> {
        Ok(match kind {
            NODE => Payload::Node(self.nth(0).coordinate()?, self.nth(1).coordinate()?, self.nth(2).tags()?),
            WAY => {
                let nodes = self.nth(0).items()?.map(Self::decimal).collect::<Result<_, _>>()?;
                Payload::Way(nodes, self.nth(1).tags()?)
            }
            RELATION => {
                let member = |member: Params<'_>| Ok((member.element()?, member.nth(2).text()?.to_owned()));
                let members = self.nth(0).items()?.map(member).collect::<Result<_, String>>()?;
                Payload::Relation(members, self.nth(1).tags()?)
            }
            CHANGESET if self.items()?.count() == 1 => Payload::Changeset(self.nth(0).tags()?, None),
            CHANGESET => {
                let bbox = self.nth(2).optional(|bbox| {
                    let corners = bbox.items()?.map(Self::coordinate).collect::<Result<Vec<_>, _>>()?;
                    corners.try_into().map_err(|_| "no box".to_owned())
                })?;
                Payload::Changeset(self.nth(0).tags()?, Some((self.nth(1).decimal()?, bbox)))
            }
            _ => return Err("no kind".to_owned()),
        })
    }

    fn imported(self) -> Result<Origin, String> {
        let origin = self.at("imported");
        Ok(Origin::Imported(Imported {
            version: origin.nth(0).optional(Self::decimal)?,
            timestamp: origin.nth(1).optional(Self::decimal)?,
            changeset: origin.nth(2).optional(Self::decimal)?,
            uid: origin.nth(3).optional(Self::decimal)?,
            user: origin.nth(4).optional(|user| user.text().map(str::to_owned))?,
        }))
    }

    fn edited(self) -> Result<Origin, String> {
        let origin = self.at("edited");
        Ok(Origin::Edited(Edited {
            links: origin.nth(0).items()?.map(Params::address).collect::<Result<_, _>>()?,
            changeset: origin.nth(1).optional(Self::decimal)?,
            timestamp: origin.nth(2).decimal()?,
            seal: self.at("signed").optional_bytes()?,
        }))
    }
}

/// Writes an entry as a response has it.
#[must_use]
pub fn show(entry: &Entry) -> Value {
    let (kind, id) = entry.element;
    json!({
        "element": [kind, id.to_string()],
        "payload": entry.payload.as_ref().map(show_payload),
        "origin": show_origin(&entry.origin),
    })
}

fn show_payload(payload: &Payload) -> Value {
    match payload {
        Payload::Node(lat, lon, tags) => json!([lat, lon, tags]),
        Payload::Way(nodes, tags) => {
            json!([nodes.iter().map(ToString::to_string).collect::<Vec<_>>(), tags])
        }
        Payload::Relation(members, tags) => {
            let members = members.iter().map(|((kind, id), role)| json!([kind, id.to_string(), role]));
            json!([members.collect::<Vec<_>>(), tags])
        }
        Payload::Changeset(tags, None) => json!([tags]),
        Payload::Changeset(tags, Some((time, bbox))) => json!([tags, time.to_string(), bbox]),
    }
}

fn show_origin(origin: &Origin) -> Value {
    let number = |n: &Option<u64>| n.map(|n| n.to_string());
    match origin {
        Origin::Imported(Imported { version, timestamp, changeset, uid, user }) => {
            let timestamp = timestamp.map(|time| time.to_string());
            json!({ "imported": [number(version), timestamp, number(changeset), number(uid), user] })
        }
        Origin::Edited(Edited { links, changeset, timestamp, seal }) => {
            let links: Vec<_> = links.iter().map(|link| hex(link)).collect();
            let mut shown = json!({ "edited": [links, number(changeset), timestamp.to_string()] });
            if let Some(seal) = seal {
                shown["signed"] = json!(hex(seal));
            }
            shown
        }
    }
}
