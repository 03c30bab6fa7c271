//! What a request asks for: its path, its parameters, and the form of the answer.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};

use super::app::App;
use super::error::ApiError;
use crate::model::{BBox, BBoxError, ElementId, Kind, MAX_ID};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Xml,
    Json,
}

/// The end of a path said what form the answer is to have. It is taken off before a route is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suffix(Form);

impl Suffix {
    /// Takes the end off a path of the API; `None` where there is none.
    pub(crate) fn take(uri: &Uri) -> Option<(Uri, Self)> {
        let path = uri.path();
        if !path.starts_with("/api/") {
            return None;
        }
        let (path, form) = match path.strip_suffix(".json") {
            Some(path) => (path, Form::Json),
            None => (path.strip_suffix(".xml")?, Form::Xml),
        };
        let whole = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        Some((whole.parse().ok()?, Self(form)))
    }
}

/// What a request asks for, beside its body.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The path, cut at its slashes.
    segments: Vec<String>,
    parameters: Vec<(String, String)>,
    suffix: Option<Form>,
    headers: HeaderMap,
}

impl FromRequestParts<Arc<App>> for Ask {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            segments: parts.uri.path().split('/').skip(1).map(str::to_owned).collect(),
            parameters: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            suffix: parts.extensions.get::<Suffix>().map(|suffix| suffix.0),
            headers: parts.headers.clone(),
        })
    }
}

impl Ask {
    /// Returns the headers.
    pub(crate) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns a part of the path, counted from 0.
    pub(crate) fn segment(&self, at: usize) -> &str {
        self.segments.get(at).map_or("", String::as_str)
    }

    /// Returns a part of the path with what is escaped in it.
    pub(crate) fn name(&self, at: usize) -> Result<String, ApiError> {
        let mut bytes = Vec::new();
        let mut rest = self.segment(at).as_bytes();
        while let Some((first, more)) = rest.split_first() {
            let escaped = more.get(..2).filter(|_| *first == b'%');
            let byte = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
            bytes.push(byte.unwrap_or(*first));
            rest = more.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
        }
        String::from_utf8(bytes).map_err(|_| ApiError::not_found())
    }

    /// Returns the name by which the server was asked.
    pub(crate) fn host(&self) -> &str {
        self.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost")
    }

    /// Returns a number of the path.
    pub(crate) fn number(&self, at: usize) -> Result<u64, ApiError> {
        self.segment(at).parse().map_err(|_| ApiError::not_found())
    }

    /// Returns the element that the path `/api/0.6/KIND/ID` names.
    pub(crate) fn element(&self) -> Result<ElementId, ApiError> {
        let kind = match self.segment(2) {
            "node" => Kind::Node,
            "way" => Kind::Way,
            "relation" => Kind::Relation,
            _ => return Err(ApiError::not_found()),
        };
        let id = self.number(3)?;
        if (1..=MAX_ID).contains(&id) { Ok(ElementId::new(kind, id)) } else { Err(ApiError::not_found()) }
    }

    /// Returns a parameter; the last one counts if there are several.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Tells whether a parameter is `true` or `1`.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self.parameter(name), Some("true" | "1"))
    }

    /// Returns the box that a parameter holds, as the API wants it: within the globe, and not beyond the
    /// antimeridian.
    pub(crate) fn bbox(&self) -> Result<BBox, ApiError> {
        let missing =
            "The parameter bbox is required, and must be of the form min_lon,min_lat,max_lon,max_lat.";
        let text = self.parameter("bbox").ok_or_else(|| ApiError::bad_request(missing))?;
        bbox(text).map_err(|error| match error {
            BBoxError::Syntax(_) => ApiError::bad_request(missing),
            BBoxError::OffGlobe(_) => ApiError::bad_request(OFF_GLOBE),
            BBoxError::Inverted { .. } => ApiError::bad_request(LATITUDES),
        })?
    }

    /// Says which form the answer is to have: that of the path's end, else that which `Accept` likes best.
    pub(crate) fn form(&self) -> Result<Form, ApiError> {
        if let Some(form) = self.suffix {
            return Ok(form);
        }
        let accept = self.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        accept.map_or(Ok(Form::Xml), accepted)
    }
}

const OFF_GLOBE: &str = "The latitudes must be between -90 and 90, longitudes between -180 and 180 and the minima \
                         must be less than the maxima.";
const LATITUDES: &str = "The minimum latitude must be less than the maximum latitude, but it wasn't";
const LONGITUDES: &str = "The minimum longitude must be less than the maximum longitude, but it wasn't";

fn bbox(text: &str) -> Result<Result<BBox, ApiError>, BBoxError> {
    let bbox: BBox = text.parse()?;
    Ok(if bbox.crosses_antimeridian() { Err(ApiError::bad_request(LONGITUDES)) } else { Ok(bbox) })
}

/// Returns the area of a box that does not cross the antimeridian, in square units of 10⁻⁷ degree.
pub(crate) fn area(bbox: BBox) -> u64 {
    let (low, high) = (bbox.south_west(), bbox.north_east());
    u64::from(high.lat().abs_diff(low.lat())) * u64::from(high.lon().abs_diff(low.lon()))
}

/// Reads an `Accept` header: of several that are liked equally, the first. What cannot be read means XML.
fn accepted(accept: &str) -> Result<Form, ApiError> {
    let mut best: Option<(u32, Form)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let form = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "*/*" | "application/*" | "application/xml" | "text/xml" | "text/*" | "" => Form::Xml,
            "application/json" | "text/json" => Form::Json,
            other if !other.contains('/') => Form::Xml,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1_000), thousandths);
        let quality = quality.unwrap_or(1_000);
        if quality > 0 && best.is_none_or(|(least, _)| quality > least) {
            best = Some((quality, form));
        }
    }
    let refused = || ApiError::new(StatusCode::NOT_ACCEPTABLE, "Not acceptable: XML and JSON are answered");
    best.map(|(_, form)| form).ok_or_else(refused)
}

/// Reads a number from 0 to 1 with at most three digits behind the point.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let whole: u32 = whole.parse().ok().filter(|whole| *whole <= 1)?;
    let rest: u32 = format!("{rest:0<3}").get(..3)?.parse().ok()?;
    Some(whole * 1_000 + rest)
}
