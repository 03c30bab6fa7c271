//! Walks and comparisons that are written down.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use prolly::{Diff, KeyRange, MAX_SAVED_BYTES, MemoryStore, SavedError, Scan, Side, Tree};
use support::small;

fn tree() -> (MemoryStore, Tree) {
    let store = MemoryStore::new();
    let tree = Tree::build(&store, small(), (0u16..500).map(|n| (n.to_be_bytes(), [1; 9]))).unwrap();
    (store, tree)
}

/// Every change of one byte, and every prefix, is refused or is another operation with its own one form.
fn strict(bytes: &[u8], again: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    assert_eq!(again(bytes).as_deref(), Some(bytes));
    for len in 0..bytes.len() {
        assert_eq!(again(&bytes[..len]), None, "a prefix of {len} bytes");
    }
    assert_eq!(again(&[bytes, &[0]].concat()), None);
    let mut taken = 0;
    for place in 0..bytes.len() {
        for flip in 1..=u8::MAX {
            let mut changed = bytes.to_vec();
            changed[place] ^= flip;
            if let Some(saved) = again(&changed) {
                assert_eq!(saved, changed, "byte {place} changed by {flip}");
                taken += 1;
            }
        }
    }
    // The hashes and keys in it are anybody's.
    assert!(taken > 32 * 255);
}

#[test]
fn the_form_is_strict() {
    let (store, tree) = tree();
    let ranges = vec![KeyRange::point(&[0, 7]), KeyRange { from: vec![1, 0].into(), to: None }];
    let scan = Scan::new(tree, ranges.clone());
    strict(&scan.save().unwrap(), |bytes| Some(Scan::resume(bytes).ok()?.save().unwrap()));
    let back = Scan::new(tree, ranges).reversed();
    assert_ne!(back.save().unwrap(), scan.save().unwrap());
    let other = tree.edit(&store, [([9, 9], Some("x"))].map(|(k, v)| (k.to_vec(), v))).unwrap();
    let diff = Diff::new(tree, other).unwrap().within(KeyRange::prefix(&[9])).only(Side::Right);
    strict(&diff.save().unwrap(), |bytes| Some(Diff::resume(bytes).ok()?.save().unwrap()));
}

#[test]
fn one_is_not_taken_for_the_other() {
    let (_, tree) = tree();
    let scan = Scan::new(tree, vec![KeyRange::all()]).save().unwrap();
    let diff = Diff::new(tree, tree).unwrap().save().unwrap();
    assert_eq!(Diff::resume(&scan).unwrap_err(), SavedError::Kind { form: 1, kind: 0 });
    assert_eq!(Scan::resume(&diff).unwrap_err(), SavedError::Kind { form: 1, kind: 1 });
}

#[test]
fn ranges_must_ascend_and_not_touch() {
    let (_, tree) = tree();
    let one = |from: u8, to: u8| KeyRange { from: vec![from].into(), to: Some(vec![to].into()) };
    let saved = Scan::new(tree, vec![one(1, 3), one(5, 7)]).save().unwrap();
    let with = |second: [u8; 2]| {
        let mut changed = saved.clone();
        let len = changed.len();
        // A range of one-byte ends is [from, [to]], and the last thing.
        assert_eq!(changed[len - 6..], [0x82, 0x41, 5, 0x81, 0x41, 7]);
        (changed[len - 4], changed[len - 1]) = (second[0], second[1]);
        Scan::resume(&changed).map(|_| ())
    };
    assert_eq!(with([4, 6]), Ok(()));
    for second in [[3, 7], [2, 7], [1, 3], [0, 1], [6, 6], [7, 5]] {
        assert_eq!(with(second), Err(SavedError::Range { index: 1 }), "{second:?}");
    }
}

#[test]
fn what_is_too_long_is_refused() {
    let (_, tree) = tree();
    let long = vec![1; MAX_SAVED_BYTES];
    let range = KeyRange { from: long.clone().into(), to: None };
    let saved = Scan::new(tree, vec![range]).save();
    assert!(matches!(saved, Err(SavedError::TooLong { .. })));
    assert!(matches!(Scan::resume(&[&long[..], &[1]].concat()), Err(SavedError::TooLong { .. })));
}
