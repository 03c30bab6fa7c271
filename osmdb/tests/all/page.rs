//! What the page at `/` asks, over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use osmdb::net::{self, Identity, ServeOptions};
use osmdb::server::{self, ServerOptions};
use osmdb::tile::TileId;
use osmdb::{Coord, Db, ElementId, Payload, Tags, Write as Edit};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// A server of a database in a directory of its own.
struct Served {
    db: Arc<Db>,
    address: SocketAddr,
    home: TempDir,
    stop: Option<oneshot::Sender<()>>,
    runtime: Option<Runtime>,
    serving: Option<tokio::task::JoinHandle<()>>,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

impl Served {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let db = Arc::new(Db::create_or_open(home.path().join("osm.db")).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let mut options = ServerOptions::default();
        options.home = Some(home.path().to_owned());
        let until = async { drop(stopped.await) };
        let served = Arc::clone(&db);
        let serving = runtime.spawn(async move {
            server::serve(served, listener, options, until).await.unwrap();
        });
        Self { db, address, home, stop: Some(stop), runtime: Some(runtime), serving: Some(serving) }
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {}\r\n", self.address);
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(all[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: all[end + 4..].to_vec() }
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, &[("Content-Type", "application/json")], &body.to_string())
    }

    /// Makes a node of which two people have made different things, and returns it.
    fn fork(&self) -> ElementId {
        let node = |name: &str, lat| Payload::Node {
            coord: Coord::new(lat, 15_000_000).unwrap(),
            tags: Tags::from([("amenity", "hospital"), ("name", name)]),
        };
        let element = self.db.create(node("Hospital", 425_000_000)).unwrap();
        let first = self.db.get(element).unwrap()[0].version;
        self.db.put(element, node("North", 425_001_000)).unwrap();
        let mut batch = self.db.batch();
        batch.push(Edit::put(element, node("South", 424_999_000)).replacing([first]));
        batch.commit().unwrap();
        element
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let (Some(runtime), Some(serving)) = (self.runtime.take(), self.serving.take()) {
            runtime.block_on(serving).unwrap();
        }
    }
}

#[test]
fn the_page_is_there_and_loads_nothing_from_elsewhere() {
    let served = Served::new();
    let page = served.get("/");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("http"));
    if page.text().contains("There is no map") {
        assert!(page.text().contains("npm"), "{}", page.text());
        return;
    }
    assert!(page.text().contains("<script src=\"page/page.js\""));
    for (name, kind) in
        [("page/page.js", "text/javascript"), ("page/style.css", "text/css"), ("licences", "text/plain")]
    {
        let path = format!("/{name}");
        let file = served.get(&path);
        assert!(file.status == 200 && file.header("content-type").unwrap().starts_with(kind), "{name}");
        let zipped = served.request("GET", &path, &[("Accept-Encoding", "br, gzip")], "");
        assert_eq!(zipped.header("content-encoding"), Some("gzip"));
        assert!(zipped.body.len() < file.body.len());
        let tag = zipped.header("etag").unwrap();
        let known = served.request("GET", &path, &[("Accept-Encoding", "gzip"), ("If-None-Match", tag)], "");
        assert_eq!((known.status, known.body.len()), (304, 0));
    }
    assert!(served.get("/licences").text().contains("ol 10."));
    assert_eq!(served.get("/page/other.js").status, 404);
}

#[test]
fn tiles_are_those_of_the_root_that_is_asked_for() {
    let served = Served::new();
    let before = served.db.root();
    served.fork();
    let id = TileId::new(14, 8_260, 6_051).unwrap();
    let tile = served.get("/tiles/14/8260/6051.mvt");
    assert_eq!(tile.header("content-type"), Some("application/vnd.mapbox-vector-tile"));
    assert_eq!(tile.body, served.db.snapshot().tile(id).unwrap());
    assert!(tile.body.windows(6).any(|part| part == b"forked"));
    assert_eq!(tile.header("cache-control"), Some("no-cache"));
    let tag = tile.header("etag").unwrap();
    assert_eq!(served.request("GET", "/tiles/14/8260/6051.mvt", &[("If-None-Match", tag)], "").status, 304);
    // What is elsewhere does not matter; what is here does.
    let far = Payload::Node { coord: Coord::new(1, 1).unwrap(), tags: Tags::new() };
    served.db.create(far).unwrap();
    assert_eq!(served.request("GET", "/tiles/14/8260/6051.mvt", &[("If-None-Match", tag)], "").status, 304);
    let near = Payload::Node { coord: Coord::new(425_000_500, 15_000_500).unwrap(), tags: Tags::new() };
    served.db.create(near).unwrap();
    assert_eq!(served.request("GET", "/tiles/14/8260/6051.mvt", &[("If-None-Match", tag)], "").status, 200);
    let then = served.get(&format!("/tiles/14/8260/6051.mvt?at={before}"));
    assert_eq!((then.status, then.body.len()), (204, 0));
    assert!(then.header("cache-control").unwrap().contains("immutable"));
    for path in
        ["/tiles/15/0/0.mvt", "/tiles/1/2/0.mvt", "/tiles/1/-1/0.mvt", "/tiles/a/0/0.mvt", "/tiles/1/0"]
    {
        assert_eq!(served.get(path).status, 404, "{path}");
    }
    assert_eq!(served.get("/tiles/1/0/0.mvt?at=yesterday").status, 400);
    assert_eq!(served.get("/tiles/1/0/0.mvt?at=1970-01-01").status, 404);
}

#[test]
fn the_database_and_its_past_are_described() {
    let served = Served::new();
    assert_eq!(served.get("/api/db").json()["bounds"], Value::Null);
    let empty = served.db.root();
    let element = served.fork();
    let database = served.get("/api/db").json();
    assert_eq!(database["root"], served.db.root().to_string());
    assert_eq!((&database["counts"]["nodes"], &database["counts"]["forks"]), (&json!(1), &json!(1)));
    assert!(
        database["bounds"][0].as_f64().unwrap() <= 1.5 && database["bounds"][3].as_f64().unwrap() >= 42.5
    );
    assert_eq!(served.get(&format!("/api/db?at={empty}")).json()["counts"]["nodes"], 0);

    let log = served.get("/api/db/reflog").json();
    let records = log["records"].as_array().unwrap();
    assert!(records.len() == 4 && records[0]["root"] == empty.to_string() && records[3]["gone"] == false);

    let found = served.get(&format!("/api/db/element/{element}")).json();
    assert_eq!(found["heads"].as_array().unwrap().len(), 2);
    assert_eq!(found["history"].as_array().unwrap().len(), 3);
    let shown = found["heads"].as_array().unwrap().iter().filter(|head| head["shown"] == true);
    assert_eq!(shown.count(), 1);
    let author = served.db.author().unwrap().to_string();
    assert!(found["history"][0]["author"] == author.as_str() && found["history"][0]["head"] == false);
    assert_eq!(served.get(&format!("/api/db/element/{element}?at={empty}")).status, 404);
    for path in ["/api/db/element/node/0", "/api/db/element/house/1", "/api/db/element/way/7"] {
        assert_eq!(served.get(path).status, 404, "{path}");
    }
}

#[test]
fn what_names_what_is_told_both_ways() {
    let served = Served::new();
    let node = |lon| Payload::Node { coord: Coord::new(425_000_000, lon).unwrap(), tags: Tags::new() };
    let (west, east) = (served.db.create(node(10)).unwrap(), served.db.create(node(20_000)).unwrap());
    let way = Payload::Way { refs: vec![west.id, east.id, west.id], tags: Tags::from([("highway", "path")]) };
    let way = served.db.create(way).unwrap();
    let found = served.get(&format!("/api/db/element/{way}")).json();
    assert_eq!(found["uses"], json!([west.to_string(), east.to_string()]));
    assert_eq!(found["bounds"], json!([0.000_001, 42.5, 0.002, 42.5]));
    assert_eq!(served.get(&format!("/api/db/element/{west}")).json()["refs"], json!([way.to_string()]));
}

#[test]
fn a_search_comes_in_parts() {
    let served = Served::new();
    let mut batch = served.db.batch();
    for number in 0..5 {
        let tags = Tags::from([("natural", "peak".to_owned()), ("name", format!("Pic {number}"))]);
        batch.create(Payload::Node { coord: Coord::new(number, number).unwrap(), tags }).unwrap();
    }
    batch.commit().unwrap();
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/db/search?filter=natural%3Dpeak&limit=2{cursor}");
        let part = served.get(&path).json();
        let features = part["features"].as_array().unwrap();
        assert!(!features.is_empty() && features.len() <= 2);
        assert!(
            features.iter().all(|feature| feature["title"] == "natural=peak" && feature["bounds"].is_array())
        );
        names.extend(features.iter().map(|feature| feature["name"].as_str().unwrap().to_owned()));
        let Some(next) = part["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    names.sort();
    assert_eq!(names, ["Pic 0", "Pic 1", "Pic 2", "Pic 3", "Pic 4"]);
    let refused = served.get("/api/db/search?filter=%22a");
    assert!(refused.status == 400 && !refused.text().is_empty());
    assert_eq!(served.get("/api/db/search?filter=a&cursor=00").status, 400);
    assert_eq!(served.get("/api/db/search?filter=a&limit=x").status, 400);
}

#[test]
fn a_fork_is_listed_and_resolved() {
    let served = Served::new();
    let element = served.fork();
    let forks = served.get("/api/db/forks").json();
    assert_eq!(forks["forks"][0]["element"], element.to_string());
    assert_eq!((&forks["forks"][0]["heads"], &forks["cursor"]), (&json!(2), &Value::Null));
    let heads = served.get(&format!("/api/db/element/{element}")).json()["heads"].clone();
    let south = heads.as_array().unwrap().iter().find(|head| head["tags"]["name"] == "South").unwrap();
    let body = json!({ "element": element.to_string(), "version": south["version"] });
    let root = served.post("/api/db/resolve", &body).json()["root"].clone();
    assert_eq!(root, served.db.root().to_string());
    let heads = served.db.get(element).unwrap();
    assert_eq!(heads.len(), 1);
    assert_eq!(heads[0].entry.payload.as_ref().unwrap().tags().get("name"), Some("South"));
    assert_eq!(served.get("/api/db/forks").json()["forks"], json!([]));
    // The version is no head any more.
    assert_eq!(served.post("/api/db/resolve", &body).status, 409);
    assert_eq!(served.post("/api/db/resolve", &json!({ "element": "node/1" })).status, 400);
    assert_eq!(served.post("/api/db/resolve", &json!([])).status, 400);
    assert_eq!(served.get("/api/db/resolve").status, 405);
}

#[test]
fn a_page_elsewhere_changes_nothing() {
    let served = Served::new();
    let element = served.fork();
    let version = served.db.get(element).unwrap()[0].version.to_string();
    let body = json!({ "element": element.to_string(), "version": version }).to_string();
    let json = ("Content-Type", "application/json");
    let root = served.db.root();
    for headers in [
        vec![json, ("Origin", "http://evil.example")],
        vec![json, ("Origin", "null")],
        vec![json, ("Sec-Fetch-Site", "cross-site")],
        vec![("Content-Type", "text/plain")],
        vec![],
        vec![json, ("Host", "evil.example:5000"), ("Origin", "http://evil.example:5000")],
    ] {
        let refused = served.request("POST", "/api/db/resolve", &headers, &body);
        assert_eq!(refused.status, 403, "{headers:?}");
        let refused = served.request("POST", "/api/sync", &headers, "{\"address\": \"tcp://127.0.0.1:1\"}");
        assert_eq!(refused.status, 403, "{headers:?}");
    }
    for path in ["/", "/api/db", "/tiles/0/0/0.mvt"] {
        assert_eq!(served.request("GET", path, &[("Host", "evil.example")], "").status, 403, "{path}");
    }
    assert_eq!(served.db.root(), root);
    let own = format!("http://{}", served.address);
    assert_eq!(served.request("POST", "/api/db/resolve", &[json, ("Origin", &own)], &body).status, 200);
}

#[test]
fn trees_are_compared_page_by_page() {
    let served = Served::new();
    let mut batch = served.db.batch();
    for number in 0..3_000 {
        let tags = Tags::from([("name", format!("number {number}"))]);
        batch.create(Payload::Node { coord: Coord::new(number * 1_000, number * 7).unwrap(), tags }).unwrap();
    }
    batch.commit().unwrap();
    let before = served.db.root();
    served.fork();
    let trees = served.get("/api/db/trees").json();
    assert_eq!(trees["trees"].as_array().unwrap().len(), 6);
    let stats = served.db.snapshot().tree_stats().unwrap();
    for (name, stats) in stats {
        let tree = served.get(&format!("/api/db/trees/{name}?other={before}")).json();
        let levels = tree["levels"].as_array().unwrap();
        let pages: u64 = levels.iter().map(|level| level["pages"].as_u64().unwrap()).sum();
        assert_eq!(
            (tree["pairs"].as_u64().unwrap(), levels.len() as u64),
            (stats.pairs, u64::from(stats.height)),
            "{name}"
        );
        let leaves = &levels[levels.len() - 1];
        assert_eq!(leaves["cells"].as_str().unwrap().len() as u64, leaves["pages"].as_u64().unwrap());
        if name == "heads" {
            let own: u64 = pages - levels.iter().map(|level| level["shared"].as_u64().unwrap()).sum::<u64>();
            assert!(pages > 20 && (1..=8).contains(&own), "{own} of {pages} pages differ");
            let page = served.get(&format!("/api/db/trees/{name}/page?level=0&place=1")).json();
            assert!(page["level"] == 0 && page["first"].as_str().unwrap().starts_with("node/"), "{page}");
        }
    }
    let same = served.get(&format!("/api/db/trees/refs?other={before}")).json();
    assert_eq!(same["levels"][0]["shared"], 1);
    assert_eq!(served.get("/api/db/trees/other").status, 404);
    assert_eq!(served.get("/api/db/trees/heads/page?level=0&place=100000").status, 404);
    assert_eq!(served.get("/api/db/trees/heads/page").status, 400);
}

/// Reads events until one of a name for which something holds.
fn event(events: &mut impl BufRead, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let (mut line, mut named) = (String::new(), String::new());
    loop {
        line.clear();
        assert_ne!(events.read_line(&mut line).unwrap(), 0, "the stream has ended");
        if let Some(name) = line.trim().strip_prefix("event: ") {
            named = name.to_owned();
        } else if let Some(data) = line.trim().strip_prefix("data: ") {
            let value: Value = serde_json::from_str(data).unwrap();
            if named == name && holds(&value) {
                return value;
            }
        }
    }
}

#[test]
fn a_sync_is_begun_and_followed() {
    let (served, peer) = (Served::new(), Db::in_memory("osm").unwrap());
    let node = Payload::Node { coord: Coord::new(5, 5).unwrap(), tags: Tags::from([("natural", "spring")]) };
    let spring = peer.create(node).unwrap();
    let fingerprint = Identity::of(&peer).unwrap().fingerprint().to_string();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let options = ServeOptions { admit: Arc::new(|_| true), ..ServeOptions::default() };
    runtime.spawn(net::serve(Arc::new(peer), listener, options, std::future::pending()));

    let mut stream = TcpStream::connect(served.address).unwrap();
    write!(stream, "GET /api/changes HTTP/1.1\r\nHost: {}\r\n\r\n", served.address).unwrap();
    let mut events = BufReader::new(stream);
    let before = served.db.root().to_string();
    event(&mut events, "root", |event| event["root"] == before.as_str());

    assert_eq!(served.post("/api/sync", &json!({ "address": address })).status, 202);
    let unknown = event(&mut events, "sync", |event| event["state"] == "unknown");
    assert_eq!(unknown["fingerprint"], fingerprint.as_str());
    assert!(served.db.get(spring).unwrap().is_empty());

    let body = json!({ "address": address, "accept": fingerprint });
    assert_eq!(served.post("/api/sync", &body).status, 202);
    let done = event(&mut events, "sync", |event| event["state"] == "done");
    assert_eq!((&done["gained"], &done["forked"]), (&json!(1), &json!(0)));
    assert_eq!(served.db.get(spring).unwrap().len(), 1);
    let peers = served.get("/api/db/peers").json();
    assert_eq!(peers["peers"][0]["fingerprint"], fingerprint.as_str());
    assert_eq!(peers["peers"][0]["root"], served.db.root().to_string());
    assert!(net::Peers::read(served.home.path()).unwrap().list().len() == 1);

    // It is known now; there is nothing to exchange.
    assert_eq!(served.post("/api/sync", &json!({ "address": address })).status, 202);
    event(&mut events, "sync", |event| event["state"] == "done" && event["gained"] == 0);
    assert_eq!(served.post("/api/sync", &json!({ "address": "tcp://127.0.0.1:1" })).status, 202);
    event(&mut events, "sync", |event| event["state"] == "failed" && event["message"].is_string());
    for address in ["exec:touch hacked", "ssh://hilltop/osm.db", "/etc", "tcp://", ""] {
        assert_eq!(served.post("/api/sync", &json!({ "address": address })).status, 400, "{address}");
    }
    assert_eq!(served.post("/api/sync", &json!({ "address": address, "accept": "x" })).status, 400);
    assert_eq!(served.post("/api/sync", &json!({})).status, 400);
    // A listener does not keep the server from ending.
    let begun = std::time::Instant::now();
    drop(served);
    assert!(begun.elapsed().as_secs() < 5);
}
