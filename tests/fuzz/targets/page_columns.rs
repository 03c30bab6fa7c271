//! Any bytes as the columns of a message of pages, and as pages: whatever becomes of them reads again as it was.

#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::fuzz_target;
use osmdb::sync::fuzzing::{pages, pages_again};

fuzz_target!(|data: &[u8]| {
    if let Some(pages) = pages(data) {
        assert!(!pages.is_empty() && pages.iter().all(|page| !page.is_empty()));
        assert_eq!(pages_again(&pages), Some(pages));
    }
    let Some((cut, data)) = data.split_first().filter(|(_, data)| !data.is_empty()) else { return };
    let some: Vec<_> = data.chunks(16 * usize::from(*cut) + 1).map(|page| page.to_vec().into()).collect();
    assert_eq!(pages_again(&some), Some(some));
});
