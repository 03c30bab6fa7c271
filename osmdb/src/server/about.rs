//! What the server says of itself.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Response;
use axum::routing::get;
use serde_json::json;

use super::answer::{document, text};
use super::app::App;
use super::ask::{Ask, Form};
use super::error::ApiError;

/// What answers and asks for the API say of who answers.
pub(crate) const GENERATOR: &str = concat!("osmdb ", env!("CARGO_PKG_VERSION"));

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/healthz", get(health)).route("/api/versions", get(versions))
}

/// The server is there, and so is the database.
async fn health() -> Response<Body> {
    text("ok\n")
}

async fn versions(ask: Ask) -> Result<Response<Body>, ApiError> {
    let form = ask.form()?;
    let body = match form {
        Form::Xml => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<osm generator=\"{GENERATOR}\">\n  <api>\n    \
             <version>0.6</version>\n  </api>\n</osm>\n"
        ),
        Form::Json => json!({"generator": GENERATOR, "api": {"versions": ["0.6"]}}).to_string(),
    };
    Ok(document(form, body))
}
