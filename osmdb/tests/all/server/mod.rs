//! The server, over real HTTP on the loopback.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on has failed; boxes are written as floats"
)]

mod client;
mod editor;
mod peers;
mod people;
mod reading;
mod speed;
mod uploads;

pub use client::{Answer, Server};
