//! Numbers of the server, as Prometheus reads them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::routing::get;

use super::answer::with_type;
use super::app::App;
use super::write::Text;

/// Answers are counted by the time that they took, in milliseconds.
const BOUNDS: [u64; 8] = [1, 5, 10, 50, 100, 500, 1_000, 5_000];

/// What has been counted since the server began.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Answers by method and status. Methods that nobody has to know are one, so that this stays short.
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    /// Answers that took no longer than each bound.
    times: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    microseconds: AtomicU64,
    at_work: AtomicU64,
    pub(crate) connections: AtomicU64,
}

impl Metrics {
    pub(crate) fn begin(&self) {
        self.at_work.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, method: &str, status: u16, time: Duration) {
        self.at_work.fetch_sub(1, Ordering::Relaxed);
        let known = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD"];
        let method = known.into_iter().find(|known| *known == method).unwrap_or("other");
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry((method, status)).or_insert(0) += 1;
        drop(answers);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        for (bound, count) in BOUNDS.iter().zip(&self.times) {
            if micros <= bound * 1_000 {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(micros, Ordering::Relaxed);
    }
}

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(app): State<Arc<App>>) -> Response<Body> {
    let mut out = String::new();
    let Metrics { answers, times, count, microseconds, at_work, connections } = &app.metrics;
    let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let answers = answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let answers: Vec<(String, u64)> = answers
        .into_iter()
        .map(|((method, status), count)| (format!("{{method=\"{method}\",status=\"{status}\"}}"), count))
        .collect();
    put(&mut out, ("osmdb_http_requests_total", "counter"), "Requests that were answered.", &answers);
    let name = "osmdb_http_request_duration_seconds";
    out.extend(["# HELP ", name, " Time until an answer began.\n# TYPE ", name, " histogram\n"]);
    let bounds = BOUNDS.iter().zip(times).map(|(bound, count)| (seconds(bound * 1_000), read(count)));
    for (bound, count) in bounds.chain([("+Inf".to_owned(), read(count))]) {
        out.extend([name, "_bucket{le=\"", &bound, "\"} ", &count.to_string(), "\n"]);
    }
    out.extend([name, "_sum ", &seconds(read(microseconds)), "\n"]);
    out.extend([name, "_count ", &read(count).to_string(), "\n"]);
    let gauge =
        |out: &mut String, name, help, value: u64| put(out, (name, "gauge"), help, &[(String::new(), value)]);
    gauge(&mut out, "osmdb_http_requests_at_work", "Requests that are being answered.", read(at_work));
    gauge(&mut out, "osmdb_http_connections", "Connections that are open.", read(connections));
    let counts = app.db.counts();
    let kinds = [("node", counts.nodes), ("way", counts.ways), ("relation", counts.relations)];
    let kinds = kinds.map(|(kind, count)| (format!("{{kind=\"{kind}\"}}"), count));
    put(&mut out, ("osmdb_elements", "gauge"), "Elements that are not deleted.", &kinds);
    gauge(&mut out, "osmdb_entries", "Versions of all elements.", counts.entries);
    gauge(&mut out, "osmdb_forks", "Elements with several heads.", counts.forks);
    with_type(out, "text/plain; version=0.0.4; charset=utf-8")
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn put(out: &mut String, (name, kind): (&str, &str), help: &str, values: &[(String, u64)]) {
    out.extend(["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"]);
    for (labels, value) in values {
        out.extend([name, labels, " "]);
        out.push_number(*value);
        out.push('\n');
    }
}
