//! A published dataset on a plain web server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use osmdb::{BlockingRemote, Coord, Db, ElementId, HttpFiles, PackOrigin, Payload, RemoteError, Tags};

/// Serves the files of a directory, and ranges of them, on threads that end with the test's process.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

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

fn land() -> Db<prolly::MemoryStore> {
    let db = Db::in_memory("osm").unwrap();
    let mut batch = db.batch();
    for number in 0..4_000_i64 {
        let coord = Coord::new(number / 60 * 9_000, number % 60 * 9_000).unwrap();
        let tags = Tags::from([("amenity", "well".to_owned()), ("ref", number.to_string())]);
        batch.create(Payload::Node { coord, tags }).unwrap();
    }
    batch.commit().unwrap();
    db
}

#[test]
fn a_web_server_is_enough() {
    let db = land();
    let dir = tempfile::tempdir().unwrap();
    db.publish_to(dir.path()).unwrap();
    let server = serve(dir.path(), true);
    let open =
        || BlockingRemote::open(PackOrigin::new(HttpFiles::new(&format!("http://{}", server.address))));
    let remote = open().unwrap();
    let area = "0.01,0.01,0.02,0.02".parse().unwrap();
    let expected: Vec<_> = db.snapshot().query(area).collect::<Result<_, _>>().unwrap();
    assert!(expected.len() > 50);
    assert_eq!(remote.query(area).collect::<Result<Vec<_>, _>>().unwrap(), expected);
    assert_eq!(remote.traffic().requests, server.requests.load(Ordering::SeqCst) as u64);
    let id: ElementId = expected[0].element;
    assert_eq!(open().unwrap().get(id).unwrap(), db.get(id).unwrap());
    // The dataset goes away.
    std::fs::remove_dir_all(dir.path()).unwrap();
    assert!(remote.query("-180,-90,180,90".parse().unwrap()).any(|feature| feature.is_err()));
    assert!(matches!(open(), Err(RemoteError::Origin { .. })));
}

#[test]
fn a_server_without_ranges_or_without_anything_is_an_error() {
    let db = land();
    let dir = tempfile::tempdir().unwrap();
    db.publish_to(dir.path()).unwrap();
    let server = serve(dir.path(), false);
    let origin = PackOrigin::new(HttpFiles::new(&format!("http://{}", server.address)));
    let remote = BlockingRemote::open(origin).unwrap();
    let error = remote.query("-180,-90,180,90".parse().unwrap()).find_map(Result::err).unwrap();
    assert!(error.to_string().contains("answers no range requests"), "{error}");
    // Nobody listens on port 9, or discards what it hears.
    assert!(BlockingRemote::open(PackOrigin::new(HttpFiles::new("http://127.0.0.1:9"))).is_err());
}
