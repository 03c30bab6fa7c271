//! The proofs of the reference against those of `prolly`: the same bytes, and each verifies the other's.

mod support;

use prolly::{Cid, KeyRange, MemoryStore, Proof, Proven, Tree, Value};
use proptest::prelude::*;
use spec::reference::proof::{self, Shown, Statement};
use spec::reference::{self, Address};
use support::{configs, key, model, theirs};

/// What a proof shows, in the words of the reference.
fn shown(proven: Proven) -> Shown {
    let side = |value: Option<Value>| {
        value.map(|value| match value {
            Value::Inline(bytes) => reference::Value::Inline(bytes.to_vec()),
            Value::Linked(len, top) => reference::Value::Linked(len, *top.as_bytes()),
        })
    };
    match proven {
        Proven::Value(value) => Shown::Value(value.map(|value| value.to_vec())),
        Proven::Pairs(pairs) => {
            Shown::Pairs(pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
        }
        Proven::Count(count) => Shown::Count(count),
        Proven::Changes(changes) => {
            let changes = changes.into_iter();
            Shown::Changes(changes.map(|c| (c.key.to_vec(), (side(c.left), side(c.right)))).collect())
        }
    }
}

/// Asks both to decode and verify, and returns what they agree on.
fn decide(bytes: &[u8], root: &Address) -> Option<Shown> {
    let ours = proof::Proof::read(bytes).and_then(|proof| proof.verify(root));
    let theirs = Proof::from_bytes(bytes.to_vec()).and_then(|proof| proof.verify(&Cid::from_hash(*root)));
    assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} but {theirs:?} of {bytes:02x?}");
    let (ours, theirs) = (ours.ok()?, shown(theirs.ok()?));
    assert_eq!(ours, theirs);
    Some(ours)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn both_make_the_same_proofs_and_decide_alike_about_others(
        config in configs(),
        model in model(200),
        edits in support::batch(30),
        ends in (key(), key()),
        place in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let fits = |key: &[u8]| key.len() <= config.key_max as usize;
        let model: reference::Pairs = model.into_iter().filter(|(key, _)| fits(key)).collect();
        let mut after = model.clone();
        reference::edit(&mut after, &edits.into_iter().filter(|(key, _)| fits(key)).collect::<Vec<_>>());
        let store = MemoryStore::new();
        let [left, right] =
            [&model, &after].map(|model| Tree::build(&store, theirs(&config), model).unwrap());
        let (root, mut pages) = reference::build(&config, &model).unwrap();
        let (other, more) = reference::build(&config, &after).unwrap();
        let (from, to) = (ends.0.clone().min(ends.1.clone()), ends.0.max(ends.1));
        let bounded = (from.clone(), Some([to.as_slice(), &[0]].concat()));
        let open = (from.clone(), None);
        let range = |(from, to): &proof::Range| {
            KeyRange { from: from.clone().into(), to: to.clone().map(Into::into) }
        };
        pages.extend(more);
        for (statement, made) in [
            (Statement::Get(from.clone()), Proof::get(&left, &store, &from)),
            (Statement::Get(to.clone()), Proof::get(&left, &store, &to)),
            (Statement::Range(bounded.clone()), Proof::range(&left, &store, range(&bounded))),
            (Statement::Range(open.clone()), Proof::range(&left, &store, range(&open))),
            (Statement::Count(bounded.clone()), Proof::count(&left, &store, range(&bounded))),
            (Statement::Count(open.clone()), Proof::count(&left, &store, range(&open))),
            (Statement::Diff(other), Proof::diff(&left, &right, &store)),
        ] {
            let proof = proof::Proof::make(config, &root, statement, &pages).unwrap();
            let bytes = proof.encode();
            prop_assert_eq!(&bytes, &made.unwrap().to_bytes());
            prop_assert!(decide(&bytes, &root).is_some());
            // One bit turned; a page gone; a page more.
            let mut flipped = bytes.clone();
            flipped[place.index(bytes.len())] ^= 1 << bit;
            decide(&flipped, &root);
            decide(&bytes, &other);
            if !proof.pages.is_empty() {
                let mut short = proof.clone();
                short.pages.remove(place.get(&proof.pages.keys().copied().collect::<Vec<_>>()));
                prop_assert_eq!(decide(&short.encode(), &root), None);
            }
            let mut long = proof.clone();
            let extra = place.get(&pages.iter().collect::<Vec<_>>()).to_owned();
            if long.pages.insert(*extra.0, extra.1.clone()).is_none() {
                prop_assert_eq!(decide(&long.encode(), &root), None);
            }
        }
    }
}

/// Section 12: a diff needs both roots, though the root of one tree may be a leaf of the other.
#[test]
fn a_root_that_the_other_tree_has_too_is_needed() {
    let config = support::small();
    let pairs: Vec<_> = (0..10u8).map(|n| (vec![0, n], vec![b'v'; 40])).collect();
    let (root, mut pages) = reference::build(&config, &pairs.iter().cloned().collect()).unwrap();
    let (other, more) = reference::build(&config, &pairs[3..].iter().cloned().collect()).unwrap();
    assert!(pages.contains_key(&other) && more.len() == 1);
    pages.extend(more);
    for (left, right) in [(root, other), (other, root)] {
        let proof = proof::Proof::make(config, &left, Statement::Diff(right), &pages).unwrap();
        assert!(proof.pages.len() == 3 && proof.pages.contains_key(&other));
        let Ok(Shown::Changes(changes)) = proof.verify(&left) else { panic!("it holds") };
        assert_eq!(changes.len(), 3);
    }
}
