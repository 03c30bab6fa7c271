//! Three-way merges against plain maps.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use bytes::Bytes;
use prolly::{
    Config, Conflict, Counting, Layered, MemoryStore, Merge, PageSink, PageSource, Resolution, Step, Tree,
    Union,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use support::{Batch, Model, Partial, apply, batch, build, model, small};

fn resolve(key: &[u8], both: Conflict) -> Resolution {
    decide(key, both).into()
}

/// Symmetric; sometimes removes, sometimes joins, and looks at the base.
fn decide(key: &[u8], both: Conflict) -> Option<Bytes> {
    let (least, most) = (both.left.clone().min(both.right.clone()), both.left.max(both.right));
    match key.last().unwrap_or(&0) % 4 {
        0 => None,
        1 => both.base,
        2 => most,
        _ => Some([least.unwrap_or_default(), most.unwrap_or_default()].concat().into()),
    }
}

fn merged(base: &Model, left: &Model, right: &Model) -> Model {
    let keys = base.keys().chain(left.keys()).chain(right.keys());
    let bytes = |value: Option<&Vec<u8>>| value.map(|value| Bytes::from(value.clone()));
    keys.filter_map(|key| {
        let [base, left, right] = [base, left, right].map(|side| side.get(key));
        let value = if left == base || left == right {
            bytes(right)
        } else if right == base {
            bytes(left)
        } else {
            decide(key, Conflict { base: bytes(base), left: bytes(left), right: bytes(right) })
        };
        value.map(|value| (key.clone(), value.to_vec()))
    })
    .collect()
}

fn merges<S: PageSource + PageSink>(
    store: &S,
    base: &Model,
    left: &Batch,
    right: &Batch,
) -> Result<(), TestCaseError> {
    let (mut a, mut b) = (base.clone(), base.clone());
    apply(&mut a, left);
    apply(&mut b, right);
    let trees = [base, &a, &b].map(|model| build(store, small(), model));
    let [o, l, r] = trees;
    let expected = build(&MemoryStore::new(), small(), &merged(base, &a, &b));
    prop_assert_eq!(l.merge(&o, &r, store, store, resolve).unwrap(), expected);
    prop_assert_eq!(r.merge(&o, &l, store, store, resolve).unwrap(), expected);
    prop_assert_eq!(o.merge(&o, &r, store, store, resolve).unwrap(), r);
    prop_assert_eq!(l.merge(&o, &o, store, store, resolve).unwrap(), l);
    prop_assert_eq!(l.merge(&o, &l, store, store, resolve).unwrap(), l);
    expected.verify(store).unwrap();
    // From a source that has nothing yet.
    let mut partial = Partial::new(store);
    let mut merge = Merge::new(o, l, r, resolve).unwrap();
    let found = loop {
        match merge.step(&partial.here, &partial.here).unwrap() {
            Step::Ready(tree) => break tree,
            Step::Missing(cids) => partial.fill(&cids),
        }
    };
    prop_assert_eq!(found, expected);
    // The sides in stores of their own: what is new ends up in the left one.
    let (ours, theirs) = (MemoryStore::new(), MemoryStore::new());
    build(&ours, small(), base);
    build(&ours, small(), &a);
    build(&theirs, small(), base);
    build(&theirs, small(), &b);
    let mut merge = Merge::new(o, l, r, resolve).unwrap().copying();
    let found = merge.step(&Layered(&ours, &theirs), &ours).unwrap().complete().unwrap();
    prop_assert_eq!(found, expected);
    found.verify(&ours).unwrap();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn in_memory(base in model(120), left in batch(40), right in batch(40)) {
        merges(&MemoryStore::new(), &base, &left, &right)?;
    }
}

/// What one side does: in some stretches of the keys it rewrites, removes or inserts everything.
fn stretches() -> impl Strategy<Value = Batch> {
    let stretch = (0u16..1_000, 1u16..300, 0u8..4, any::<u8>()).prop_map(|(from, len, kind, seed)| {
        (from..from.saturating_add(len)).map(move |n| {
            let key = |extra: &[u8]| [&n.to_be_bytes()[..], extra].concat();
            match kind {
                0 => (key(&[]), None),
                1 => (key(&[seed % 3]), Some(vec![seed; usize::from(seed % 20)])),
                2 => (key(&[]), Some(vec![seed; 60])),
                _ => (key(&[]), Some(vec![seed; usize::from(seed % 40)])),
            }
        })
    });
    proptest::collection::vec(stretch, 0..4).prop_map(|stretches| stretches.into_iter().flatten().collect())
}

fn thousand() -> impl Strategy<Value = Model> {
    (0u16..1_000, 0usize..30).prop_map(|(count, len)| {
        (0..count).map(|n| (n.to_be_bytes().to_vec(), vec![1; len + usize::from(n % 7)])).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn long_stretches_in_memory(base in thousand(), left in stretches(), right in stretches(),
        both in batch(10)) {
        let right: Batch = right.into_iter().chain(both).collect();
        merges(&MemoryStore::new(), &base, &left, &right)?;
    }
}

#[cfg(feature = "fjall")]
#[test]
fn on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = prolly::FjallStore::open(dir.path()).unwrap();
    proptest!(ProptestConfig::with_cases(64), |(base in model(120), left in batch(40), right in batch(40))| {
        merges(&store, &base, &left, &right)?;
    });
}

#[test]
fn what_only_the_left_side_changed_is_not_read() {
    let store = MemoryStore::new();
    let key = |n: u32| n.to_be_bytes().to_vec();
    let base = Tree::build(&store, Config::default(), (0..100_000).map(|n| (key(n), [1; 100]))).unwrap();
    let third = (0..33_000).map(|n| (key(n), Some(vec![2; 90])));
    let left = base.edit(&store, third).unwrap();
    let right = base.edit(&store, [(key(90_000), Some(vec![3; 50]))]).unwrap();
    let counting = Counting::new(&store);
    let merged = left.merge(&base, &right, &counting, &counting, |_, both| both.left.into()).unwrap();
    println!("{} pages read of {}", counting.pages(), left.stats(&store).unwrap().pages);
    assert!(counting.pages() < 30, "{} pages read", counting.pages());
    assert_eq!(merged, left.edit(&store, [(key(90_000), Some(vec![3; 50]))]).unwrap());
}

#[test]
fn what_only_one_side_changed_is_not_read_on_either_side() {
    let store = MemoryStore::new();
    let key = |n: u32| n.to_be_bytes().to_vec();
    let base = Tree::build(&store, Config::default(), (0..200_000).map(|n| (key(n), [1; 100]))).unwrap();
    // Long stretches rewritten on the left, rewritten, removed and put in anew on the right.
    let left_edits: Vec<_> = (10_000..60_000).map(|n| (key(n), Some(vec![2; 90]))).collect();
    let mut right_edits: Vec<_> = (70_000..100_000).map(|n| (key(n), Some(vec![3; 80]))).collect();
    right_edits.extend((120_000..140_000).map(|n| (key(n), None)));
    right_edits.extend((150_000..160_000).map(|n| ([key(n), vec![0]].concat(), Some(vec![4; 70]))));
    let left = base.edit(&store, left_edits).unwrap();
    let right = base.edit(&store, right_edits.clone()).unwrap();
    let pages = right.stats(&store).unwrap().pages;
    for (ours, theirs) in [(left, right), (right, left)] {
        let counting = Counting::new(&store);
        let merged = ours.merge(&base, &theirs, &counting, &counting, |_, both| both.left.into()).unwrap();
        println!("{} pages read of {pages}", counting.pages());
        assert!(counting.pages() < 120, "{} pages read", counting.pages());
        assert_eq!(merged, left.edit(&store, right_edits.clone()).unwrap());
        merged.verify(&store).unwrap();
    }
}

#[test]
fn trees_of_other_configurations_are_refused() {
    let store = MemoryStore::new();
    let (one, other) =
        (Tree::empty(&store, small()).unwrap(), Tree::empty(&store, Config::default()).unwrap());
    for [base, left, right] in [[one, one, other], [one, other, one], [other, one, one]] {
        let merged = left.merge(&base, &right, &store, &store, resolve);
        assert!(matches!(merged, Err(prolly::Error::ConfigMismatch)));
    }
}

#[test]
fn a_conflict_that_nobody_decides_makes_no_tree() {
    let store = MemoryStore::new();
    let base = Tree::build(&store, small(), [("a", "1"), ("b", "2")]).unwrap();
    let left = base.edit(&store, [("a", Some("one"))]).unwrap();
    let right = base.edit(&store, [("a", None::<&str>), ("b", Some("two"))]).unwrap();
    let mut asked = Vec::new();
    let merged = left.merge(&base, &right, &store, &store, |key, both| {
        asked.push((key.to_vec(), both));
        Resolution::Refuse
    });
    assert!(matches!(merged, Err(prolly::Error::Conflict { key }) if key == "a"));
    let both = Conflict { base: Some("1".into()), left: Some("one".into()), right: None };
    assert_eq!(asked, [(b"a".to_vec(), both)]);
}

#[test]
fn equal_sides_are_not_read() {
    let store = MemoryStore::new();
    let base = Tree::build(&store, small(), [("a", "1")]).unwrap();
    let side = base.edit(&store, [("a", Some("2"))]).unwrap();
    let nothing = MemoryStore::new();
    assert_eq!(side.merge(&base, &side, &nothing, &nothing, resolve).unwrap(), side);
}

/// Pairs with values out of line, each of several pages that partly repeat.
fn long_values(seed: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..30u8).map(|n| (vec![n], [vec![8; 20_000], vec![seed; usize::from(n) * 700]].concat())).collect()
}

#[test]
fn all_long_values_that_a_merge_needs_are_asked_for_at_once() {
    let full = MemoryStore::new();
    let build = |pairs: Vec<(Vec<u8>, Vec<u8>)>| Tree::build(&full, small(), pairs).unwrap();
    let (base, left, right) = (build(vec![]), build(long_values(1)), build(long_values(2)));
    let height = usize::from(left.stats(&full).unwrap().height.max(right.stats(&full).unwrap().height));

    let mut partial = Partial::new(&full);
    let mut union = Union::new(left, right, |_, a, b| a.max(b)).unwrap();
    let sink = MemoryStore::new();
    let both = loop {
        match union.step(&partial.here, &sink).unwrap() {
            Step::Ready(tree) => break tree,
            Step::Missing(cids) => partial.fill(&cids),
        }
    };
    assert_eq!(both, left.union(&right, &full, &full, |_, a, b| a.max(b)).unwrap());
    // The levels of the tree, and the two levels of a value.
    assert!(partial.rounds <= height + 2, "{} rounds", partial.rounds);

    let mut partial = Partial::new(&full);
    let larger = |_: &[u8], both: Conflict| both.left.max(both.right).into();
    let mut merge = Merge::new(base, left, right, larger).unwrap();
    let merged = loop {
        match merge.step(&partial.here, &sink).unwrap() {
            Step::Ready(tree) => break tree,
            Step::Missing(cids) => partial.fill(&cids),
        }
    };
    assert_eq!(merged, both);
    // First what the right side changed, then the same places on the left.
    assert!(partial.rounds <= 2 * height + 2, "{} rounds", partial.rounds);
}
