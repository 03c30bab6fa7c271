//! Staying connected to a peer, through whatever cuts the connection.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::{Either, select};
use prolly::PageStore;
use tokio::time::sleep;

use super::dial::Connection;
use super::drive::sync_over;
use super::error::NetError;
use crate::db::Db;
use crate::sync::{Options, Summary, SyncError};

/// After a connection was cut, another try comes after this; then after twice as long, and so on.
///
/// ```
/// assert_eq!(osmdb::net::FIRST_WAIT.as_secs(), 1);
/// ```
pub const FIRST_WAIT: Duration = Duration::from_secs(1);

/// No try comes later than this after the one before.
///
/// ```
/// assert_eq!(osmdb::net::LONGEST_WAIT.as_secs(), 60);
/// ```
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What happens while a peer is followed.
///
/// ```
/// use osmdb::net::Followed;
/// let show = |followed: Followed<'_>| match followed {
///     Followed::Session(summary) if summary.follows => println!("{} entries came", summary.gained),
///     Followed::Session(_) => {}
///     Followed::Lost { why, wait } => println!("{why:?}: trying again in {} s", wait.as_secs()),
/// };
/// # let _ = show;
/// ```
#[derive(Debug)]
pub enum Followed<'a> {
    /// How far the session is: first while all is exchanged, and then ([`Summary::follows`]) whenever something came or
    /// was sent. It counts from the last time that the peer was met.
    Session(&'a Summary),
    /// The connection has ended, or could not be made.
    Lost {
        /// Why; `None` if the peer went.
        why: Option<&'a NetError>,
        /// Another try comes after this.
        wait: Duration,
    },
}

/// Unites with a peer and stays connected: what is written on either side arrives at the other within a moment,
/// without anybody asking. Connects again, after waits that grow, when the connection is cut; what was written
/// meanwhile is then exchanged as in any session, so nothing is lost. Ends when `stop` is there.
///
/// While nothing is written it costs a message of two bytes each way every
/// [`KEEP_ALIVE`](crate::sync::KEEP_ALIVE). What is new in the database can be told by [`Db::watch`].
///
/// Work on the database is done within this future: see [`sync_over`]. Needs a tokio runtime with time.
///
/// ```
/// use std::sync::Arc;
/// use osmdb::net::{self, Connection};
/// use osmdb::sync::Options;
/// use osmdb::{Coord, Db, Payload, Tags};
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (ours, theirs) = (Arc::new(Db::in_memory("osm")?), Arc::new(Db::in_memory("osm")?));
/// let dial = || {
///     let (near, far) = tokio::io::duplex(1_000);
///     let theirs = Arc::clone(&theirs);
///     tokio::spawn(async move { net::sync_over(&*theirs, far, Options::default(), |_| ()).await });
///     std::future::ready(Ok(Connection::new(near)))
/// };
/// let arrived = async {
///     theirs.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
///     while ours.root() != theirs.root() {
///         tokio::time::sleep(std::time::Duration::from_millis(1)).await;
///     }
///     Ok::<(), Box<dyn std::error::Error>>(())
/// };
/// net::follow(&*ours, dial, Options::default(), |_| (), Box::pin(async { arrived.await.unwrap() })).await?;
/// assert_eq!(ours.counts().nodes, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// What no other try mends: the peer is not known, or does not know this device; it holds another dataset, speaks
/// another version, breaks the protocol, or does not agree; the database here failed.
pub async fn follow<S, D, F>(
    db: &Db<S>,
    mut dial: impl FnMut() -> D,
    options: Options,
    mut report: impl FnMut(Followed<'_>),
    stop: F,
) -> Result<(), NetError>
where
    S: PageStore + Sync,
    D: Future<Output = Result<Connection, NetError>>,
    F: Future<Output = ()>,
{
    let options = Options { follow: true, ..options };
    let mut stop = pin!(stop);
    let mut wait = FIRST_WAIT;
    loop {
        let mut met = false;
        let session = async {
            let connection = dial().await?;
            let show = |summary: &Summary| {
                met |= summary.follows;
                report(Followed::Session(summary));
            };
            sync_over(db, connection, options.clone(), show).await
        };
        let Some(ended) = until(&mut stop, session).await else { return Ok(()) };
        if met {
            wait = FIRST_WAIT;
        }
        let why = ended.err();
        if let Some(error) = why.as_ref().filter(|error| !is_passing(error)) {
            report(Followed::Lost { why: Some(error), wait: Duration::ZERO });
            return why.map_or(Ok(()), Err);
        }
        report(Followed::Lost { why: why.as_ref(), wait });
        if until(&mut stop, sleep(wait)).await.is_none() {
            return Ok(());
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Waits for something; `None` if it is to stop.
async fn until<F: Future<Output = ()>, T>(
    stop: &mut Pin<&mut F>,
    wait: impl Future<Output = T>,
) -> Option<T> {
    match select(stop.as_mut(), pin!(wait)).await {
        Either::Left(_) => None,
        Either::Right((done, _)) => Some(done),
    }
}

/// Tells whether another try may go well.
const fn is_passing(error: &NetError) -> bool {
    match error {
        NetError::Connect { .. }
        | NetError::SlowHandshake
        | NetError::NobodyNearby { .. }
        | NetError::Io(_) => true,
        NetError::Sync(error) => matches!(
            error,
            SyncError::Cut
                | SyncError::Silence { .. }
                | SyncError::Slow { .. }
                | SyncError::NoRoom
                | SyncError::Refused { .. }
                | SyncError::NoAgreement { .. }
                | SyncError::Root { .. }
        ),
        NetError::Command { .. }
        | NetError::UnknownPeer { .. }
        | NetError::NotKnownThere { .. }
        | NetError::Handshake { .. }
        | NetError::NoMulticast { .. }
        | NetError::NoQuic
        | NetError::Db(_) => false,
    }
}
