//! Boxes on real extracts: the answer is what a scan of the file finds.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

use osmdb::Db;
use osmdb::io::Reader;
use tests::{Map, Model, Rng, boxes_around, data, sorted};

const BOXES: usize = 200;

fn check(name: &str, seed: u64) {
    let Some(path) = data(name) else { return };
    let db = Db::in_memory("osm").unwrap();
    db.import(&[&path], |_, _| {}).unwrap();
    let map = Map::of(&Model::of(Reader::open(&path).unwrap().map(Result::unwrap)));
    let snapshot = db.snapshot();
    let mut found = 0;
    for bbox in boxes_around(&map, BOXES, &mut Rng::new(seed)) {
        let expected = map.query(bbox);
        let answer = sorted(snapshot.query(bbox).collect::<Result<_, _>>().unwrap());
        // Printing thousands of features would help nobody.
        let differs = answer.iter().zip(&expected).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}, box {bbox}");
        assert_eq!(answer.len(), expected.len(), "seed {seed}, box {bbox}");
        found += answer.len();
    }
    println!("{name}: {BOXES} boxes, {found} features");
}

#[test]
fn monaco() {
    check("monaco-2023.osm.pbf", 1);
}

#[test]
fn andorra() {
    check("andorra-2023.osm.pbf", 2);
}

#[test]
fn grid() {
    check("grid.osm", 3);
}

#[test]
fn history() {
    check("history.osm", 4);
}
