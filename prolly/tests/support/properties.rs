//! What must hold of trees over any store. Each property may run many times over one store.

#![allow(clippy::needless_pass_by_value, reason = "a property owns its case")]

use std::collections::{BTreeMap, BTreeSet};

use prolly::{
    CountRange, Diff, Edit, Get, GetMany, KeyRange, Measure, MemoryStore, PageSink, PageSource, Pairs, Rank,
    ReadValue, Sample, Scan, Select, SelectMany, Side, Step, Tree, Union, Value, ValueRef, read,
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

/// Runs a step again and again, and brings what it lacks.
pub fn drive<S: PageSource, T>(
    partial: &mut Partial<'_, S>,
    mut step: impl FnMut(&MemoryStore) -> Result<Step<T>, prolly::Error>,
) -> T {
    loop {
        match step(&partial.here).unwrap() {
            Step::Ready(result) => return result,
            Step::Missing(cids) => partial.fill(&cids),
        }
    }
}

fn owned((key, value): (&[u8], ValueRef<'_>)) -> (Vec<u8>, Value) {
    let value = match value {
        ValueRef::Inline(bytes) => Value::Inline(bytes.to_vec().into()),
        ValueRef::Linked(len, cid) => Value::Linked(len, cid),
    };
    (key.to_vec(), value)
}

/// Walks in both directions over ranges, from a source that lacks pages, and stops after every so many
/// runs to write the walk down and read it again.
pub fn walks_go_either_way_and_can_be_saved<S: PageSource + PageSink>(
    store: &S,
    model: Model,
    wanted: Vec<Vec<u8>>,
    rest: usize,
) -> Holds {
    let tree = build(store, small(), &model);
    let height = usize::from(tree.stats(store).unwrap().height);
    let mut ranges: Vec<_> = wanted
        .windows(2)
        .step_by(2)
        .map(|ends| KeyRange { from: ends[0].clone().into(), to: Some(ends[1].clone().into()) })
        .collect();
    ranges.extend(wanted.iter().step_by(3).map(|key| KeyRange::point(key)));
    ranges.extend(wanted.iter().take(1).map(|key| KeyRange { from: key.clone().into(), to: None }));
    for ranges in [ranges, vec![KeyRange::all()], vec![]] {
        for reversed in [false, true] {
            let mut expected: Vec<_> = model
                .iter()
                .filter(|(key, _)| ranges.iter().any(|range| range.contains(key)))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let begin = || {
                let scan = Scan::new(tree, ranges.clone());
                if reversed { scan.reversed() } else { scan }
            };
            if reversed {
                expected.reverse();
            }
            let mut partial = Partial::new(store);
            let mut scan = begin();
            let mut found = Vec::new();
            let mut runs = 0;
            while let Some(run) = drive(&mut partial, |source| scan.step(source)) {
                prop_assert!(!run.is_empty() && run.len() == run.iter().len());
                let borrowed: Vec<_> = run.iter().map(owned).collect();
                let shared: Vec<_> = run.pairs().map(|(key, value)| (key.to_vec(), value)).collect();
                prop_assert_eq!(&borrowed, &shared);
                found.extend(shared.into_iter().map(|(k, v)| (k, read(store, v).unwrap().to_vec())));
                runs += 1;
                if runs % (rest + 1) == 0 {
                    scan = Scan::resume(&scan.save().unwrap()).unwrap();
                }
            }
            prop_assert_eq!(&found, &expected);
            if rest > 1_000 {
                prop_assert!(partial.rounds <= height, "a walk asks for a whole level at once");
            }
            // In the middle of a run too, and from there back.
            let mut pairs = Pairs::new(begin(), store);
            let first: Vec<_> = pairs.by_ref().take(rest % 50).map(|pair| pair.unwrap().0).collect();
            let resumed = Pairs::new(Scan::resume(&pairs.save().unwrap()).unwrap(), store);
            let then: Vec<_> = resumed.map(|pair| pair.unwrap().0).collect();
            let mut back: Vec<_> = pairs.reversed().map(|pair| pair.unwrap().0).collect();
            back.reverse();
            prop_assert_eq!(&then, &back);
            let all: Vec<_> = first.iter().chain(&then).map(|key| key.to_vec()).collect();
            prop_assert_eq!(all, expected.into_iter().map(|(key, _)| key).collect::<Vec<_>>());
        }
    }
    Ok(())
}

/// Many keys and many places at once, a sample, a count, and the measure, from a source that lacks pages.
pub fn many_at_once_equal_the_model<S: PageSource + PageSink>(
    store: &S,
    model: Model,
    wanted: Vec<Vec<u8>>,
    seed: u64,
) -> Holds {
    let tree = build(store, small(), &model);
    let stats = tree.verify(store).unwrap();
    let height = usize::from(stats.height);
    let pairs: Vec<_> = model.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let bytes =
        |(key, value): &(bytes::Bytes, Value)| (key.to_vec(), read(store, value.clone()).unwrap().to_vec());

    let mut partial = Partial::new(store);
    let mut get = GetMany::new(tree, wanted.clone());
    let found = drive(&mut partial, |source| get.step(source));
    prop_assert!(partial.rounds <= height);
    let found: Vec<_> =
        found.into_iter().map(|value| value.map(|value| read(store, value).unwrap().to_vec())).collect();
    prop_assert_eq!(&found, &wanted.iter().map(|key| model.get(key).cloned()).collect::<Vec<_>>());
    let whole = tree.get_many(store, wanted.clone()).unwrap();
    prop_assert_eq!(found, whole.into_iter().map(|v| v.map(|v| v.to_vec())).collect::<Vec<_>>());

    let places: Vec<u64> = (0..20).map(|n| seed.rotate_left(n * 3) % (pairs.len() as u64 + 3)).collect();
    let mut partial = Partial::new(store);
    let mut select = SelectMany::new(tree, places.clone());
    let found = drive(&mut partial, |source| select.step(source));
    prop_assert!(partial.rounds <= height);
    let places: BTreeSet<u64> = places.into_iter().collect();
    let expected: Vec<_> =
        places.iter().filter_map(|place| pairs.get(usize::try_from(*place).unwrap()).cloned()).collect();
    prop_assert_eq!(found.iter().map(bytes).collect::<Vec<_>>(), expected);
    for place in places {
        let mut partial = Partial::new(store);
        let mut select = Select::from_end(tree, place);
        let found = drive(&mut partial, |source| select.step(source));
        let expected = usize::try_from(place).ok().and_then(|place| pairs.iter().rev().nth(place).cloned());
        prop_assert_eq!(found.as_ref().map(bytes), expected);
    }

    for key in &wanted {
        let mut partial = Partial::new(store);
        let mut rank = Rank::new(tree, key.clone());
        let less = drive(&mut partial, |source| rank.step(source));
        prop_assert_eq!(less, model.range(..key.clone()).count() as u64);
        let mut select = Select::new(tree, less);
        let found = drive(&mut partial, |source| select.step(source));
        let next = model.range(key.clone()..).next().map(|(k, v)| (k.clone(), v.clone()));
        prop_assert_eq!(found.as_ref().map(bytes), next);
        prop_assert!(partial.rounds <= 2 * height);
        let Some((_, value)) = found else { continue };
        let mut partial = Partial::new(store);
        let mut whole = ReadValue::new(value.clone());
        let whole = drive(&mut partial, |source| whole.step(source));
        prop_assert_eq!(whole, read(store, value).unwrap());
        prop_assert!(partial.rounds <= 2, "a value of up to 1 MiB has two levels");
        let prefix = &key[..key.len().min(1)];
        let found: Vec<_> = tree.prefix(store, prefix).map(|pair| pair.unwrap().0.to_vec()).collect();
        let begins: Vec<_> = model.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        prop_assert_eq!(found, begins);
    }

    let amount = usize::try_from(seed % 60).unwrap();
    let mut partial = Partial::new(store);
    let mut sample = Sample::new(tree, seed, amount);
    let found = drive(&mut partial, |source| sample.step(source));
    prop_assert!(partial.rounds <= height);
    let found: Vec<_> = found.iter().map(bytes).collect();
    prop_assert_eq!(found.len(), amount.min(pairs.len()));
    prop_assert!(found.windows(2).all(|two| two[0].0 < two[1].0));
    prop_assert!(found.iter().all(|(key, value)| model.get(key) == Some(value)));
    let again: Vec<_> = tree.sample(store, seed, amount).unwrap();
    prop_assert_eq!(found, again.into_iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect::<Vec<_>>());

    for ends in wanted.windows(2) {
        for range in [
            KeyRange { from: ends[0].clone().into(), to: Some(ends[1].clone().into()) },
            KeyRange { from: ends[0].clone().into(), to: None },
        ] {
            let mut partial = Partial::new(store);
            let mut count = CountRange::new(tree, &range);
            let found = drive(&mut partial, |source| count.step(source));
            let expected = model.keys().filter(|key| range.contains(key)).count() as u64;
            prop_assert_eq!(found, expected);
            prop_assert!(partial.rounds <= height && partial.here.len() <= 2 * height);
        }
    }

    let mut partial = Partial::new(store);
    let mut measure = Measure::new(tree);
    let measured = drive(&mut partial, |source| measure.step(source));
    prop_assert_eq!(measured, stats);
    prop_assert!(partial.rounds <= height);
    prop_assert_eq!(stats.pages, partial.here.len() as u64);
    prop_assert_eq!(
        (stats.pairs, stats.long_values),
        (pairs.len() as u64, pairs.iter().filter(|(_, value)| value.len() > 50).count() as u64,)
    );
    let pages = partial.here.cids().into_iter().map(|cid| partial.here.load(&cid).unwrap().unwrap().len());
    prop_assert_eq!(stats.bytes, pages.sum::<usize>() as u64);
    Ok(())
}

/// Comparisons of a range, of one side, from a source that lacks pages, stopped and gone on with.
pub fn diffs_can_be_narrowed_and_saved<S: PageSource + PageSink>(
    store: &S,
    start: Model,
    left: Batch,
    right: Batch,
    ends: (Vec<u8>, Option<Vec<u8>>),
    rest: usize,
) -> Holds {
    let (mut a, mut b) = (start.clone(), start);
    apply(&mut a, &left);
    apply(&mut b, &right);
    let (left, right) = (build(store, small(), &a), build(store, small(), &b));
    let range = KeyRange { from: ends.0.into(), to: ends.1.map(Into::into) };
    let bytes = |value: &Option<Value>| value.clone().map(|value| read(store, value).unwrap().to_vec());
    for range in [KeyRange::all(), range] {
        for side in [None, Some(Side::Left), Some(Side::Right)] {
            let mut expected = model_diff(&a, &b);
            expected.retain(|key, (left, right)| {
                let wanted = match side {
                    None => true,
                    Some(Side::Left) => left.is_some(),
                    Some(Side::Right) => right.is_some(),
                };
                wanted && range.contains(key)
            });
            let begin = || {
                let diff = Diff::new(left, right).unwrap().within(range.clone());
                if let Some(side) = side { diff.only(side) } else { diff }
            };
            let mut diff = begin();
            let mut partial = Partial::new(store);
            let mut found = Vec::new();
            while let Some(change) = drive(&mut partial, |source| diff.step(source)) {
                found.push((change.key.to_vec(), (bytes(&change.left), bytes(&change.right))));
                if found.len() % (rest + 1) == 0 {
                    diff = Diff::resume(&diff.save().unwrap()).unwrap();
                }
            }
            prop_assert_eq!(found, expected.clone().into_iter().collect::<Vec<_>>());
            // Nothing is left of one that has ended.
            let mut ended = Diff::resume(&diff.save().unwrap()).unwrap();
            prop_assert_eq!(ended.step(store).unwrap(), Step::Ready(None));
            // No page is read that lies wholly outside the range, nor one of both trees.
            let counting = prolly::Counting::new(store);
            let mut diff = begin();
            while diff.step(&counting).unwrap().complete().unwrap().is_some() {}
            let inside = |tree: &Tree| pages_meeting(tree, store, &range);
            let (a, b) = (inside(&left), inside(&right));
            let mut allowed: BTreeSet<_> = a.symmetric_difference(&b).copied().collect();
            if left.root != right.root && !range.is_empty() {
                allowed.extend([left.root, right.root]);
            }
            for cid in counting.cids() {
                prop_assert!(allowed.contains(&cid) || range.is_empty(), "a page too many was read");
            }
        }
    }
    Ok(())
}

/// The addresses of the pages in which a key of a range could stand.
fn pages_meeting(tree: &Tree, source: &impl PageSource, range: &KeyRange) -> BTreeSet<prolly::Cid> {
    let mut met = BTreeSet::new();
    for pages in super::levels(tree, source) {
        let mut after: Option<Vec<u8>> = None;
        for page in pages.iter().filter(|page| !page.is_empty()) {
            let last = page.key(page.len() - 1).to_vec();
            // The least key behind the page before.
            let first = after.map_or(Vec::new(), |mut after| {
                after.push(0);
                after
            });
            if last >= range.from.to_vec() && range.to.as_ref().is_none_or(|to| first < to.to_vec()) {
                met.insert(*page.cid());
            }
            after = Some(last);
        }
    }
    met
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
            fn walks_go_either_way_and_can_be_saved(model in $crate::support::model(300),
        wanted in proptest::collection::vec($crate::support::key(), 1..20),
        rest in proptest::prop_oneof![0usize..60, proptest::prelude::Just(10_000)]) {
                $crate::support::properties::walks_go_either_way_and_can_be_saved($store, model, wanted, rest)?;
            }

            #[test]
            fn many_at_once_equal_the_model(model in $crate::support::model(300),
        wanted in proptest::collection::vec($crate::support::key(), 0..20),
        seed in proptest::prelude::any::<u64>()) {
                $crate::support::properties::many_at_once_equal_the_model($store, model, wanted, seed)?;
            }

            #[test]
            fn diffs_can_be_narrowed_and_saved(start in $crate::support::model(300),
        left in $crate::support::batch(40),
        right in $crate::support::batch(40),
        ends in ($crate::support::key(), proptest::option::of($crate::support::key())),
        rest in 0usize..10) {
                $crate::support::properties::diffs_can_be_narrowed_and_saved($store, start, left, right, ends, rest)?;
            }

            #[test]
            fn an_edit_completes_on_a_source_that_lacks_pages(start in $crate::support::model(400), edits in $crate::support::batch(20)) {
                $crate::support::properties::an_edit_completes_on_a_source_that_lacks_pages($store, start, edits)?;
            }
        }
    };
}
