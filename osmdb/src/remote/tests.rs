//! Questions and answers, against what a database says itself.

use prolly::{MemoryStore, PageSource, Step};
use proptest::collection::vec;
use proptest::prelude::*;

use super::answering::{Answer, Answering};
use super::ask::{Ask, AskNearest};
use super::blocking::BlockingRemote;
use crate::db::{Db, Feature, Write};
use crate::filter::Filter;
use crate::model::{BBox, Coord, ElementId, Kind, Member, Payload, Tags};
use crate::pack::PackOrigin;

fn coord() -> impl Strategy<Value = Coord> {
    (-200_000i64..200_000, -200_000i64..200_000).prop_map(|(lat, lon)| Coord::new(lat, lon).unwrap())
}

fn bbox() -> impl Strategy<Value = BBox> {
    (coord(), 0i64..150_000, 0i64..150_000).prop_map(|(low, height, width)| {
        let high = Coord::new(i64::from(low.lat()) + height, i64::from(low.lon()) + width).unwrap();
        BBox::new(low, high).unwrap()
    })
}

fn element() -> impl Strategy<Value = ElementId> {
    (0u8..4, 1u64..40).prop_map(|(kind, id)| ElementId::new(Kind::from_code(kind).unwrap(), id))
}

fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof!["", "amenity", "amenity=well", "node|way", "relation", "amenity!=well and way"]
        .prop_map(|text: String| text.parse().unwrap())
}

fn ask() -> impl Strategy<Value = Ask> {
    let ids = || prop::collection::btree_set(element(), 1..20).prop_map(|ids| ids.into_iter().collect());
    let nearest = (coord(), filter(), prop::option::of(0u32..20_000), 0u32..30);
    let nearest =
        nearest.prop_map(|(from, filter, within, at_most)| AskNearest { from, filter, within, at_most });
    prop_oneof![
        ids().prop_map(Ask::Get),
        (element(), any::<[u8; 32]>()).prop_map(|(id, hash)| Ask::Version(id, crate::entry::Version(hash))),
        element().prop_map(Ask::History),
        element().prop_map(Ask::Refs),
        (bbox(), filter()).prop_map(|(bbox, filter)| Ask::Query(bbox, filter)),
        (bbox(), filter()).prop_map(|(bbox, filter)| Ask::Count(bbox, filter)),
        bbox().prop_map(Ask::Map),
        nearest.prop_map(Ask::Nearest),
        filter().prop_map(Ask::Search),
        Just(Ask::Trees(vec!["heads".to_owned(), "refs".to_owned()])),
    ]
}

/// Nodes, ways over them, relations of both; some edited, some so long that their values are out of line.
pub(super) fn database(
    nodes: &[(Coord, bool)],
    ways: &[Vec<usize>],
    edits: Vec<(usize, Coord)>,
) -> Db<MemoryStore> {
    let db = Db::in_memory("osm").unwrap();
    let tags = |tagged: bool| if tagged { Tags::from([("amenity", "well")]) } else { Tags::new() };
    let mut batch = db.batch();
    let mut ids = Vec::new();
    for (coord, tagged) in nodes {
        let payload = Payload::Node { coord: *coord, tags: tags(*tagged) };
        ids.push(batch.create(payload).unwrap());
    }
    let mut members = Vec::new();
    for (number, way) in ways.iter().enumerate() {
        let refs: Vec<u64> =
            way.iter().filter_map(|place| Some(ids.get(place % ids.len().max(1))?.id)).collect();
        if refs.len() < 2 {
            continue;
        }
        let long = if number % 2 == 0 { refs.iter().copied().cycle().take(700).collect() } else { refs };
        let way = batch.create(Payload::Way { refs: long, tags: tags(number % 3 == 0) }).unwrap();
        members.push(Member { element: way, role: "x".repeat(200) });
    }
    if !members.is_empty() {
        for part in members.chunks(3) {
            let long = part.iter().cloned().cycle().take(12).collect();
            batch.create(Payload::Relation { members: long, tags: tags(true) }).unwrap();
        }
    }
    batch.commit().unwrap();
    for (place, coord) in edits {
        if let Some(node) = ids.get(place) {
            let payload = Payload::Node { coord, tags: tags(true) };
            let mut batch = db.batch();
            batch.push(Write::put(*node, payload));
            batch.commit().unwrap();
        }
    }
    db
}

pub(super) fn databases() -> impl Strategy<Value = Db<MemoryStore>> {
    let nodes = vec((coord(), any::<bool>()), 1..60);
    let ways = vec(vec(0usize..60, 2..8), 0..12);
    let edits = vec((0usize..60, coord()), 0..8);
    (nodes, ways, edits).prop_map(|(nodes, ways, edits)| database(&nodes, &ways, edits))
}

/// Answers a question over an empty store that gets what the answer lacks.
fn fetched(db: &Db<MemoryStore>, ask: &Ask) -> (Vec<Answer>, usize) {
    let here = MemoryStore::new();
    let mut answering = Answering::new(db.snapshot().root(), ask).unwrap();
    let (mut answers, mut rounds) = (Vec::new(), 0);
    loop {
        match answering.step(&here).unwrap() {
            Step::Ready(None) => return (answers, rounds),
            Step::Ready(Some(answer)) => answers.push(answer),
            Step::Missing(cids) => {
                rounds += 1;
                assert!(!cids.is_empty(), "what is missing has names");
                for cid in cids {
                    assert!(!here.contains(&cid).unwrap(), "nothing is asked for twice");
                    let page = db.store().load(&cid).unwrap().unwrap();
                    prolly::PageSink::put(&here, cid, page).unwrap();
                }
            }
        }
    }
}

fn features(answers: Vec<Answer>) -> Vec<Feature> {
    let feature = |answer| match answer {
        Answer::Feature(feature) => feature,
        other => unreachable!("{other:?}"),
    };
    answers.into_iter().map(feature).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn questions_read_back(ask in ask()) {
        let bytes = ask.encode().unwrap();
        prop_assert_eq!(Ask::decode(&bytes).unwrap(), ask);
        for end in 0..bytes.len() {
            prop_assert!(Ask::decode(&bytes[..end]).is_err());
        }
        prop_assert!(Ask::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn bytes_are_no_question_or_its_one_encoding(mut bytes in vec(any::<u8>(), 0..60), ask in ask(), at in any::<prop::sample::Index>(), to: u8) {
        if let Ok(read) = Ask::decode(&bytes) {
            prop_assert_eq!(read.encode().unwrap(), bytes);
        }
        bytes = ask.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = Ask::decode(&bytes) {
            prop_assert_eq!(read.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn answers_are_those_of_the_database(db in databases(), ask in ask()) {
        let snapshot = db.snapshot();
        let (answers, _) = fetched(&db, &ask);
        match ask {
            Ask::Get(ids) => {
                let expected = ids.into_iter().map(|id| Answer::Heads(id, snapshot.get(id).unwrap()));
                let expected = expected.filter(|answer| !matches!(answer, Answer::Heads(_, heads) if heads.is_empty()));
                prop_assert_eq!(answers, expected.collect::<Vec<_>>());
            }
            Ask::Version(..) => prop_assert_eq!(answers, []),
            Ask::History(id) => prop_assert_eq!(answers, [Answer::History(snapshot.history(id).unwrap())]),
            Ask::Refs(id) => prop_assert_eq!(answers, [Answer::Refs(snapshot.refs(id).unwrap())]),
            Ask::Query(bbox, filter) => {
                let expected = snapshot.query(bbox).filter(&filter).collect::<Result<Vec<_>, _>>().unwrap();
                prop_assert_eq!(features(answers), expected);
            }
            Ask::Count(bbox, filter) => {
                let count = snapshot.query(bbox).filter(&filter).count_elements().unwrap();
                prop_assert_eq!(answers, [Answer::Count(count)]);
            }
            Ask::Map(bbox) => {
                let heads = snapshot.map(bbox).unwrap().heads().collect::<Result<Vec<_>, _>>().unwrap();
                let expected = heads.into_iter().map(|heads| Answer::Heads(heads[0].entry.element, heads));
                prop_assert_eq!(answers, expected.collect::<Vec<_>>());
            }
            Ask::Nearest(AskNearest { from, filter, within, at_most }) => {
                let nearest = snapshot.nearest(from, &filter).within(within.map_or(f64::MAX, f64::from));
                let expected = nearest.take(at_most as usize).map(|found| Answer::Neighbour(found.unwrap()));
                prop_assert_eq!(answers, expected.collect::<Vec<_>>());
            }
            Ask::Search(filter) => {
                let expected = snapshot.find(&filter);
                prop_assert_eq!(features(answers), expected.collect::<Result<Vec<_>, _>>().unwrap());
            }
            Ask::Trees(_) => {
                let stats = snapshot.tree_stats().unwrap();
                let pairs = |wanted| stats.iter().find(|(name, _)| *name == wanted).unwrap().1.pairs;
                prop_assert_eq!(answers, [Answer::Tree("heads", pairs("heads")), Answer::Tree("refs", pairs("refs"))]);
            }
        }
    }

    #[test]
    fn versions_are_found_where_they_are(db in databases(), place in any::<prop::sample::Index>()) {
        let snapshot = db.snapshot();
        let all: Vec<_> = snapshot.entries().map(Result::unwrap).collect();
        let known = &all[place.index(all.len())];
        let (answers, _) = fetched(&db, &Ask::Version(known.entry.element, known.version));
        prop_assert_eq!(answers, [Answer::Version(known.clone().into())]);
    }
}

#[test]
fn values_out_of_line_come_together() {
    // 40 long ways in one place: their values are 40 pages, but one round.
    let nodes: Vec<_> = (0..50).map(|at| (Coord::new(at * 10, at * 10).unwrap(), true)).collect();
    let ways: Vec<_> = (0..80).map(|way| vec![way % 50, (way + 7) % 50]).collect();
    let db = database(&nodes, &ways, Vec::new());
    let (answers, rounds) = fetched(&db, &Ask::Query("-1,-1,1,1".parse().unwrap(), "way".parse().unwrap()));
    assert_eq!(answers.len(), 80);
    let height = db.snapshot().root().trees.spatial.stats(db.store()).unwrap().height;
    assert!(rounds <= usize::from(height) + 1, "{rounds} rounds for {height} levels and the values");
}

/// The targets of reading static files: see `spec/packs.md`.
#[test]
fn a_valley_of_andorra_costs_little() {
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let dir = std::env::var_os("OSMDB_TEST_DATA").map_or(beside, std::path::PathBuf::from);
    let path = dir.join("andorra-2025.osm.pbf");
    if !path.exists() {
        println!("skipped: {} is not there (OSMDB_TEST_DATA names the folder)", path.display());
        return;
    }
    let db = Db::in_memory("osm").unwrap();
    db.import(&[path], |_, _| {}).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let published = db.publish_to(dir.path()).unwrap();
    println!("{published:?}");
    let open = || BlockingRemote::open(PackOrigin::directory(dir.path())).unwrap();
    let remote = open();
    assert_eq!(remote.get(ElementId::node(625_025)).unwrap().len(), 1);
    println!("get: {:?}", remote.traffic());
    assert!(remote.traffic().bytes <= 20_000);

    let area: BBox = "1.51,42.50,1.53,42.52".parse().unwrap();
    let remote = open();
    let found: Vec<Feature> = remote.query(area).collect::<Result<_, _>>().unwrap();
    let traffic = remote.traffic();
    // The answer's own entries: what was found, and the nodes of ways.
    let mut elements: std::collections::BTreeSet<ElementId> =
        found.iter().map(|feature| feature.element).collect();
    for way in found.iter().filter(|feature| feature.element.kind == Kind::Way) {
        for head in db.get(way.element).unwrap() {
            if let Some(Payload::Way { refs, .. }) = head.entry.payload {
                elements.extend(refs.into_iter().map(ElementId::node));
            }
        }
    }
    let mut own = Vec::new();
    for pair in db.snapshot().heads_of(elements.iter().copied()) {
        let (element, value) = pair.unwrap();
        own.extend(crate::views::keys::element(element));
        own.extend(&value[..]);
    }
    let own = zstd::bulk::compress(&own, 19).unwrap().len() as u64;
    println!(
        "query: {} features, {} elements, own entries {own} bytes, {traffic:?}",
        found.len(),
        elements.len()
    );
    assert!(traffic.rounds <= 3 && traffic.requests <= 12);
    assert!(traffic.bytes <= 3 * own);
    // Panning by half a screen reads new leaves only.
    let next: BBox = "1.52,42.50,1.54,42.52".parse().unwrap();
    let count = remote.query(next).count();
    let after = remote.traffic();
    println!(
        "pan: {count} features, {} bytes, {} requests",
        after.bytes - traffic.bytes,
        after.requests - traffic.requests
    );
    assert!(after.bytes - traffic.bytes < traffic.bytes);
}
