//! Who may ask: a page elsewhere must not use a database through the browser of somebody who has it open.
//!
//! A browser sends requests of any page to any server, this one on the loopback address included. So whatever
//! changes something must come from a page of this server (`Origin` names the host that was asked for, and
//! `Sec-Fetch-Site` does not say otherwise), and says that it is JSON, which a form cannot. By which names the server is
//! asked is looked at before all routes ([`access`]).

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::server::access;
use crate::server::error::ApiError;

/// Lets a request pass, or refuses it.
pub(super) async fn guard(request: Request, next: Next) -> Response<Body> {
    match refusal(request.method(), request.headers()) {
        Some(why) => ApiError::new(StatusCode::FORBIDDEN, why).into_response(),
        None => next.run(request).await,
    }
}

fn refusal(method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).unwrap_or_default();
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let elsewhere = Some("Only a page of this server may do that");
    if text(header::ORIGIN).is_some_and(|origin| access::authority(origin) != Some(host)) {
        return elsewhere;
    }
    if text(header::HeaderName::from_static("sec-fetch-site"))
        .is_some_and(|site| site != "same-origin" && site != "none")
    {
        return elsewhere;
    }
    let is_json =
        text(header::CONTENT_TYPE).is_some_and(|kind| kind.split(';').next() == Some("application/json"));
    (!is_json).then_some("The body must be application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &Method, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), header::HeaderValue::from_str(value).unwrap())
        });
        refusal(method, &headers.collect()).is_some()
    }

    #[test]
    fn only_pages_of_this_server_change_anything() {
        let (host, json) = (("host", "127.0.0.1:5000"), ("content-type", "application/json; charset=utf-8"));
        let post = |more: &[(&'static str, &str)]| refused(&Method::POST, &[&[host, json], more].concat());
        assert!(!post(&[]), "no browser");
        assert!(!post(&[("origin", "http://127.0.0.1:5000"), ("sec-fetch-site", "same-origin")]));
        for origin in ["http://evil.example", "http://127.0.0.1:5001", "null", "http://localhost:5000"] {
            assert!(post(&[("origin", origin)]), "{origin}");
        }
        assert!(post(&[("sec-fetch-site", "cross-site")]) && post(&[("sec-fetch-site", "same-site")]));
        assert!(refused(&Method::POST, &[host]), "a form has another type");
        assert!(refused(&Method::POST, &[host, ("content-type", "text/plain")]));
    }
}
