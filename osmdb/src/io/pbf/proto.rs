//! The messages of the format, as its public description defines them.
//!
//! `PrimitiveBlock`, `PrimitiveGroup` and `StringTable` are not here: they are walked in place.

use bytes::Bytes;

/// Announces a blob.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BlobHeader {
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    #[prost(int32, tag = "3")]
    pub(super) datasize: i32,
}

/// Holds a message, packed or not.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Blob {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(super) raw: Option<Bytes>,
    #[prost(int32, optional, tag = "2")]
    pub(super) raw_size: Option<i32>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(super) zlib: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub(super) lzma: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub(super) bzip2: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub(super) lz4: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub(super) zstd: Option<Bytes>,
}

/// What a file demands of its reader.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeaderBlock {
    #[prost(string, repeated, tag = "4")]
    pub(super) required_features: Vec<String>,
}

/// Metadata of one element.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Info {
    #[prost(int32, optional, tag = "1")]
    pub(super) version: Option<i32>,
    #[prost(int64, optional, tag = "2")]
    pub(super) timestamp: Option<i64>,
    #[prost(int64, optional, tag = "3")]
    pub(super) changeset: Option<i64>,
    #[prost(int32, optional, tag = "4")]
    pub(super) uid: Option<i32>,
    #[prost(uint32, optional, tag = "5")]
    pub(super) user_sid: Option<u32>,
    #[prost(bool, optional, tag = "6")]
    pub(super) visible: Option<bool>,
}

/// Metadata of many nodes; all but version and visible are differences to the node before.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DenseInfo {
    #[prost(int32, repeated, tag = "1")]
    pub(super) version: Vec<i32>,
    #[prost(sint64, repeated, tag = "2")]
    pub(super) timestamp: Vec<i64>,
    #[prost(sint64, repeated, tag = "3")]
    pub(super) changeset: Vec<i64>,
    #[prost(sint32, repeated, tag = "4")]
    pub(super) uid: Vec<i32>,
    #[prost(sint32, repeated, tag = "5")]
    pub(super) user_sid: Vec<i32>,
    #[prost(bool, repeated, tag = "6")]
    pub(super) visible: Vec<bool>,
}

/// Many nodes; ids and places are differences to the node before.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DenseNodes {
    #[prost(sint64, repeated, tag = "1")]
    pub(super) id: Vec<i64>,
    #[prost(message, optional, tag = "5")]
    pub(super) info: Option<DenseInfo>,
    #[prost(sint64, repeated, tag = "8")]
    pub(super) lat: Vec<i64>,
    #[prost(sint64, repeated, tag = "9")]
    pub(super) lon: Vec<i64>,
    /// For each node keys and values in turn, then a 0. Empty where no node has a tag.
    #[prost(int32, repeated, tag = "10")]
    pub(super) keys_vals: Vec<i32>,
}

/// One node.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Node {
    #[prost(sint64, tag = "1")]
    pub(super) id: i64,
    #[prost(uint32, repeated, tag = "2")]
    pub(super) keys: Vec<u32>,
    #[prost(uint32, repeated, tag = "3")]
    pub(super) vals: Vec<u32>,
    #[prost(message, optional, tag = "4")]
    pub(super) info: Option<Info>,
    #[prost(sint64, optional, tag = "8")]
    pub(super) lat: Option<i64>,
    #[prost(sint64, optional, tag = "9")]
    pub(super) lon: Option<i64>,
}

/// One way; refs are differences to the one before.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Way {
    #[prost(int64, tag = "1")]
    pub(super) id: i64,
    #[prost(uint32, repeated, tag = "2")]
    pub(super) keys: Vec<u32>,
    #[prost(uint32, repeated, tag = "3")]
    pub(super) vals: Vec<u32>,
    #[prost(message, optional, tag = "4")]
    pub(super) info: Option<Info>,
    #[prost(sint64, repeated, tag = "8")]
    pub(super) refs: Vec<i64>,
}

/// One relation; member ids are differences to the one before.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Relation {
    #[prost(int64, tag = "1")]
    pub(super) id: i64,
    #[prost(uint32, repeated, tag = "2")]
    pub(super) keys: Vec<u32>,
    #[prost(uint32, repeated, tag = "3")]
    pub(super) vals: Vec<u32>,
    #[prost(message, optional, tag = "4")]
    pub(super) info: Option<Info>,
    #[prost(int32, repeated, tag = "8")]
    pub(super) roles_sid: Vec<i32>,
    #[prost(sint64, repeated, tag = "9")]
    pub(super) memids: Vec<i64>,
    #[prost(int32, repeated, tag = "10")]
    pub(super) types: Vec<i32>,
}
