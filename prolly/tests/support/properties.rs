//! What must hold of trees over any store. Each property may run many times over one store.

#![allow(clippy::needless_pass_by_value, reason = "a property owns its case")]

use std::collections::{BTreeMap, BTreeSet};

use prolly::{
    Diff, Edit, Get, KeyRange, MemoryStore, PageSink, PageSource, Scan, Step, Tree, Union, Value, ValueRef,
    read,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{Batch, Model, Partial, apply, build, check_pages, pairs, small};

type Changes = BTreeMap<Vec<u8>, (Option<Vec<u8>>, Option<Vec<u8>>)>;
type Holds = Result<(), TestCaseError>;

fn larger(_: &[u8], ours: bytes::Bytes, theirs: bytes::Bytes) -> bytes::Bytes {
    ours.max(theirs)
}

fn model_diff(left: &Model, right: &Model) -> Changes {
    let keys = left.keys().chain(right.keys());
    let sides = keys.map(|key| (key.clone(), (left.get(key).cloned(), right.get(key).cloned())));
    sides.filter(|(_, (left, right))| left != right).collect()
}

pub fn batches_in_any_split_and_order_give_the_root_of_one_build<S: PageSource + PageSink>(
    store: &S,
    start: Model,
    batches: Vec<Batch>,
) -> Holds {
    let mut model = start;
    let mut tree = build(store, small(), &model);
    check_pages(&tree, store);
    for batch in &batches {
        tree = tree.edit(store, batch.clone()).unwrap();
        apply(&mut model, batch);
        prop_assert_eq!(tree, build(&MemoryStore::new(), small(), &model));
    }
    check_pages(&tree, store);
    prop_assert_eq!(pairs(&tree, store), model.clone());
    // One by one, in another order, with a detour.
    let mut other = Tree::empty(store, small()).unwrap();
    for (key, value) in model.iter().rev() {
        other = other.edit(store, [(key.clone(), Some(value.clone())), (vec![7, 7], Some(vec![1]))]).unwrap();
        if !model.contains_key(&[7, 7][..]) {
            other = other.edit::<_, _, Vec<u8>>(store, [(vec![7, 7], None)]).unwrap();
        }
    }
    if model.contains_key(&[7, 7][..]) {
        other = other.edit(store, [(vec![7, 7], model.get(&[7, 7][..]).cloned())]).unwrap();
    }
    prop_assert_eq!(other, tree);
    tree.verify(store).unwrap();
    Ok(())
}

pub fn get_and_range_equal_the_models<S: PageSource + PageSink>(
    store: &S,
    model: Model,
    wanted: Vec<Vec<u8>>,
    bounds: (Option<Vec<u8>>, Option<Vec<u8>>),
) -> Holds {
    let tree = build(store, small(), &model);
    for key in &wanted {
        let found = tree.get(store, key).unwrap().map(|value| value.to_vec());
        prop_assert_eq!(found, model.get(key).cloned());
    }
    let (from, to) = bounds;
    let found: Vec<_> = match (&from, &to) {
        (Some(from), Some(to)) => tree.range(store, from.as_slice()..to.as_slice()).collect(),
        (Some(from), None) => tree.range(store, from.as_slice()..).collect(),
        (None, Some(to)) => tree.range(store, ..=to.as_slice()).collect(),
        (None, None) => tree.range::<_, &[u8]>(store, ..).collect(),
    };
    let found: Vec<_> =
        found.into_iter().map(|pair| pair.map(|(k, v)| (k.to_vec(), v.to_vec())).unwrap()).collect();
    let inside = |key: &Vec<u8>| {
        from.as_ref().is_none_or(|from| key >= from)
            && to.as_ref().is_none_or(|to| if from.is_some() { key < to } else { key <= to })
    };
    let expected: Vec<_> =
        model.iter().filter(|(key, _)| inside(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
    prop_assert_eq!(found, expected);
    // Many ranges at once: points, and the prefixes of the points.
    let mut ranges: Vec<_> = wanted.iter().map(|key| KeyRange::point(key)).collect();
    ranges.extend(wanted.iter().step_by(3).map(|key| KeyRange::prefix(&key[..key.len().min(1)])));
    let expected: Vec<_> =
        model.keys().filter(|key| ranges.iter().any(|range| range.contains(key))).cloned().collect();
    let found: Vec<_> = tree.ranges(store, ranges).map(|pair| pair.unwrap().0.to_vec()).collect();
    prop_assert_eq!(found, expected);
    // The same pairs borrowed from the leaves, many at once.
    let mut borrowed = Vec::new();
    for run in tree.runs(store, vec![KeyRange::all()]) {
        for (key, value) in run.unwrap().iter() {
            let owned = match value {
                ValueRef::Inline(bytes) => Value::Inline(bytes.to_vec().into()),
                ValueRef::Linked(len, cid) => Value::Linked(len, cid),
            };
            let bytes = read(store, owned).unwrap();
            prop_assert_eq!(value.len(), bytes.len() as u64);
            borrowed.push((key.to_vec(), bytes.to_vec()));
        }
    }
    prop_assert_eq!(borrowed, model.clone().into_iter().collect::<Vec<_>>());
    // Places in the order of keys.
    for key in &wanted {
        let less = model.range(..key.clone()).count() as u64;
        prop_assert_eq!(tree.rank(store, key).unwrap(), less);
        let selected = tree.select(store, less).unwrap().map(|(k, v)| (k.to_vec(), v.to_vec()));
        let next = model.range(key.clone()..).next();
        prop_assert_eq!(selected, next.map(|(k, v)| (k.clone(), v.clone())));
        let range = KeyRange::prefix(&key[..key.len().min(1)]);
        let inside = model.keys().filter(|key| range.contains(key)).count() as u64;
        prop_assert_eq!(tree.count_range(store, &range).unwrap(), inside);
    }
    let ends = [tree.first(store).unwrap(), tree.last(store).unwrap()];
    let ends = ends.map(|end| end.map(|(k, v)| (k.to_vec(), v.to_vec())));
    let copied = |pair: Option<(&Vec<u8>, &Vec<u8>)>| pair.map(|(k, v)| (k.clone(), v.clone()));
    prop_assert_eq!(ends, [copied(model.first_key_value()), copied(model.last_key_value())]);
    // Many prefixes of one length.
    let prefixes: Vec<[u8; 2]> = wanted.iter().filter_map(|key| key.first_chunk().copied()).collect();
    let begins = |key: &&Vec<u8>| prefixes.iter().any(|prefix| key.starts_with(prefix));
    let expected: Vec<_> = model.keys().filter(begins).cloned().collect();
    let found: Vec<_> = tree.prefixes(store, prefixes.clone()).map(|pair| pair.unwrap().0.to_vec()).collect();
    prop_assert_eq!(found, expected);
    Ok(())
}

pub fn diff_and_union_equal_the_models<S: PageSource + PageSink>(
    store: &S,
    start: Model,
    left: Batch,
    right: Batch,
) -> Holds {
    let (mut a, mut b) = (start.clone(), start);
    apply(&mut a, &left);
    apply(&mut b, &right);
    let (left, right) = (build(store, small(), &a), build(store, small(), &b));
    let found: BTreeMap<_, _> = left
        .diff(&right, store)
        .unwrap()
        .map(|change| {
            let change = change.unwrap();
            let bytes = |value: Option<_>| value.map(|value| read(store, value).unwrap().to_vec());
            (change.key.to_vec(), (bytes(change.left), bytes(change.right)))
        })
        .collect();
    prop_assert_eq!(&found, &model_diff(&a, &b));
    let mut union = a.clone();
    for (key, value) in &b {
        let both = union.entry(key.clone()).or_default();
        *both = value.clone().max(if a.contains_key(key) { both.clone() } else { Vec::new() });
    }
    let expected = build(store, small(), &union);
    prop_assert_eq!(left.union(&right, store, store, larger).unwrap(), expected);
    prop_assert_eq!(right.union(&left, store, store, larger).unwrap(), expected);
    prop_assert_eq!(expected.union(&right, store, store, larger).unwrap(), expected);
    Ok(())
}

pub fn diff_reads_only_pages_that_one_tree_has_alone<S: PageSource + PageSink>(
    store: &S,
    start: Model,
    changes: Batch,
) -> Holds {
    let left = build(store, small(), &start);
    let mut changed = start;
    apply(&mut changed, &changes);
    let right = build(store, small(), &changed);
    let all = |tree: &Tree| -> BTreeSet<_> {
        super::levels(tree, store).into_iter().flatten().map(|page| *page.cid()).collect()
    };
    let (a, b) = (all(&left), all(&right));
    let counting = prolly::Counting::new(store);
    left.diff(&right, &counting).unwrap().for_each(|change| drop(change.unwrap()));
    let alone: Vec<_> = a.symmetric_difference(&b).copied().collect();
    prop_assert_eq!(counting.cids(), alone);
    Ok(())
}

pub fn operations_complete_on_a_source_that_lacks_pages<S: PageSource + PageSink>(
    full: &S,
    start: Model,
    left: Batch,
    right: Batch,
    wanted: Vec<u8>,
) -> Holds {
    let (mut a, mut b) = (start.clone(), start);
    apply(&mut a, &left);
    apply(&mut b, &right);
    let (left, right) = (build(full, small(), &a), build(full, small(), &b));
    let height = usize::from(left.stats(full).unwrap().height.max(right.stats(full).unwrap().height));

    let mut partial = Partial::new(full);
    let mut get = Get::new(left, wanted.clone());
    let value = loop {
        match get.step(&partial.here).unwrap() {
            Step::Ready(value) => break value,
            Step::Missing(cids) => partial.fill(&cids),
        }
    };
    prop_assert_eq!(value.map(|value| read(full, value).unwrap().to_vec()), a.get(&wanted).cloned());
    prop_assert!(partial.rounds <= height);

    let mut partial = Partial::new(full);
    let mut scan = Scan::new(left, vec![KeyRange::all()]);
    let mut found = Model::new();
    loop {
        match scan.step(&partial.here).unwrap() {
            Step::Ready(Some(run)) => {
                found.extend(run.pairs().map(|(k, v)| (k.to_vec(), read(full, v).unwrap().to_vec())));
            }
            Step::Ready(None) => break,
            Step::Missing(cids) => partial.fill(&cids),
        }
    }
    prop_assert_eq!(&found, &a);
    prop_assert!(partial.rounds <= height, "a scan asks for a whole level at once");

    let mut partial = Partial::new(full);
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

    let mut partial = Partial::new(full);
    let mut union = Union::new(left, right, larger).unwrap();
    let merged = loop {
        let sink = MemoryStore::new();
        match union.step(&partial.here, &sink).unwrap() {
            Step::Ready(tree) => break tree,
            Step::Missing(cids) => partial.fill(&cids),
        }
    };
    prop_assert_eq!(merged, left.union(&right, full, full, larger).unwrap());
    Ok(())
}

pub fn an_edit_completes_on_a_source_that_lacks_pages<S: PageSource + PageSink>(
    full: &S,
    start: Model,
    edits: Batch,
) -> Holds {
    let tree = build(full, small(), &start);
    let mut partial = Partial::new(full);
    let mut edit = Edit::new(tree, edits.clone()).unwrap();
    let sink = MemoryStore::new();
    let edited = loop {
        match edit.step(&partial.here, &sink).unwrap() {
            Step::Ready(tree) => break tree,
            Step::Missing(cids) => partial.fill(&cids),
        }
    };
    prop_assert_eq!(edited, tree.edit(full, edits).unwrap());
    Ok(())
}

/// Runs every property over a store: `$store` is evaluated for each case.
#[allow(unused_macros, reason = "every test file uses its own part")]
macro_rules! properties {
    ($cases:expr, $store:expr) => {
        proptest::proptest! {
            #![proptest_config(proptest::prelude::ProptestConfig::with_cases($cases))]

            #[test]
            fn batches_in_any_split_and_order_give_the_root_of_one_build(start in $crate::support::model(300),
        batches in proptest::collection::vec($crate::support::batch(40), 0..6)) {
                $crate::support::properties::batches_in_any_split_and_order_give_the_root_of_one_build($store, start, batches)?;
            }

            #[test]
            fn get_and_range_equal_the_models(model in $crate::support::model(300),
        wanted in proptest::collection::vec($crate::support::key(), 1..20),
        bounds in (proptest::option::of($crate::support::key()), proptest::option::of($crate::support::key()))) {
                $crate::support::properties::get_and_range_equal_the_models($store, model, wanted, bounds)?;
            }

            #[test]
            fn diff_and_union_equal_the_models(start in $crate::support::model(300), left in $crate::support::batch(60), right in $crate::support::batch(60)) {
                $crate::support::properties::diff_and_union_equal_the_models($store, start, left, right)?;
            }

            #[test]
            fn diff_reads_only_pages_that_one_tree_has_alone(start in $crate::support::model(400), changes in $crate::support::batch(10)) {
                $crate::support::properties::diff_reads_only_pages_that_one_tree_has_alone($store, start, changes)?;
            }

            #[test]
            fn operations_complete_on_a_source_that_lacks_pages(start in $crate::support::model(400),
        left in $crate::support::batch(30),
        right in $crate::support::batch(30),
        wanted in $crate::support::key()) {
                $crate::support::properties::operations_complete_on_a_source_that_lacks_pages($store, start, left, right, wanted)?;
            }

            #[test]
            fn an_edit_completes_on_a_source_that_lacks_pages(start in $crate::support::model(400), edits in $crate::support::batch(20)) {
                $crate::support::properties::an_edit_completes_on_a_source_that_lacks_pages($store, start, edits)?;
            }
        }
    };
}
