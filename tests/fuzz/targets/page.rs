//! Any bytes as the top page of a tree: refused, or read without harm.

#![no_main]
#![forbid(unsafe_code)]

use libfuzzer_sys::fuzz_target;
use prolly::{Cid, Config, KeyRange, MemoryStore, Page, PageSink, Tree};

fuzz_target!(|data: &[u8]| {
    let cid = Cid::of(data);
    let Ok(page) = Page::verify(cid, data.to_vec().into()) else { return };
    assert_eq!(&page.bytes()[..], data);
    let mut keys = Vec::new();
    for index in 0..page.len() {
        keys.push(page.key(index).to_vec());
        assert_eq!(page.lower_bound(page.key(index)), index);
        assert_eq!(page.value(index).is_some(), page.level() == 0);
        assert_eq!(page.child(index).is_some(), page.level() > 0);
    }
    assert!(keys.is_sorted_by(|a, b| a < b));
    let store = MemoryStore::new();
    store.put(cid, data.to_vec().into()).expect("memory takes any page");
    let small =
        Config { leaf_min: 120, leaf_max: 360, branch_min: 100, branch_max: 300, key_max: 40, inline_max: 50 };
    for config in [Config::default(), small] {
        let tree = Tree::new(config, cid);
        // What is missing or wrong is an error, never a panic.
        let _ = tree.verify(&store);
        let _ = tree.count_range(&store, &KeyRange::prefix(b"a"));
        for key in keys.iter().take(8) {
            let _ = tree.get(&store, key);
            let _ = tree.edit(&store, [(key.clone(), Some(b"new".to_vec())), (vec![0], None)]);
        }
        let _ = tree.range::<_, &[u8]>(&store, ..).take(1000).count();
        if let Ok(empty) = Tree::empty(&store, config) {
            let _ = tree.union(&empty, &store, &store, |_, ours, theirs| ours.max(theirs));
            let _ = empty.diff(&tree, &store).map(|changes| changes.take(1000).count());
        }
    }
});
