//! Datasets published to a bucket of an S3 server, which each test starts: `moto_server`, or what `OSMDB_TEST_S3`
//! names. Without one these tests are skipped.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use osmdb::{
    BlockingRemote, BucketFiles, Filter, MANIFEST_NAME, OriginError, PackError, PackOrigin, PublishError,
    RemoteError,
};
use prolly::MemoryStore;

use crate::cli_remote::READING;
use crate::program::Place;
use crate::publishing::{Troubled, land, two_publish, well};

/// It has a bucket, `maps`.
struct S3 {
    server: Child,
    address: String,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

impl S3 {
    fn start() -> Option<Self> {
        let named = std::env::var_os("OSMDB_TEST_S3");
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let out = File::create(&log).unwrap();
        let program = named.clone().unwrap_or_else(|| "moto_server".into());
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdout(out.try_clone().unwrap()).stderr(out);
        let server = match command.spawn() {
            Ok(server) => server,
            Err(error) if named.is_some() => panic!("{}: {error}", program.display()),
            Err(_) => {
                println!(
                    "skipped: no S3 server; install moto[server] from PyPI, or name one with OSMDB_TEST_S3"
                );
                return None;
            }
        };
        let mut s3 = Self { server, address: String::new(), log, _dir: dir };
        let began = Instant::now();
        while s3.address.is_empty() {
            assert!(began.elapsed() < Duration::from_secs(60), "{}", s3.said());
            std::thread::sleep(Duration::from_millis(50));
            let said = s3.said();
            let address = said.lines().find_map(|line| line.split_once("Running on http://"));
            s3.address = address.map(|(_, address)| address.trim().to_owned()).unwrap_or_default();
        }
        assert_eq!(s3.send("PUT", "/maps", b""), 200, "{}", s3.said());
        // Everybody may read.
        let policy = br#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",
            "Action": "s3:GetObject", "Resource": "arn:aws:s3:::maps/*"}]}"#;
        assert_eq!(s3.send("PUT", "/maps?policy", policy), 200, "{}", s3.said());
        Some(s3)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Lists the requests that the server answered: `PUT /maps/andorra/osmdb.manifest`.
    fn requests(&self) -> Vec<String> {
        let said = self.said();
        let line = |line: &str| {
            let (_, from) = line.split_once("] \"")?;
            let start = from.find(|letter: char| letter.is_ascii_uppercase())?;
            // The terminal's colours stand in front of it.
            from.get(start..)?.split_once(" HTTP/").map(|(request, _)| request.to_owned())
        };
        said.lines().filter_map(line).collect()
    }

    /// Sends what nobody signed, which this server does not mind; returns the status.
    fn send(&self, method: &str, path: &str, body: &[u8]) -> u16 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (address, len) = (&self.address, body.len());
        write!(stream, "{method} {path} HTTP/1.0\r\nhost: {address}\r\ncontent-length: {len}\r\n").unwrap();
        write!(
            stream,
            "authorization: AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, "
        )
        .unwrap();
        write!(stream, "SignedHeaders=host, Signature=0\r\n\r\n").unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn settings(&self) -> Vec<(String, String)> {
        let settings = [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", "testing".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "testing".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ];
        settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    fn folder(&self, name: &str) -> BucketFiles {
        BucketFiles::with_settings(&format!("s3://maps/{name}"), self.settings()).unwrap()
    }

    fn open(&self, name: &str) -> Result<BlockingRemote<PackOrigin<BucketFiles>, MemoryStore>, RemoteError> {
        BlockingRemote::open(PackOrigin::new(self.folder(name)))
    }
}

#[test]
fn a_bucket_answers_as_the_database_does_and_takes_only_what_is_new() {
    let Some(s3) = S3::start() else { return };
    let db = land();
    let first = db.snapshot().publish_to(&mut s3.folder("land")).unwrap();
    assert_eq!(first.root, db.root());
    println!("first publish: {first:?}, {} requests", s3.requests().len() - 2);

    let remote = s3.open("land").unwrap();
    let snapshot = db.snapshot();
    let area = "0.01,0.01,0.02,0.02".parse().unwrap();
    let expected: Vec<_> = snapshot.query(area).collect::<Result<_, _>>().unwrap();
    assert!(expected.len() > 50);
    assert_eq!(remote.query(area).collect::<Result<Vec<_>, _>>().unwrap(), expected);
    let (id, filter) = (expected[0].element, "ref=77".parse::<Filter>().unwrap());
    assert_eq!(remote.get(id).unwrap(), db.get(id).unwrap());
    let tagged: Vec<_> = snapshot.find(&filter).collect::<Result<_, _>>().unwrap();
    assert_eq!(tagged.len(), 1);
    assert_eq!(remote.search(&filter).collect::<Result<Vec<_>, _>>().unwrap(), tagged);
    println!("a box, an element and a tag: {:?}", remote.traffic());
    let gets = s3.requests().iter().filter(|request| request.starts_with("GET ")).count() as u64;
    // The publisher looked whether there was a manifest, when it began and when it ended.
    assert_eq!(remote.traffic().requests, gets - 2, "{:?}", s3.requests());

    let before = s3.requests().len();
    let id = well(&db, 1);
    let second = db.snapshot().publish_to(&mut s3.folder("land")).unwrap();
    assert_eq!((second.root, second.packs), (db.root(), 1));
    let requests = s3.requests().split_off(before);
    println!("second publish: {second:?}, {} requests", requests.len());
    assert!(second.bytes < first.bytes / 5 && second.pages < first.pages / 5, "{first:?} {second:?}");
    let puts: Vec<_> = requests.iter().filter(|request| request.starts_with("PUT ")).collect();
    let [pack, manifest] = puts.as_slice() else { panic!("{puts:?}") };
    assert!(pack.ends_with(".osmpack") && manifest.ends_with("/land/osmdb.manifest"), "{puts:?}");
    // The manifest twice, and the branches of what was there.
    assert!(requests.len() <= 12, "{requests:?}");
    assert_eq!(s3.open("land").unwrap().get(id).unwrap(), db.get(id).unwrap());

    let before = s3.requests().len();
    let third = db.snapshot().publish_to(&mut s3.folder("land")).unwrap();
    assert_eq!((third.packs, third.bytes), (0, 0));
    assert_eq!(s3.requests().len() - before, 1, "the manifest says that nothing is new");
}

#[test]
fn an_interrupted_publish_leaves_what_was_there() {
    let Some(s3) = S3::start() else { return };
    let db = land();
    let old = db.root();
    db.snapshot().publish_to(&mut s3.folder("land")).unwrap();
    let id = well(&db, 1);
    for left in 0..2 {
        let files = s3.folder("land");
        let mut folder = Troubled { files, left: Some(left), before_swap: || {} };
        assert!(matches!(db.snapshot().publish_to(&mut folder), Err(PublishError::Io { .. })));
        let remote = s3.open("land").unwrap();
        assert_eq!(remote.root(), old);
        assert_eq!(remote.query("-180,-90,180,90".parse().unwrap()).map(Result::unwrap).count(), 4_000);
        assert!(remote.get(id).unwrap().is_empty());
    }
    db.snapshot().publish_to(&mut s3.folder("land")).unwrap();
    assert_eq!(s3.open("land").unwrap().get(id).unwrap(), db.get(id).unwrap());
}

#[test]
fn of_two_who_publish_at_once_one_is_told() {
    let Some(s3) = S3::start() else { return };
    two_publish(|| s3.folder("land"));
    // A store that cannot hold them apart still says what it can.
    let settings = || {
        let off = ("AWS_CONDITIONAL_PUT".to_owned(), "disabled".to_owned());
        s3.settings().into_iter().chain([off])
    };
    two_publish(|| BucketFiles::with_settings("s3://maps/simple", settings()).unwrap());
}

#[test]
fn what_is_wrong_with_a_bucket_is_an_error() {
    let Some(s3) = S3::start() else { return };
    let db = land();
    db.snapshot().publish_to(&mut s3.folder("land")).unwrap();
    let put = s3.requests().into_iter().find(|request| request.ends_with(".osmpack")).unwrap();
    let pack = put.strip_prefix("PUT ").unwrap();
    let origin = |error: Option<RemoteError>| match error {
        Some(RemoteError::Origin { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let ask = || {
        let remote = s3.open("land").unwrap();
        remote.query("-180,-90,180,90".parse().unwrap()).find_map(Result::err)
    };
    assert!(ask().is_none());
    // The ranges begin behind the end.
    assert_eq!(s3.send("PUT", pack, b"osmdb"), 200);
    let error = origin(ask());
    assert!(matches!(error, OriginError::Pack(PackError::Truncated { .. })), "{error:?}");
    assert_eq!(s3.send("PUT", pack, &vec![7; 1 << 20]), 200);
    let error = origin(ask());
    assert!(matches!(error, OriginError::Pack(PackError::Record { .. })), "{error:?}");
    assert_eq!(s3.send("DELETE", pack, b""), 204);
    let error = origin(ask());
    assert!(matches!(error, OriginError::Pack(PackError::Missing { .. })), "{error:?}");
    assert_eq!(s3.send("PUT", &format!("/maps/land/{MANIFEST_NAME}"), b"<html>"), 200);
    let error = origin(s3.open("land").err());
    assert!(matches!(error, OriginError::Pack(PackError::NotAManifest)), "{error:?}");
    assert!(matches!(db.snapshot().publish_to(&mut s3.folder("land")), Err(PublishError::Pack { .. })));

    let elsewhere = BucketFiles::with_settings("s3://nowhere/land", s3.settings()).unwrap();
    match db.snapshot().publish_to(&mut { elsewhere }) {
        Err(PublishError::Io { source, .. }) => assert_eq!(source.kind(), io::ErrorKind::NotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_program_publishes_to_a_bucket_and_reads_from_it() {
    let Some(s3) = S3::start() else { return };
    let place = Place::with_map();
    let run = |arguments: &[&str]| -> crate::program::Ran {
        place.command(arguments).envs(s3.settings()).output().unwrap().into()
    };
    let root = place.run(["root"]).done();
    assert_eq!(run(&["publish", "s3://maps/small/map"]).done(), root);
    // Whoever may read the bucket without a key needs no more than a web client.
    let plain = format!("http://{}/maps/small/map", s3.address);
    for verb in READING {
        let here = place.run(verb).done();
        for from in ["s3://maps/small/map", &plain] {
            assert_eq!(run(&[&["--from", from], verb].concat()).done(), here, "{from} {verb:?}");
        }
    }
    let sentence = run(&["--from", "s3://maps/nowhere", "root"]).refused(1);
    assert!(sentence.contains("nothing is published there"), "{sentence}");
    let sentence = run(&["publish", "s3://nobodys/map"]).refused(1);
    assert!(sentence.contains("no such bucket"), "{sentence}");
    let sentence = run(&["publish", "s3://"]).refused(1);
    assert!(sentence.contains("s3://bucket/folder"), "{sentence}");
    // Nobody listens there.
    let mut command = place.command(["--from", "s3://maps/map", "root"]);
    command.envs(s3.settings()).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let sentence = osmdb_said(&mut command).refused(1);
    assert!(sentence.contains("Connection refused"), "{sentence}");
}

fn osmdb_said(command: &mut Command) -> crate::program::Ran {
    command.output().unwrap().into()
}
