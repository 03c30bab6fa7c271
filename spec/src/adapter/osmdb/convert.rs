//! Entries of `osmdb` from entries as requests have them, and back.

use osmdb::{
    Author, BBox, Closed, Coord, EditMeta, ElementId, Entry, Kind, Member, Origin, OsmMeta, Payload,
    Signature, Signed, Tags,
};

use super::text;
use crate::adapter::hex;
use crate::reference::entry as plain;

pub(super) fn to_ours(entry: &plain::Entry) -> Result<Entry, String> {
    let element = element(entry.element)?;
    let tags = |tags: &plain::Tags| tags.iter().cloned().collect::<Tags>();
    let payload = match &entry.payload {
        None => None,
        Some(plain::Payload::Node(lat, lon, all)) => {
            Some(Payload::Node { coord: Coord::new(*lat, *lon).map_err(text)?, tags: tags(all) })
        }
        Some(plain::Payload::Way(refs, all)) => Some(Payload::Way { refs: refs.clone(), tags: tags(all) }),
        Some(plain::Payload::Relation(members, all)) => {
            let members = members.iter().map(|(named, role)| {
                let role = role.clone();
                Ok(Member { element: self::element(*named)?, role })
            });
            Some(Payload::Relation { members: members.collect::<Result<_, String>>()?, tags: tags(all) })
        }
        Some(plain::Payload::Changeset(all, closed)) => {
            let closed =
                closed.map(|(at, bbox)| Ok::<_, String>(Closed { at, bbox: bbox.map(to_box).transpose()? }));
            Some(Payload::Changeset { tags: tags(all), closed: closed.transpose()? })
        }
    };
    Ok(Entry { element, payload, origin: origin(&entry.origin)? })
}

fn element((kind, id): plain::Element) -> Result<ElementId, String> {
    Ok(ElementId::new(Kind::from_code(kind).ok_or("no kind")?, id))
}

fn to_box([south, west, north, east]: [i64; 4]) -> Result<BBox, String> {
    let corner = |lat, lon| Coord::new(lat, lon).map_err(text);
    BBox::new(corner(south, west)?, corner(north, east)?).map_err(text)
}

fn origin(origin: &plain::Origin) -> Result<Origin, String> {
    Ok(match origin {
        plain::Origin::Imported(plain::Imported { version, timestamp, changeset, uid, user }) => {
            Origin::Imported(OsmMeta {
                version: *version,
                timestamp: *timestamp,
                changeset: *changeset,
                uid: *uid,
                user: user.clone(),
            })
        }
        plain::Origin::Edited(plain::Edited { links, changeset, timestamp, seal }) => {
            let links =
                links.iter().map(|link| hex(link).parse().map_err(text)).collect::<Result<_, String>>()?;
            let signed = seal.as_deref().map(|seal| {
                let (author, signature) = seal.split_first_chunk::<32>().ok_or("a seal of another length")?;
                let signature = signature.try_into().map_err(|_| "a seal of another length")?;
                Ok::<_, String>(Signed { author: Author::new(*author), signature: Signature::new(signature) })
            });
            let signed = signed.transpose()?;
            Origin::Edited(EditMeta { links, changeset: *changeset, timestamp: *timestamp, signed })
        }
    })
}

pub(super) fn from_ours(entry: &Entry) -> plain::Entry {
    let named = |element: ElementId| (element.kind.code(), element.id);
    let tags = |tags: &Tags| tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let payload = entry.payload.as_ref().map(|payload| match payload {
        Payload::Node { coord, tags: all } => {
            plain::Payload::Node(coord.lat().into(), coord.lon().into(), tags(all))
        }
        Payload::Way { refs, tags: all } => plain::Payload::Way(refs.clone(), tags(all)),
        Payload::Relation { members, tags: all } => {
            let members = members.iter().map(|member| (named(member.element), member.role.clone()));
            plain::Payload::Relation(members.collect(), tags(all))
        }
        Payload::Changeset { tags: all, closed } => {
            let corners = |bbox: BBox| {
                let (from, to) = (bbox.south_west(), bbox.north_east());
                [from.lat(), from.lon(), to.lat(), to.lon()].map(i64::from)
            };
            plain::Payload::Changeset(tags(all), closed.map(|closed| (closed.at, closed.bbox.map(corners))))
        }
    });
    let origin = match &entry.origin {
        Origin::Imported(OsmMeta { version, timestamp, changeset, uid, user }) => {
            plain::Origin::Imported(plain::Imported {
                version: *version,
                timestamp: *timestamp,
                changeset: *changeset,
                uid: *uid,
                user: user.clone(),
            })
        }
        Origin::Edited(EditMeta { links, changeset, timestamp, signed }) => {
            let seal =
                |signed: &Signed| [&signed.author.as_bytes()[..], &signed.signature.as_bytes()[..]].concat();
            plain::Origin::Edited(plain::Edited {
                links: links.iter().map(|link| *link.as_bytes()).collect(),
                changeset: *changeset,
                timestamp: *timestamp,
                seal: signed.as_ref().map(seal),
            })
        }
    };
    plain::Entry { element: named(entry.element), payload, origin }
}
