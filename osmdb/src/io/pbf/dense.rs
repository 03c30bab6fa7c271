//! Decodes dense nodes: lists of ids, of places, of metadata, side by side.
//!
//! Every list of metadata may be missing by itself: public extracts keep versions and timestamps and
//! drop the rest. A list that is there must be as long as the list of ids.

use super::super::element::{self, MAX_ELEMENT_TAGS, RawMeta, at, at_most};
use super::super::error::{ElementProblem, PbfProblem, Problem};
use super::block::{Block, MAX_BLOCK_ELEMENTS, Sum};
use super::proto::{DenseInfo, DenseNodes};
use super::wire::decode as decode_message;
use crate::entry::Entry;
use crate::model::{Kind, Payload, Tags};

/// Decodes the nodes and appends them.
pub(super) fn decode(block: &Block<'_>, message: &[u8], entries: &mut Vec<Entry>) -> Result<(), Problem> {
    let mut nodes: DenseNodes = decode_message(message, "dense nodes")?;
    let total = nodes.id.len().saturating_add(entries.len());
    if total > MAX_BLOCK_ELEMENTS {
        return Err(PbfProblem::TooManyElements { limit: MAX_BLOCK_ELEMENTS }.into());
    }
    let info = nodes.info.take().unwrap_or_default();
    check_lengths(&nodes, &info)?;
    entries.reserve(nodes.id.len());

    let (ids, lats, lons) = (Sum::new("id"), Sum::new("latitude"), Sum::new("longitude"));
    let mut metas = Metas::new(block, &info);
    let mut tags = TagList { block, rest: &nodes.keys_vals, any: !nodes.keys_vals.is_empty() };
    let mut last = 0;
    for ((id, lat), lon) in nodes.id.iter().zip(&nodes.lat).zip(&nodes.lon) {
        let id = ids.add(*id).map_err(at(Kind::Node, last))?;
        last = id;
        let mut node = || {
            // Every list moves on by one, whatever the node is.
            let (lat, lon) = (lats.add(*lat)?, lons.add(*lon)?);
            let element = element::element_id(Kind::Node, id)?;
            let (meta, visible) = metas.next()?;
            let tags = tags.next(visible)?;
            let place = || block.coord(lat, lon);
            let payload = if visible { Some(Payload::Node { coord: place()?, tags }) } else { None };
            element::entry(element, meta, payload)
        };
        entries.push(node().map_err(at(Kind::Node, id))?);
    }
    let left = tags.rest.len();
    if left > 0 {
        let what = "surplus tag indices";
        return Err(PbfProblem::DenseLengths { what, found: left, expected: nodes.id.len() }.into());
    }
    Ok(())
}

fn check_lengths(nodes: &DenseNodes, info: &DenseInfo) -> Result<(), PbfProblem> {
    let expected = nodes.id.len();
    let places = [("latitudes", nodes.lat.len()), ("longitudes", nodes.lon.len())];
    let metadata = [
        ("versions", info.version.len()),
        ("timestamps", info.timestamp.len()),
        ("changesets", info.changeset.len()),
        ("uids", info.uid.len()),
        ("user names", info.user_sid.len()),
        ("visible flags", info.visible.len()),
    ];
    let wrong_place = places.into_iter().find(|(_, found)| *found != expected);
    let wrong_metadata = || metadata.into_iter().find(|(_, found)| *found != expected && *found != 0);
    match wrong_place.or_else(wrong_metadata) {
        Some((what, found)) => Err(PbfProblem::DenseLengths { what, found, expected }),
        None => Ok(()),
    }
}

/// The lists of metadata, read side by side.
struct Metas<'a> {
    block: &'a Block<'a>,
    versions: std::slice::Iter<'a, i32>,
    timestamps: std::slice::Iter<'a, i64>,
    changesets: std::slice::Iter<'a, i64>,
    uids: std::slice::Iter<'a, i32>,
    users: std::slice::Iter<'a, i32>,
    visible: std::slice::Iter<'a, bool>,
    timestamp: Sum,
    changeset: Sum,
    uid: Sum,
    user: Sum,
}

impl<'a> Metas<'a> {
    fn new(block: &'a Block<'a>, info: &'a DenseInfo) -> Self {
        Self {
            block,
            versions: info.version.iter(),
            timestamps: info.timestamp.iter(),
            changesets: info.changeset.iter(),
            uids: info.uid.iter(),
            users: info.user_sid.iter(),
            visible: info.visible.iter(),
            timestamp: Sum::new("timestamp"),
            changeset: Sum::new("changeset"),
            uid: Sum::new("uid"),
            user: Sum::new("user name"),
        }
    }

    /// Returns the next node's metadata, and whether it is visible.
    fn next(&mut self) -> Result<(RawMeta<'a>, bool), ElementProblem> {
        let timestamp = self.timestamps.next().map(|delta| self.timestamp.add(*delta)).transpose()?;
        let user = self.users.next().map(|delta| self.user.add(i64::from(*delta))).transpose()?;
        let meta = RawMeta {
            version: self.versions.next().copied().map(i64::from),
            timestamp: timestamp.map(|raw| self.block.seconds(raw)).transpose()?,
            changeset: self.changesets.next().map(|delta| self.changeset.add(*delta)).transpose()?,
            uid: self.uids.next().map(|delta| self.uid.add(i64::from(*delta))).transpose()?,
            user: user.map(|index| self.block.strings.get(index)).transpose()?,
        };
        Ok((meta, self.visible.next().copied().unwrap_or(true)))
    }
}

/// The tags of all nodes in one list.
struct TagList<'a> {
    block: &'a Block<'a>,
    rest: &'a [i32],
    /// Whether there is a list at all: without one, no node has a tag.
    any: bool,
}

impl TagList<'_> {
    /// Returns the next node's tags; a deleted node's are passed over.
    fn next(&mut self, wanted: bool) -> Result<Tags, ElementProblem> {
        let mut tags = Tags::new();
        if !self.any {
            return Ok(tags);
        }
        loop {
            let (key, rest) = self.rest.split_first().ok_or(ElementProblem::TagsCut)?;
            if *key == 0 {
                self.rest = rest;
                return Ok(tags);
            }
            let (value, rest) = rest.split_first().ok_or(ElementProblem::TagsCut)?;
            self.rest = rest;
            if wanted {
                tags.push(self.block.strings.get(*key)?, self.block.strings.get(*value)?);
                at_most("tags", tags.len(), MAX_ELEMENT_TAGS)?;
            }
        }
    }
}
