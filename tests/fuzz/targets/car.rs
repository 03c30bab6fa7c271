//! Any bytes as a CAR file: refused, or read without harm.

#![no_main]
#![forbid(unsafe_code)]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use prolly::ipld::{CarIndex, Foreign, MemoryBlocks, PublishedTree};
use prolly::{Config, MemoryStore, Tree};

fuzz_target!(|data: &[u8]| {
    for foreign in [Foreign::Refuse, Foreign::Skip] {
        let store = MemoryStore::new();
        if let Ok(tree) = Tree::import_car(data, &store, Config::default(), foreign) {
            let mut again = Vec::new();
            tree.export_car(&store, &mut again).expect("what was checked is exported");
            let other = MemoryStore::new();
            let back = Tree::import_car(&again[..], &other, Config::default(), Foreign::Refuse);
            assert_eq!(back.expect("what was exported is imported"), tree);
        }
    }
    if let Ok(blocks) = MemoryBlocks::read(data, 1 << 20) {
        for root in blocks.roots() {
            if let Ok(tree) = PublishedTree::open(&blocks, root) {
                let _ = tree.get(&blocks, b"key");
                let _ = tree.range::<_, &[u8]>(&blocks, ..).take(1000).count();
            }
        }
    }
    let _ = CarIndex::new(Cursor::new(data), 1000);
});
