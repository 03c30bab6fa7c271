//! Writing a tree in order of its keys.

use bytes::Bytes;
use prolly::{Builder, Edit, PageSink, PageSource, Tree};

use crate::error::Error;

/// Takes pairs in ascending order of their keys. An empty tree is built as they come, so that an
/// import keeps none of them; for another one they are collected into one batch of edits.
pub(super) enum TreeWriter<'a, S> {
    Build(Box<Builder<&'a S>>),
    Edit { store: &'a S, tree: Tree, edits: Vec<(Bytes, Option<Vec<u8>>)> },
}

impl<'a, S: PageSource + PageSink> TreeWriter<'a, S> {
    pub(super) fn new(store: &'a S, tree: Tree) -> Result<Self, Error> {
        if tree == Tree::empty(store, tree.config)? {
            return Ok(Self::Build(Box::new(Builder::new(store, tree.config)?)));
        }
        Ok(Self::Edit { store, tree, edits: Vec::new() })
    }

    pub(super) fn put(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Build(builder) => builder.push(key, &value)?,
            Self::Edit { edits, .. } => edits.push((Bytes::copy_from_slice(key), Some(value))),
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        if let Self::Edit { edits, .. } = self {
            edits.push((Bytes::copy_from_slice(key), None));
        }
    }

    pub(super) fn finish(self) -> Result<Tree, Error> {
        match self {
            Self::Build(builder) => Ok(builder.finish()?),
            Self::Edit { store, tree, edits } => {
                Ok(Edit::new(tree, edits)?.step(store, store)?.complete()?)
            }
        }
    }
}
