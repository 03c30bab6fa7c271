//! Who is believed what the root is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use osmdb::{
    BlockingRemote, Coord, Db, Directory, PackOrigin, Payload, RemoteError, RemoteOptions, SignedRoot,
    Signers, Tags, TrustError,
};
use prolly::{FjallStore, MemoryStore};
use std::path::Path;

use crate::program::{MAP, Place};
use crate::sync::Served;

fn edit(db: &Db<MemoryStore>) {
    db.create(Payload::Node { coord: Coord::new(0, 0).unwrap(), tags: Tags::new() }).unwrap();
}

/// Reads what is published, with a cache on disk.
fn open(options: &RemoteOptions, site: &Path, cache: &Path) -> Result<Option<SignedRoot>, TrustError> {
    let origins = vec![PackOrigin::directory(site)];
    match BlockingRemote::open_with(options, origins, FjallStore::open(cache).unwrap()) {
        Ok(remote) => Ok(remote.signed()),
        Err(RemoteError::Trust { source, .. }) => Err(source),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn only_the_roots_of_whom_one_trusts_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (site, cache) = (dir.path().join("site"), dir.path().join("cache"));
    let (ours, theirs) = (Db::in_memory("osm").unwrap(), Db::in_memory("osm").unwrap());
    let us = RemoteOptions::default().trusting([ours.author().unwrap()]);
    ours.snapshot().publish_to(&mut Directory::new(&site)).unwrap();
    assert_eq!(open(&us, &site, &cache), Err(TrustError::Unsigned { root: ours.root() }));
    assert_eq!(open(&RemoteOptions::default(), &site, &cache), Ok(None));
    // The same root, now signed: only the manifest is written.
    let published = ours.publish_to(&site).unwrap();
    assert!(published.packs == 0 && published.bytes > 0);
    assert_eq!(ours.publish_to(&site).unwrap().bytes, 0);
    assert_eq!(open(&us, &site, &cache), Ok(Some(ours.sign_root().unwrap())));
    // Both have the same root, and who stands for it is another.
    theirs.publish_to(&site).unwrap();
    let author = theirs.author().unwrap();
    assert_eq!(open(&us, &site, &cache), Err(TrustError::Stranger { author }));
    let either = RemoteOptions { signers: Some(Signers::those(|_| true)), ..RemoteOptions::default() };
    assert_eq!(open(&either, &site, &cache), Ok(Some(theirs.sign_root().unwrap())));
    // Who names a root needs nobody.
    assert_eq!(open(&us.clone().root(ours.root()), &site, &cache), Ok(None));
}

#[test]
fn an_older_root_than_one_that_was_seen_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (site, cache) = (dir.path().join("site"), dir.path().join("cache"));
    let manifest = site.join(osmdb::MANIFEST_NAME);
    let db = Db::in_memory("osm").unwrap();
    let author = db.author().unwrap();
    let us = RemoteOptions::default().trusting([author]);
    edit(&db);
    db.publish_to(&site).unwrap();
    let old = (db.sign_root().unwrap(), std::fs::read(&manifest).unwrap());
    assert_eq!(open(&us, &site, &cache), Ok(Some(old.0)));
    edit(&db);
    db.publish_to(&site).unwrap();
    let new = db.sign_root().unwrap();
    let origins = vec![PackOrigin::directory(&site)];
    let mut watching = BlockingRemote::open_with(&us, origins, MemoryStore::new()).unwrap();
    // Whoever has not seen the new one is told nothing by the old one.
    std::fs::write(&manifest, &old.1).unwrap();
    assert_eq!(open(&us, &site, &cache), Ok(Some(old.0)));
    db.publish_to(&site).unwrap();
    assert_eq!(open(&us, &site, &cache), Ok(Some(new)));
    std::fs::write(&manifest, &old.1).unwrap();
    let older = TrustError::Older { author, seen: new.number(), found: old.0.number() };
    assert_eq!(open(&us, &site, &cache), Err(older));
    match watching.refresh() {
        Err(RemoteError::Trust { source, .. }) => assert_eq!(source, older),
        other => panic!("{other:?}"),
    }
    assert_eq!(watching.root(), new.root(), "it stays at the root that it had");
    // Who trusts nobody in particular reads what there is.
    assert_eq!(open(&RemoteOptions::default(), &site, &cache), Ok(Some(old.0)));
    // To go back is a statement of its own, and later than all before.
    db.undo().unwrap();
    db.publish_to(&site).unwrap();
    let back = open(&us, &site, &cache).unwrap().unwrap();
    assert!(back.root() == old.0.root() && back.number() > new.number());
}

#[test]
fn a_signer_who_says_two_things_at_once_is_noticed() {
    use osmdb::{Announced, DeviceKey, Incoming, OriginError, PageOrigin, Request, Traffic};

    /// Says which root it has, and gives the pages of one.
    struct Two(Db<MemoryStore>, SignedRoot);

    impl PageOrigin for Two {
        fn name(&self) -> String {
            "two".to_owned()
        }

        async fn root(&self) -> Result<prolly::Cid, OriginError> {
            Ok(self.1.root())
        }

        async fn announced(&self) -> Result<Announced, OriginError> {
            Ok(Announced { root: self.1.root(), signed: Some(self.1), peer: None })
        }

        async fn read(&self, request: &Request<'_>, pages: &mut Incoming) -> Result<(), OriginError> {
            for cid in request.missing {
                if let Some(page) = prolly::PageSource::load(self.0.store(), cid)? {
                    pages.page(page)?;
                }
            }
            Ok(())
        }

        fn traffic(&self) -> Traffic {
            Traffic::default()
        }
    }

    let key = DeviceKey::generate().unwrap();
    let options = RemoteOptions::default().trusting([key.author()]);
    let dir = tempfile::tempdir().unwrap();
    let ask = |change: bool| {
        let cache = FjallStore::open(dir.path().join("cache")).unwrap();
        let db = Db::in_memory("osm").unwrap();
        if change {
            edit(&db);
        }
        let signed = SignedRoot::sign(&key, db.root(), 7);
        BlockingRemote::open_with(&options, vec![Two(db, signed)], cache).map(|remote| remote.root())
    };
    let seen = ask(false).unwrap();
    assert_eq!(ask(false).unwrap(), seen);
    match ask(true) {
        Err(RemoteError::Trust { source: TrustError::Twice { author, number: 7, seen: before }, .. }) => {
            assert_eq!((author, before), (key.author(), seen));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_program_says_who_signed_and_reads_only_whom_it_is_to_trust() {
    let place = Place::new();
    place.write("map.osm", MAP);
    place.run(["--db", "there", "import", "map.osm"]).done();
    let root = place.run(["--db", "there", "publish", "site"]).done();
    let old = std::fs::read(place.path("site/osmdb.manifest")).unwrap();
    let ran = place.run(["--from", "site", "root"]);
    let (_, who) = ran.stderr.trim().rsplit_once("signed by ").unwrap();
    let fingerprint = who.split(' ').next().unwrap().to_owned();
    assert_eq!(ran.done(), root);
    let served = Served::start(&place, "there", &[]);
    assert_eq!(served.fingerprint, fingerprint, "it is the key of the database");
    let peer = format!("tcp://{}", served.address);
    let call = ["--from", &peer, "--accept", &fingerprint];
    for place_and_peer in [&["--from", "site"][..], &call] {
        let with = |more: &[&str]| place.run([place_and_peer, more, &["get", "node/1"]].concat());
        with(&["--trust", &fingerprint]).done();
        with(&["--root", root.trim()]).done();
        let sentence = with(&["--trust", "28142-39391-20653-19938"]).refused(1);
        assert!(sentence.contains(&format!("give --trust {fingerprint}")), "{sentence}");
        let sentence = with(&["--trust", "Hilltop"]).refused(1);
        assert!(sentence.contains("no peer is called `Hilltop`"), "{sentence}");
    }
    drop(served);
    // The cache remembers what was seen.
    let trusting = ["--from", "site", "--trust", &fingerprint, "--cache", "cache", "root"];
    place.run(trusting).done();
    place.write("more.osm", MAP.replace("id=\"1\"", "id=\"1001\""));
    place.run(["--db", "there", "import", "more.osm"]).done();
    place.run(["--db", "there", "publish", "site"]).done();
    place.run(trusting).done();
    place.write("site/osmdb.manifest", old);
    let sentence = place.run(trusting).refused(1);
    assert!(
        sentence.contains("signed another later") && sentence.contains("ask somebody else"),
        "{sentence}"
    );
    place.run(["--from", "site", "--cache", "cache", "root"]).done();
    // A name will do for a peer that is known.
    place.run(["--db", "mine", "import", "map.osm"]).done();
    place.run(["--db", "mine", "peers", "accept", &fingerprint, "Riverside"]).done();
    let ran = place.run(["--db", "mine", "--from", "site", "--trust", "Riverside", "root"]);
    assert!(ran.stderr.contains("signed by Riverside at 20"), "{}", ran.stderr);
    ran.done();
    for arguments in [&["root", "--trust", "Riverside"][..], &["root", "--root", root.trim()]] {
        let sentence = place.run([&["--db", "mine"], arguments].concat()).refused(2);
        assert!(sentence.contains("are for what is read with --from"), "{sentence}");
    }
}
