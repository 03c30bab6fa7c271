//! Who may ask.
//!
//! A browser sends requests of any page to any server, those on the loopback address included. So a server that
//! asks for no token answers only by names that nobody can have point here, and changes nothing for a page that comes
//! from elsewhere, unless that was allowed. A token that a page sends as Bearer needs none of this: no page has somebody
//! else's. Where a browser sends it of its own, as Basic, pages from elsewhere change nothing either.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

use super::app::ServerOptions;
use super::error::ApiError;
use super::sync;
use super::tokens::Tokens;

/// Who may use a server.
///
/// ```
/// use osmdb::server::{Access, ServerOptions};
/// let mut options = ServerOptions::default();
/// assert_eq!(options.access, Access::Open);
/// options.access = Access::Tokens("osm.db".into());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Access {
    /// Whoever can reach it: for the loopback address.
    #[default]
    Open,
    /// Who has one of the [tokens](Tokens) in the directory of the database.
    Tokens(PathBuf),
}

/// What is answered to whoever asks. Peers prove their keys.
const FREE: [&str; 6] = [
    sync::PATH,
    "/healthz",
    "/api/versions",
    "/api/capabilities",
    "/api/0.6/capabilities",
    "/api/0.6/permissions",
];

/// Says why a request is refused, if it is.
pub(crate) fn check<B>(options: &ServerOptions, request: &Request<B>) -> Result<(), ApiError> {
    let (headers, path) = (request.headers(), request.uri().path());
    match &options.access {
        Access::Open => {
            let host = text(headers, header::HOST).unwrap_or_default();
            if !is_plain(host) {
                let text = "Ask for this server as localhost or by its number, or have it ask for tokens";
                return Err(ApiError::new(StatusCode::FORBIDDEN, text));
            }
            is_at_home(options, request)
        }
        Access::Tokens(_) if FREE.contains(&path) || path.starts_with("/oauth2/") => Ok(()),
        Access::Tokens(_) => {
            // A browser that was told a name and a password sends them for any page.
            if scheme(headers).is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("basic")) {
                is_at_home(options, request)?;
            }
            holder(options, headers).map(drop)
        }
    }
}

/// Refuses what a page from elsewhere wants to change.
fn is_at_home<B>(options: &ServerOptions, request: &Request<B>) -> Result<(), ApiError> {
    let headers = request.headers();
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let origin = text(headers, header::ORIGIN);
    if !is_reading && origin.is_some_and(|origin| !is_known(options, headers, origin)) {
        let text = "Pages from elsewhere change nothing here: allow this one with --allow-origin";
        return Err(ApiError::new(StatusCode::FORBIDDEN, text));
    }
    Ok(())
}

/// Returns who asks, if a token is needed: the name of the token.
pub(crate) fn holder(options: &ServerOptions, headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Access::Tokens(dir) = &options.access else { return Ok(None) };
    let refused = || ApiError::new(StatusCode::UNAUTHORIZED, "Couldn't authenticate you");
    let secret = secret(headers).ok_or_else(refused)?;
    // Read anew each time: somebody may have been let in or forgotten meanwhile.
    let tokens = Tokens::read(dir).map_err(ApiError::internal)?;
    tokens.holder(&secret).map(|name| Some(name.to_owned())).ok_or_else(refused)
}

/// Returns the secret that a request has: as Bearer, or as the password of Basic, with whatever name.
fn secret(headers: &HeaderMap) -> Option<String> {
    let (scheme, rest) = scheme(headers)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let plain = String::from_utf8(data_encoding::BASE64.decode(rest.as_bytes()).ok()?).ok()?;
    plain.split_once(':').map(|(_, password)| password.to_owned())
}

/// Returns how a request says who asks, and what it says.
fn scheme(headers: &HeaderMap) -> Option<(&str, &str)> {
    let (scheme, rest) = text(headers, header::AUTHORIZATION)?.split_once(' ')?;
    Some((scheme, rest.trim()))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Tells whether a page from an origin may change something, and read what is answered.
fn is_allowed(options: &ServerOptions, headers: &HeaderMap, origin: &str) -> bool {
    options.access != Access::Open || is_known(options, headers, origin)
}

/// Tells whether an origin is this server's, a program's of this machine, or one that was allowed.
fn is_known(options: &ServerOptions, headers: &HeaderMap, origin: &str) -> bool {
    if options.origins.iter().any(|allowed| allowed == origin) {
        return true;
    }
    authority(origin).is_some_and(|authority| {
        Some(authority) == text(headers, header::HOST) || is_loopback(host_of(authority))
    })
}

/// Returns the host and the port that an origin names; `None` if it is not one of HTTP.
pub(crate) fn authority(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}

/// Returns an authority without its port.
fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

/// Tells whether a host is a number, or `localhost`: names that nobody else can have point here.
fn is_plain(authority: &str) -> bool {
    let host = host_of(authority);
    is_loopback(host) || host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok()
}

/// Answers a browser that asks what a page may ask for; `None` if it asks for something else.
pub(crate) fn preflight<B>(request: &Request<B>) -> Option<Response<Body>> {
    let is_one = *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !is_one {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let mut put = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
    put(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE, OPTIONS");
    put(header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, content-encoding, accept");
    put(header::ACCESS_CONTROL_MAX_AGE, "600");
    Some(response)
}

/// Lets the page that asked read the answer, if it may.
pub(crate) fn share(options: &ServerOptions, asked: &HeaderMap, response: &mut Response<Body>) {
    let Some(origin) = asked.get(header::ORIGIN) else { return };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if origin.to_str().is_ok_and(|origin| is_allowed(options, asked, origin)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let exposed = HeaderValue::from_static("Error, Last-Modified");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_somebody_elses_leads_here() {
        for (host, is_answered) in [
            ("localhost:5000", true),
            ("127.0.0.1", true),
            ("[::1]:5000", true),
            ("192.168.1.7:5000", true),
            ("evil.example:5000", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("[evil]:5000", false),
            ("", false),
        ] {
            let request = Request::get("/").header(header::HOST, host).body(()).unwrap();
            assert_eq!(check(&ServerOptions::default(), &request).is_ok(), is_answered, "{host}");
        }
    }
}
