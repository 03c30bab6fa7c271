//! The server, over real HTTP on the loopback.

mod client;
mod peers;
mod people;
mod reading;
mod speed;
mod uploads;

pub use client::{Answer, Server};
