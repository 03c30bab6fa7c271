//! A block of elements that is being written.

use super::super::proto::{Info, Relation, Way};
use super::Checked;
use super::dense::Dense;
use super::message::{PrimitiveBlock, PrimitiveGroup};
use super::strings::Strings;
use crate::io::write::{Content, Meta, Shape};
use crate::model::{Kind, Member, Tags};

/// The most elements in a block, as the format's description has it.
const BLOCK_ELEMENTS: usize = 8_000;
/// About how many bytes the elements of a block may take in memory. With this much a block stays far
/// below the format's limit, and what reads it unfolds no more.
const BLOCK_WEIGHT: usize = 8 << 20;

/// Elements in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Block {
    strings: Strings,
    groups: Vec<Group>,
    elements: usize,
    weight: usize,
}

/// Elements of one kind.
#[derive(Debug)]
enum Group {
    Nodes(Box<Dense>),
    Ways(Vec<Way>),
    Relations(Vec<Relation>),
}

impl Block {
    /// Tells whether an element of this weight is to go into another block.
    pub(super) fn is_full(&self, weight: usize) -> bool {
        let is_too_heavy = self.weight.saturating_add(weight) > BLOCK_WEIGHT;
        self.elements >= BLOCK_ELEMENTS || self.elements > 0 && is_too_heavy
    }

    pub(super) fn push(&mut self, element: &Checked<'_>) {
        self.elements += 1;
        self.weight = self.weight.saturating_add(element.weight);
        match element.kind {
            Kind::Node => self.push_node(element),
            Kind::Way => self.push_way(element),
            // A changeset does not pass the check.
            Kind::Relation | Kind::Changeset => self.push_relation(element),
        }
    }

    fn push_node(&mut self, element: &Checked<'_>) {
        if !matches!(self.groups.last(), Some(Group::Nodes(_))) {
            self.groups.push(Group::Nodes(Box::default()));
        }
        if let Some(Group::Nodes(dense)) = self.groups.last_mut() {
            dense.push(element, &mut self.strings);
        }
    }

    fn push_way(&mut self, element: &Checked<'_>) {
        let (keys, vals) = self.tags(element.content.as_ref());
        let refs = match &element.content {
            Some(Content { shape: Shape::Way(refs), .. }) => deltas(refs.iter().copied()),
            _ => Vec::new(),
        };
        let way = Way { id: element.id, keys, vals, info: self.info(element), refs };
        match self.groups.last_mut() {
            Some(Group::Ways(ways)) => ways.push(way),
            _ => self.groups.push(Group::Ways(vec![way])),
        }
    }

    fn push_relation(&mut self, element: &Checked<'_>) {
        let (keys, vals) = self.tags(element.content.as_ref());
        let members = match &element.content {
            Some(Content { shape: Shape::Relation(members), .. }) => *members,
            _ => &[],
        };
        let relation = Relation {
            id: element.id,
            keys,
            vals,
            info: self.info(element),
            roles_sid: members.iter().map(|member| signed(self.strings.name(&member.role))).collect(),
            memids: deltas(members.iter().map(|member| member.element.id)),
            types: members.iter().map(member_type).collect(),
        };
        match self.groups.last_mut() {
            Some(Group::Relations(relations)) => relations.push(relation),
            _ => self.groups.push(Group::Relations(vec![relation])),
        }
    }

    fn tags(&mut self, content: Option<&Content<'_>>) -> (Vec<u32>, Vec<u32>) {
        let tags = content.map(|content| content.tags).into_iter().flat_map(Tags::iter);
        tags.map(|(key, value)| (self.strings.tag(key), self.strings.tag(value))).unzip()
    }

    /// Returns the metadata, if there is any.
    fn info(&mut self, element: &Checked<'_>) -> Option<Info> {
        let Meta { version, timestamp, changeset, uid, user } = element.meta;
        let info = Info {
            version: version.map(number),
            timestamp,
            changeset,
            uid: uid.map(number),
            user_sid: user.map(|name| self.strings.name(name)),
            visible: element.content.is_none().then_some(false),
        };
        (info != Info::default()).then_some(info)
    }

    /// Returns the message; `None` if there is no element.
    pub(super) fn finish(self) -> Option<PrimitiveBlock> {
        if self.elements == 0 {
            return None;
        }
        let group = |group| match group {
            Group::Nodes(dense) => {
                PrimitiveGroup { dense: Some(dense.finish()), ..PrimitiveGroup::default() }
            }
            Group::Ways(ways) => PrimitiveGroup { ways, ..PrimitiveGroup::default() },
            Group::Relations(relations) => PrimitiveGroup { relations, ..PrimitiveGroup::default() },
        };
        Some(PrimitiveBlock {
            stringtable: Some(self.strings.finish()),
            primitivegroup: self.groups.into_iter().map(group).collect(),
        })
    }
}

fn member_type(member: &Member) -> i32 {
    member.element.kind.code().into()
}

/// Returns ids, which are within 63 bits, as differences to the one before.
fn deltas(ids: impl Iterator<Item = u64>) -> Vec<i64> {
    let mut before = 0_i64;
    let delta = |id: u64| {
        let id = id.cast_signed();
        let delta = id.wrapping_sub(before);
        before = id;
        delta
    };
    ids.map(delta).collect()
}

/// Returns a number that the limits of the format keep within 31 bits.
pub(super) fn number(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Returns the number of a string as the lists of it want it.
pub(super) fn signed(string: u32) -> i32 {
    i32::try_from(string).unwrap_or(i32::MAX)
}
