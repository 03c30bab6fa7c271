//! OAuth 2 as far as editors need it: the flow with a code and PKCE (RFC 6749, RFC 7636), by which an editor in
//! the browser comes to a token.
//!
//! Whoever is sent here types a token, which the editor then gets for a code. A server that needs no token gives the
//! code at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post};
use sha2::{Digest as _, Sha256};

use super::access::Access;
use super::answer::with_type;
use super::app::App;
use super::ask::Ask;
use super::error::ApiError;
use super::read;
use super::tokens::{Tokens, secret};
use crate::db::now;

/// A code is good for so long, and once.
const CODE_TIME: Duration = Duration::from_secs(600);

/// So many codes wait to be used; the oldest goes when there are more.
const MAX_CODES: usize = 100;

/// What an editor gets where no token is needed.
const NO_TOKEN: &str = "open";

/// Codes that were given and not used yet.
#[derive(Debug, Default)]
pub(crate) struct Codes(Mutex<BTreeMap<String, Code>>);

#[derive(Debug)]
struct Code {
    given: Instant,
    token: String,
    redirect: String,
    challenge: String,
    scope: String,
}

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/oauth2/authorize", get(ask_for_token).post(authorize))
        .route("/oauth2/token", post(token))
}

/// What an editor asks for.
#[derive(Debug)]
struct Wanted {
    redirect: String,
    challenge: String,
    state: Option<String>,
    scope: String,
    client: String,
}

impl Wanted {
    fn of(ask: &Ask) -> Result<Self, ApiError> {
        let need = |name: &str| {
            let missing = || ApiError::bad_request(format!("The parameter {name} is required"));
            ask.parameter(name).filter(|value| !value.is_empty()).map(str::to_owned).ok_or_else(missing)
        };
        if need("response_type")? != "code" {
            return Err(ApiError::bad_request("Only codes are given: response_type=code"));
        }
        if ask.parameter("code_challenge_method") != Some("S256") {
            return Err(ApiError::bad_request("PKCE is needed: code_challenge_method=S256"));
        }
        let redirect = need("redirect_uri")?;
        let is_page = redirect.starts_with("https://") || redirect.starts_with("http://");
        if !is_page || redirect.contains(|c: char| c.is_control() || c == '#') {
            return Err(ApiError::bad_request("redirect_uri is no address of a page"));
        }
        Ok(Self {
            redirect,
            challenge: need("code_challenge")?,
            state: ask.parameter("state").map(str::to_owned),
            scope: ask.parameter("scope").unwrap_or_default().to_owned(),
            client: need("client_id")?,
        })
    }
}

async fn ask_for_token(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let wanted = Wanted::of(&ask)?;
    match app.options.access {
        Access::Open => give(&app, wanted, NO_TOKEN.to_owned()),
        Access::Tokens(_) => Ok(page(&wanted, "")),
    }
}

async fn authorize(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    let wanted = Wanted::of(&ask)?;
    let body = read::body(&app, ask.headers(), body).await?;
    let Access::Tokens(dir) = &app.options.access else { return give(&app, wanted, NO_TOKEN.to_owned()) };
    let token = field(&body, "token").unwrap_or_default().trim().to_owned();
    if Tokens::read(dir).map_err(ApiError::internal)?.holder(&token).is_none() {
        return Ok(page(&wanted, "This is no token of this server."));
    }
    give(&app, wanted, token)
}

/// Sends the browser back to the editor, with a code.
fn give(app: &App, wanted: Wanted, token: String) -> Result<Response<Body>, ApiError> {
    let code = secret().map_err(ApiError::internal)?;
    let Wanted { redirect, challenge, state, scope, client: _ } = wanted;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("code", &code);
    if let Some(state) = &state {
        query.append_pair("state", state);
    }
    let join = if redirect.contains('?') { '&' } else { '?' };
    let location = format!("{redirect}{join}{}", query.finish());
    let mut codes = app.codes.0.lock().unwrap_or_else(PoisonError::into_inner);
    codes.retain(|_, code| code.given.elapsed() < CODE_TIME);
    while codes.len() >= MAX_CODES {
        let oldest = codes.iter().min_by_key(|(_, code)| code.given).map(|(code, _)| code.clone());
        oldest.into_iter().for_each(|oldest| drop(codes.remove(&oldest)));
    }
    codes.insert(code, Code { given: Instant::now(), token, redirect, challenge, scope });
    drop(codes);
    let location = HeaderValue::from_str(&location);
    let location = location.map_err(|_| ApiError::bad_request("redirect_uri is no address of a page"))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Gives the token for a code.
async fn token(State(app): State<Arc<App>>, ask: Ask, body: Body) -> Result<Response<Body>, ApiError> {
    let body = read::body(&app, ask.headers(), body).await?;
    let value = |name: &str| field(&body, name).or_else(|| ask.parameter(name).map(str::to_owned));
    let refused = |error: &str| {
        let mut response = with_type(format!("{{\"error\":\"{error}\"}}"), "application/json; charset=utf-8");
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    };
    if value("grant_type").as_deref() != Some("authorization_code") {
        return Ok(refused("unsupported_grant_type"));
    }
    let given = value("code").unwrap_or_default();
    // Whatever comes of it, the code was used.
    let code = app.codes.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&given);
    let verifier = value("code_verifier").unwrap_or_default();
    let challenge = data_encoding::BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes()));
    let fits = |code: &Code| {
        code.given.elapsed() < CODE_TIME
            && code.challenge == challenge
            && value("redirect_uri").is_none_or(|redirect| redirect == code.redirect)
    };
    let Some(code) = code.filter(fits) else { return Ok(refused("invalid_grant")) };
    let answer = serde_json::json!({
        "access_token": code.token, "token_type": "Bearer", "scope": code.scope, "created_at": now(),
    });
    let mut response = with_type(answer.to_string(), "application/json; charset=utf-8");
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Returns a field of a form.
fn field(body: &str, name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(body.as_bytes());
    fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The page where a token is typed. The form comes back to the same address.
fn page(wanted: &Wanted, problem: &str) -> Response<Body> {
    let rest = wanted.redirect.split_once("://").map_or("", |(_, rest)| rest);
    let site = rest.split(['/', '?']).next().unwrap_or_default();
    let mut html =
        String::from("<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>osmdb</title>");
    html.push_str(
        "<style>body{font:1em/1.5 sans-serif;max-width:30em;margin:4em auto;padding:0 1em}</style>",
    );
    let _ = write!(
        html,
        "<h1>Log in to osmdb</h1><p>The editor at <strong>{}</strong> ({}) asks to edit this database.</p>",
        escaped(site),
        escaped(&wanted.client),
    );
    if !problem.is_empty() {
        let _ = write!(html, "<p role=\"alert\">{}</p>", escaped(problem));
    }
    html.push_str(
        "<form method=\"post\"><label>Token <input name=\"token\" type=\"password\" autofocus required \
         autocomplete=\"current-password\"></label> <button>Allow</button></form>\
         <p>Whoever runs the server gets one with <code>osmdb token add NAME</code>.</p></html>",
    );
    let mut response = with_type(html, "text/html; charset=utf-8");
    let headers = response.headers_mut();
    let policy =
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}
