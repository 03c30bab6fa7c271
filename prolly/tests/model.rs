//! Trees against a plain `BTreeMap`.

mod support;

use prolly::{Config, Diff, Edit, Get, KeyRange, MemoryStore, Scan, Step, Tree, Union, read};
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::{Batch, Model, Partial, apply, batch, build, check_pages, key, model, pairs, small};

fn larger(_: &[u8], ours: bytes::Bytes, theirs: bytes::Bytes) -> bytes::Bytes {
    ours.max(theirs)
}

fn model_diff(left: &Model, right: &Model) -> BTreeMap<Vec<u8>, (Option<Vec<u8>>, Option<Vec<u8>>)> {
    let keys = left.keys().chain(right.keys());
    let sides = keys.map(|key| (key.clone(), (left.get(key).cloned(), right.get(key).cloned())));
    sides.filter(|(_, (left, right))| left != right).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn batches_in_any_split_and_order_give_the_root_of_one_build(
        start in model(300),
        batches in proptest::collection::vec(batch(40), 0..6),
    ) {
        let store = MemoryStore::new();
        let mut model = start;
        let mut tree = build(&store, small(), &model);
        check_pages(&tree, &store);
        for batch in &batches {
            tree = tree.edit(&store, batch.clone()).unwrap();
            apply(&mut model, batch);
            prop_assert_eq!(tree, build(&MemoryStore::new(), small(), &model));
        }
        check_pages(&tree, &store);
        prop_assert_eq!(pairs(&tree, &store), model.clone());
        // One by one, in another order, with a detour.
        let mut other = Tree::empty(&store, small()).unwrap();
        for (key, value) in model.iter().rev() {
            other = other.edit(&store, [(key.clone(), Some(value.clone())), (vec![7, 7], Some(vec![1]))]).unwrap();
            if !model.contains_key(&[7, 7][..]) {
                other = other.edit::<_, _, Vec<u8>>(&store, [(vec![7, 7], None)]).unwrap();
            }
        }
        if model.contains_key(&[7, 7][..]) {
            other = other.edit(&store, [(vec![7, 7], model.get(&[7, 7][..]).cloned())]).unwrap();
        }
        prop_assert_eq!(other, tree);
        tree.verify(&store).unwrap();
    }

    #[test]
    fn get_and_range_equal_the_models(
        model in model(300),
        wanted in proptest::collection::vec(key(), 1..20),
        bounds in (proptest::option::of(key()), proptest::option::of(key())),
    ) {
        let store = MemoryStore::new();
        let tree = build(&store, small(), &model);
        for key in &wanted {
            let found = tree.get(&store, key).unwrap().map(|value| value.to_vec());
            prop_assert_eq!(found, model.get(key).cloned());
        }
        let (from, to) = bounds;
        let found: Vec<_> = match (&from, &to) {
            (Some(from), Some(to)) => tree.range(&store, from.as_slice()..to.as_slice()).collect(),
            (Some(from), None) => tree.range(&store, from.as_slice()..).collect(),
            (None, Some(to)) => tree.range(&store, ..=to.as_slice()).collect(),
            (None, None) => tree.range::<_, &[u8]>(&store, ..).collect(),
        };
        let found: Vec<_> = found.into_iter().map(|pair| pair.map(|(k, v)| (k.to_vec(), v.to_vec())).unwrap()).collect();
        let inside = |key: &Vec<u8>| {
            from.as_ref().is_none_or(|from| key >= from)
                && to.as_ref().is_none_or(|to| if from.is_some() { key < to } else { key <= to })
        };
        let expected: Vec<_> = model.iter().filter(|(key, _)| inside(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
        prop_assert_eq!(found, expected);
        // Many ranges at once: points, and the prefixes of the points.
        let mut ranges: Vec<_> = wanted.iter().map(|key| KeyRange::point(key)).collect();
        ranges.extend(wanted.iter().step_by(3).map(|key| KeyRange::prefix(&key[..key.len().min(1)])));
        let expected: Vec<_> = model.keys().filter(|key| ranges.iter().any(|range| range.contains(key))).cloned().collect();
        let found: Vec<_> = tree.ranges(&store, ranges).map(|pair| pair.unwrap().0.to_vec()).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn diff_and_union_equal_the_models(start in model(300), left in batch(60), right in batch(60)) {
        let store = MemoryStore::new();
        let (mut a, mut b) = (start.clone(), start);
        apply(&mut a, &left);
        apply(&mut b, &right);
        let (left, right) = (build(&store, small(), &a), build(&store, small(), &b));
        let found: BTreeMap<_, _> = left.diff(&right, &store).unwrap().map(|change| {
            let change = change.unwrap();
            let bytes = |value: Option<_>| value.map(|value| read(&store, value).unwrap().to_vec());
            (change.key.to_vec(), (bytes(change.left), bytes(change.right)))
        }).collect();
        prop_assert_eq!(&found, &model_diff(&a, &b));
        let mut union = a.clone();
        for (key, value) in &b {
            let both = union.entry(key.clone()).or_default();
            *both = value.clone().max(if a.contains_key(key) { both.clone() } else { Vec::new() });
        }
        let expected = build(&store, small(), &union);
        prop_assert_eq!(left.union(&right, &store, &store, larger).unwrap(), expected);
        prop_assert_eq!(right.union(&left, &store, &store, larger).unwrap(), expected);
        prop_assert_eq!(expected.union(&right, &store, &store, larger).unwrap(), expected);
    }

    #[test]
    fn diff_reads_only_pages_that_one_tree_has_alone(start in model(400), changes in batch(10)) {
        let store = MemoryStore::new();
        let left = build(&store, small(), &start);
        let mut changed = start;
        apply(&mut changed, &changes);
        let right = build(&store, small(), &changed);
        let all = |tree: &Tree| -> std::collections::BTreeSet<_> {
            support::levels(tree, &store).into_iter().flatten().map(|page| *page.cid()).collect()
        };
        let (a, b) = (all(&left), all(&right));
        let counting = prolly::Counting::new(&store);
        left.diff(&right, &counting).unwrap().for_each(|change| drop(change.unwrap()));
        let alone: Vec<_> = a.symmetric_difference(&b).copied().collect();
        prop_assert_eq!(counting.cids(), alone);
    }

    #[test]
    fn operations_complete_on_a_source_that_lacks_pages(
        start in model(400),
        left in batch(30),
        right in batch(30),
        wanted in key(),
    ) {
        let full = MemoryStore::new();
        let (mut a, mut b) = (start.clone(), start);
        apply(&mut a, &left);
        apply(&mut b, &right);
        let (left, right) = (build(&full, small(), &a), build(&full, small(), &b));
        let height = usize::from(left.stats(&full).unwrap().height.max(right.stats(&full).unwrap().height));

        let mut partial = Partial::new(&full);
        let mut get = Get::new(left, wanted.clone());
        let value = loop {
            match get.step(&partial.here).unwrap() {
                Step::Ready(value) => break value,
                Step::Missing(cids) => partial.fill(&cids),
            }
        };
        prop_assert_eq!(value.map(|value| read(&full, value).unwrap().to_vec()), a.get(&wanted).cloned());
        prop_assert!(partial.rounds <= height);

        let mut partial = Partial::new(&full);
        let mut scan = Scan::new(left, vec![KeyRange::all()]);
        let mut found = Model::new();
        loop {
            match scan.step(&partial.here).unwrap() {
                Step::Ready(Some(run)) => {
                    found.extend(run.pairs().map(|(k, v)| (k.to_vec(), read(&full, v).unwrap().to_vec())));
                }
                Step::Ready(None) => break,
                Step::Missing(cids) => partial.fill(&cids),
            }
        }
        prop_assert_eq!(&found, &a);
        prop_assert!(partial.rounds <= height, "a scan asks for a whole level at once");

        let mut partial = Partial::new(&full);
        let mut diff = Diff::new(left, right).unwrap();
        let mut keys = Vec::new();
        loop {
            match diff.step(&partial.here).unwrap() {
                Step::Ready(Some(change)) => keys.push(change.key.to_vec()),
                Step::Ready(None) => break,
                Step::Missing(cids) => partial.fill(&cids),
            }
        }
        prop_assert_eq!(keys, model_diff(&a, &b).into_keys().collect::<Vec<_>>());
        prop_assert!(partial.rounds <= height, "a diff asks for a whole level at once");

        let mut partial = Partial::new(&full);
        let mut union = Union::new(left, right, larger).unwrap();
        let merged = loop {
            let sink = MemoryStore::new();
            match union.step(&partial.here, &sink).unwrap() {
                Step::Ready(tree) => break tree,
                Step::Missing(cids) => partial.fill(&cids),
            }
        };
        prop_assert_eq!(merged, left.union(&right, &full, &full, larger).unwrap());
    }

    #[test]
    fn an_edit_completes_on_a_source_that_lacks_pages(start in model(400), edits in batch(20)) {
        let full = MemoryStore::new();
        let tree = build(&full, small(), &start);
        let mut partial = Partial::new(&full);
        let mut edit = Edit::new(tree, edits.clone()).unwrap();
        let sink = MemoryStore::new();
        let edited = loop {
            match edit.step(&partial.here, &sink).unwrap() {
                Step::Ready(tree) => break tree,
                Step::Missing(cids) => partial.fill(&cids),
            }
        };
        prop_assert_eq!(edited, tree.edit(&full, edits).unwrap());
    }
}

#[test]
fn a_single_put_changes_few_pages() {
    let store = MemoryStore::new();
    let hash = |n: u64| *blake3::hash(&n.to_be_bytes()).as_bytes();
    let model: Model = (0..100_000u64).map(|n| (hash(n)[..16].to_vec(), vec![1; 100])).collect();
    let tree = build(&store, Config::default(), &model);
    let height = usize::from(tree.stats(&store).unwrap().height);
    let old: std::collections::BTreeSet<_> = store.cids().into_iter().collect();
    let mut worst = 0;
    for n in 0..10_000u64 {
        let key = hash(n + 1_000_000)[..16].to_vec();
        let scratch = prolly::Overlay::new(&store);
        let edited = tree.edit(&scratch, [(key, Some(vec![2; 100]))]).unwrap();
        assert_ne!(edited.root, tree.root);
        let new: usize = scratch.written().into_iter().filter(|cid| !old.contains(cid)).count();
        worst = worst.max(new);
    }
    println!("a put into {height} levels changed at most {worst} pages");
    assert!(worst <= height + 6, "{worst} pages changed in a tree of height {height}");
}

#[test]
fn what_may_not_be_written_is_refused() {
    let store = MemoryStore::new();
    let tree = Tree::empty(&store, small()).unwrap();
    let long = Batch::from([(vec![0; 41], Some(vec![]))]);
    assert!(matches!(tree.edit(&store, long), Err(prolly::Error::KeyTooLong { len: 41, limit: 40 })));
    let unsorted = Tree::build(&store, small(), [("b", ""), ("a", "")]);
    assert!(matches!(unsorted, Err(prolly::Error::Unsorted { index: 1 })));
    let twice = Tree::build(&store, small(), [("a", ""), ("a", "")]);
    assert!(matches!(twice, Err(prolly::Error::Unsorted { index: 1 })));
    let huge = usize::try_from(prolly::MAX_VALUE_BYTES).unwrap() + 1;
    let huge = tree.edit(&store, [(vec![1], Some(vec![0u8; huge]))]);
    assert!(matches!(huge, Err(prolly::Error::ValueTooLong { .. })));
    let other = Tree::empty(&store, Config::default()).unwrap();
    assert!(matches!(tree.diff(&other, &store), Err(prolly::Error::ConfigMismatch)));
    let narrow = Config { leaf_max: 200, ..small() };
    assert!(matches!(Tree::empty(&store, narrow), Err(prolly::Error::Config(_))));
}
