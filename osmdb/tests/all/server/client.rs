//! A server of a test's own, and a client that takes nothing for granted: one connection for each request.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use osmdb::Db;
use osmdb::server::{self, ServerOptions};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// A server with a database in a directory that goes with it.
pub struct Server {
    pub db: Arc<Db>,
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    runtime: Option<Runtime>,
    serving: Option<tokio::task::JoinHandle<Result<(), osmdb::net::NetError>>>,
    dir: Option<tempfile::TempDir>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// Returns a header, whose name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body of an answer that must be a good one.
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }

    /// Returns the reason of a refusal, which must be there as a header and as the body.
    #[track_caller]
    pub fn refused(self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("error"), Some(self.body.as_str()), "{self:?}");
        assert_eq!(self.header("content-type"), Some("text/plain; charset=utf-8"));
        self.body
    }
}

impl Server {
    /// With an empty database.
    pub fn empty() -> Self {
        Self::with(ServerOptions::default(), None)
    }

    /// With what is in a file of OSM.
    pub fn of(map: &str) -> Self {
        Self::with(ServerOptions::default(), Some(map))
    }

    pub fn with(options: ServerOptions, map: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if let Some(map) = map {
            std::fs::write(dir.path().join("map.osm"), map).unwrap();
        }
        let file = map.map(|_| dir.path().join("map.osm"));
        Self::in_dir(dir, options, file.as_deref())
    }

    pub fn in_dir(dir: tempfile::TempDir, options: ServerOptions, file: Option<&Path>) -> Self {
        let db = Arc::new(Db::create_or_open(dir.path().join("osm.db")).unwrap());
        if let Some(file) = file {
            db.import(&[file], |_, _| {}).unwrap();
        }
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let until = async { drop(stopped.await) };
        let serving = runtime.spawn(server::serve(Arc::clone(&db), listener, options, until));
        Self { db, address, stop: Some(stop), runtime: Some(runtime), serving: Some(serving), dir: Some(dir) }
    }

    /// Stops the server, waits until it has ended, and returns the directory.
    pub fn stop(mut self) -> tempfile::TempDir {
        drop(self.stop.take());
        let runtime = self.runtime.take().unwrap();
        runtime.block_on(self.serving.take().unwrap()).unwrap().unwrap();
        drop(runtime);
        assert_eq!(Arc::strong_count(&self.db), 1, "nobody holds the database any more");
        self.dir.take().unwrap()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn put(&self, path: &str, body: &str) -> Answer {
        self.ask("PUT", path, &[], body.as_bytes())
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[], body.as_bytes())
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if method != "GET" {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses a long body at once does not read it.
        let _ = stream.write_all(body);
        read(&mut stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

/// Reads one answer, up to the end of the connection.
pub fn read(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // Whoever is refused while sending may see the connection reset behind the answer.
    let _ = stream.read_to_end(&mut bytes);
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: String::new() };
    let rest = &bytes[end + 4..];
    let body =
        if answer.header("transfer-encoding") == Some("chunked") { unchunked(rest) } else { rest.to_vec() };
    answer.body = String::from_utf8(body).unwrap();
    answer
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").expect("the length of a chunk");
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        let chunk = &rest[end + 2..];
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..length]);
        rest = &chunk[length + 2..];
    }
}
