//! The formats in words, and small slow programs that do what the words say.
//!
//! `prolly.md` beside this crate specifies trees and their pages; [`mod@reference`] was written from it
//! and shares no code with the `prolly` crate. The tests compare the two.

#![forbid(unsafe_code)]

pub mod adapter;
pub mod reference;
pub mod runner;
pub mod vectors;
pub mod wrong;
