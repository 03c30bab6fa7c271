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
mod fetch;
mod get;
#[cfg(feature = "ipld")]
pub mod ipld;
mod leaves;
mod many;
mod merge;
mod page;
mod pairs;
mod patchwork;
mod proof;
mod range;
mod rank;
mod run;
mod saved;
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
pub use diff::{Change, Diff, Side};
pub use edit::Edit;
pub use error::{Error, StoreError};
pub use fetch::{AsyncSource, Fetch, Operation};
pub use get::Get;
pub use leaves::LeafLinks;
pub use many::{GetMany, Sample, SelectMany};
pub use merge::Union;
pub use page::{Page, PageError, Value, ValueRef};
pub use pairs::{Pairs, Runs};
pub use proof::{MAX_PROOF_BYTES, MAX_PROVEN_BYTES, Proof, ProofError, Proven, Statement};
pub use range::KeyRange;
pub use rank::{CountRange, Rank, Select};
pub use run::{Run, RunIter};
pub use saved::{MAX_SAVED_BYTES, SavedError};
pub use scan::Scan;
pub use step::{MAX_FRONTIER, Step};
#[cfg(feature = "fjall")]
pub use store::fjall::{FjallOptions, FjallStore};
pub use store::{
    CacheStats, Commit, Counting, Fault, Faults, FaultyStore, GcReport, Layered, Lost, MemoryStore, Note,
    Overlay, PageCache, PageSink, PageSource, PageStore, Pin, Pins, Reference, RootChange, gc, gc_trees,
};
pub use three_way::{Conflict, Merge, Resolution};
pub use tree::{Changes, Tree, read};
pub use value::{FAN_OUT, PART_BYTES, ReadValue};
pub use verify::{Measure, TreeStats};
