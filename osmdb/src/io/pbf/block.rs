//! Decodes a block of elements.

use super::super::element::{self, MAX_ELEMENT_MEMBERS, MAX_ELEMENT_REFS, RawMeta, at, at_most, reference};
use super::super::error::{ElementProblem, PbfProblem, Problem};
use super::dense;
use super::proto::{Info, Node, Relation, Way};
use super::strings::Strings;
use super::wire::{Fields, Value, decode as decode_message, malformed};
use crate::entry::Entry;
use crate::model::{Coord, ElementId, Kind, Member, Payload};

/// The most elements a block may hold. Writers put 8,000 into one.
pub const MAX_BLOCK_ELEMENTS: usize = 1 << 20;

/// What the elements of a block have in common.
pub(super) struct Block<'a> {
    pub(super) strings: Strings<'a>,
    granularity: i64,
    date_granularity: i64,
    lat_offset: i64,
    lon_offset: i64,
}

/// Decodes the content of an `OSMData` blob.
pub(super) fn decode(content: &[u8]) -> Result<Vec<Entry>, Problem> {
    let block = Block::read(content)?;
    let mut entries = Vec::new();
    for field in Fields::new(content, "block") {
        if let (2, Value::Bytes(group)) = field? {
            block.group(group, &mut entries)?;
        }
    }
    Ok(entries)
}

impl<'a> Block<'a> {
    /// Reads what stands beside the groups. It may come after them, so it takes a walk of its own.
    fn read(content: &'a [u8]) -> Result<Self, PbfProblem> {
        let mut table: Option<&[u8]> = None;
        let mut granularity = 100;
        let mut date_granularity = 1000;
        let (mut lat_offset, mut lon_offset) = (0, 0);
        for field in Fields::new(content, "block") {
            match field? {
                (1, Value::Bytes(_)) if table.is_some() => {
                    return Err(malformed("block", "it has two string tables"));
                }
                (1, Value::Bytes(message)) => table = Some(message),
                (17, Value::Varint(number)) => granularity = number.cast_signed(),
                (18, Value::Varint(number)) => date_granularity = number.cast_signed(),
                (19, Value::Varint(number)) => lat_offset = number.cast_signed(),
                (20, Value::Varint(number)) => lon_offset = number.cast_signed(),
                // The groups have their turn later.
                (2, Value::Bytes(_)) => {}
                (1 | 2 | 17..=20, _) => return Err(malformed("block", "a field is of the wrong type")),
                _ => {}
            }
        }
        for (what, found) in [("granularity", granularity), ("date granularity", date_granularity)] {
            if found <= 0 || i32::try_from(found).is_err() {
                return Err(PbfProblem::Granularity { what, found });
            }
        }
        let strings = Strings::read(table.ok_or_else(|| malformed("block", "it has no string table"))?)?;
        Ok(Self { strings, granularity, date_granularity, lat_offset, lon_offset })
    }

    fn group(&self, group: &[u8], entries: &mut Vec<Entry>) -> Result<(), Problem> {
        for field in Fields::new(group, "group") {
            match field? {
                (1, Value::Bytes(node)) => entries.push(self.node(node)?),
                (2, Value::Bytes(nodes)) => dense::decode(self, nodes, entries)?,
                (3, Value::Bytes(way)) => entries.push(self.way(way)?),
                (4, Value::Bytes(relation)) => entries.push(self.relation(relation)?),
                (1..=4, _) => return Err(malformed("group", "an element is a number").into()),
                // 5 is a changeset: it says nothing of the map. Others are to be skipped.
                _ => {}
            }
            if entries.len() > MAX_BLOCK_ELEMENTS {
                return Err(PbfProblem::TooManyElements { limit: MAX_BLOCK_ELEMENTS }.into());
            }
        }
        Ok(())
    }

    fn node(&self, message: &[u8]) -> Result<Entry, Problem> {
        let node: Node = decode_message(message, "node")?;
        let payload = || {
            let missing = |attribute| ElementProblem::Missing { tag: "node", attribute };
            let lat = node.lat.ok_or_else(|| missing("lat"))?;
            let coord = self.coord(lat, node.lon.ok_or_else(|| missing("lon"))?)?;
            Ok(Payload::Node { coord, tags: self.strings.tags(&node.keys, &node.vals)? })
        };
        self.entry(Kind::Node, node.id, node.info.as_ref(), payload)
    }

    fn way(&self, message: &[u8]) -> Result<Entry, Problem> {
        let way: Way = decode_message(message, "way")?;
        let payload = || {
            at_most("nodes", way.refs.len(), MAX_ELEMENT_REFS)?;
            let ids = Sum::new("node reference");
            let refs = way.refs.iter().map(|delta| reference(Kind::Node, ids.add(*delta)?));
            let refs = refs.collect::<Result<_, ElementProblem>>()?;
            Ok(Payload::Way { refs, tags: self.strings.tags(&way.keys, &way.vals)? })
        };
        self.entry(Kind::Way, way.id, way.info.as_ref(), payload)
    }

    fn relation(&self, message: &[u8]) -> Result<Entry, Problem> {
        let relation: Relation = decode_message(message, "relation")?;
        let payload = || {
            let members = self.members(&relation)?;
            Ok(Payload::Relation { members, tags: self.strings.tags(&relation.keys, &relation.vals)? })
        };
        self.entry(Kind::Relation, relation.id, relation.info.as_ref(), payload)
    }

    fn members(&self, relation: &Relation) -> Result<Vec<Member>, ElementProblem> {
        let expected = relation.memids.len();
        for (what, found) in [("roles", relation.roles_sid.len()), ("member types", relation.types.len())] {
            if found != expected {
                return Err(ElementProblem::Lengths { what, found, to: "members", expected });
            }
        }
        at_most("members", expected, MAX_ELEMENT_MEMBERS)?;
        let ids = Sum::new("member id");
        let members = relation.memids.iter().zip(&relation.types).zip(&relation.roles_sid);
        let member = |((delta, kind), role): ((&i64, &i32), &i32)| {
            let kind = match kind {
                0 => Kind::Node,
                1 => Kind::Way,
                2 => Kind::Relation,
                other => return Err(ElementProblem::MemberType(*other)),
            };
            let element = ElementId::new(kind, reference(kind, ids.add(*delta)?)?);
            Ok(Member { element, role: self.strings.get(*role)?.to_owned() })
        };
        members.map(member).collect()
    }

    fn entry(
        &self,
        kind: Kind,
        id: i64,
        info: Option<&Info>,
        payload: impl FnOnce() -> Result<Payload, ElementProblem>,
    ) -> Result<Entry, Problem> {
        let visible = info.and_then(|info| info.visible).unwrap_or(true);
        let entry = || {
            let element = element::element_id(kind, id)?;
            let meta = info.map_or(Ok(RawMeta::default()), |info| self.meta(info))?;
            let payload = if visible { Some(payload()?) } else { None };
            element::entry(element, meta, payload)
        };
        entry().map_err(at(kind, id))
    }

    fn meta(&self, info: &Info) -> Result<RawMeta<'a>, ElementProblem> {
        Ok(RawMeta {
            version: info.version.map(i64::from),
            timestamp: info.timestamp.map(|raw| self.seconds(raw)).transpose()?,
            changeset: info.changeset,
            uid: info.uid.map(i64::from),
            user: info.user_sid.map(|index| self.strings.get(index)).transpose()?,
        })
    }

    /// Returns the time in whole seconds, rounded down.
    pub(super) fn seconds(&self, raw: i64) -> Result<i64, ElementProblem> {
        let milliseconds = raw.checked_mul(self.date_granularity);
        let seconds = milliseconds.map(|time| time.div_euclid(1000));
        seconds.ok_or(ElementProblem::Overflow { what: "timestamp" })
    }

    /// Returns the place that stands in units of the block's granularity.
    pub(super) fn coord(&self, lat: i64, lon: i64) -> Result<Coord, ElementProblem> {
        let units = |raw: i64, offset: i64, what| {
            let nanodegrees = raw.checked_mul(self.granularity).and_then(|n| n.checked_add(offset));
            nanodegrees.map(rounded_units).ok_or(ElementProblem::Overflow { what })
        };
        let lat = units(lat, self.lat_offset, "latitude")?;
        Ok(Coord::new(lat, units(lon, self.lon_offset, "longitude")?)?)
    }
}

/// Rounds 10⁻⁹ degree to 10⁻⁷ degree, half away from zero.
const fn rounded_units(nanodegrees: i64) -> i64 {
    let (units, rest) = (nanodegrees / 100, nanodegrees % 100);
    // Both stay far within range: the quotient is a hundredth of it.
    if rest >= 50 {
        units + 1
    } else if rest <= -50 {
        units - 1
    } else {
        units
    }
}

/// Adds up differences.
pub(super) struct Sum {
    what: &'static str,
    sum: std::cell::Cell<i64>,
}

impl Sum {
    pub(super) const fn new(what: &'static str) -> Self {
        Self { what, sum: std::cell::Cell::new(0) }
    }

    /// Adds a difference and returns the sum.
    pub(super) fn add(&self, delta: i64) -> Result<i64, ElementProblem> {
        let sum = self.sum.get().checked_add(delta).ok_or(ElementProblem::Overflow { what: self.what })?;
        self.sum.set(sum);
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanodegrees_round_half_away_from_zero() {
        for (nanodegrees, units) in
            [(0, 0), (49, 0), (50, 1), (-49, 0), (-50, -1), (149, 1), (150, 2), (-150, -2)]
        {
            assert_eq!(rounded_units(nanodegrees), units, "{nanodegrees}");
        }
        assert_eq!(rounded_units(i64::MIN), -92_233_720_368_547_758);
    }
}
