//! The encoding, and which versions are heads.

use prolly::cbor::Reader;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::model::{BBox, Closed, Coord, Kind, MAX_ID, Member, Tags};

fn id() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1..100u64, 1 => 1..=MAX_ID, 1 => Just(MAX_ID)]
}

fn tags() -> impl Strategy<Value = Tags> {
    vec((".{0,5}", ".{0,30}"), 0..4).prop_map(|tags| tags.into_iter().collect())
}

fn coord() -> impl Strategy<Value = Coord> {
    (-900_000_000i64..=900_000_000, -1_800_000_000i64..=1_800_000_000)
        .prop_map(|(lat, lon)| Coord::new(lat, lon).unwrap())
}

fn closed() -> impl Strategy<Value = Closed> {
    let bbox = (coord(), coord()).prop_filter_map("south below north", |(a, b)| BBox::new(a, b).ok());
    (any::<i64>(), option::of(bbox)).prop_map(|(at, bbox)| Closed { at, bbox })
}

fn signed() -> impl Strategy<Value = Signed> {
    (any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(author, half)| Signed {
        author: Author::new(author),
        signature: Signature::new([half, author].concat().try_into().unwrap()),
    })
}

fn member() -> impl Strategy<Value = Member> {
    let kind = prop_oneof![Just(Kind::Node), Just(Kind::Way), Just(Kind::Relation)];
    (kind, id(), ".{0,8}").prop_map(|(kind, id, role)| Member { element: ElementId::new(kind, id), role })
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        (coord(), tags()).prop_map(|(coord, tags)| Payload::Node { coord, tags }),
        (vec(id(), 0..20), tags()).prop_map(|(refs, tags)| Payload::Way { refs, tags }),
        (vec(member(), 0..8), tags()).prop_map(|(members, tags)| Payload::Relation { members, tags }),
        (tags(), option::of(closed())).prop_map(|(tags, closed)| Payload::Changeset { tags, closed }),
    ]
}

fn origin() -> impl Strategy<Value = Origin> {
    let imported = (
        option::of(0..9u64),
        option::of(any::<i64>()),
        option::of(any::<u64>()),
        option::of(any::<u64>()),
        option::of(".{1,8}"),
    )
        .prop_map(|(version, timestamp, changeset, uid, user)| {
            Origin::Imported(OsmMeta { version, timestamp, changeset, uid, user })
        });
    let edited = (
        proptest::collection::btree_set(any::<[u8; 32]>(), 0..4),
        option::of(any::<u64>()),
        any::<i64>(),
        option::of(signed()),
    )
        .prop_map(|(links, changeset, timestamp, signed)| {
            let links = links.into_iter().map(Version).collect();
            Origin::Edited(EditMeta { links, changeset, timestamp, signed })
        });
    prop_oneof![imported, edited]
}

pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    (payload(), any::<bool>(), id(), origin()).prop_map(|(payload, live, id, origin)| {
        let element = ElementId::new(payload.kind(), id);
        Entry { element, payload: live.then_some(payload), origin }
    })
}

proptest! {
    #[test]
    fn a_record_reads_back_as_it_was(entry in entry()) {
        let known = Known::new(entry.clone());
        let again = Known::decode(entry.element, &known.body).unwrap();
        prop_assert_eq!(&again.entry, &entry);
        prop_assert_eq!(again.version, entry.version());
        prop_assert_eq!(again.version.to_string().parse::<Version>().unwrap(), again.version);
    }

    #[test]
    fn what_is_read_would_be_written_the_same(entry in entry(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = Known::new(entry.clone()).body;
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(read) = Known::decode(entry.element, &body) {
            prop_assert_eq!(Known::new(read.entry).body, body);
        }
    }

    #[test]
    fn a_signature_holds_for_what_was_signed_and_nothing_else(
        entry in entry(), other in entry(), secret in any::<[u8; 32]>(), byte in 0..64usize, bit in 0..8u8,
    ) {
        let key = DeviceKey::new(&secret);
        let mut signed = entry.clone();
        key.sign(&mut signed);
        let Origin::Edited(meta) = signed.origin.clone() else {
            prop_assert_eq!(signed, entry);
            return Ok(());
        };
        prop_assert_eq!(signed.check_signature(), Ok(Some(key.author())));
        prop_assert_eq!(signed.author(), Some(key.author()));
        let again = Known::decode(signed.element, &Known::new(signed.clone()).body).unwrap().entry;
        prop_assert_eq!(again.check_signature(), Ok(Some(key.author())));

        let seal = meta.signed.unwrap();
        let sealed = |meta: &EditMeta| Origin::Edited(EditMeta { signed: Some(seal), ..meta.clone() });
        let mut bytes = *seal.signature.as_bytes();
        bytes[byte] ^= 1 << bit;
        let torn = Signed { signature: Signature::new(bytes), ..seal };
        let changed = [
            Entry { element: ElementId { id: signed.element.id ^ 1, ..signed.element }, ..signed.clone() },
            Entry { payload: other.payload, ..signed.clone() },
            Entry { origin: sealed(&EditMeta { timestamp: meta.timestamp ^ 1, ..meta.clone() }), ..signed.clone() },
            Entry { origin: sealed(&EditMeta { links: vec![Version([7; 32])], ..meta.clone() }), ..signed.clone() },
            Entry { origin: Origin::Edited(EditMeta { signed: Some(torn), ..meta.clone() }), ..signed.clone() },
        ];
        for changed in changed.into_iter().filter(|changed| *changed != signed) {
            let error = SignatureError { author: key.author() };
            prop_assert_eq!(changed.check_signature(), Err(error));
        }
    }

    #[test]
    fn a_glance_sees_what_decoding_does(entry in entry()) {
        let known = Known::new(entry.clone());
        let (element, encoded) = (entry.element, known.encoded());
        prop_assert_eq!(payload_end(element.kind, &known.body).unwrap(), encoded.payload_end);
        prop_assert_eq!(encoded.changeset().unwrap(), entry.changeset());
        prop_assert_eq!(is_deleted(&known.body), entry.payload.is_none());
        let mut tags = Vec::new();
        entry.payload.iter().for_each(|payload| put_tags(&mut tags, payload.tags()));
        let mut named = Vec::new();
        match glance(element.kind, &known.body).unwrap() {
            Glance::Node(coord, at) => {
                let same = matches!(&entry.payload, Some(Payload::Node { coord: known, .. }) if *known == coord);
                prop_assert!(same);
                prop_assert_eq!(encoded.rest(at), tags);
            }
            Glance::Way(mut refs) => {
                while let Some(id) = refs.next().unwrap() {
                    named.push(ElementId::node(id));
                }
                prop_assert_eq!(encoded.rest(refs.position()), tags);
            }
            Glance::Relation(mut members) => {
                while let Some(member) = members.next().unwrap() {
                    named.push(member);
                }
            }
            Glance::Deleted | Glance::Changeset => {}
        }
        let expected: Vec<_> = entry.payload.iter().flat_map(Payload::references).collect();
        prop_assert_eq!(named, expected);
        let value = Known::encode_heads(std::iter::once(&known));
        let versions = Known::decode_versions(element, &value).unwrap();
        prop_assert_eq!(versions, vec![(known.version, entry)]);
        prop_assert_eq!(only_head(&value), Some(&known.body[..]));
    }

    #[test]
    fn damaged_records_never_panic(bytes in vec(any::<u8>(), 0..80), entry in entry()) {
        drop(Known::decode(entry.element, &bytes));
        drop(Known::decode_heads(entry.element, &bytes));
        drop(Known::decode_versions(entry.element, &bytes));
        drop(payload_end(entry.element.kind, &bytes));
        drop(single_coord(&bytes));
        let body = Known::new(entry.clone()).body;
        for end in 0..body.len() {
            prop_assert!(Known::decode(entry.element, &body[..end]).is_err());
        }
    }
}

#[test]
fn the_version_is_the_hash_of_the_whole_record() {
    let coord = Coord::new(425_000_000, -15_000_000).unwrap();
    let origin = Origin::Imported(OsmMeta { version: Some(3), ..OsmMeta::default() });
    let entry = Entry {
        element: ElementId::node(7),
        payload: Some(Payload::Node { coord, tags: Tags::new() }),
        origin,
    };
    let record = [
        0x83, 0x00, 0x07, // [node, 7, body]
        0x82, 0x83, 0x1a, 0x19, 0x54, 0xfc, 0x40, 0x3a, 0x00, 0xe4, 0xe1, 0xbf,
        0x80, // [[lat, lon, []], …
        0x85, 0x03, 0xf6, 0xf6, 0xf6, 0xf6, // … [3, null, null, null, null]]
    ];
    assert_eq!(entry.version(), Version(*blake3::hash(&record).as_bytes()));
    let value: Vec<u8> = [&[0x81], &record[3..]].concat();
    assert_eq!(single_coord(&value).unwrap(), Some(coord));
    assert!(Reader::new(&value).is_array());
}

/// A node at a latitude, as a file gives it.
fn imported(lat: i64, version: u64, timestamp: Option<i64>) -> Entry {
    let coord = Coord::new(lat, 0).unwrap();
    let meta = OsmMeta { version: Some(version), timestamp, ..OsmMeta::default() };
    let payload = Some(Payload::Node { coord, tags: Tags::new() });
    Entry { element: ElementId::node(1), payload, origin: Origin::Imported(meta) }
}

fn edited(lat: i64, links: &[&Entry]) -> Entry {
    let mut links: Vec<Version> = links.iter().map(|entry| entry.version()).collect();
    links.sort_unstable();
    let origin = Origin::Edited(EditMeta { links, timestamp: 9, ..EditMeta::default() });
    Entry { origin, ..imported(lat, 0, None) }
}

/// The heads among some entries, whatever order they come in.
fn heads(entries: &[&Entry]) -> Vec<Entry> {
    let mut all: Vec<Known> = entries.iter().map(|entry| Known::new((*entry).clone())).collect();
    let mut found: Option<Vec<Version>> = None;
    for _ in 0..all.len() {
        all.rotate_left(1);
        let flags = superseded(&all);
        let mut heads: Vec<_> = all
            .iter()
            .zip(flags)
            .filter(|(_, superseded)| !superseded)
            .map(|(known, _)| known.version)
            .collect();
        heads.sort_unstable();
        assert_eq!(found.get_or_insert_with(|| heads.clone()), &heads, "order must not matter");
    }
    let found = found.unwrap_or_default();
    entries.iter().filter(|entry| found.contains(&entry.version())).map(|entry| (*entry).clone()).collect()
}

#[test]
fn a_higher_osm_version_supersedes() {
    let (old, new) = (imported(1, 3, None), imported(2, 5, None));
    assert_eq!(heads(&[&old, &new]), [new]);
}

#[test]
fn other_content_at_the_same_version_stays() {
    let (one, other) = (imported(1, 3, None), imported(2, 3, None));
    assert_eq!(heads(&[&one, &other]), [one, other]);
}

#[test]
fn the_same_content_with_more_metadata_supersedes() {
    let (bare, full) = (imported(1, 3, None), imported(1, 3, Some(7)));
    assert_eq!(heads(&[&bare, &full]), [full]);
}

#[test]
fn an_edit_forks_against_a_newer_import_and_supersedes_the_one_it_knew() {
    let (old, new) = (imported(1, 3, None), imported(2, 5, None));
    let edit = edited(9, &[&old]);
    assert_eq!(heads(&[&old, &edit]), std::slice::from_ref(&edit));
    assert_eq!(heads(&[&old, &edit, &new]), [edit.clone(), new.clone()]);
    let merged = edited(8, &[&edit, &new]);
    assert_eq!(heads(&[&old, &edit, &new, &merged]), [merged]);
}

#[test]
fn an_edit_covers_the_same_content_from_another_file() {
    let (bare, full) = (imported(1, 3, None), imported(1, 3, Some(7)));
    let edit = edited(9, &[&bare]);
    assert_eq!(heads(&[&bare, &full, &edit]), [edit]);
}

#[test]
fn two_edits_of_one_version_fork() {
    let old = imported(1, 3, None);
    let (ours, theirs) = (edited(5, &[&old]), edited(6, &[&old]));
    assert_eq!(heads(&[&old, &ours, &theirs]), [ours, theirs]);
}
