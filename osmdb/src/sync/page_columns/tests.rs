use bytes::Bytes;
use prolly::cbor::{Reader, put_bytes};
use prolly::{MAX_PAGE_BYTES, MemoryStore, PageSource, Tree};
use proptest::prelude::*;

use super::*;
use crate::db::Db;
use crate::sync::message::PAGES;
use crate::sync::{Outgoing, SyncError};

fn written(pages: &[Bytes]) -> Vec<u8> {
    let mut writer = PageWriter::default();
    pages.iter().for_each(|page| writer.push(page));
    let mut out = Vec::new();
    writer.finish(&mut out);
    out
}

fn read(body: &[u8]) -> Result<Vec<Bytes>, SyncError> {
    PageReader::new(&mut Reader::new(body))?.collect()
}

fn body_of<C: AsRef<[u8]>>(columns: &[C]) -> Vec<u8> {
    let mut body = Vec::new();
    columns.iter().for_each(|column| put_bytes(&mut body, column.as_ref()));
    body
}

/// Any item that CBOR has, and some that it has not.
fn item() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        (any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(first, rest)| [
            &[first][..],
            &rest
        ]
        .concat()),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| {
            let mut out = Vec::new();
            put_bytes(&mut out, &bytes);
            out
        }),
        any::<u16>().prop_map(|number| [&[0x19][..], &number.to_be_bytes()].concat()),
        any::<u32>().prop_map(|number| [&[0x3a][..], &number.to_be_bytes()].concat()),
        any::<u64>().prop_map(|number| [&[0x1b][..], &number.to_be_bytes()].concat()),
        "[a-z]{0,30}".prop_map(|text| [&[0x78, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()),
        Just(vec![0xf6]),
    ];
    leaf.prop_recursive(4, 40, 6, |item| {
        let array = prop::collection::vec(item.clone(), 0..6)
            .prop_map(|items| [&[0x80 | u8::try_from(items.len()).unwrap()][..], &items.concat()].concat());
        let string = (item.clone(), any::<bool>()).prop_map(|(item, short)| {
            let mut out = Vec::new();
            match u16::try_from(item.len()) {
                // Its length in more bytes than it needs.
                Ok(len) if !short => {
                    out.push(0x59);
                    out.extend_from_slice(&len.to_be_bytes());
                    out.extend_from_slice(&item);
                }
                _ => put_bytes(&mut out, &item),
            }
            out
        });
        let tag = item.prop_map(|item| [&[0xd8, 42][..], &item].concat());
        prop_oneof![array, string, tag]
    })
}

proptest! {
    #[test]
    fn pages_come_out_as_they_went_in(pages in prop::collection::vec(item(), 1..20)) {
        let pages: Vec<Bytes> = pages.into_iter().filter(|page| !page.is_empty()).map(Bytes::from).collect();
        prop_assume!(!pages.is_empty());
        prop_assert_eq!(read(&written(&pages)).unwrap(), pages);
    }

    #[test]
    fn any_columns_are_pages_or_an_error(columns in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), COLUMNS)) {
        if let Ok(pages) = read(&body_of(&columns)) {
            prop_assert!(pages.iter().all(|page| (1..=MAX_PAGE_BYTES).contains(&page.len())));
            prop_assert!(!pages.is_empty());
        }
    }
}

/// All pages of a tree, a page behind the one that names it.
fn pages_of(db: &Db<MemoryStore>, tree: &Tree) -> Vec<Bytes> {
    let (mut pages, mut next) = (Vec::new(), vec![tree.root]);
    while let Some(cid) = next.pop() {
        let page = db.store().page(&cid).unwrap().unwrap();
        next.extend((0..page.len()).filter_map(|index| page.child(index)));
        pages.push(page.bytes().clone());
    }
    pages
}

#[test]
fn pages_of_a_database_become_fewer_bytes() {
    // Imported, so that each run has the same pages.
    let node = |n: u64| {
        let (lat, lon) = (n / 100, n * n % 180);
        let tags = format!("<tag k='highway' v='crossing'/><tag k='ref' v='{n}'/>");
        format!("<node id='{n}' version='1' lat='{lat}.{n:0>6}' lon='{lon}.{n:0>5}'>{tags}</node>")
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nodes.osm");
    std::fs::write(&path, format!("<osm>{}</osm>", (1..=3_000).map(node).collect::<String>())).unwrap();
    let db = Db::in_memory("osm").unwrap();
    db.import(&[&path], |_, _| {}).unwrap();
    let trees = db.snapshot().root().trees;
    for tree in [trees.heads, trees.spatial, trees.tags] {
        let pages = pages_of(&db, &tree);
        assert!(pages.len() > 10);
        let columns = written(&pages);
        assert_eq!(read(&columns).unwrap(), pages);
        let (mut by_columns, mut by_pages) = (Outgoing::new(), Outgoing::new());
        by_columns.push_columns(PAGES, &columns).unwrap();
        by_pages.push(PAGES, &pages.concat(), true).unwrap();
        assert!(by_columns.total < by_pages.total, "{} bytes, not {}", by_columns.total, by_pages.total);
    }
}

#[test]
fn the_example_of_the_specification() {
    let page = [0x83, 0, 0x81, 0x41, 0x61, 0x81, 0x44, 0x81, 0x19, 1, 2];
    let mut columns = [&[][..]; COLUMNS];
    columns[SHAPES] = &[0x83, 0, 0x81, 0x41, 0x81, 0x5f, 0x81, 0x19];
    (columns[2], columns[3], columns[STRINGS]) = (&[1], &[2], &[0x61]);
    assert_eq!(written(&[Bytes::copy_from_slice(&page)]), body_of(&columns));
    let mut columns = [&[][..]; COLUMNS];
    (columns[SHAPES], columns[STRINGS]) = (&[0xff], &page);
    (columns[4], columns[5], columns[6], columns[7]) = (&[0], &[0], &[0], &[11]);
    assert_eq!(read(&body_of(&columns)).unwrap(), [&page[..]]);
}

#[test]
fn columns_that_do_not_belong_together_are_refused() {
    let page = Bytes::from_static(&[0x82, 0x19, 1, 2, 0x43, 0x81, 0x61, 0x61]);
    let whole = written(std::slice::from_ref(&page));
    assert_eq!(read(&whole).unwrap(), [page]);
    // Each byte taken away, and each added.
    for column in 0..COLUMNS {
        let mut reader = Reader::new(&whole);
        let columns: Vec<&[u8]> = (0..COLUMNS).map(|_| reader.bytes().unwrap()).collect();
        let with = |bytes: &[u8]| {
            let mut columns = columns.clone();
            columns[column] = bytes;
            read(&body_of(&columns))
        };
        let longer = with(&[columns[column], &[0]].concat());
        // Another item in front of the end is another page.
        assert!(if column == SHAPES { longer.is_ok() } else { longer.is_err() }, "{column}");
        if let Some((_, shorter)) = columns[column].split_last() {
            assert!(with(shorter).is_err(), "{column}");
        }
    }
    // No columns, an empty page, a map, a string of unknown length inside another one, more items than there are.
    for body in [&written(&[])[..], &written(&[Bytes::new()]), &shapes(&[0xa0]), &shapes(&[0x5f, 0x5f, 0x80])]
    {
        assert!(matches!(read(body), Err(SyncError::Message { kind: PAGES })), "{body:?}");
    }
    assert!(read(&shapes(&[0x9b])).is_err());
}

fn shapes(shapes: &[u8]) -> Vec<u8> {
    let mut columns = [&[][..]; COLUMNS];
    columns[SHAPES] = shapes;
    body_of(&columns)
}

#[test]
fn no_page_is_longer_than_any() {
    let long = Bytes::from(vec![0; MAX_PAGE_BYTES]);
    assert_eq!(read(&written(std::slice::from_ref(&long))).unwrap(), [long]);
    assert!(read(&written(&[Bytes::from(vec![0; MAX_PAGE_BYTES + 1])])).is_err());
    let mut item = Vec::new();
    put_bytes(&mut item, &vec![7; MAX_PAGE_BYTES]);
    assert!(read(&written(&[item.into()])).is_err());
}
