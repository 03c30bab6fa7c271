//! Searches over a source that lacks pages.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use prolly::{Cid, MemoryStore, StoreError};

use super::*;
use crate::db::Db;
use crate::model::Coord;

/// A source that has only what was fetched.
struct Partial<'a> {
    all: &'a MemoryStore,
    here: Mutex<HashSet<Cid>>,
}

impl PageSource for Partial<'_> {
    fn load(&self, cid: &Cid) -> Result<Option<bytes::Bytes>, StoreError> {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if here.contains(cid) { self.all.load(cid) } else { Ok(None) }
    }
}

/// Runs a step to its end, and says how often pages had to be fetched.
fn fetched<T>(
    source: &Partial<'_>,
    rounds: &mut usize,
    mut step: impl FnMut() -> Result<Step<T>, Error>,
) -> T {
    loop {
        match step().unwrap() {
            Step::Ready(ready) => return ready,
            Step::Missing(cids) => {
                assert!(!cids.is_empty());
                *rounds += 1;
                let mut here = source.here.lock().unwrap();
                assert!(cids.into_iter().filter(|cid| here.insert(*cid)).count() > 0, "asked for anew");
            }
        }
    }
}

#[test]
fn a_search_for_tags_goes_on_where_pages_were_missing() {
    let db = Db::in_memory("osm").unwrap();
    let mut batch = db.batch();
    for number in 0..6_000_i64 {
        let mut tags = Tags::from([("name", format!("number {number}"))]);
        if number % 8 == 0 {
            tags.push("kind", if number % 80 == 0 { "rare" } else { "some" });
        }
        let coord = Coord::new(number % 97 * 50_000, number % 89 * 50_000).unwrap();
        batch.create(Payload::Node { coord, tags }).unwrap();
    }
    batch.commit().unwrap();
    let root = db.root_record();
    for bbox in [None, Some("0.1,0.1,0.4,0.4".parse().unwrap())] {
        for (filter, all) in [("", 6_000), ("kind=some", 675), ("node and kind=rare", 75), ("kind", 750)] {
            let filter: Filter = filter.parse().unwrap();
            let expected: Vec<Feature> =
                Query::new(db.store(), &root, bbox).filter(&filter).map(Result::unwrap).collect();
            assert!(bbox.is_some() || expected.len() == all, "{filter}: {}", expected.len());
            let source = Partial { all: db.store(), here: Mutex::default() };
            let mut find = Find::new(&root, bbox, filter.clone(), Place::Begin);
            let (mut found, mut rounds) = (Vec::new(), 0);
            while let Some((_, feature)) = fetched(&source, &mut rounds, || find.step(&source)) {
                found.push(feature);
            }
            assert_eq!(found, expected, "{filter}");
            assert!(rounds < 20, "{filter} took {rounds} rounds");
            let source = Partial { all: db.store(), here: Mutex::default() };
            let mut count = Count::new(&root, bbox, filter.clone());
            let count = fetched(&source, &mut rounds, || count.step(&source));
            assert_eq!(count, expected.len() as u64, "{filter}");
        }
    }
}
