#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod build;
pub mod cbor;
mod chunker;
mod cid;
mod config;
mod diff;
mod edit;
mod error;
mod get;
#[cfg(feature = "ipld")]
pub mod ipld;
mod merge;
mod page;
mod proof;
mod range;
mod rank;
mod scan;
mod step;
mod store;
mod three_way;
mod tree;
mod value;
mod verify;
mod walk;

pub use build::Builder;
pub use chunker::boundary_hash;
pub use cid::{Cid, ParseCidError};
pub use config::{Config, ConfigError, FORMAT, MAX_LEVEL, MAX_PAGE_BYTES, MAX_VALUE_BYTES, MAX_WINDOW_BYTES};
pub use diff::{Change, Diff};
pub use edit::Edit;
pub use error::{Error, StoreError};
pub use get::Get;
pub use merge::Union;
pub use page::{Page, PageError, Value, ValueRef};
pub use proof::{MAX_PROOF_BYTES, MAX_PROVEN_BYTES, Proof, ProofError, Proven, Statement};
pub use range::KeyRange;
pub use rank::{Rank, Select};
pub use scan::{Run, Runs, Scan};
pub use step::{MAX_FRONTIER, Step};
#[cfg(feature = "fjall")]
pub use store::fjall::{FjallOptions, FjallStore};
pub use store::{
    CacheStats, Commit, Counting, Fault, Faults, FaultyStore, GcReport, Layered, Lost, MemoryStore, Note,
    Overlay, PageCache, PageSink, PageSource, PageStore, Pin, Pins, Reference, RootChange, gc, gc_trees,
};
pub use three_way::{Conflict, Merge, Resolution};
pub use tree::{Changes, Pairs, Tree, read};
pub use value::{FAN_OUT, PART_BYTES, ReadValue};
pub use verify::TreeStats;
