//! Peers who sync at the port of the API, and the program that serves both.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use osmdb::net::{self, Identity, ServeOptions};
use osmdb::server::ServerOptions;
use osmdb::sync::Options;
use osmdb::{Coord, Db, Payload, Tags};

use super::Server;
use crate::program::Place;

const MAP: &str =
    "<osm><node id='1' version='1' lat='1' lon='1'/><node id='2' version='1' lat='1' lon='1'/></osm>";

#[test]
fn a_peer_syncs_where_editors_edit() {
    let mut options = ServerOptions::default();
    options.peers = Some(ServeOptions { admit: Arc::new(|_| true), ..ServeOptions::default() });
    let server = Server::with(options, Some(MAP));
    let other = Db::in_memory("osm").unwrap();
    other.create(Payload::Node { coord: Coord::new(5, 5).unwrap(), tags: Tags::new() }).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let address = format!("ws://{}/sync", server.address).parse().unwrap();
        let identity = Identity::of(&other).unwrap();
        let connection = net::dial(&address, &identity, Arc::new(|_| true)).await.unwrap();
        let summary = net::sync_over(&other, connection, Options::default(), |_| ()).await.unwrap();
        assert_eq!((summary.gained, summary.given), (2, 1));
    });
    assert_eq!(server.db.root(), other.root());
    server.get("/sync").refused(426);
    let asked = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "http://localhost"),
    ];
    server.ask("GET", "/sync", &asked, b"").refused(403);
    Server::empty().get("/sync").refused(404);
    // A peer that says nothing keeps nobody.
    let mut silent = TcpStream::connect(server.address).unwrap();
    let head = "GET /sync HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    silent.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    silent.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    server.stop();
}

#[test]
fn the_program_serves_until_it_is_asked_to_end() {
    let place = Place::with_map();
    let mut child = place
        .command(["serve", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("listening at http://").unwrap().to_owned();
    let ask = |head: &str, body: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = body.len();
        let rest = format!("Host: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(format!("{head} HTTP/1.1\r\n{rest}").as_bytes()).unwrap();
        super::client::read(&mut stream)
    };
    assert!(ask("GET /api/0.6/node/3", "").good().contains("v=\"well\""));
    ask("PUT /api/0.6/changeset/create", "<osm><changeset/></osm>").good();
    // Tokens can be changed meanwhile, for a server that asks for them.
    let token = place.run(["token", "add", "Amina"]).done();
    assert_eq!(token.trim_end().len(), 32);
    let ended = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(ended.success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = String::from_utf8(output.stderr).unwrap();
    let logged: Vec<serde_json::Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(logged.len(), 2, "{log}");
    assert_eq!((&logged[0]["path"], &logged[0]["status"]), (&"/api/0.6/node/3".into(), &200.into()));
}

#[test]
fn tokens_are_listed_and_taken_back() {
    let place = Place::with_map();
    place.run(["token", "add", "Amina"]).done();
    place.run(["token", "add", "Amina"]).refused(1);
    place.run(["token", "add", ""]).refused(1);
    assert_eq!(place.run(["token", "list"]).done(), "Amina\n");
    assert!(place.run(["token", "list", "--json"]).done().contains("\"name\":\"Amina\""));
    place.run(["token", "remove", "Amina"]).done();
    place.run(["token", "remove", "Amina"]).refused(1);
    assert_eq!(place.run(["token", "list"]).done(), "");
    place.run(["--db", "none", "token", "list"]).refused(1);
    place.run(["serve", "--port", "1", "--sync"]).refused(2);
    place.run(["serve", "--stdio", "--bind", "127.0.0.1"]).refused(2);
}
