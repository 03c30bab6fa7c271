//! The roots that the database had.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use serde_json::{Value, json};

use super::{describe, reply};
use crate::db::Reflog;
use crate::error::Error;
use crate::server::app::App;
use crate::server::error::ApiError;

/// So many roots are listed, the latest ones.
const MAX_ROOTS: usize = 1_000;

pub(super) async fn reflog(State(app): State<Arc<App>>) -> Result<Response<Body>, ApiError> {
    let value = app.work(move |app| {
        let log = app.db.reflog()?;
        let hidden = log.len().saturating_sub(MAX_ROOTS);
        let mut records = Vec::with_capacity(log.len() - hidden);
        for Reflog { number, root, what, time, merged } in log.into_iter().skip(hidden) {
            let gone = match app.db.at(root) {
                Ok(_) => false,
                Err(Error::NoRoot { .. }) => true,
                Err(error) => return Err(error.into()),
            };
            records.push(json!({
                "number": number, "root": root.to_string(), "what": what, "time": describe::time(time),
                "merged": merged.as_ref().map(describe::cid), "gone": gone,
            }));
        }
        Ok(json!({ "records": Value::from(records), "more": hidden }))
    });
    Ok(reply::json(&value.await?))
}
