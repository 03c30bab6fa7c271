//! Documents on their way in. UNTRUSTED: all of it is bounded, and nothing of it is expanded.

mod body;
mod change;
mod element;
mod tags;
mod xml;

pub(crate) use body::{LONG_BODIES, body};
pub(crate) use change::change;
pub(crate) use element::{Action, Content, Edit, single};
pub(crate) use tags::{changeset_tags, preferences};
