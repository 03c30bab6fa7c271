//! IPLD: trees as CAR files that other tools read, and prolly trees of the schema that IPLD publishes.
//!
//! A page of ours is already an IPLD block: DAG-CBOR, named by a CIDv1. What this module adds is
//!
//! - [`ExportCar`] and [`Tree::export_car`](crate::Tree::export_car): a tree, or several, as a CARv1 file,
//!   the root first, then depth first in the order of keys, every block once. The same trees make the same
//!   bytes.
//! - [`import_car`] and [`Tree::import_car`](crate::Tree::import_car): the blocks of a CARv1 file into a
//!   store, each checked against its CID.
//! - [`CarReader`]: the blocks of any CARv1 file one by one, with every hash of [`BlockCid::hash_matches`].
//! - [`PublishedTree`]: read-only access to trees in the schema of the IPLD specification "Prolly Tree"
//!   and of its Go implementation, from [`Blocks`]: [`MemoryBlocks`] or a [`CarIndex`] over a file.
//!
//! Everything that is read is taken to be hostile: lengths are checked before anything is allocated for
//! them, and every error of a file says at which byte.
//!
//! ```
//! use prolly::{Config, MemoryStore, Tree, ipld::Foreign};
//! let store = MemoryStore::new();
//! let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2")])?;
//! let mut car = Vec::new();
//! tree.export_car(&store, &mut car)?;
//!
//! let other = MemoryStore::new();
//! let read = Tree::import_car(&car[..], &other, Config::default(), Foreign::Refuse)?;
//! assert_eq!(read, tree);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod car;
mod cid;
mod dag;
mod error;
mod export;
mod import;
mod node;
mod published;
mod source;
mod varint;

pub use self::car::{CarBlock, CarReader, MAX_BLOCK_BYTES, MAX_HEADER_BYTES};
pub use self::cid::{BlockCid, CidError, HashKind, MAX_CID_BYTES, MAX_DIGEST_BYTES, MIN_DIGEST_BYTES};
pub use self::dag::MAX_NESTING;
pub use self::error::CarError;
pub use self::export::{ExportCar, Exported};
pub use self::import::{Foreign, Imported, import_car};
pub use self::node::NodeError;
pub use self::published::{MAX_PUBLISHED_DEPTH, PublishedError, PublishedPairs, PublishedTree, Separators};
pub use self::source::{Blocks, CarIndex, MemoryBlocks};
