//! Who may ask: a page elsewhere must not use a database through the browser of somebody who has it open.
//!
//! A browser sends requests of any page to any server, this one on the loopback address included. So whatever
//! changes something must come from a page of this server (`Origin` names the host that was asked for, and
//! `Sec-Fetch-Site` does not say otherwise), and says that it is JSON, which a form cannot. A page elsewhere can also
//! have its own name point here (DNS rebinding); so a server that was asked without a token answers only by numbers
//! and by `localhost`.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

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
    if text(header::AUTHORIZATION).is_none() && !is_plain(host) {
        return Some("Ask for this server by its number or as localhost, or with a token");
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let elsewhere = Some("Only a page of this server may do that");
    if text(header::ORIGIN).is_some_and(|origin| authority(origin) != Some(host)) {
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

fn authority(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}

/// Tells whether a host is a number, or `localhost`: names that nobody can have point here.
fn is_plain(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            return rest.split(']').next().is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
        }
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::Ipv4Addr>().is_ok()
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

    #[test]
    fn no_name_of_somebody_elses_leads_here() {
        for (host, is_refused) in [
            ("localhost:5000", false),
            ("127.0.0.1", false),
            ("[::1]:5000", false),
            ("192.168.1.7:5000", false),
            ("evil.example:5000", true),
            ("127.0.0.1.evil.example", true),
            ("localhost.evil.example", true),
            ("[evil]:5000", true),
            ("", true),
        ] {
            assert_eq!(refused(&Method::GET, &[("host", host)]), is_refused, "{host}");
        }
        assert!(!refused(&Method::GET, &[("host", "hilltop.example"), ("authorization", "Bearer x")]));
    }
}
