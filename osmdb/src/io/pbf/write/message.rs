//! The messages that are written and not read whole; the others are in `proto`.

use bytes::Bytes;

use super::super::proto::{DenseNodes, Relation, Way};

/// Announces a blob.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BlobHeader {
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    /// Free for the writer's use; readers pass it over.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(super) indexdata: Option<Bytes>,
    #[prost(int32, tag = "3")]
    pub(super) datasize: i32,
}

/// Says what the file is.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeaderBlock {
    #[prost(string, repeated, tag = "4")]
    pub(super) required_features: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub(super) optional_features: Vec<String>,
    #[prost(string, tag = "16")]
    pub(super) writingprogram: String,
}

/// The strings that the elements of a block refer to by number.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StringTable {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) s: Vec<Bytes>,
}

/// Elements of one kind.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PrimitiveGroup {
    #[prost(message, optional, tag = "2")]
    pub(super) dense: Option<DenseNodes>,
    #[prost(message, repeated, tag = "3")]
    pub(super) ways: Vec<Way>,
    #[prost(message, repeated, tag = "4")]
    pub(super) relations: Vec<Relation>,
}

/// A block. Places are in 10⁻⁷ degree and times in seconds, where nothing else is said.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PrimitiveBlock {
    #[prost(message, optional, tag = "1")]
    pub(super) stringtable: Option<StringTable>,
    #[prost(message, repeated, tag = "2")]
    pub(super) primitivegroup: Vec<PrimitiveGroup>,
}
