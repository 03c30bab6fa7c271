//! The `osmdb` program.
fn main() {}
