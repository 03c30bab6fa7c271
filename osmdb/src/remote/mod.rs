//! Sparse queries on a dataset that is not here.

pub(crate) mod answering;
mod ask;
#[cfg(test)]
mod tests;

pub use self::ask::{
    Ask, AskError, AskNearest, MAX_ASK_BYTES, MAX_ASK_IDS, MAX_ASK_TREES, MAX_TREE_NAME_BYTES,
};
