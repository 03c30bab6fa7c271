//! An editor beside the API.

use osmdb::server::{Access, ServerOptions};

use super::Server;

/// Serves a folder that looks like a build of iD among other packages.
fn with_editor(access: impl FnOnce(&std::path::Path) -> Access) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let modules = dir.path().join("node_modules");
    let build = modules.join("@openstreetmap/id/dist");
    let presets = modules.join("@openstreetmap/id-tagging-schema/dist");
    for folder in [&build.join("locales"), &presets] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(build.join("iD.min.js"), "var iD;").unwrap();
    std::fs::write(build.join("locales/index.min.json"), "{}").unwrap();
    std::fs::write(presets.join("presets.min.json"), "{\"amenity\":1}").unwrap();
    std::fs::write(dir.path().join("secret"), "of the village").unwrap();
    let mut options = ServerOptions::default();
    options.access = access(dir.path());
    options.editor = Some(build);
    Server::in_dir(dir, options, None)
}

#[test]
fn a_build_of_id_is_served_with_its_presets() {
    let server = with_editor(|_| Access::Open);
    assert_eq!(server.get("/edit").header("location"), Some("/edit/"));
    let page = server.get("/edit/");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let page = page.good();
    assert!(page.contains("iD.min.js") && page.contains("const token = \"none is asked for\";"), "{page}");
    for (path, kind, body) in [
        ("iD.min.js", "text/javascript; charset=utf-8", "var iD;"),
        ("locales/index.min.json", "application/json", "{}"),
        ("npm/@openstreetmap/id-tagging-schema/dist/presets.min.json", "application/json", "{\"amenity\":1}"),
    ] {
        let file = server.get(&format!("/edit/{path}"));
        assert_eq!(file.header("content-type"), Some(kind), "{path}");
        let tag = file.header("etag").unwrap().to_owned();
        assert_eq!(file.good(), body);
        let again = server.ask("GET", &format!("/edit/{path}"), &[("If-None-Match", &tag)], b"");
        assert_eq!((again.status, again.body.as_str()), (304, ""));
    }
}

#[test]
fn nothing_beside_the_editor_is_served() {
    let server = with_editor(|_| Access::Open);
    for path in [
        "nothing.js",
        "locales",
        "../../../../secret",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret",
        "npm/../../secret",
        "npm/%2e%2e/secret",
        "%2fetc%2fpasswd",
    ] {
        let answer = server.get(&format!("/edit/{path}"));
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.body.contains("village"), "{path}");
    }
    let without = Server::empty();
    assert!(without.get("/edit/").refused(404).contains("osmdb serve --editor"));
}

#[test]
fn where_a_token_is_asked_for_id_asks_for_it() {
    let server = with_editor(|dir| Access::Tokens(dir.to_owned()));
    assert_eq!(server.get("/edit/iD.min.js").status, 401, "it is not open to everybody either");
    let token = {
        let home = tempfile::tempdir().unwrap();
        osmdb::server::Tokens::update(home.path(), |tokens| tokens.add("Amina")).unwrap().unwrap()
    };
    let bearer = format!("Bearer {token}");
    assert_eq!(
        server.ask("GET", "/edit/", &[("Authorization", &bearer)], b"").status,
        401,
        "of another place"
    );
}
