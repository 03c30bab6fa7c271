//! Answers of a few bytes.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};

use super::ask::Form;

/// An answer that is text.
pub(crate) fn text(text: impl Into<String>) -> Response<Body> {
    with_type(text.into(), "text/plain; charset=utf-8")
}

/// An answer in one of the forms of the API.
pub(crate) fn document(form: Form, document: impl Into<Body>) -> Response<Body> {
    with_type(
        document,
        match form {
            Form::Xml => "application/xml; charset=utf-8",
            Form::Json => "application/json; charset=utf-8",
        },
    )
}

/// An answer of a type.
pub(crate) fn with_type(body: impl Into<Body>, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
