//! Proofs: they show what the model says, and nothing else passes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;

use bytes::Bytes;
use prolly::{
    Cid, Config, KeyRange, MAX_PROVEN_BYTES, MemoryStore, PageSink, PageSource, Proof, ProofError, Proven,
    Tree, read,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use support::{Batch, Model, apply, batch, build, key, levels, model, small};

type Holds = Result<(), TestCaseError>;

fn proven(proof: &Proof, root: &Cid) -> Result<Proven, ProofError> {
    let bytes = proof.to_bytes();
    let decoded = Proof::from_bytes(bytes.clone())?;
    assert_eq!(decoded.to_bytes(), bytes, "there is one encoding");
    decoded.verify(root)
}

/// All pages of a tree, without those of long values.
fn pages(tree: &Tree, source: &impl PageSource) -> BTreeSet<Cid> {
    levels(tree, source).iter().flatten().map(|page| *page.cid()).collect()
}

fn holds<S: PageSource + PageSink>(
    store: &S,
    model: &Model,
    edits: &Batch,
    wanted: &[Vec<u8>],
    ends: (Vec<u8>, Vec<u8>),
) -> Holds {
    let tree = build(store, small(), model);
    for key in wanted.iter().chain(model.keys().take(3)) {
        let proof = Proof::get(&tree, store, key).unwrap();
        let value = model.get(key).map(|value| Bytes::from(value.clone()));
        prop_assert_eq!(proven(&proof, &tree.root).unwrap(), Proven::Value(value));
        prop_assert!(proven(&proof, &Cid::of(b"another")).is_err());
    }
    let (from, to) = (ends.0.clone().min(ends.1.clone()), ends.0.max(ends.1));
    let mut ranges = vec![KeyRange::all(), KeyRange::new(&(from.as_slice()..)), KeyRange::prefix(&from)];
    ranges.extend(wanted.iter().chain(model.keys()).take(5).map(|key| KeyRange::point(key)));
    ranges.extend((from != to).then(|| KeyRange::new(&(from.as_slice()..to.as_slice()))));
    for range in ranges {
        let inside: Vec<_> = model.iter().filter(|(key, _)| range.contains(key)).collect();
        let count = Proof::count(&tree, store, range.clone()).unwrap();
        prop_assert_eq!(proven(&count, &tree.root).unwrap(), Proven::Count(inside.len() as u64));
        let proof = Proof::range(&tree, store, range.clone()).unwrap();
        let Proven::Pairs(pairs) = proven(&proof, &tree.root).unwrap() else { panic!("not pairs") };
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let inside: Vec<_> = inside.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        prop_assert_eq!(pairs, inside);
    }
    let mut after = model.clone();
    apply(&mut after, edits);
    let edited = build(store, small(), &after);
    let proof = Proof::diff(&tree, &edited, store).unwrap();
    let (ours, theirs) = (pages(&tree, store), pages(&edited, store));
    prop_assert_eq!(proof.pages(), ours.symmetric_difference(&theirs).count());
    let Proven::Changes(changes) = proven(&proof, &tree.root).unwrap() else { panic!("not changes") };
    let mut found = model.clone();
    for change in changes {
        match change.right {
            Some(value) => found.insert(change.key.to_vec(), read(store, value).unwrap().to_vec()),
            None => found.remove(&change.key[..]),
        };
    }
    prop_assert_eq!(found, after);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn in_memory(
        model in model(150), edits in batch(20), wanted in proptest::collection::vec(key(), 1..8),
        ends in (key(), key()),
    ) {
        holds(&MemoryStore::new(), &model, &edits, &wanted, ends)?;
    }

    #[test]
    fn nothing_else_passes(
        model in model(150), wanted in key(), place in any::<proptest::sample::Index>(), bit in 0u8..8,
    ) {
        let store = MemoryStore::new();
        let tree = build(&store, small(), &model);
        let range = KeyRange::new(&(wanted.as_slice()..));
        for proof in [
            Proof::get(&tree, &store, &wanted).unwrap(),
            Proof::range(&tree, &store, range.clone()).unwrap(),
            Proof::count(&tree, &store, range).unwrap(),
        ] {
            let bytes = proof.to_bytes();
            let whole = proof.verify(&tree.root).unwrap();
            let at = place.index(bytes.len());
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            // What a changed proof still shows, it shows of another statement.
            if let Ok(other) = Proof::from_bytes(flipped)
                && let Ok(shown) = other.verify(&tree.root)
            {
                prop_assert!(other.statement() != proof.statement() || other.config() != proof.config());
                let told = |proof: &Proof| format!("{:?}", proof.statement());
                prop_assert!(shown == whole || told(&other) != told(&proof));
            }
            prop_assert!(Proof::from_bytes(bytes[..at].to_vec()).is_err());
            prop_assert!(Proof::from_bytes([&bytes[..], &[0]].concat()).is_err());
        }
    }
}

#[cfg(feature = "fjall")]
#[test]
fn on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = prolly::FjallStore::open(dir.path()).unwrap();
    let wanted = proptest::collection::vec(key(), 1..8);
    proptest!(
        ProptestConfig::with_cases(32),
        |(model in model(150), edits in batch(20), wanted in wanted, ends in (key(), key()))| {
            holds(&store, &model, &edits, &wanted, ends)?;
        }
    );
}

/// The bytes of a proof with its pages changed.
fn with_pages(proof: &Proof, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let value: ciborium::Value = ciborium::from_reader(&proof.to_bytes()[..]).unwrap();
    let mut parts = value.into_array().unwrap();
    let pages = parts.pop().unwrap().into_array().unwrap();
    let mut pages: Vec<Vec<u8>> = pages.into_iter().map(|page| page.into_bytes().unwrap()).collect();
    change(&mut pages);
    parts.push(ciborium::Value::Array(pages.into_iter().map(ciborium::Value::Bytes).collect()));
    let mut out = Vec::new();
    ciborium::into_writer(&ciborium::Value::Array(parts), &mut out).unwrap();
    out
}

#[test]
fn a_page_too_few_or_too_many_is_refused() {
    let store = MemoryStore::new();
    let model: Model = (0..300u16).map(|n| (n.to_be_bytes().to_vec(), vec![7; 20])).collect();
    let tree = build(&store, small(), &model);
    let proof = Proof::range(&tree, &store, KeyRange::new(&([0, 40]..[0, 90]))).unwrap();
    assert!(proof.pages() > 3);
    for index in 0..proof.pages() {
        let fewer = with_pages(&proof, |pages| drop(pages.remove(index)));
        let fewer = Proof::from_bytes(fewer).unwrap().verify(&tree.root);
        assert!(matches!(fewer, Err(ProofError::Read(prolly::Error::Missing(_)))), "{fewer:?}");
    }
    let extra = vec![0x83, 0, 0x80, 0x80];
    let more = with_pages(&proof, |pages| {
        pages.push(extra.clone());
        pages.sort_by_key(|page| Cid::of(page));
    });
    let more = Proof::from_bytes(more).unwrap().verify(&tree.root);
    assert!(matches!(more, Err(ProofError::Unused(cid)) if cid == Cid::of(&extra)));
    let turned = with_pages(&proof, |pages| pages.reverse());
    assert!(matches!(Proof::from_bytes(turned), Err(ProofError::Order { index: 1 })));
    let twice = with_pages(&proof, |pages| pages.insert(0, pages[0].clone()));
    assert!(matches!(Proof::from_bytes(twice), Err(ProofError::Order { index: 1 })));
}

#[test]
fn what_cannot_be_stated_is_refused() {
    let store = MemoryStore::new();
    let tree = Tree::build(&store, Config::default(), [("a", "1")]).unwrap();
    let empty = KeyRange { from: "b".into(), to: Some("b".into()) };
    assert!(matches!(Proof::range(&tree, &store, empty), Err(ProofError::EmptyRange)));
    let long = Proof::get(&tree, &store, &[0; 65_536]);
    assert!(matches!(long, Err(ProofError::KeyTooLong { len: 65_536 })));
    let other = Tree::new(small(), tree.root);
    let other = Proof::diff(&tree, &other, &store);
    assert!(matches!(other, Err(ProofError::Read(prolly::Error::ConfigMismatch))));
}

#[test]
fn a_long_value_named_by_many_keys_is_no_bomb() {
    let store = MemoryStore::new();
    let long = vec![0; 1 << 20];
    let keys = u32::try_from(MAX_PROVEN_BYTES >> 20).unwrap() + 1;
    let pairs = (0..keys).map(|n| (n.to_be_bytes(), &long));
    let tree = Tree::build(&store, Config::default(), pairs).unwrap();
    assert!(matches!(Proof::range(&tree, &store, KeyRange::all()), Err(ProofError::TooMuch)));
    let fewer = Proof::range(&tree, &store, KeyRange::new(&(1u32.to_be_bytes()..))).unwrap();
    assert!(matches!(fewer.verify(&tree.root), Ok(Proven::Pairs(pairs)) if pairs.len() == 64));
}
