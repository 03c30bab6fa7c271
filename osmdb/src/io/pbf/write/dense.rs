//! Nodes as lists, one for each of their attributes.

use super::super::proto::{DenseInfo, DenseNodes};
use super::Checked;
use super::block::{number, signed};
use super::strings::Strings;
use crate::io::write::Shape;

/// Nodes that are being written.
#[derive(Debug, Default)]
pub(super) struct Dense {
    nodes: DenseNodes,
    info: DenseInfo,
    last: Last,
}

/// The node before: most lists hold differences to it.
#[derive(Debug, Default)]
struct Last {
    id: i64,
    lat: i64,
    lon: i64,
    timestamp: i64,
    changeset: i64,
    uid: i32,
    user: i32,
}

impl Dense {
    pub(super) fn push(&mut self, node: &Checked<'_>, strings: &mut Strings) {
        let Self { nodes, info, last } = self;
        nodes.id.push(delta(&mut last.id, node.id));
        // What was deleted has no place; where the node before is costs nothing.
        let (mut lat, mut lon) = (last.lat, last.lon);
        if let Some(content) = &node.content {
            if let Shape::Node(coord) = content.shape {
                (lat, lon) = (coord.lat().into(), coord.lon().into());
            }
            for (key, value) in content.tags.iter() {
                nodes.keys_vals.extend([signed(strings.tag(key)), signed(strings.tag(value))]);
            }
        }
        nodes.keys_vals.push(0);
        nodes.lat.push(delta(&mut last.lat, lat));
        nodes.lon.push(delta(&mut last.lon, lon));

        let meta = &node.meta;
        info.version.push(meta.version.map_or(0, number));
        info.timestamp.push(delta(&mut last.timestamp, meta.timestamp.unwrap_or(0)));
        info.changeset.push(delta(&mut last.changeset, meta.changeset.unwrap_or(0)));
        info.uid.push(small_delta(&mut last.uid, meta.uid.map_or(0, number)));
        let user = meta.user.map_or(0, |name| signed(strings.name(name)));
        info.user_sid.push(small_delta(&mut last.user, user));
        info.visible.push(node.content.is_some());
    }

    /// Returns the message, without the lists that say nothing.
    pub(super) fn finish(mut self) -> DenseNodes {
        clear_if(&mut self.nodes.keys_vals, |number| *number == 0);
        let info = &mut self.info;
        clear_if(&mut info.version, |number| *number == 0);
        clear_if(&mut info.timestamp, |delta| *delta == 0);
        clear_if(&mut info.changeset, |delta| *delta == 0);
        clear_if(&mut info.uid, |delta| *delta == 0);
        clear_if(&mut info.user_sid, |delta| *delta == 0);
        clear_if(&mut info.visible, |visible| *visible);
        self.nodes.info = (self.info != DenseInfo::default()).then_some(self.info);
        self.nodes
    }
}

/// Empties a list of which nothing says anything.
fn clear_if<T>(list: &mut Vec<T>, says_nothing: impl Fn(&T) -> bool) {
    if list.iter().all(says_nothing) {
        *list = Vec::new();
    }
}

/// Returns the difference to the number before, and keeps this one. The limits of the format keep all
/// numbers within half of what they could be, so nothing wraps.
fn delta(before: &mut i64, number: i64) -> i64 {
    number.wrapping_sub(std::mem::replace(before, number))
}

fn small_delta(before: &mut i32, number: i32) -> i32 {
    number.wrapping_sub(std::mem::replace(before, number))
}
