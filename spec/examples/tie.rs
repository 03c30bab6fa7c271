//! Finds two keys of 8 bytes with the same `key_hash`, as the vectors for ties need them.
//!
//! `cargo run --release -p spec --example tie -- LEVEL`. Hashes have 64 bits, so this takes some 2³²
//! of them: walks from key to hash to the next key, of which only the ends (numbers with 24 zero bits)
//! are kept. Two walks that come to the same end met on the way.

use std::collections::HashMap;
use std::error::Error;

use spec::reference::key_hash;

const END: u64 = (1 << 24) - 1;

fn main() -> Result<(), Box<dyn Error>> {
    let level: u8 = std::env::args().nth(1).unwrap_or_default().parse()?;
    let next = |key: u64| key_hash(level, &key.to_be_bytes());
    let mut walks: HashMap<u64, (u64, u64)> = HashMap::new();
    for start in 0.. {
        let (mut at, mut len) = (start, 0u64);
        while len == 0 || at & END != 0 {
            (at, len) = (next(at), len + 1);
        }
        let Some((mut a, mut a_len)) = walks.insert(at, (start, len)) else { continue };
        // Equally far from the end, both go on until their next step is the same.
        let mut b = start;
        while a_len > len {
            (a, a_len) = (next(a), a_len - 1);
        }
        while len > a_len {
            (b, len) = (next(b), len - 1);
        }
        while a != b && next(a) != next(b) {
            (a, b) = (next(a), next(b));
        }
        if a != b {
            println!("level {level}: {a:016x} {b:016x} both {:016x}", next(a));
            return Ok(());
        }
    }
    Ok(())
}
