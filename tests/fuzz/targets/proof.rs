//! Any bytes as a proof, against the root that its first page would be: refused, or read without harm.

#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::fuzz_target;
use prolly::{Cid, Proof, Statement};

fuzz_target!(|data: &[u8]| {
    let Ok(proof) = Proof::from_bytes(data.to_vec()) else { return };
    assert_eq!(proof.to_bytes(), data, "there is one encoding");
    let mut roots = vec![Cid::of(data)];
    if let Statement::Diff(right) = proof.statement() {
        roots.push(*right);
    }
    // The last bytes of a proof are its last page: the root of a proof of one page.
    roots.extend((data.len().saturating_sub(200)..data.len()).map(|from| Cid::of(&data[from..])));
    for root in roots {
        let _ = proof.verify(&root);
    }
});
