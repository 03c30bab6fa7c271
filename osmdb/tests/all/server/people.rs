//! Who may ask, users and what they prefer, notes, and what the server says of itself.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use osmdb::server::{Access, ServerOptions, Tokens};
use serde_json::Value;

use super::{Answer, Server};

const MAP: &str = "<osm><node id='1' version='1' lat='1' lon='1'/></osm>";

fn json(answer: Answer) -> Value {
    serde_json::from_str(&answer.good()).unwrap()
}

/// A server that asks for tokens, and one of them.
fn guarded() -> (Server, String) {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("osm.db");
    std::fs::create_dir_all(&place).unwrap();
    let token = Tokens::update(dir.path(), |tokens| tokens.add("Amina")).unwrap().unwrap();
    let mut options = ServerOptions::default();
    options.access = Access::Tokens(dir.path().to_owned());
    (Server::in_dir(dir, options, None), token)
}

/// Answers whose status alone matters: 401 is one of the API too.
fn status(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    server.ask(method, path, headers, b"").status
}

#[test]
fn a_token_opens_what_is_closed() {
    let (server, token) = guarded();
    let basic =
        |user: &str, password: &str| format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
    let (bearer, right) = (format!("Bearer {token}"), basic("anybody", &token));
    let wrong =
        ["Bearer x", "Bearer", "Basic !", "Digest x", &basic("Amina", "guess"), &format!("Bearer {token}0")];
    for path in
        ["/api/0.6/user/details", "/api/0.6/map?bbox=0,0,0.1,0.1", "/metrics", "/api/0.6/nodes?nodes=1"]
    {
        let refused = server.get(path);
        assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"osmdb\", charset=\"UTF-8\""));
        assert_eq!(refused.refused(401), "Couldn't authenticate you");
        for wrong in wrong {
            assert_eq!(status(&server, "GET", path, &[("Authorization", wrong)]), 401, "{wrong}");
        }
        for right in [&bearer, &right] {
            assert_ne!(status(&server, "GET", path, &[("Authorization", right)]), 401, "{path}");
        }
    }
    for path in [
        "/healthz",
        "/api/versions",
        "/api/capabilities",
        "/api/0.6/capabilities.json",
        "/api/0.6/permissions",
    ] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    assert!(!server.get("/api/0.6/permissions").good().contains("allow_write_api"));
    let allowed = server.ask("GET", "/api/0.6/permissions", &[("Authorization", &bearer)], b"").good();
    assert!(allowed.contains("<permission name=\"allow_write_api\"/>"), "{allowed}");
    assert_eq!(status(&server, "PUT", "/api/0.6/changeset/create", &[]), 401);
    // A browser that knows a password sends it for a page from anywhere; a Bearer token, only who has it.
    let create = |secret: &str, origin: &str| {
        let headers = [("Authorization", secret), ("Origin", origin)];
        server.ask("PUT", "/api/0.6/changeset/create", &headers, b"<osm><changeset/></osm>").status
    };
    let own = format!("http://{}", server.address);
    assert_eq!(create(&right, "https://evil.example"), 403);
    assert_eq!((create(&right, &own), create(&bearer, "https://editor.example")), (200, 200));
}

#[test]
fn a_server_without_tokens_serves_this_machine_alone() {
    let server = Server::of(MAP);
    let put = |origin: &str| {
        server.ask("PUT", "/api/0.6/changeset/create", &[("Origin", origin)], b"<osm><changeset/></osm>")
    };
    let own = format!("http://{}", server.address);
    for origin in [own.as_str(), "http://localhost:8080", "http://[::1]:1", "https://127.0.0.1"] {
        let answer = put(origin);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        answer.good();
    }
    let root = server.db.root();
    for origin in
        ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example"]
    {
        let answer = put(origin);
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        answer.refused(403);
        let read = server.ask("GET", "/api/0.6/node/1", &[("Origin", origin)], b"");
        assert_eq!((read.status, read.header("access-control-allow-origin")), (200, None));
    }
    assert_eq!(server.db.root(), root);
    // A name that somebody else has point here.
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream
        .write_all(b"GET /api/0.6/node/1 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        .unwrap();
    super::client::read(&mut stream).refused(403);
    let asked = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "PUT")];
    let preflight = server.ask("OPTIONS", "/api/0.6/node/1", &asked, b"");
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, None));

    let mut options = ServerOptions::default();
    options.origins = vec!["https://editor.example".to_owned()];
    let server = Server::with(options, Some(MAP));
    let asked = [("Origin", "https://editor.example"), ("Access-Control-Request-Method", "PUT")];
    let preflight = server.ask("OPTIONS", "/api/0.6/node/1", &asked, b"");
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://editor.example"));
    assert!(preflight.header("access-control-allow-methods").is_some_and(|methods| methods.contains("PUT")));
    let made = server.ask("PUT", "/api/0.6/changeset/create", &asked[..1], b"<osm><changeset/></osm>");
    assert_eq!(made.status, 200);
}

#[test]
fn an_editor_in_the_browser_logs_in() {
    let (server, token) = guarded();
    // The example of RFC 7636, appendix B.
    let (verifier, challenge) =
        ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let redirect = "http%3A%2F%2Flocalhost%3A8080%2Fland.html";
    let path = format!(
        "/oauth2/authorize?client_id=%3Cid%3E&redirect_uri={redirect}&response_type=code&scope=write_api&state=a%20b\
         &code_challenge={challenge}&code_challenge_method=S256"
    );
    let page = server.get(&path).good();
    assert!(
        page.contains("localhost:8080") && page.contains("&lt;id&gt;") && page.contains("<form"),
        "{page}"
    );
    let wrong = server.post(&path, "token=guess").good();
    assert!(wrong.contains("no token of this server"), "{wrong}");
    let code = || {
        let sent = server.post(&path, &format!("token={token}"));
        assert_eq!(sent.status, 303, "{sent:?}");
        let to = sent.header("location").unwrap().to_owned();
        let code = to.strip_prefix("http://localhost:8080/land.html?code=").unwrap();
        code.strip_suffix("&state=a+b").unwrap().to_owned()
    };
    let exchange = |code: &str, verifier: &str| {
        server.post("/oauth2/token", &format!(
            "grant_type=authorization_code&code={code}&redirect_uri={redirect}&client_id=id&code_verifier={verifier}"
        ))
    };
    let first = code();
    let given = json(exchange(&first, verifier));
    assert_eq!(
        (given["access_token"].as_str(), given["token_type"].as_str()),
        (Some(token.as_str()), Some("Bearer"))
    );
    assert_eq!(given["scope"], "write_api");
    assert_eq!(exchange(&first, verifier).status, 400, "a code is good once");
    let second = code();
    assert_eq!(exchange(&second, "another").status, 400);
    assert_eq!(exchange(&second, verifier).status, 400, "whoever guessed has used it");
    assert_eq!(exchange("guess", verifier).status, 400);
    for without in ["response_type", "code_challenge_method", "code_challenge=", "redirect_uri", "client_id"]
    {
        let path = path.replacen(without, "x", 1);
        server.get(&path).refused(400);
    }
    server.get(&path.replace("http%3A", "javascript%3A")).refused(400);
    // Where no token is needed, none is asked for.
    let open = Server::empty();
    assert_eq!(open.get(&path).status, 303);
}

#[test]
fn a_user_is_who_has_the_key() {
    let server = Server::of(MAP);
    let before = json(server.get("/api/0.6/user/details.json"))["user"].clone();
    assert_eq!(before["display_name"].as_str().unwrap(), &server.db.author().unwrap().to_string()[..8]);
    assert!(before["id"].as_u64().unwrap() < 1 << 31);
    let author = server.db.author().unwrap();
    server.db.name_author(author, "Amina <A>").unwrap();
    let dir = server.stop();
    let server = Server::in_dir(dir, ServerOptions::default(), None);
    let user = json(server.get("/api/0.6/user/details.json"))["user"].clone();
    assert_eq!((&user["id"], user["display_name"].as_str()), (&before["id"], Some("Amina <A>")));
    let changeset = server.put("/api/0.6/changeset/create", "<osm><changeset/></osm>").good();
    let node = format!("<osm><node changeset='{changeset}' lat='1' lon='1'/></osm>");
    let node = server.put("/api/0.6/node/create", &node).good();
    let read = server.get(&format!("/api/0.6/node/{node}")).good();
    assert!(read.contains(&format!("user=\"Amina &lt;A&gt;\" uid=\"{}\"", user["id"])), "{read}");
    let xml = server.get(&format!("/api/0.6/user/{}", user["id"])).good();
    assert!(
        xml.contains("display_name=\"Amina &lt;A&gt;\"") && xml.contains("<changesets count=\"1\"/>"),
        "{xml}"
    );
    let users = json(server.get(&format!("/api/0.6/users.json?users={},7", user["id"])));
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
    server.get("/api/0.6/users").refused(400);
    server.get("/api/0.6/user/7").refused(404);
    server.get("/api/0.6/user/x").refused(404);
    assert_eq!(json(server.get("/api/0.6/permissions.json"))["permissions"].as_array().unwrap().len(), 4);
}

#[test]
fn preferences_stay() {
    let server = Server::empty();
    let put =
        "<osm><preferences><preference k='a b/ü' v='1 &amp; 2'/><preference k='c' v=''/></preferences></osm>";
    server.put("/api/0.6/user/preferences", put).good();
    server.put("/api/0.6/user/preferences/theme", "dark").good();
    assert_eq!(server.get("/api/0.6/user/preferences/a%20b%2F%C3%BC").good(), "1 & 2");
    let dir = server.stop();
    let server = Server::in_dir(dir, ServerOptions::default(), None);
    let all = json(server.get("/api/0.6/user/preferences.json"))["preferences"].clone();
    assert_eq!(all, serde_json::json!({"a b/ü": "1 & 2", "c": "", "theme": "dark"}));
    assert!(
        server.get("/api/0.6/user/preferences").good().contains("<preference k=\"a b/ü\" v=\"1 &amp; 2\"/>")
    );
    server.ask("DELETE", "/api/0.6/user/preferences/c", &[], b"").good();
    server.ask("DELETE", "/api/0.6/user/preferences/c", &[], b"").refused(404);
    server.get("/api/0.6/user/preferences/c").refused(404);
    let twice = "<osm><preferences><preference k='a' v='1'/><preference k='a' v='2'/></preferences></osm>";
    assert_eq!(
        server.put("/api/0.6/user/preferences", twice).refused(400),
        "Duplicate preferences with key a"
    );
    let many: String = (0..151).map(|n| format!("<preference k='{n}' v=''/>")).collect();
    server
        .put("/api/0.6/user/preferences", &format!("<osm><preferences>{many}</preferences></osm>"))
        .refused(413);
    server.put("/api/0.6/user/preferences/x", &"é".repeat(256)).refused(400);
    server.put("/api/0.6/user/preferences", "<osm><preferences/></osm>").good();
    assert_eq!(json(server.get("/api/0.6/user/preferences.json"))["preferences"], serde_json::json!({}));
}

#[test]
fn a_note_is_asked_and_answered() {
    let server = Server::empty();
    let note = json(server.post("/api/0.6/notes.json?lat=1.5&lon=-2&text=is%20%3Cthis%3E%20a%20well%3F", ""));
    let properties = &note["properties"];
    assert_eq!(note["geometry"]["coordinates"], serde_json::json!([-2.0, 1.5]));
    assert_eq!((&properties["id"], &properties["status"]), (&1.into(), &"open".into()));
    assert_eq!(properties["comments"][0]["text"], "is <this> a well?");
    // Parameters may stand in the body, too.
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    server.ask("POST", "/api/0.6/notes", &form, b"lat=40&lon=40&text=far+away").good();
    for (path, status) in [
        ("notes?lon=1&text=x", 400),
        ("notes?lat=1&text=x", 400),
        ("notes?lat=1&lon=1", 400),
        ("notes?lat=x&lon=1&text=x", 400),
        ("notes?lat=91&lon=1&text=x", 400),
        ("notes/9/comment?text=x", 404),
        ("notes/1/comment", 400),
        ("notes/1/reopen", 409),
    ] {
        server.post(&format!("/api/0.6/{path}"), "").refused(status);
    }
    server.post("/api/0.6/notes/1/comment?text=yes", "").good();
    let closed = server.post("/api/0.6/notes/1/close?text=mapped", "").good();
    assert!(closed.contains("<status>closed</status>") && closed.contains("<date_closed>"), "{closed}");
    assert!(
        server
            .post("/api/0.6/notes/1/comment?text=x", "")
            .refused(409)
            .starts_with("The note 1 was closed at 2")
    );
    server.post("/api/0.6/notes/1/close", "").refused(409);
    let dir = server.stop();
    let server = Server::in_dir(dir, ServerOptions::default(), None);
    let found = |query: &str| json(server.get(query))["features"].as_array().unwrap().len();
    for (query, count) in [
        ("/api/0.6/notes.json?bbox=-3,1,0,2", 1),
        ("/api/0.6/notes.json?bbox=-3,1,0,2&closed=0", 0),
        ("/api/0.6/notes.json?bbox=-3,1,0,2&closed=-1", 1),
        ("/api/0.6/notes.json?bbox=0,0,1,1", 0),
        ("/api/0.6/notes/search.json?q=WELL", 1),
        ("/api/0.6/notes/search.json?q=a", 2),
        ("/api/0.6/notes/search.json?limit=1", 1),
        ("/api/0.6/notes/search.json?to=2001-01-01", 0),
    ] {
        assert_eq!(found(query), count, "{query}");
    }
    let xml = server.get("/api/0.6/notes/1").good();
    let comments: Vec<&str> = xml.lines().filter_map(|line| line.trim().strip_prefix("<action>")).collect();
    assert_eq!(comments, ["opened</action>", "commented</action>", "closed</action>"]);
    assert!(xml.contains("<text>is &lt;this&gt; a well?</text>"), "{xml}");
    server.post("/api/0.6/notes/1/reopen?text=again", "").good();
    for (path, status) in [
        ("notes", 400),
        ("notes?bbox=0,0,6,5", 400),
        ("notes?bbox=0,0,1,1&limit=0", 400),
        ("notes?bbox=0,0,1,1&closed=x", 400),
        ("notes/3", 404),
        ("notes/search?from=x", 400),
    ] {
        server.get(&format!("/api/0.6/{path}")).refused(status);
    }
}

#[test]
fn the_server_says_what_it_takes() {
    let server = Server::of(MAP);
    let xml = server.get("/api/capabilities").good();
    assert_eq!(xml, server.get("/api/0.6/capabilities").good());
    for part in [
        "<version minimum=\"0.6\" maximum=\"0.6\"/>",
        "<area maximum=\"0.25\"/>",
        "<note_area maximum=\"25\"/>",
        "<waynodes maximum=\"2000\"/>",
        "<relationmembers maximum=\"32000\"/>",
        "<changesets maximum_elements=\"10000\" default_query_limit=\"100\" maximum_query_limit=\"100\"/>",
        "<status database=\"online\" api=\"online\" gpx=\"offline\"/>",
    ] {
        assert!(xml.contains(part), "{part} is not in {xml}");
    }
    let json = json(server.get("/api/capabilities.json"));
    assert_eq!(json["api"]["area"]["maximum"], 0.25);
    assert_eq!(json["policy"]["imagery"]["blacklist"], serde_json::json!([]));
    for path in
        ["user/gpx_files", "user_blocks/active", "user/messages/inbox", "trackpoints?bbox=0,0,1,1&page=0"]
    {
        server.get(&format!("/api/0.6/{path}")).good();
    }
    let metrics = server.get("/metrics").good();
    assert!(metrics.contains("osmdb_elements{kind=\"node\"} 1\n"), "{metrics}");
    assert!(metrics.contains("osmdb_http_requests_total{method=\"GET\",status=\"200\"} "), "{metrics}");
    assert!(metrics.contains("osmdb_http_requests_at_work 1\n"), "{metrics}");
}

#[test]
fn slow_clients_are_dropped_and_the_end_is_a_good_one() {
    let mut options = ServerOptions::default();
    options.limits.head = Duration::from_millis(300);
    options.limits.silence = Duration::from_millis(300);
    let server = Server::with(options, Some(MAP));
    // A head that does not end, and a body that does not come.
    for begun in [
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-",
        "PUT /api/0.6/changeset/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n<osm>",
    ] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(begun.as_bytes()).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(began.elapsed() < Duration::from_secs(15), "{begun}: {:?}", began.elapsed());
    }
    // A connection that is kept open ends with the server, and one that is at work is answered.
    let mut idle = TcpStream::connect(server.address).unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut some = [0; 15];
    idle.read_exact(&mut some).unwrap();
    let began = Instant::now();
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// Encodes what a header needs.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}
