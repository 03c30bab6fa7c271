//! Long values, around every length at which the shape of their pages changes.

use std::collections::BTreeMap;

use prolly::{MemoryStore, Tree};

/// A last group of one page is an array of one link (`prolly.md`, 6.4): a reader that takes a short
/// part for a string of bytes wherever it stands cannot read what it wrote.
#[test]
fn prolly_reads_back_the_long_values_it_wrote() {
    let part = 8192;
    let lengths =
        [part, part + 1, 128 * part, 128 * part + 1, 129 * part, 129 * part + 1, 256 * part + 1, 2048 * part];
    let mut failed = BTreeMap::new();
    for len in lengths {
        let store = MemoryStore::new();
        let value = vec![9; len];
        let tree = Tree::build(&store, prolly::Config::default(), [(b"k", &value)]).unwrap();
        match tree.get(&store, b"k") {
            Ok(found) => assert!(found.as_deref() == Some(&value[..])),
            Err(error) => drop(failed.insert(len, error.to_string())),
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
