//! What the server says of itself, and what it says of things that it has not.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::routing::get;

use super::answer::{document, text, with_type};
use super::app::App;
use super::ask::{Ask, Form};
use super::error::ApiError;
use super::write::begin_xml;
use super::{changesets, notes};
use crate::model::{MAX_MEMBERS, MAX_WAY_NODES};

/// What answers and asks for the API say of who answers.
pub(crate) const GENERATOR: &str = concat!("osmdb ", env!("CARGO_PKG_VERSION"));

/// So many square units of 10⁻⁷ degree make a millionth of a square degree.
const MILLIONTH: u64 = 100_000_000;

pub(crate) fn routes() -> Router<Arc<App>> {
    let mut router = Router::new()
        .route("/healthz", get(health))
        .route("/api/versions", get(versions))
        .route("/api/capabilities", get(capabilities))
        .route("/api/0.6/capabilities", get(capabilities))
        .route("/api/0.6/trackpoints", get(no_tracks));
    // Traces, blocks and messages: nobody has any here.
    for path in ["user/gpx_files", "user_blocks/active", "user/messages/inbox", "user/messages/outbox"] {
        router = router.route(&format!("/api/0.6/{path}"), get(nothing));
    }
    router
}

/// The server is there, and so is the database.
async fn health() -> Response<Body> {
    text("ok\n")
}

async fn versions(ask: Ask) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let mut out = String::new();
    match form {
        Form::Xml => {
            begin_xml(&mut out, "osm");
            out.push_str("  <api>\n    <version>0.6</version>\n  </api>\n</osm>\n");
        }
        Form::Json => {
            out.extend(["{\"generator\":\"", GENERATOR, "\",\"api\":{\"versions\":[\"0.6\"]}}\n"]);
        }
    }
    Ok(document(form, out))
}

/// Lists limits: what they are of, and their names and values. A value that is no number has quotation marks.
fn limits(app: &App) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let limits = &app.options.limits;
    let square = |area: u64| {
        let millionths = area / MILLIONTH;
        let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let number = |number: usize| number.to_string();
    let quoted = |text: &str| format!("\"{text}\"");
    vec![
        ("version", vec![("minimum", quoted("0.6")), ("maximum", quoted("0.6"))]),
        ("area", vec![("maximum", square(limits.map_area))]),
        ("note_area", vec![("maximum", square(limits.note_area))]),
        ("tracepoints", vec![("per_page", number(5_000))]),
        ("waynodes", vec![("maximum", number(MAX_WAY_NODES))]),
        ("relationmembers", vec![("maximum", number(MAX_MEMBERS))]),
        (
            "changesets",
            vec![
                ("maximum_elements", limits.changeset_elements.to_string()),
                ("default_query_limit", number(changesets::MOST)),
                ("maximum_query_limit", number(changesets::MOST)),
            ],
        ),
        (
            "notes",
            vec![("default_query_limit", number(notes::LIMIT)), ("maximum_query_limit", number(notes::MOST))],
        ),
        ("timeout", vec![("seconds", limits.silence.as_secs().to_string())]),
        (
            "status",
            vec![("database", quoted("online")), ("api", quoted("online")), ("gpx", quoted("offline"))],
        ),
    ]
}

async fn capabilities(State(app): State<Arc<App>>, ask: Ask) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let mut out = String::new();
    match form {
        Form::Xml => {
            begin_xml(&mut out, "osm");
            out.push_str("  <api>\n");
            for (name, values) in limits(&app) {
                out.extend(["    <", name]);
                for (key, value) in values {
                    out.extend([" ", key, "=\"", value.trim_matches('"'), "\""]);
                }
                out.push_str("/>\n");
            }
            out.push_str("  </api>\n  <policy>\n    <imagery/>\n  </policy>\n</osm>\n");
        }
        Form::Json => {
            out.extend(["{\"version\":\"0.6\",\"generator\":\"", GENERATOR, "\",\"api\":{"]);
            for (at, (name, values)) in limits(&app).into_iter().enumerate() {
                out.extend([if at > 0 { ",\"" } else { "\"" }, name, "\":{"]);
                for (at, (key, value)) in values.into_iter().enumerate() {
                    out.extend([if at > 0 { ",\"" } else { "\"" }, key, "\":", &value]);
                }
                out.push('}');
            }
            out.push_str("},\"policy\":{\"imagery\":{\"blacklist\":[]}}}\n");
        }
    }
    Ok(document(form, out))
}

async fn nothing(ask: Ask) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let mut out = String::new();
    match form {
        Form::Xml => {
            begin_xml(&mut out, "osm");
            out.push_str("</osm>\n");
        }
        Form::Json => {
            let name = ask.segment(3);
            let list = match ask.segment(2) {
                "user_blocks" => "user_blocks",
                _ if name == "messages" => "messages",
                _ => "traces",
            };
            out.extend(["{\"version\":\"0.6\",\"generator\":\"", GENERATOR, "\",\"", list, "\":[]}\n"]);
        }
    }
    Ok(document(form, out))
}

async fn no_tracks(ask: Ask) -> Result<Response<Body>, ApiError> {
    ask.bbox()?;
    let gpx = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gpx version=\"1.0\" creator=\"{GENERATOR}\" \
         xmlns=\"http://www.topografix.com/GPX/1/0\"/>\n"
    );
    Ok(with_type(gpx, "application/gpx+xml; charset=utf-8"))
}
