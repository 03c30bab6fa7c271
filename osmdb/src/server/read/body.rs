//! The body of a request: how long it may be, how long it may take, and how it is packed.

use std::io::Read as _;
use std::ops::Deref;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::server::app::App;
use crate::server::error::ApiError;

/// A whole body takes at most so many times as long as a client may be silent.
const PATIENCE: u32 = 20;

/// Bodies of more bytes than this wait for each other: so many of them are here at a time.
const LONG: usize = 1 << 20;
pub(crate) const LONG_BODIES: usize = 2;

/// The text of a body.
#[derive(Debug)]
pub(crate) struct Text {
    text: String,
    /// The right to be long.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// Returns the text of a body, unpacked.
pub(crate) async fn body(app: &Arc<App>, headers: &HeaderMap, body: Body) -> Result<Text, ApiError> {
    let limit = app.options.limits.body;
    let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if said.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_long(limit));
    }
    let mut permit = None;
    let whole = timeout(app.options.limits.silence.saturating_mul(PATIENCE), bytes(app, body, &mut permit));
    let bytes = whole.await.map_err(|_| too_slow())??;
    let text = match headers.get(header::CONTENT_ENCODING).map(|encoding| encoding.as_bytes()) {
        None | Some(b"" | b"identity") => text(bytes),
        Some(b"gzip" | b"x-gzip") => {
            if permit.is_none() {
                // A short one may unpack to a long one.
                permit = Some(long(app).await?);
            }
            app.work(move |_| text(unpacked(&bytes, limit)?)).await
        }
        Some(_) => {
            let text = "A body is packed with gzip or not at all";
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
        }
    };
    text.map(|text| Text { text, _permit: permit })
}

/// Waits until one more long body may come.
async fn long(app: &App) -> Result<OwnedSemaphorePermit, ApiError> {
    let busy = "Others send much at the moment: try again";
    let waited = timeout(app.options.limits.silence, Arc::clone(&app.long_bodies).acquire_owned()).await;
    let permit = waited.map_err(|_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, busy))?;
    permit.map_err(ApiError::internal)
}

async fn bytes(
    app: &App,
    mut body: Body,
    permit: &mut Option<OwnedSemaphorePermit>,
) -> Result<Vec<u8>, ApiError> {
    let limits = &app.options.limits;
    let mut bytes = Vec::new();
    loop {
        let frame = timeout(limits.silence, body.frame()).await.map_err(|_| too_slow())?;
        let Some(frame) = frame else { return Ok(bytes) };
        let frame = frame.map_err(|_| ApiError::bad_request("The body of the request was cut off"))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > limits.body {
                return Err(too_long(limits.body));
            }
            if bytes.len() + data.len() > LONG && permit.is_none() {
                *permit = Some(long(app).await?);
            }
            bytes.extend_from_slice(&data);
        }
    }
}

fn unpacked(bytes: &[u8], limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut unpacked = Vec::new();
    let mut reader = MultiGzDecoder::new(bytes).take(limit as u64 + 1);
    let damaged =
        |_| ApiError::bad_request("The body says that it is packed with gzip, and cannot be unpacked");
    reader.read_to_end(&mut unpacked).map_err(damaged)?;
    if unpacked.len() > limit { Err(too_long(limit)) } else { Ok(unpacked) }
}

fn text(bytes: Vec<u8>) -> Result<String, ApiError> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        ApiError::bad_request(format!("The body is not UTF-8: byte {at} is wrong"))
    })
}

fn too_long(limit: usize) -> ApiError {
    let text = format!("The body of a request has at most {limit} bytes: upload less at once");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, text)
}

fn too_slow() -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "Request timed out")
}
