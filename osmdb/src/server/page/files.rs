//! The files of the page. They were bundled when the program was built; see `build.rs`.

use std::io::Read;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use flate2::read::GzDecoder;

use super::reply::{self, Packed};
use crate::server::error::ApiError;

/// The files, each compressed by gzip; or why there are none.
type Bundle = Result<&'static [(&'static str, &'static [u8])], &'static str>;

#[cfg(feature = "page")]
const BUNDLE: Bundle = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

#[cfg(not(feature = "page"))]
const BUNDLE: Bundle = Err("the feature `page` is off");

/// What the page may load: nothing from anywhere else, and no script that is not in the bundle.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(super) async fn index(headers: HeaderMap) -> Response<Body> {
    let mut response = match find("index.html") {
        Ok(page) => packed(&headers, "text/html; charset=utf-8", page),
        Err(why) => without_a_map(why),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let policy = HeaderName::from_static("cross-origin-opener-policy");
    headers.insert(policy, HeaderValue::from_static("same-origin"));
    response
}

pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response<Body>, ApiError> {
    let kind = match name.as_str() {
        "page.js" => "text/javascript; charset=utf-8",
        "style.css" => "text/css; charset=utf-8",
        _ => return Err(ApiError::not_found()),
    };
    find(&name).map(|file| packed(&headers, kind, file)).map_err(|_| ApiError::not_found())
}

pub(super) async fn licences(headers: HeaderMap) -> Result<Response<Body>, ApiError> {
    let file = find("licences.txt").map_err(|_| ApiError::not_found())?;
    Ok(packed(&headers, "text/plain; charset=utf-8", file))
}

fn find(name: &str) -> Result<&'static [u8], &'static str> {
    let file = BUNDLE?.iter().find(|(known, _)| *known == name);
    file.map(|(_, bytes)| *bytes).ok_or("the bundle is incomplete")
}

fn packed(headers: &HeaderMap, kind: &'static str, gzipped: &'static [u8]) -> Response<Body> {
    let hash: String = blake3::hash(gzipped).to_hex().chars().take(32).collect();
    let plain = || {
        let mut out = Vec::new();
        // What the bundle has was compressed by ourselves.
        let _ = GzDecoder::new(gzipped).read_to_end(&mut out);
        out.into()
    };
    reply::packed(
        headers,
        kind,
        Packed { hash: &hash, gzipped: gzipped.into(), plain: &plain, cache: "no-cache" },
    )
}

fn without_a_map(why: &str) -> Response<Body> {
    let text = format!(
        "osmdb answers here: the OSM API 0.6 is at /api/0.6, and the database as JSON at /api/db.\n\
         \n\
         There is no map on this page, because the program was built without it: {why}.\n\
         To get it, install Node.js with npm, and build the program again while the machine is online;\n\
         or take a program that was built with it.\n"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::OK;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
