//! Searches for tags through the tags tree against a plain look at everything.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use crate::maps::{bbox, database, entries, entry_of, place};
use osmdb::{
    BBox, Coord, Db, ElementId, Feature, Filter, Geometry, Head, Kind, Member, Payload, Snapshot, Tags,
};
use prolly::{Counting, MemoryStore, PageSource};
use proptest::prelude::*;

const FILTERS: [&str; 21] = [
    "",
    "node",
    "way|relation",
    "relation",
    "changeset",
    "kind",
    "!kind",
    "kind=a",
    "kind!=a",
    "kind~=A",
    "way and kind=b",
    "node|way and kind=b",
    "relation and kind",
    "kind and kind!=a and name=ab",
    "rare=1",
    "rare",
    "node and rare",
    "kind=nothing",
    "some",
    "some=x",
    "node|way and some~=X",
];

fn filters() -> impl Strategy<Value = Filter> {
    prop::sample::select(FILTERS.to_vec()).prop_map(|text| text.parse().unwrap())
}

/// What is anywhere, from the heads alone: with the places of a way's nodes, in the order in which it is found
/// but for what has a place, which comes by id.
fn anywhere<S: PageSource>(snapshot: &Snapshot<S>) -> Vec<Feature> {
    let heads: BTreeMap<ElementId, Vec<Head>> =
        snapshot.heads().map(Result::unwrap).map(|heads| (heads[0].entry.element, heads)).collect();
    let live = |heads: &[Head]| -> Vec<Payload> {
        heads.iter().filter_map(|head| head.entry.payload.clone()).collect()
    };
    let in_ways: BTreeSet<u64> = heads
        .values()
        .flat_map(|heads| live(heads))
        .flat_map(|payload| match payload {
            Payload::Way { refs, .. } => refs,
            _ => Vec::new(),
        })
        .collect();
    // Where a node is shown: at the latest of its live heads, then the one of the greatest version.
    let shown = |id: &u64| {
        let heads = heads.get(&ElementId::node(*id))?;
        let live = heads.iter().filter(|head| head.entry.payload.is_some());
        let shown = live.max_by_key(|head| (head.entry.timestamp(), head.version))?;
        match shown.entry.payload {
            Some(Payload::Node { coord, .. }) => Some(coord),
            _ => None,
        }
    };
    let mut found = Vec::new();
    for (element, heads) in &heads {
        for payload in live(heads) {
            let mut feature = Feature {
                element: *element,
                geometry: Geometry::Members,
                tags: Tags::new(),
                members: Vec::new(),
            };
            match payload {
                Payload::Node { coord, tags } if !tags.is_empty() || !in_ways.contains(&element.id) => {
                    (feature.geometry, feature.tags) = (Geometry::Point(coord), tags);
                }
                Payload::Way { refs, tags } => {
                    let line = refs.iter().filter_map(shown).collect();
                    (feature.geometry, feature.tags) = (Geometry::Line(line), tags);
                }
                Payload::Relation { members, tags } => (feature.members, feature.tags) = (members, tags),
                _ => continue,
            }
            found.push(feature);
        }
    }
    found
}

/// The features of each element, and which of them are somewhere.
fn sorted(mut features: Vec<Feature>) -> Vec<(bool, String)> {
    let is_somewhere = |feature: &Feature| match &feature.geometry {
        Geometry::Point(_) => true,
        Geometry::Line(line) => !line.is_empty(),
        Geometry::Members => false,
    };
    features.sort_by_key(|feature| (feature.element, format!("{feature:?}")));
    features.iter().map(|feature| (is_somewhere(feature), format!("{feature:?}"))).collect()
}

/// Checks a search everywhere: what it finds, in which order, its count and its pages of results.
fn check_everywhere<S: PageSource>(snapshot: &Snapshot<S>, filter: &Filter, limit: usize) {
    let found: Vec<Feature> = snapshot.find(filter).map(Result::unwrap).collect();
    let passes = |feature: &Feature| filter.matches(feature.element.kind, &feature.tags);
    let expected: Vec<Feature> = anywhere(snapshot).into_iter().filter(passes).collect();
    assert_eq!(sorted(found.clone()), sorted(expected), "{filter}");

    let globe: BBox = "-180,-90,180,90".parse().unwrap();
    let has_place = |feature: &Feature| feature.element.kind != Kind::Relation;
    let placed: Vec<Feature> =
        snapshot.query(globe).map(Result::unwrap).filter(has_place).filter(passes).collect();
    assert_eq!(found[..placed.len()], placed, "{filter}");
    let rest = found[placed.len()..].iter().map(|feature| feature.element);
    assert!(rest.is_sorted() && found.len() >= placed.len());

    let elements: BTreeSet<ElementId> = found.iter().map(|feature| feature.element).collect();
    assert_eq!(snapshot.find(filter).count_elements().unwrap(), elements.len() as u64, "{filter}");
    let (mut pages, mut query) = (Vec::new(), snapshot.find(filter));
    while let Some(first) = query.next() {
        pages.push(first.unwrap());
        pages.extend(query.by_ref().take(limit).map(Result::unwrap));
        query = snapshot.find(filter).after(&query.save()).unwrap();
    }
    assert_eq!(pages, found, "{filter}");
}

/// Checks a search in a box against the box without a filter.
fn check_box<S: PageSource>(snapshot: &Snapshot<S>, bbox: BBox, filter: &Filter, limit: usize) {
    let passes = |feature: &Feature| filter.matches(feature.element.kind, &feature.tags);
    let expected: Vec<Feature> = snapshot.query(bbox).map(Result::unwrap).filter(passes).collect();
    let query = || snapshot.query(bbox).filter(filter);
    let found: Vec<Feature> = query().map(Result::unwrap).collect();
    assert_eq!(found, expected, "{filter}");
    let elements: BTreeSet<ElementId> = found.iter().map(|feature| feature.element).collect();
    assert_eq!(query().count_elements().unwrap(), elements.len() as u64, "{filter}");
    let mut first = query();
    let mut pages: Vec<Feature> = first.by_ref().take(limit).map(Result::unwrap).collect();
    pages.extend(query().after(&first.save()).unwrap().map(Result::unwrap));
    assert_eq!(pages, found, "{filter}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_is_anywhere_is_found(entries in entries(), filter in filters(), limit in 0..5_usize) {
        let db = database(&entries);
        check_everywhere(&db.snapshot(), &filter, limit);
    }
}

/// A map of several hundred elements around a place, some of which have rare tags.
fn town(seed: u64, relations: u64) -> Db<MemoryStore> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut all = Vec::new();
    let tags = |random: &mut dyn FnMut(u64) -> u64| -> Tags {
        let mut tags = Tags::new();
        if random(3) > 0 {
            tags.push("kind", ["a", "b", "c"][usize::try_from(random(3)).unwrap()]);
        }
        if random(10) == 0 {
            tags.push("some", "x");
        }
        if random(40) == 0 {
            tags.push("rare", ["1", "2"][usize::try_from(random(2)).unwrap()]);
        }
        tags
    };
    for id in 1..=900 {
        let mut at = |offset: i64| offset + i64::try_from(random(4_000_000)).unwrap();
        let coord = Coord::new(at(425_000_000), at(15_000_000)).unwrap();
        all.push(entry_of(ElementId::node(id), Payload::Node { coord, tags: tags(&mut random) }));
    }
    for id in 1..=150 {
        let refs = (0..2 + random(3)).map(|_| 1 + random(1_000)).collect();
        all.push(entry_of(ElementId::way(id), Payload::Way { refs, tags: tags(&mut random) }));
    }
    for id in 1..=relations {
        let kind = if random(2) == 0 { Kind::Node } else { Kind::Way };
        let member = Member { element: ElementId::new(kind, 1 + random(150)), role: String::new() };
        let tags = tags(&mut random);
        all.push(entry_of(ElementId::relation(id), Payload::Relation { members: vec![member], tags }));
    }
    database(&all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn either_tree_gives_the_same_answer(
        seed in any::<u64>(),
        relations in prop::sample::select(vec![0_u64, 60]),
        width in prop::sample::select(vec![200_000_i32, 1_000_000, 5_000_000]),
        limit in 0..40_usize,
        far in bbox(),
        from in place(),
    ) {
        let db = town(seed, relations);
        let snapshot = db.snapshot();
        let corner = |at: i32| Coord::new((425_000_000 + at).into(), (15_000_000 + at).into()).unwrap();
        let near = BBox::new(corner(width / 5), corner(width)).unwrap();
        for filter in FILTERS {
            let filter = filter.parse().unwrap();
            for bbox in [near, far, "-180,-90,180,90".parse().unwrap()] {
                check_box(&snapshot, bbox, &filter, limit);
            }
            check_everywhere(&snapshot, &filter, limit);
            let nearest = snapshot.nearest(from, &filter).map(|found| found.unwrap().feature.element);
            let nearest: BTreeSet<ElementId> = nearest.collect();
            let globe = snapshot.query("-180,-90,180,90".parse().unwrap()).filter(&filter);
            prop_assert_eq!(nearest, globe.map(|feature| feature.unwrap().element).collect::<BTreeSet<_>>());
        }
    }
}

#[test]
fn what_few_have_costs_few_pages() {
    let db = town(7, 0);
    let pages = |filter: &str| {
        let snapshot = Snapshot::open(Counting::new(db.store()), db.root()).unwrap();
        let begun = snapshot.source().pages();
        let globe = snapshot.query("-180,-90,180,90".parse().unwrap());
        let count = globe.filter(&filter.parse().unwrap()).count();
        (snapshot.source().pages() - begun, count)
    };
    let (all, _) = pages("");
    let (nothing, none) = pages("kind=nothing");
    assert!(nothing <= 4 && none == 0, "{nothing} pages");
    let (rare, some) = pages("rare=1");
    assert!(some > 3 && rare < all + 4, "{rare} of {all} pages for {some}");
}

#[test]
fn any_text_is_found_again() {
    let db = Db::in_memory("osm").unwrap();
    let texts = [
        "a".repeat(255),
        "a".repeat(254) + "b",
        "é".repeat(255),
        "é".repeat(254) + "e",
        "\u{0}".repeat(200),
        "\u{1}".repeat(200),
        "nul \u{0} inside".to_owned(),
        "one \u{1} inside".to_owned(),
        "=".to_owned(),
    ];
    let entries: Vec<_> = (1..)
        .zip(&texts)
        .map(|(id, text)| {
            let (coord, tags) =
                (Coord::new(0, 0).unwrap(), Tags::from([("name", text.clone()), (text, "x".to_owned())]));
            entry_of(ElementId::node(id), Payload::Node { coord, tags })
        })
        .collect();
    crate::maps::add(&db, &entries);
    let snapshot = db.snapshot();
    for (id, text) in (1..).zip(&texts) {
        for filter in [Filter::new().is("name", text), Filter::new().has(text), Filter::new().is(text, "x")] {
            let found: Vec<_> = snapshot.find(&filter).map(|feature| feature.unwrap().element).collect();
            assert_eq!(found, [ElementId::node(id)], "{filter}");
        }
    }
    assert_eq!(snapshot.find(&Filter::new().has("name")).count(), texts.len());
    snapshot.verify().unwrap();
}

#[test]
fn what_moves_is_found_where_it_is() {
    let db = Db::in_memory("osm").unwrap();
    let node = |lat| Payload::Node { coord: Coord::new(lat, 0).unwrap(), tags: Tags::from([("kind", "a")]) };
    let element = db.create(node(0)).unwrap();
    let way = Payload::Way { refs: vec![element.id], tags: Tags::from([("kind", "a")]) };
    let way = db.create(way).unwrap();
    let filter: Filter = "kind=a".parse().unwrap();
    let found = |bbox: &str| -> Vec<ElementId> {
        let snapshot = db.snapshot();
        let query = snapshot.query(bbox.parse().unwrap()).filter(&filter);
        query.map(|feature| feature.unwrap().element).collect()
    };
    assert_eq!(found("-1,-1,1,1"), [element, way]);
    db.put(element, node(50_000_000)).unwrap();
    assert!(found("-1,-1,1,1").is_empty());
    assert_eq!(found("-1,4,1,6"), [element, way]);
    let filter: Filter = "kind".parse().unwrap();
    let mut batch = db.batch();
    batch.delete(way);
    batch.delete(element);
    batch.commit().unwrap();
    assert_eq!(db.snapshot().find(&filter).count(), 0);
    assert_eq!(db.snapshot().root().trees.tags, Db::in_memory("osm").unwrap().snapshot().root().trees.tags);
    db.verify().unwrap();
}
