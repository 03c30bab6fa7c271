//! What the whole-system tests share: builders of files and databases, and oracles that are small,
//! slow and share no code with `osmdb`.
#![forbid(unsafe_code)]

mod brute;
mod data;
mod disk;
mod edit;
mod model;
mod pbf;
mod rng;
mod stores;
pub mod tiny;
mod village;
mod worker;
mod xml;

pub use brute::{Map, Rect, boxes_around, sorted};
pub use data::data;
pub use disk::{copy_dir, files_in};
pub use edit::{edit, peer};
pub use model::Model;
pub use pbf::{to_pbf, to_pbf_shifted};
pub use rng::Rng;
pub use stores::{Branch, small_pages};
pub use village::{later, node, village};
pub use worker::{Report, Worker};
pub use xml::{bzip2, gzip, to_xml};
