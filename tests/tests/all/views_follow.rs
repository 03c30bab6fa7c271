//! Whatever is imported, edited or deleted, queries answer what a scan of the entries finds, and the
//! trees are those that a fresh build makes.

use osmdb::{Db, ElementId, Error, Payload, Replaces};
use prolly::MemoryStore;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tests::tiny;
use tests::{Map, Model, edit, small_pages, sorted, to_pbf, to_xml};

#[derive(Debug, Clone)]
enum Op {
    ImportXml(Vec<osmdb::Entry>),
    ImportPbf(Vec<osmdb::Entry>),
    Put(ElementId, Payload),
    Delete(ElementId),
    /// Replaces one version, a head or not, and lets the others be.
    Fork(ElementId, Payload, Index),
}

fn op(spacing: i64) -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => tiny::file(spacing).prop_map(Op::ImportXml),
        1 => tiny::file(spacing).prop_map(Op::ImportPbf),
        4 => tiny::edited(spacing).prop_map(|(element, payload)| Op::Put(element, payload)),
        2 => tiny::element().prop_map(Op::Delete),
        2 => (tiny::edited(spacing), any::<Index>())
            .prop_map(|((element, payload), index)| Op::Fork(element, payload, index)),
    ]
}

fn case() -> impl Strategy<Value = (Vec<Op>, Vec<osmdb::BBox>)> {
    tiny::spacing().prop_flat_map(|spacing| (vec(op(spacing), 1..12), vec(tiny::bbox(spacing), 12)))
}

fn import(db: &Db<MemoryStore>, model: &mut Model, entries: Vec<osmdb::Entry>, bytes: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(file.path(), bytes).expect("a file can be written");
    let before = model.counts().entries;
    let imported = db.import(&[file.path()], |_, _| {}).expect("it can be imported");
    assert_eq!(imported.read, entries.len() as u64);
    entries.into_iter().for_each(|entry| model.add(entry));
    assert_eq!(imported.gained, model.counts().entries - before);
}

fn write(
    db: &Db<MemoryStore>,
    model: &mut Model,
    element: ElementId,
    payload: Option<Payload>,
    replaces: Replaces,
) {
    let version = edit(db, element, payload, replaces, 1_700_000_000);
    let heads = db.get(element).expect("it can be read");
    let head = heads.into_iter().find(|head| head.version == version).expect("an edit is a head");
    model.add(head.entry);
}

fn run(db: &Db<MemoryStore>, model: &mut Model, op: Op) {
    match op {
        Op::ImportXml(entries) => {
            let text = to_xml(&entries);
            import(db, model, entries, text.as_bytes());
        }
        Op::ImportPbf(entries) => {
            let bytes = to_pbf(&entries);
            import(db, model, entries, &bytes);
        }
        Op::Put(element, payload) => {
            write(db, model, element, Some(payload), Replaces::Heads);
        }
        Op::Delete(element) if model.versions(element).0.is_empty() => {
            assert!(matches!(db.delete(element), Err(Error::NotFound { .. })));
        }
        Op::Delete(element) => write(db, model, element, None, Replaces::Heads),
        Op::Fork(element, payload, index) => {
            let (heads, replaced) = model.versions(element);
            let known: Vec<_> = heads.into_iter().chain(replaced).map(|head| head.version).collect();
            let link = if known.is_empty() { Vec::new() } else { vec![*index.get(&known)] };
            write(db, model, element, Some(payload), Replaces::Versions(link));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_the_entries_say((ops, boxes) in case(), small in any::<bool>()) {
        let store = if small { small_pages() } else { MemoryStore::new() };
        let db = Db::with_store(store, "osm").unwrap();
        let mut model = Model::default();
        for op in ops {
            run(&db, &mut model, op);
            let map = Map::of(&model);
            for bbox in &boxes {
                let answer = sorted(db.snapshot().query(*bbox).collect::<Result<_, _>>().unwrap());
                prop_assert_eq!(answer, map.query(*bbox), "box {}", bbox);
            }
        }
        model.check(&db);
    }
}
