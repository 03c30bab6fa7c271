//! Any bytes, in pieces of any length, as what a peer sends: taken apart into messages, or refused, and never more
//! in memory than one message and one frame.

#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::fuzz_target;
use osmdb::sync::fuzzing::frames;

/// What is kept of a run, in bytes: more than any honest peer says in one.
const MOST: usize = 64 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((cut, data)) = data.split_first() else { return };
    let in_pieces = frames(data.chunks(usize::from(*cut) + 1));
    let bytes: usize = in_pieces.iter().map(|(_, body)| body.len()).sum();
    // However it is cut, it says the same.
    if bytes < MOST {
        assert_eq!(frames([data]), in_pieces);
    }
});
