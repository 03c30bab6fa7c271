//! Entries as section 2 of `spec/views.md` describes them.

use ed25519_dalek::{Signature, VerifyingKey};

use super::cbor::{ARRAY, NULL, Reader, UNSIGNED, array, byte_string, ensure, head, optional, signed, text};
use super::{Address, address};

/// Kinds of elements, as their numbers.
pub const NODE: u8 = 0;
/// A way.
pub const WAY: u8 = 1;
/// A relation.
pub const RELATION: u8 = 2;
/// A changeset.
pub const CHANGESET: u8 = 3;

const MAX_ID: u64 = (1 << 63) - 1;
const SIGNED_TEXT: &[u8] = b"osmdb entry 1\n";

/// Keys and values, in their order.
pub type Tags = Vec<(String, String)>;
/// A kind and an id.
pub type Element = (u8, u64);

/// One version of one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The element.
    pub element: Element,
    /// Its content; none is a deletion.
    pub payload: Option<Payload>,
    /// Where it comes from.
    pub origin: Origin,
}

/// What a version holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Latitude, longitude, tags.
    Node(i64, i64, Tags),
    /// The ids of its nodes, tags.
    Way(Vec<u64>, Tags),
    /// Members and their roles, tags.
    Relation(Vec<(Element, String)>, Tags),
    /// Tags; and if it is closed, the time and the box: south, west, north, east.
    Changeset(Tags, Option<(i64, Option<[i64; 4]>)>),
}

/// Where a version comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// From a file.
    Imported(Imported),
    /// From an editor.
    Edited(Edited),
}

/// What a file says of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The number of the version.
    pub version: Option<u64>,
    /// When it was made.
    pub timestamp: Option<i64>,
    /// In which changeset.
    pub changeset: Option<u64>,
    /// By whom.
    pub uid: Option<u64>,
    /// By whom.
    pub user: Option<String>,
}

/// What an edit says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edited {
    /// What it replaces.
    pub links: Vec<Address>,
    /// The changeset it belongs to.
    pub changeset: Option<u64>,
    /// When it was made.
    pub timestamp: i64,
    /// The author's key and the signature, 96 bytes.
    pub seal: Option<Vec<u8>>,
}

impl Payload {
    /// Returns the tags.
    #[must_use]
    pub const fn tags(&self) -> &Tags {
        match self {
            Self::Node(_, _, tags)
            | Self::Way(_, tags)
            | Self::Relation(_, tags)
            | Self::Changeset(tags, _) => tags,
        }
    }

    /// Returns the elements that it names.
    #[must_use]
    pub fn names(&self) -> Vec<Element> {
        match self {
            Self::Way(nodes, _) => nodes.iter().map(|id| (NODE, *id)).collect(),
            Self::Relation(members, _) => members.iter().map(|(element, _)| *element).collect(),
            Self::Node(..) | Self::Changeset(..) => Vec::new(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Node(lat, lon, tags) => array(&[signed(*lat), signed(*lon), encode_tags(tags)]),
            Self::Way(nodes, tags) => {
                let before = [0].into_iter().chain(nodes.iter().copied());
                let steps =
                    nodes.iter().zip(before).map(|(id, before)| id.wrapping_sub(before).cast_signed());
                array(&[array(&steps.map(signed).collect::<Vec<_>>()), encode_tags(tags)])
            }
            Self::Relation(members, tags) => {
                let member = |((kind, id), role): &(Element, String)| {
                    [head(UNSIGNED, (*kind).into()), head(UNSIGNED, *id), text(role)]
                };
                array(&[array(&members.iter().flat_map(member).collect::<Vec<_>>()), encode_tags(tags)])
            }
            Self::Changeset(tags, None) => array(&[encode_tags(tags)]),
            Self::Changeset(tags, Some((time, bbox))) => {
                let bbox = optional(*bbox, |bbox| array(&bbox.map(signed)));
                array(&[encode_tags(tags), signed(*time), bbox])
            }
        }
    }
}

pub(super) fn encode_tags(tags: &Tags) -> Vec<u8> {
    array(&tags.iter().flat_map(|(key, value)| [text(key), text(value)]).collect::<Vec<_>>())
}

impl Entry {
    /// Returns when the version was made, if that is known.
    #[must_use]
    pub const fn timestamp(&self) -> Option<i64> {
        match &self.origin {
            Origin::Imported(origin) => origin.timestamp,
            Origin::Edited(origin) => Some(origin.timestamp),
        }
    }

    /// Returns the changeset, if one is known.
    #[must_use]
    pub const fn changeset(&self) -> Option<u64> {
        match &self.origin {
            Origin::Imported(origin) => origin.changeset,
            Origin::Edited(origin) => origin.changeset,
        }
    }

    /// Encodes the payload.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        self.payload.as_ref().map_or_else(|| vec![NULL], Payload::encode)
    }

    fn encode_origin(&self, seal: Option<&[u8]>) -> Vec<u8> {
        let number = |n| head(UNSIGNED, n);
        match &self.origin {
            Origin::Imported(Imported { version, timestamp, changeset, uid, user }) => array(&[
                optional(*version, number),
                optional(*timestamp, signed),
                optional(*changeset, number),
                optional(*uid, number),
                optional(user.as_deref(), text),
            ]),
            Origin::Edited(Edited { links, changeset, timestamp, seal: _ }) => {
                let links = array(&links.iter().map(|link| byte_string(link)).collect::<Vec<_>>());
                let mut items = vec![links, optional(*changeset, number), signed(*timestamp)];
                items.extend(seal.map(byte_string));
                array(&items)
            }
        }
    }

    fn record_of(&self, body: &[u8]) -> Vec<u8> {
        let (kind, id) = self.element;
        array(&[head(UNSIGNED, kind.into()), head(UNSIGNED, id), body.to_vec()])
    }

    /// Encodes the body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let seal = if let Origin::Edited(edited) = &self.origin { edited.seal.as_deref() } else { None };
        array(&[self.content(), self.encode_origin(seal)])
    }

    /// Encodes the record.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        self.record_of(&self.body())
    }

    /// Returns the version: the hash of the record.
    #[must_use]
    pub fn version(&self) -> Address {
        address(&self.record())
    }

    /// Returns what an author signs.
    #[must_use]
    pub fn message(&self, author: &[u8]) -> Vec<u8> {
        let body = array(&[self.content(), self.encode_origin(Some(author))]);
        [SIGNED_TEXT, &address(&self.record_of(&body))].concat()
    }

    /// Returns the author, if one is named, and makes sure that he signed it.
    ///
    /// # Errors
    /// He did not.
    pub fn verify(&self) -> Result<Option<Vec<u8>>, String> {
        let Origin::Edited(Edited { seal: Some(seal), .. }) = &self.origin else { return Ok(None) };
        let (author, signature) = seal.split_at_checked(32).ok_or("a seal of another length")?;
        let refused = |_| "a forged signature".to_owned();
        let key = author.try_into().map_err(|_| "a seal of another length")?;
        let key = VerifyingKey::from_bytes(&key).map_err(refused)?;
        let signature = Signature::from_slice(signature).map_err(refused)?;
        key.verify_strict(&self.message(author), &signature).map_err(refused)?;
        Ok(Some(author.to_vec()))
    }

    /// Decodes the body of an element's entry.
    ///
    /// # Errors
    /// It is not the one encoding of an entry.
    pub fn of_body((kind, id): Element, body: &[u8]) -> Result<Self, String> {
        Self::read(&[&[0x83][..], &head(UNSIGNED, kind.into()), &head(UNSIGNED, id), body].concat())
    }

    /// Decodes a record.
    ///
    /// # Errors
    /// It is not the one encoding of an entry.
    pub fn read(record: &[u8]) -> Result<Self, String> {
        let mut reader = Reader(record);
        ensure(reader.head(ARRAY)? == 3, "another number of items")?;
        let element = reader.element()?;
        ensure(reader.head(ARRAY)? == 2, "another number of items")?;
        let payload = reader.optional(|reader| reader.payload(element.0))?;
        let entry = Self { element, payload, origin: reader.origin()? };
        entry.check()?;
        ensure(entry.record() == record, "another encoding than the one there is")?;
        Ok(entry)
    }

    /// Makes sure that an entry can be.
    ///
    /// # Errors
    /// Something in it cannot be.
    pub fn check(&self) -> Result<(), String> {
        check_element(self.element)?;
        match &self.payload {
            None => {}
            Some(Payload::Node(lat, lon, _)) => check_place(*lat, *lon)?,
            Some(Payload::Way(nodes, _)) => nodes.iter().try_for_each(|id| check_element((NODE, *id)))?,
            Some(Payload::Relation(members, _)) => {
                for (element, _) in members {
                    ensure(element.0 != CHANGESET, "a changeset as a member")?;
                    check_element(*element)?;
                }
            }
            Some(Payload::Changeset(_, Some((_, Some([south, west, north, east]))))) => {
                check_place(*south, *west)?;
                check_place(*north, *east)?;
                ensure(south <= north, "a box upside down")?;
            }
            Some(Payload::Changeset(..)) => {}
        }
        if let Origin::Edited(Edited { links, seal, .. }) = &self.origin {
            ensure(links.is_sorted_by(|a, b| a < b), "links that do not ascend")?;
            ensure(seal.as_ref().is_none_or(|seal| seal.len() == 96), "a seal of another length")?;
        }
        Ok(())
    }
}

fn check_element((kind, id): Element) -> Result<(), String> {
    ensure(kind <= CHANGESET && (1..=MAX_ID).contains(&id), "an element that cannot be")
}

fn check_place(lat: i64, lon: i64) -> Result<(), String> {
    let within = lat.unsigned_abs() <= 900_000_000 && lon.unsigned_abs() <= 1_800_000_000;
    ensure(within, "a place off the globe")
}

impl Reader<'_> {
    fn number(&mut self) -> Result<u64, String> {
        self.head(UNSIGNED)
    }

    fn element(&mut self) -> Result<Element, String> {
        let kind = u8::try_from(self.number()?).map_err(|_| "an element that cannot be")?;
        let element = (kind, self.number()?);
        check_element(element)?;
        Ok(element)
    }

    fn tags(&mut self) -> Result<Tags, String> {
        let items = self.head(ARRAY)?;
        ensure(items % 2 == 0, "a tag without a value")?;
        (0..items / 2).map(|_| Ok((self.text()?, self.text()?))).collect()
    }

    fn payload(&mut self, kind: u8) -> Result<Payload, String> {
        let items = self.head(ARRAY)?;
        let right = match kind {
            NODE => items == 3,
            WAY | RELATION => items == 2,
            _ => items == 1 || items == 3,
        };
        ensure(right, "another number of items")?;
        Ok(match kind {
            NODE => Payload::Node(self.signed()?, self.signed()?, self.tags()?),
            WAY => {
                let mut nodes = Vec::new();
                for step in self.array(Self::signed)? {
                    nodes.push(nodes.last().copied().unwrap_or(0_u64).wrapping_add(step.cast_unsigned()));
                }
                Payload::Way(nodes, self.tags()?)
            }
            RELATION => {
                let items = self.head(ARRAY)?;
                ensure(items % 3 == 0, "a member without a role")?;
                let members = (0..items / 3).map(|_| {
                    let kind = u8::try_from(self.number()?).map_err(|_| "an element that cannot be")?;
                    Ok(((kind, self.number()?), self.text()?))
                });
                let members = members.collect::<Result<_, String>>()?;
                Payload::Relation(members, self.tags()?)
            }
            _ => {
                let tags = self.tags()?;
                if items == 1 {
                    return Ok(Payload::Changeset(tags, None));
                }
                let time = self.signed()?;
                let bbox = self.optional(|reader| {
                    let corners = reader.array(Self::signed)?;
                    corners.try_into().map_err(|_| "another number of items".to_owned())
                })?;
                Payload::Changeset(tags, Some((time, bbox)))
            }
        })
    }

    fn origin(&mut self) -> Result<Origin, String> {
        let items = self.head(ARRAY)?;
        if items == 5 {
            return Ok(Origin::Imported(Imported {
                version: self.optional(Self::number)?,
                timestamp: self.optional(Self::signed)?,
                changeset: self.optional(Self::number)?,
                uid: self.optional(Self::number)?,
                user: self.optional(Self::text)?,
            }));
        }
        ensure(items == 3 || items == 4, "another number of items")?;
        let links = self.array(Self::bytes)?.into_iter().map(|link| {
            let link: Result<Address, _> = link.try_into();
            link.map_err(|_| "a link of another length".to_owned())
        });
        let links = links.collect::<Result<_, _>>()?;
        let changeset = self.optional(Self::number)?;
        let timestamp = self.signed()?;
        let seal = if items == 4 { Some(self.bytes()?) } else { None };
        Ok(Origin::Edited(Edited { links, changeset, timestamp, seal }))
    }
}
