//! Static files that lie: each lie has its error, and the files are read no more. The table of faults is in
//! `sync::tests::bounds`.

use std::fs;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use prolly::Cid;
use prolly::cbor::{put_array, put_link, put_unsigned};

use super::format::{MAX_RECORD_BYTES, Manifest, PACK_MAGIC, PackFile, Place, Record};
use super::*;
use crate::db::{Db, Feature, Write};
use crate::entry::DeviceKey;
use crate::model::{BBox, Coord, ElementId, Payload, Tags};
use crate::remote::{BlockingRemote, OriginError, RemoteError};
use crate::signed_root::{SignedRoot, SignedRootError};

fn globe() -> BBox {
    "-180,-90,180,90".parse().unwrap()
}

/// Publishes a database whose trees have several levels; returns what a query finds.
fn publish(dir: &Path) -> Vec<Feature> {
    let db = Db::in_memory("osm").unwrap();
    let mut batch = db.batch();
    for id in 1..4_000_u64 {
        let lat = i64::try_from(id * 2_654_435_761 % 900_000_000).unwrap();
        let payload = Payload::Node { coord: Coord::new(lat, 7).unwrap(), tags: Tags::from([("a", "b")]) };
        batch.push(Write::put(ElementId::node(id), payload));
    }
    batch.commit().unwrap();
    db.publish_to(dir).unwrap();
    db.snapshot().query(globe()).collect::<Result<_, _>>().unwrap()
}

fn read<F: Files>(files: F) -> Result<Vec<Feature>, RemoteError> {
    let remote = BlockingRemote::open(PackOrigin::new(files))?;
    let found = remote.query(globe()).collect();
    let dropped = remote.dropped();
    match &found {
        Ok(_) => assert!(dropped.is_empty()),
        Err(error) => {
            assert_eq!(dropped.len(), 1, "{error}");
            assert!(matches!(remote.query(globe()).next(), Some(Err(RemoteError::NoOrigin))));
        }
    }
    found
}

/// Publishes, changes the manifest, and reads; returns the error.
#[track_caller]
fn with_manifest(change: impl FnOnce(&Path, &mut Manifest)) -> OriginError {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path());
    let path = dir.path().join(MANIFEST_NAME);
    let mut manifest = Manifest::decode(&fs::read(&path).unwrap()).unwrap();
    change(dir.path(), &mut manifest);
    fs::write(&path, manifest.encode().unwrap()).unwrap();
    failure(read(Directory::new(dir.path())))
}

#[track_caller]
fn failure(outcome: Result<Vec<Feature>, RemoteError>) -> OriginError {
    match outcome {
        Err(RemoteError::Origin { source, .. }) => source,
        Err(other) => panic!("{other}"),
        Ok(found) => panic!("{} were found", found.len()),
    }
}

/// Changes the places that the manifest names.
fn places(manifest: &mut Manifest, mut change: impl FnMut(&mut Place)) {
    manifest.tops.iter_mut().flat_map(|top| &mut top.places).for_each(&mut change);
    manifest.directory.clear();
}

#[test]
fn another_page_at_the_place_of_one() {
    let error = with_manifest(|_, manifest| {
        for top in &mut manifest.tops {
            let mut there: Vec<&mut Place> =
                top.places.iter_mut().filter(|place| !place.is_nowhere()).collect();
            let mut moved: Vec<Place> = there.iter().map(|place| **place).collect();
            moved.reverse();
            there.iter_mut().zip(moved).for_each(|(place, other)| **place = other);
        }
        manifest.directory.clear();
    });
    assert!(matches!(error, OriginError::Unasked { .. }), "{error}");
}

#[test]
fn places_that_cannot_be() {
    let error = with_manifest(|_, manifest| places(manifest, |place| place.pack = 999));
    assert!(matches!(error, OriginError::Pack(PackError::NoPack { number: 999 })), "{error}");
    // Beyond the end of the file that is named.
    let error = with_manifest(|_, manifest| places(manifest, |place| place.at += 60 << 20));
    assert!(matches!(error, OriginError::Pack(PackError::Truncated { .. })), "{error}");
    // Longer than any record.
    let error = with_manifest(|_, manifest| {
        places(manifest, |place| place.len = MAX_RECORD_BYTES as u64 + 1);
    });
    assert!(
        matches!(error, OriginError::Pack(PackError::Limit { what }) if what.contains("place")),
        "{error}"
    );
}

#[test]
fn signatures_that_are_none() {
    let signed = |root| SignedRoot::sign(&DeviceKey::new(&[7; 32]), root, 7);
    let error = with_manifest(|_, manifest| manifest.signed = Some(signed(Cid::of(b"another root"))));
    assert!(
        matches!(error, OriginError::Pack(PackError::Signature(SignedRootError::OtherRoot { .. }))),
        "{error}"
    );
    let spoilt = |manifest: &mut Manifest, spoil: fn(&mut Vec<u8>)| {
        let mut page = signed(manifest.root).encode();
        spoil(&mut page);
        manifest.signed = None;
        manifest.tops.push(Record { page: page.into(), places: Vec::new() });
    };
    let error = with_manifest(|_, manifest| {
        spoilt(manifest, |page| page.last_mut().into_iter().for_each(|byte| *byte ^= 1));
    });
    assert!(
        matches!(error, OriginError::Pack(PackError::Signature(SignedRootError::Forged { .. }))),
        "{error}"
    );
    let error = with_manifest(|_, manifest| spoilt(manifest, |page| page.push(0)));
    assert!(
        matches!(error, OriginError::Pack(PackError::Signature(SignedRootError::Malformed(_)))),
        "{error}"
    );
    let error = with_manifest(|_, manifest| {
        manifest.tops.push(Record { page: signed(manifest.root).encode().into(), places: Vec::new() });
    });
    assert!(
        matches!(error, OriginError::Pack(PackError::Limit { what }) if what.contains("signatures")),
        "{error}"
    );
}

#[test]
fn files_that_end_early() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path());
    for file in fs::read_dir(dir.path()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "osmpack") {
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
        }
    }
    let error = failure(read(Directory::new(dir.path())));
    assert!(matches!(error, OriginError::Pack(PackError::Truncated { .. })), "{error}");
}

/// Files that give more of a range than was asked for.
struct Generous(Directory);

impl Files for Generous {
    fn name(&self) -> String {
        self.0.name()
    }

    async fn read(&self, file: &str, range: Option<Range<u64>>, limit: usize) -> std::io::Result<Bytes> {
        let is_part = range.is_some();
        let mut bytes = self.0.read(file, range, limit).await?.to_vec();
        if is_part {
            bytes.resize(bytes.len() + (1 << 20), 7);
        }
        Ok(bytes.into())
    }
}

#[test]
fn files_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let expected = publish(dir.path());
    assert_eq!(read(Generous(Directory::new(dir.path()))).unwrap(), expected);
    fs::OpenOptions::new()
        .write(true)
        .open(dir.path().join(MANIFEST_NAME))
        .unwrap()
        .set_len(1 << 33)
        .unwrap();
    let error = failure(read_once(dir.path()));
    assert!(
        matches!(error, OriginError::Pack(PackError::Limit { what }) if what == "it is too long"),
        "{error}"
    );
    assert!(error.is_lie());
}

/// Opens, which fails.
fn read_once(dir: &Path) -> Result<Vec<Feature>, RemoteError> {
    BlockingRemote::open(PackOrigin::directory(dir)).map(|_| Vec::new())
}

#[test]
fn bombs() {
    // A record.
    let zeros = zstd::bulk::compress(&vec![0; MAX_RECORD_BYTES + 1], 3).unwrap();
    assert!(zeros.len() < 1_000);
    assert_eq!(Record::decode(&zeros), None);
    let error = with_manifest(|dir, manifest| {
        fs::write(dir.join("bomb.osmpack"), [&PACK_MAGIC[..], &zeros].concat()).unwrap();
        let size = (PACK_MAGIC.len() + zeros.len()) as u64;
        manifest.packs.push(PackFile { number: 77, name: "bomb.osmpack".to_owned(), size });
        let bomb = Place { pack: 77, at: PACK_MAGIC.len() as u64, len: zeros.len() as u64, more: 0 };
        places(manifest, |place| *place = bomb);
    });
    assert!(
        matches!(&error, OriginError::Pack(PackError::Record { file, at: 16 }) if file == "bomb.osmpack"),
        "{error}"
    );
    // A manifest.
    let zeros = zstd::bulk::compress(&vec![0; MAX_MANIFEST_BYTES + 1], 3).unwrap();
    let error = failure(manifest_of(&zeros));
    assert!(
        matches!(error, OriginError::Pack(PackError::Limit { what }) if what.contains("decompressed")),
        "{error}"
    );
}

/// Reads with a manifest of this, compressed.
fn manifest_of(stored: &[u8]) -> Result<Vec<Feature>, RemoteError> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(MANIFEST_NAME), [&b"osmdb manifest\n\0"[..], stored].concat()).unwrap();
    read_once(dir.path())
}

#[test]
fn absurd_counts() {
    // More packs, pages, or places than there are bytes, with a head of eight bytes.
    let head = [0x9b, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff];
    for lists in 0..3 {
        let mut body = Vec::new();
        put_array(&mut body, 5);
        put_unsigned(&mut body, 1);
        put_link(&mut body, &Cid::of(b"root"));
        (0..lists).for_each(|_| put_array(&mut body, 0));
        body.extend(head);
        let error = failure(manifest_of(&zstd::bulk::compress(&body, 3).unwrap()));
        assert!(matches!(error, OriginError::Pack(PackError::Manifest(_))), "{error}");
        assert!(error.is_lie());
    }
}

#[test]
fn a_root_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path());
    let path = dir.path().join(MANIFEST_NAME);
    let mut manifest = Manifest::decode(&fs::read(&path).unwrap()).unwrap();
    (manifest.root, manifest.signed) = (Cid::of(b"another root"), None);
    fs::write(&path, manifest.encode().unwrap()).unwrap();
    let error = failure(read_once(dir.path()));
    assert!(matches!(error, OriginError::Missing(cid) if cid == Cid::of(b"another root")), "{error}");
}
