//! What happens, as it happens: server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use futures_util::stream::unfold;
use prolly::Cid;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Page;
use crate::server::app::App;

/// It is looked so often whether there are news: that costs no page.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A stream without news says so often that it is there.
const STILL_HERE: Duration = Duration::from_secs(15);

/// One listener, and what it was told.
struct Listener {
    app: Arc<App>,
    page: Arc<Page>,
    root: Option<Cid>,
    sync: u64,
    told: Instant,
}

pub(super) async fn changes(
    State(app): State<Arc<App>>,
    Extension(page): Extension<Arc<Page>>,
) -> Response<Body> {
    let listener = Listener { app, page, root: None, sync: 0, told: Instant::now() };
    let events = unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(event)), listener))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Listener {
    /// Waits for something to tell; `None` when the server ends.
    async fn next(&mut self) -> Option<String> {
        loop {
            if *self.app.ending.borrow() {
                return None;
            }
            let root = self.app.db.root();
            let event = if self.root != Some(root) {
                self.root = Some(root);
                Some(format!("event: root\ndata: {}\n\n", json!({ "root": root.to_string() })))
            } else if let Some((number, sync)) = self.page.sync.news(self.sync) {
                self.sync = number;
                Some(format!("event: sync\ndata: {sync}\n\n"))
            } else {
                (self.told.elapsed() > STILL_HERE).then(|| ":\n\n".to_owned())
            };
            if event.is_some() {
                self.told = Instant::now();
                return event;
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}
