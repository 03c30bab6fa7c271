//! All tests of the library and the program from outside, in one program: each of its own would be linked
//! anew.

mod areas;
mod batch;
#[cfg(feature = "object-store")]
mod bucket;
mod cli;
mod cli_edit;
mod cli_editor_files;
mod cli_json;
mod cli_reading;
mod cli_remote;
mod cli_stick;
mod cli_watch;
mod differences;
mod examples;
mod export;
#[cfg(feature = "flatgeobuf")]
mod flatgeobuf;
#[cfg(feature = "net")]
mod follow;
#[cfg(feature = "net")]
mod from_peer;
mod keeping;
mod maps;
#[cfg(feature = "net")]
mod nearby;
#[cfg(feature = "server")]
mod page;
#[cfg(feature = "net")]
mod pins;
mod places;
mod program;
mod publishing;
mod read_files;
mod reading;
mod readme;
mod remote;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "net")]
mod sync;
mod tags;
#[cfg(feature = "net")]
mod trust;
mod watch;
#[cfg(feature = "http")]
mod web;
mod write_files;
