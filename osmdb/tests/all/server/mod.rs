//! The server, over real HTTP on the loopback.

mod client;
mod reading;
mod uploads;

pub use client::{Answer, Server};
