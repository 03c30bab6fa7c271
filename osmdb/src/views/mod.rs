//! From entries to the keys and values of each tree.

pub(crate) mod derive;
pub(crate) mod keys;
pub(crate) mod spatial;
pub(crate) mod tags;
