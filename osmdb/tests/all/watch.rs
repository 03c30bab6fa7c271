//! Watching: what is told is the difference between what was and what is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::maps::{add, bbox, entries};
use osmdb::{
    BBox, Coord, Db, ElementId, Entry, Feature, Head, Kind, Payload, Snapshot, Tags, Update, Version, Watch,
    WatchScope, What,
};
use prolly::{MemoryStore, PageSource};
use proptest::prelude::*;

/// All that there is to be compared: heads, and for a box the features that a query finds.
struct State {
    heads: BTreeMap<ElementId, Vec<Head>>,
    features: BTreeMap<ElementId, Vec<Feature>>,
    found: BTreeSet<ElementId>,
}

impl State {
    fn of<S: PageSource>(snapshot: &Snapshot<S>, bbox: Option<BBox>) -> Self {
        let heads: BTreeMap<ElementId, Vec<Head>> =
            snapshot.heads().map(Result::unwrap).map(|heads| (heads[0].entry.element, heads)).collect();
        let mut features: BTreeMap<ElementId, Vec<Feature>> = BTreeMap::new();
        for feature in bbox.into_iter().flat_map(|bbox| snapshot.query(bbox)) {
            let feature = feature.unwrap();
            features.entry(feature.element).or_default().push(feature);
        }
        features.values_mut().for_each(|features| features.sort_by_key(|feature| format!("{feature:?}")));
        let found = match bbox {
            Some(bbox) => snapshot.query(bbox).map(|feature| feature.unwrap().element).collect(),
            None => {
                let is_live = |heads: &Vec<Head>| heads.iter().any(|head| head.entry.payload.is_some());
                heads.iter().filter(|(_, heads)| is_live(heads)).map(|(element, _)| *element).collect()
            }
        };
        Self { heads, features, found }
    }

    /// What a watch must tell of another state.
    fn updates(&self, after: &Self, scope: WatchScope) -> Vec<(ElementId, What, Vec<Head>)> {
        let mut updates = Vec::new();
        for (element, heads) in &after.heads {
            let before = self.heads.get(element);
            let (was, is) = (self.found.contains(element), after.found.contains(element));
            let has_moved =
                element.kind != Kind::Relation && self.features.get(element) != after.features.get(element);
            let has_changed = before != Some(heads);
            let forked = is && heads.len() > 1 && before.map_or(0, Vec::len) < 2;
            let what = match scope {
                WatchScope::Element(only) if only != *element => continue,
                _ if !was && !is => continue,
                WatchScope::Box(_) if !has_changed && !has_moved && was == is => continue,
                WatchScope::Database | WatchScope::Element(_) if !has_changed => continue,
                _ if has_changed && forked => What::Forked,
                _ if is && !was => What::Added,
                _ if was && !is => What::Removed,
                _ => What::Updated,
            };
            updates.push((*element, what, heads.clone()));
        }
        updates
    }
}

fn told(watch: &mut Watch<'_, MemoryStore>) -> Vec<(ElementId, What, Vec<Head>)> {
    let mut told = Vec::new();
    while let Some(Update { element, what, heads }) = watch.next_within(Duration::ZERO).unwrap() {
        told.push((element, what, heads));
    }
    told.sort_by_key(|(element, what, _)| (*element, format!("{what:?}")));
    told
}

fn scope() -> impl Strategy<Value = WatchScope> {
    prop_oneof![
        2 => Just(WatchScope::Database),
        4 => bbox().prop_map(WatchScope::Box),
        1 => (0..3_u8, 1..6_u64).prop_map(|(kind, id)| WatchScope::Element(ElementId::new(Kind::from_code(kind).unwrap(), id))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_watch_tells_the_difference(
        batches in prop::collection::vec((entries(), any::<bool>(), any::<bool>()), 1..5),
        scope in scope(),
        with_present in any::<bool>(),
    ) {
        let db = Db::in_memory("osm").unwrap();
        let bbox = if let WatchScope::Box(bbox) = scope { Some(bbox) } else { None };
        add(&db, &batches[0].0);
        let mut before = State::of(&db.snapshot(), bbox);
        let mut watch = db.watch(scope).unwrap();
        if with_present {
            watch = watch.with_present().unwrap();
            let is_watched = |element: &ElementId| !matches!(scope, WatchScope::Element(only) if only != *element);
            let expected: Vec<_> = before
                .found
                .iter()
                .filter(|element| is_watched(element))
                .map(|element| (*element, What::Present, before.heads[element].clone()))
                .collect();
            prop_assert_eq!(told(&mut watch), expected);
        }
        for (entries, edit, ask) in &batches[1..] {
            add(&db, entries);
            if *edit {
                for heads in db.snapshot().heads().map(Result::unwrap).step_by(3).take(4) {
                    let head = &heads[0];
                    let moved = match &head.entry.payload {
                        Some(Payload::Node { coord, tags }) => {
                            let coord = Coord::new(i64::from(coord.lat()) / 2, i64::from(coord.lon()) / 2).unwrap();
                            Some(Payload::Node { coord, tags: tags.clone() })
                        }
                        other => other.clone(),
                    };
                    if let Some(payload) = moved {
                        db.put(head.entry.element, payload).unwrap();
                    }
                }
            }
            if *ask {
                let after = State::of(&db.snapshot(), bbox);
                prop_assert_eq!(told(&mut watch), before.updates(&after, scope));
                before = after;
            }
        }
        let after = State::of(&db.snapshot(), bbox);
        prop_assert_eq!(told(&mut watch), before.updates(&after, scope));
        prop_assert_eq!(told(&mut watch), vec![]);
    }
}

fn node(lat: i64) -> Payload {
    Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::new() }
}

#[test]
fn whoever_waits_is_woken() {
    let db = Db::in_memory("osm").unwrap();
    let mut watch = db.watch(WatchScope::Database).unwrap();
    let start = Instant::now();
    assert_eq!(watch.next_within(Duration::from_millis(30)).unwrap(), None);
    assert!(start.elapsed() >= Duration::from_millis(30));
    let told = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| watch.by_ref().take(3).map(Result::unwrap).collect::<Vec<Update>>());
        let elements: Vec<ElementId> = (0..3).map(|lat| db.create(node(lat)).unwrap()).collect();
        (waiting.join().unwrap(), elements)
    });
    let (updates, elements) = told;
    assert_eq!(updates.iter().map(|update| update.element).collect::<Vec<_>>(), elements);
    assert!(updates.iter().all(|update| update.what == What::Added));
}

#[test]
fn whoever_is_late_is_told_the_net_change() {
    let db = crate::maps::village();
    let mut watch = db.watch(WatchScope::Database).unwrap();
    let kept = ElementId::node(1);
    let versions: Vec<Version> = (1..20).map(|lat| db.put(kept, node(lat)).unwrap()).collect();
    let brief = db.create(node(5)).unwrap();
    db.delete(brief).unwrap();
    db.delete(ElementId::node(2)).unwrap();
    let updates: Vec<Update> = std::iter::from_fn(|| watch.next_within(Duration::ZERO).unwrap()).collect();
    let what: Vec<_> = updates.iter().map(|update| (update.element, update.what)).collect();
    // What was made and deleted again was never there for whoever watches.
    assert_eq!(what, [(kept, What::Updated), (ElementId::node(2), What::Removed)]);
    assert_eq!(updates[0].heads[0].version, versions[versions.len() - 1]);
}

#[test]
fn a_large_change_comes_in_portions() {
    let db = Db::in_memory("osm").unwrap();
    let here: BBox = "-1,-1,1,1".parse().unwrap();
    let mut watch = db.watch(WatchScope::Box(here)).unwrap();
    let entries: Vec<Entry> = (1..=3_000_u64)
        .map(|id| crate::maps::entry_of(ElementId::node(id), node(id.cast_signed())))
        .collect();
    add(&db, &entries);
    let added = told(&mut watch);
    assert_eq!(added.len(), 3_000);
    assert!(added.iter().all(|(_, what, _)| *what == What::Added));
    let all = told(&mut db.watch(WatchScope::Box(here)).unwrap().with_present().unwrap());
    assert_eq!(all.len(), 3_000);
    // A way over all of them takes their places in the index: they are only vertices now.
    let way = Payload::Way { refs: (1..=2_000).collect(), tags: Tags::new() };
    add(&db, &[crate::maps::entry_of(ElementId::way(1), way)]);
    let changed = told(&mut watch);
    assert_eq!(changed.iter().filter(|(_, what, _)| *what == What::Removed).count(), 2_000);
    assert_eq!(changed.iter().filter(|(_, what, _)| *what == What::Added).count(), 1);
    assert_eq!(changed.len(), 2_001);
}
