//! Syncing with a peer because the page asks for it, and who the peers are.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use futures_util::future::{Either, select};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::{Page, describe, reply};
use crate::db::now;
use crate::net::{self, Address, Admit, Fingerprint, Identity, NetError, Peers};
use crate::server::app::App;
use crate::server::error::ApiError;
use crate::sync::{Inbox, Options, Summary};

/// The folder of streams that were cut, in the directory of the database: that of `osmdb sync`, too.
const INBOX: &str = "inbox";

/// The sync that goes on, or the last one: there is one at a time.
#[derive(Debug, Default)]
pub(super) struct Syncs(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    /// Grows with every change.
    number: u64,
    address: String,
    stage: Option<Stage>,
}

#[derive(Debug)]
enum Stage {
    Running(Numbers),
    /// The peer is not known: somebody must compare its fingerprint.
    Unknown(Fingerprint),
    Failed(String),
    Done {
        numbers: Numbers,
        gained: u64,
        forked: usize,
        seconds: f64,
    },
}

#[derive(Debug, Default, Clone, Copy)]
struct Numbers {
    received: u64,
    sent: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Numbers {
    const fn of(summary: &Summary) -> Self {
        let Summary { received, sent, bytes_in, bytes_out, .. } = summary;
        Self { received: *received, sent: *sent, bytes_in: *bytes_in, bytes_out: *bytes_out }
    }

    fn json(self, state: &str, address: &str) -> Value {
        let Self { received, sent, bytes_in, bytes_out } = self;
        json!({
            "state": state, "address": address,
            "received": received, "sent": sent, "bytes_in": bytes_in, "bytes_out": bytes_out,
        })
    }
}

impl Syncs {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, stage: Stage) {
        let mut last = self.last();
        (last.number, last.stage) = (last.number + 1, Some(stage));
    }

    /// Returns what is to be told of the sync, and the number of this news, if there are news since another number.
    pub(super) fn news(&self, since: u64) -> Option<(u64, Value)> {
        let last = self.last();
        let address = &last.address;
        let value = match last.stage.as_ref().filter(|_| last.number > since)? {
            Stage::Running(numbers) => numbers.json("running", address),
            Stage::Unknown(fingerprint) => {
                json!({ "state": "unknown", "address": address, "fingerprint": fingerprint.to_string() })
            }
            Stage::Failed(message) => json!({ "state": "failed", "address": address, "message": message }),
            Stage::Done { numbers, gained, forked, seconds } => {
                let mut value = numbers.json("done", address);
                for (name, number) in
                    [("gained", json!(gained)), ("forked", json!(forked)), ("seconds", json!(seconds))]
                {
                    if let Some(fields) = value.as_object_mut() {
                        fields.insert(name.to_owned(), number);
                    }
                }
                value
            }
        };
        Some((last.number, value))
    }
}

pub(super) async fn begin(
    State(app): State<Arc<App>>,
    Extension(page): Extension<Arc<Page>>,
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    let wanted = "The body is {\"address\": \"tcp://HOST:PORT\", \"accept\": FINGERPRINT or null}";
    let body: Value = serde_json::from_slice(&body).map_err(|_| ApiError::bad_request(wanted))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let address: Address = text("address")
        .ok_or_else(|| ApiError::bad_request(wanted))?
        .parse()
        .map_err(|error: net::ParseAddressError| ApiError::bad_request(error.to_string()))?;
    // Commands and directories of this machine are for those who sit at it.
    if !matches!(address, Address::Tcp { .. } | Address::WebSocket { .. }) {
        return Err(ApiError::bad_request("A peer is at tcp://HOST:PORT or ws://HOST:PORT/PATH"));
    }
    let accept = text("accept").map(str::parse::<Fingerprint>).transpose();
    let accept = accept.map_err(|error| ApiError::bad_request(error.to_string()))?;
    {
        let mut last = page.sync.last();
        if matches!(last.stage, Some(Stage::Running(_))) {
            return Err(ApiError::new(StatusCode::CONFLICT, "A sync is going on: wait until it is done"));
        }
        last.address = address.to_string();
        (last.number, last.stage) = (last.number + 1, Some(Stage::Running(Numbers::default())));
    }
    let syncs = Arc::clone(&page.sync);
    let handle = Handle::current();
    // A session works on the database between the messages, so it has a thread.
    spawn_blocking(move || {
        let begun = Instant::now();
        let mut ended = app.ending.subscribe();
        let ending = pin!(async { drop(ended.wait_for(|ended| *ended).await) });
        let uniting = pin!(unite(&app, &syncs, &address, accept));
        let stage = match handle.block_on(select(uniting, ending)) {
            Either::Left((Ok(summary), _)) => Stage::Done {
                numbers: Numbers::of(&summary),
                gained: summary.gained,
                forked: summary.forked.len(),
                seconds: begun.elapsed().as_secs_f64(),
            },
            Either::Left((Err(NetError::UnknownPeer { key }), _)) => Stage::Unknown(Fingerprint::of(&key)),
            Either::Left((Err(error), _)) => Stage::Failed(error.to_string()),
            Either::Right(_) => Stage::Failed("the server has ended".to_owned()),
        };
        syncs.is(stage);
    });
    let mut response = reply::json(&json!({ "state": "running" }));
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

async fn unite(
    app: &App,
    syncs: &Syncs,
    address: &Address,
    accept: Option<Fingerprint>,
) -> Result<Summary, NetError> {
    let home = app.options.home.as_ref();
    let failed = |error: &dyn std::fmt::Display| NetError::Io(std::io::Error::other(error.to_string()));
    let known = home.map_or_else(|| Ok(Peers::default()), Peers::read).map_err(|error| failed(&error))?;
    let admit: Admit = Arc::new(move |key| known.knows(key) || accept == Some(Fingerprint::of(key)));
    let inbox = home.map(|home: &PathBuf| Inbox::in_dir(home.join(INBOX))).transpose();
    let inbox = inbox.map_err(|error| failed(&error))?.map(Arc::new);
    let connection = net::dial(address, &Identity::of(&*app.db)?, admit).await?;
    let key = connection.peer();
    let options = Options { inbox, ..Options::default() };
    let report = |summary: &Summary| syncs.is(Stage::Running(Numbers::of(summary)));
    let summary = net::sync_over(&*app.db, connection, options, report).await?;
    if let Some(home) = home {
        let root = summary.their_root.unwrap_or(summary.root);
        let noted = Peers::update(home, |peers| {
            if let Some(key) = key.filter(|key| accept == Some(Fingerprint::of(key)) && !peers.knows(key)) {
                peers.accept(Fingerprint::of(&key), None);
            }
            peers.synced(key, Some(&address.to_string()), root, now());
        });
        noted.map_err(|error| failed(&error))?;
    }
    Ok(summary)
}

pub(super) async fn peers(State(app): State<Arc<App>>) -> Result<Response<Body>, ApiError> {
    let value = app.work(|app| {
        let peers = app.options.home.as_ref().map_or_else(|| Ok(Peers::default()), Peers::read);
        let peers = peers.map_err(ApiError::internal)?;
        let peer = |peer: &net::Peer| {
            json!({
                "name": peer.name,
                "fingerprint": peer.fingerprint.map(|fingerprint| fingerprint.to_string()),
                "address": peer.address,
                "synced": peer.synced.map(describe::time),
                "root": peer.root.as_ref().map(describe::cid),
            })
        };
        Ok(json!({ "peers": peers.list().iter().map(peer).collect::<Value>() }))
    });
    Ok(reply::json(&value.await?))
}
