//! The formats in words, and small slow programs that do what the words say.
//!
//! `prolly.md` beside this crate specifies trees and their pages, `views.md` what a database puts into them;
//! [`mod@reference`] was written from both and shares no code with the `prolly` crate, nor with `osm-db`. The
//! tests compare them.

#![forbid(unsafe_code)]

pub mod adapter;
pub mod reference;
pub mod runner;
pub mod vectors;
pub mod wrong;
