//! A published dataset on a plain web server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use osmdb::{
    BlockingRemote, Coord, Db, ElementId, Filter, HttpFiles, OriginError, PackError, PackOrigin, RemoteError,
};
use prolly::MemoryStore;

use crate::cli_remote::READING;
use crate::program::Place;
use crate::publishing::land;

/// Serves the files of a directory, and ranges of them, on threads that end with the test's process.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn open(&self) -> Result<There, RemoteError> {
        BlockingRemote::open(PackOrigin::new(HttpFiles::new(&format!("http://{}", self.address))))
    }
}

type There = BlockingRemote<PackOrigin<HttpFiles>, MemoryStore>;

fn serve(dir: &Path, with_ranges: bool) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let (dir, count) = (dir.to_owned(), Arc::clone(&requests));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (dir, count) = (dir.clone(), Arc::clone(&count));
            std::thread::spawn(move || drop(talk(&stream.unwrap(), &dir, &count, with_ranges)));
        }
    });
    Server { address, requests }
}

fn talk(stream: &TcpStream, dir: &Path, count: &AtomicUsize, with_ranges: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut out = stream;
    loop {
        let (mut name, mut range) = (String::new(), None);
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(path) = line.split(' ').nth(1) {
            name = path.trim_start_matches('/').to_owned();
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim().to_ascii_lowercase();
            if let Some((from, to)) =
                line.strip_prefix("range: bytes=").and_then(|range| range.split_once('-'))
            {
                range = Some((from.parse::<usize>().unwrap(), to.parse::<usize>().unwrap()));
            }
            if line.is_empty() {
                break;
            }
        }
        count.fetch_add(1, Ordering::SeqCst);
        let Ok(file) = std::fs::read(dir.join(&name)) else {
            out.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        };
        let (status, body) = match range.filter(|_| with_ranges) {
            Some((from, _)) if from >= file.len() => ("416 Range Not Satisfiable", &[][..]),
            Some((from, to)) => ("206 Partial Content", &file[from..file.len().min(to + 1)]),
            None => ("200 OK", &file[..]),
        };
        write!(out, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len())?;
        out.write_all(body)?;
    }
}

/// Asks for everything, and for what is not there.
fn all(remote: &There, db: &Db<MemoryStore>) -> Result<(), RemoteError> {
    let globe = "-180,-90,180,90".parse().unwrap();
    let found: Vec<_> = remote.query(globe).collect::<Result<_, _>>()?;
    assert_eq!(found, db.snapshot().query(globe).collect::<Result<Vec<_>, _>>().unwrap());
    for feature in &found {
        assert_eq!(remote.get(feature.element)?, db.get(feature.element).unwrap());
    }
    let id = ElementId::relation(77);
    assert!(remote.get(id)?.is_empty());
    Ok(())
}

#[test]
fn a_web_server_is_enough() {
    let db = land();
    let dir = tempfile::tempdir().unwrap();
    db.publish_to(dir.path()).unwrap();
    let server = serve(dir.path(), true);
    let remote = server.open().unwrap();
    let snapshot = db.snapshot();
    let area = "0.01,0.01,0.02,0.02".parse().unwrap();
    let expected: Vec<_> = snapshot.query(area).collect::<Result<_, _>>().unwrap();
    assert!(expected.len() > 50);
    assert_eq!(remote.query(area).collect::<Result<Vec<_>, _>>().unwrap(), expected);
    let filter: Filter = "ref=77".parse().unwrap();
    let tagged: Vec<_> = snapshot.find(&filter).collect::<Result<_, _>>().unwrap();
    assert_eq!(tagged.len(), 1);
    assert_eq!(remote.search(&filter).collect::<Result<Vec<_>, _>>().unwrap(), tagged);
    let (from, any) = (Coord::new(123_456, 234_567).unwrap(), "amenity".parse::<Filter>().unwrap());
    let nearest: Vec<_> = snapshot.nearest(from, &any).take(5).collect::<Result<_, _>>().unwrap();
    assert_eq!(remote.nearest(from, &any, 5).collect::<Result<Vec<_>, _>>().unwrap(), nearest);
    let traffic = remote.traffic();
    assert_eq!(traffic.requests, server.requests.load(Ordering::SeqCst) as u64);
    println!("a box, a tag and the nearest: {traffic:?}");
    let id: ElementId = expected[0].element;
    assert_eq!(server.open().unwrap().get(id).unwrap(), db.get(id).unwrap());
    all(&remote, &db).unwrap();
    // The dataset goes away.
    std::fs::remove_dir_all(dir.path()).unwrap();
    all(&remote, &db).unwrap();
    assert!(matches!(server.open(), Err(RemoteError::Origin { .. })));
}

#[test]
fn damaged_files_on_a_web_server_are_errors() {
    let db = land();
    let dir = tempfile::tempdir().unwrap();
    db.publish_to(dir.path()).unwrap();
    let server = serve(dir.path(), true);
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let packs: Vec<_> = names.filter(|path| path.extension().is_some_and(|kind| kind == "osmpack")).collect();
    let [pack] = packs.as_slice() else { panic!("{packs:?}") };
    let (good, manifest) = (std::fs::read(pack).unwrap(), dir.path().join(osmdb::MANIFEST_NAME));
    let named = std::fs::read(&manifest).unwrap();
    let ask = || server.open().and_then(|remote| all(&remote, &db));
    ask().unwrap();
    let error = |error: Result<(), RemoteError>| match error {
        Err(RemoteError::Origin { source, .. }) => source,
        other => panic!("{other:?}"),
    };

    // Cut so that ranges end early, or begin behind the end.
    for end in [0, 1, 100] {
        std::fs::write(pack, &good[..end]).unwrap();
        let error = error(ask());
        assert!(matches!(error, OriginError::Pack(PackError::Truncated { .. })), "{end}: {error:?}");
    }
    // A byte is another, in what is read or in what is not.
    let mut found = 0;
    for at in (20..good.len()).step_by(good.len() / 20) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(pack, &bad).unwrap();
        let result = ask();
        if result.is_err() {
            let error = error(result);
            assert!(error.is_lie(), "{at}: {error:?}");
            found += 1;
        }
    }
    assert!(found > 3, "{found}");
    std::fs::remove_file(pack).unwrap();
    let missing = error(ask());
    assert!(matches!(missing, OriginError::Pack(PackError::Missing { .. })), "{missing:?}");
    std::fs::write(pack, &good).unwrap();

    std::fs::write(&manifest, &named[..named.len() / 2]).unwrap();
    assert!(matches!(error(ask()), OriginError::Pack(PackError::Limit { .. })));
    std::fs::write(&manifest, "<html>").unwrap();
    assert!(matches!(error(ask()), OriginError::Pack(PackError::NotAManifest)));
    std::fs::write(&manifest, vec![0; osmdb::MAX_MANIFEST_BYTES + 1]).unwrap();
    assert!(matches!(error(ask()), OriginError::Offline { .. }));
    std::fs::write(&manifest, &named).unwrap();
    ask().unwrap();
}

#[test]
fn a_server_without_ranges_or_without_anything_is_an_error() {
    let db = land();
    let dir = tempfile::tempdir().unwrap();
    db.publish_to(dir.path()).unwrap();
    let server = serve(dir.path(), false);
    let remote = server.open().unwrap();
    let error = remote.query("-180,-90,180,90".parse().unwrap()).find_map(Result::err).unwrap();
    assert!(error.to_string().contains("answers no range requests"), "{error}");
    // Nobody listens on port 9, or discards what it hears.
    assert!(BlockingRemote::open(PackOrigin::new(HttpFiles::new("http://127.0.0.1:9"))).is_err());
    let url = format!("http://{}", server.address);
    let said = Place::new().run(["--from", &url, "query", "--filter", "ref=7"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{}", said.stderr);
    let sentence = said.stderr.lines().find(|line| line.starts_with("osmdb: ")).unwrap();
    assert!(sentence.ends_with("serve the folder with one that does, as most do"), "{sentence}");
}

#[test]
fn the_program_reads_from_a_web_server_and_publishes_to_none() {
    let place = Place::with_map();
    place.run(["publish", "site"]).done();
    let server = serve(&place.path("site"), true);
    let url = format!("http://{}/", server.address);
    for verb in READING {
        let there = place.run([&["--from", &url], verb].concat());
        assert_eq!(there.done(), place.run(verb).done(), "{verb:?}");
    }
    let sentence = place.run(["publish", &format!("{url}elsewhere")]).refused(1);
    assert!(sentence.contains("takes no files: publish to a directory or a bucket"), "{sentence}");
    let sentence = place.run(["--from", &format!("{url}nowhere"), "root"]).refused(1);
    assert!(sentence.contains("nothing is published there"), "{sentence}");
}
