//! Reading through the library: filters, pages of results and counts against what a plain look at
//! everything finds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod maps;

use std::collections::BTreeSet;

use maps::{bbox, database, entries};
use osmdb::{CursorError, ElementId, Feature, Filter, Kind, Snapshot};
use prolly::PageSource;
use proptest::prelude::*;

fn filters() -> impl Strategy<Value = Filter> {
    let some = vec![
        "",
        "node",
        "way",
        "relation",
        "node|relation",
        "!node",
        "kind",
        "!kind",
        "kind=a",
        "kind!=a",
        "kind~=A",
        "way and kind!=b",
        "relation and kind",
        "kind and kind!=a and kind~=b",
        "changeset",
    ];
    prop::sample::select(some).prop_map(|text| text.parse().unwrap())
}

fn all<S: PageSource>(snapshot: &Snapshot<S>, bbox: osmdb::BBox) -> Vec<Feature> {
    snapshot.query(bbox).map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_filter_leaves_out_and_nothing_else(entries in entries(), bbox in bbox(), filter in filters()) {
        let db = database(&entries);
        let snapshot = db.snapshot();
        let expected: Vec<Feature> = all(&snapshot, bbox)
            .into_iter()
            .filter(|feature| filter.matches(feature.element.kind, &feature.tags))
            .collect();
        let found: Vec<Feature> = snapshot.query(bbox).filter(&filter).map(Result::unwrap).collect();
        prop_assert_eq!(&found, &expected);
        let elements: BTreeSet<ElementId> = found.iter().map(|feature| feature.element).collect();
        prop_assert_eq!(snapshot.query(bbox).filter(&filter).count_elements().unwrap(), elements.len() as u64);
    }

    #[test]
    fn pages_of_results_together_are_all(
        entries in entries(),
        bbox in bbox(),
        filter in filters(),
        limits in prop::collection::vec(0..9_usize, 1..4),
    ) {
        let db = database(&entries);
        let snapshot = db.snapshot();
        let expected: Vec<Feature> = snapshot.query(bbox).filter(&filter).map(Result::unwrap).collect();
        let mut found = Vec::new();
        let mut query = snapshot.query(bbox).filter(&filter);
        for limit in limits.into_iter().chain(std::iter::repeat(3)) {
            let page: Vec<Feature> = query.by_ref().take(limit).map(Result::unwrap).collect();
            let is_last = page.len() < limit;
            found.extend(page);
            let cursor: osmdb::Cursor = query.save().to_string().parse().unwrap();
            prop_assert_eq!(&osmdb::Cursor::from_bytes(&cursor.to_bytes()), &Ok(cursor.clone()));
            query = snapshot.query(bbox).filter(&filter).after(&cursor).unwrap();
            if is_last {
                break;
            }
        }
        prop_assert!(query.next().is_none(), "a query that ended stays at its end");
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn bytes_are_a_cursor_or_not(at in 0..100_usize, bit in 0..8, entries in entries()) {
        let db = database(&entries);
        let snapshot = db.snapshot();
        let everywhere = "-180,-90,180,90".parse().unwrap();
        let mut query = snapshot.query(everywhere);
        query.next();
        let mut bytes = query.save().to_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1_u8 << bit;
        // Whatever is read from changed bytes, the query ends and does not panic.
        if let Ok(cursor) = osmdb::Cursor::from_bytes(&bytes)
            && let Ok(query) = snapshot.query(everywhere).after(&cursor)
        {
            prop_assert!(query.count() <= all(&snapshot, everywhere).len());
        }
    }
}

#[test]
fn a_cursor_belongs_to_its_root_box_and_filter() {
    let db = maps::village();
    let snapshot = db.snapshot();
    let (here, there) = ("0,0,1,1".parse().unwrap(), "0,0,2,2".parse().unwrap());
    let filter = Filter::new().of(&[Kind::Node]);
    let mut query = snapshot.query(here);
    query.next();
    let cursor = query.save();
    assert_eq!(cursor.root(), db.root());
    assert!(snapshot.query(here).after(&cursor).is_ok());
    assert_eq!(snapshot.query(there).after(&cursor).unwrap_err(), CursorError::OtherQuestion);
    assert_eq!(snapshot.query(here).filter(&filter).after(&cursor).unwrap_err(), CursorError::OtherQuestion);
    db.delete(ElementId::node(1)).unwrap();
    let now = db.snapshot();
    let refused = now.query(here).after(&cursor).unwrap_err();
    assert_eq!(refused, CursorError::OtherRoot { cursor: snapshot.root().cid(), here: db.root() });
    for text in ["", "zz", "0", &"00".repeat(300), &cursor.to_string()[2..], &format!("{cursor}00")] {
        assert!(text.parse::<osmdb::Cursor>().is_err(), "{text}");
    }
}
