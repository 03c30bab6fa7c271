//! An editor beside the API: an iD build, served at `/edit/`.
//!
//! iD's own page speaks to the server of OpenStreetMap and fetches its presets from a content network, without which it
//! stays blank. The page here has it speak to this server, and fetch them from the npm packages beside it.

use std::fs::Metadata;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as Segments, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;

use super::access::Access;
use super::app::App;
use super::error::ApiError;

/// No file of an editor is longer, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// What iD is logged in with where everybody may edit. Where a token is asked for, iD asks for it.
const OPEN: &str = "\"none is asked for\"";

/// The page, in which [`TOKEN`] stands for the token.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>osmdb: edit</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="iD.css">
    <style>html, body, #editor { height: 100%; margin: 0; overflow: hidden }</style>
  </head>
  <body>
    <div id="editor"></div>
    <noscript>The editor needs JavaScript.</noscript>
    <script src="iD.min.js"></script>
    <script>
      const token = TOKEN;
      const server = { url: location.origin, apiUrl: location.origin, client_id: "osmdb" };
      // What would come from a content network lies beside the editor.
      const network = /^https?:\/\/[^/]+\/npm\/((?:@[^/]+\/)?[^/@]+)@[^/]+\//;
      const elsewhere = window.fetch.bind(window);
      window.fetch = (place, ...rest) =>
        elsewhere(typeof place === "string" ? place.replace(network, "npm/$1/") : place, ...rest);
      async function begin() {
        if (location.hash.length < 2) {
          const { bounds } = await fetch("/api/db").then((answer) => answer.json()).catch(() => ({}));
          if (bounds) location.hash = `map=16/${(bounds[1] + bounds[3]) / 2}/${(bounds[0] + bounds[2]) / 2}`;
        }
        const context = iD.coreContext().assetPath("").containerNode(document.getElementById("editor"));
        context.connection().apiConnections([server]);
        context.preauth(token === null ? server : { ...server, access_token: token });
        context.init();
        window.context = context;
      }
      begin();
    </script>
  </body>
</html>
"#;

const TOKEN: &str = "TOKEN";

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/edit", get(|| async { moved() }))
        .route("/edit/", get(page))
        .route("/edit/{*path}", get(file))
}

fn moved() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/edit/"));
    response
}

async fn page(State(app): State<Arc<App>>) -> Result<Response<Body>, ApiError> {
    if app.options.editor.is_none() {
        return Err(none());
    }
    let token = if app.options.access == Access::Open { OPEN } else { "null" };
    Ok(of_type("text/html; charset=utf-8", PAGE.replacen(TOKEN, token, 1).into_bytes()))
}

async fn file(
    State(app): State<Arc<App>>,
    Segments(path): Segments<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let dir = app.options.editor.clone().ok_or_else(none)?;
    let place = place(&dir, &path).ok_or_else(ApiError::not_found)?;
    let kind = kind(&place);
    let known = headers.get(header::IF_NONE_MATCH).cloned();
    let found = app.work(move |_| {
        let meta =
            std::fs::metadata(&place).ok().filter(|meta| meta.is_file() && meta.len() <= MAX_FILE_BYTES);
        let tag = meta.as_ref().and_then(tag);
        if tag.is_some() && tag == known {
            return Ok((tag, None));
        }
        let bytes = meta.and_then(|_| std::fs::read(&place).ok()).ok_or_else(ApiError::not_found)?;
        Ok((tag, Some(bytes)))
    });
    let (tag, bytes) = found.await?;
    let is_known = bytes.is_none();
    let mut response = of_type(kind, bytes.unwrap_or_default());
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Returns by what a browser knows a file again: its time and its length.
fn tag(meta: &Metadata) -> Option<HeaderValue> {
    let time = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    HeaderValue::from_str(&format!("\"{:x}-{:x}\"", time.as_nanos(), meta.len())).ok()
}

fn none() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "No editor is here: name a folder with a build of iD by `osmdb serve --editor`",
    )
}

/// Returns where a file lies; `None` if its path leads out of the editor's folder. The packages that iD takes its
/// presets from lie beside its own, or in a folder `npm` of the build.
fn place(dir: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let Ok(packaged) = path.strip_prefix("npm") else { return Some(dir.join(path)) };
    let modules = dir.ancestors().find(|above| above.file_name().is_some_and(|name| name == "node_modules"));
    Some(modules.map_or_else(|| dir.join("npm"), Path::to_owned).join(packaged))
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("css") => "text/css; charset=utf-8",
        Some("gif") => "image/gif",
        Some("html") => "text/html; charset=utf-8",
        Some("jpg") => "image/jpeg",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json" | "geojson" | "map") => "application/json",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

fn of_type(kind: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out() {
        let build = Path::new("/srv/node_modules/@openstreetmap/id/dist");
        let found = |path: &str| place(build, path).map(|place| place.to_str().unwrap().to_owned());
        assert_eq!(found("iD.min.js"), Some(format!("{}/iD.min.js", build.display())));
        assert_eq!(found("locales/en.min.json"), Some(format!("{}/locales/en.min.json", build.display())));
        let presets = "npm/@openstreetmap/id-tagging-schema/dist/presets.min.json";
        assert_eq!(found(presets), Some(format!("/srv/node_modules/{}", &presets[4..])));
        assert_eq!(place(Path::new("/srv/id"), "npm/x/y"), Some("/srv/id/npm/x/y".into()));
        for path in ["../secret", "a/../../secret", "/etc/passwd", "npm/../../secret", "./x", "npm//../x"] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
