//! Two peers and the link between them: bytes take their time, work on either side takes none.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use osmdb::Db;
use osmdb::net::sync_over;
use osmdb::sync::{Options, Session, Summary};
use prolly::PageStore;
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;

/// From one side to the other: half of 100 ms.
const LATENCY: Duration = Duration::from_millis(50);

/// What an exchange took.
pub struct Exchange {
    pub here: Summary,
    pub there: Summary,
    /// After so many round trips both sides had all that the other had to send.
    pub round_trips: f64,
    /// The bytes of both directions.
    pub bytes: u64,
    /// How long both sides worked, all in all.
    pub work: Duration,
}

/// Frames on their way, each with the time at which it arrives.
type Way = VecDeque<(Duration, Bytes)>;

/// Lets two databases exchange what differs.
pub fn exchange<S: PageStore + Sync, T: PageStore + Sync>(
    ours: &Db<S>,
    theirs: &Db<T>,
) -> Result<Exchange, Failure> {
    let began = Instant::now();
    let mut here = Session::new(ours, Options::default())?;
    let mut there = Session::new(theirs, Options::default())?;
    let (mut right, mut left): (Way, Way) = Default::default();
    let mut now = Duration::ZERO;
    let mut equal = None;
    loop {
        while let Some(bytes) = here.send()? {
            right.push_back((now + LATENCY, bytes));
        }
        while let Some(bytes) = there.send()? {
            left.push_back((now + LATENCY, bytes));
        }
        if equal.is_none() && ours.root() == theirs.root() {
            equal = Some(now);
        }
        if here.is_finished() && there.is_finished() {
            break;
        }
        let next = right.front().into_iter().chain(left.front()).map(|(at, _)| *at).min();
        now = next.ok_or("both sides wait for each other")?;
        while let Some((_, bytes)) = right.pop_front_if(|(at, _)| *at <= now) {
            there.receive(&bytes)?;
        }
        while let Some((_, bytes)) = left.pop_front_if(|(at, _)| *at <= now) {
            here.receive(&bytes)?;
        }
    }
    let (here, there) = (here.summary(), there.summary());
    let trips = equal.unwrap_or(now).as_secs_f64() / (2.0 * LATENCY.as_secs_f64());
    // Equal from the beginning: that is known when the roots have crossed.
    let round_trips = trips.max(f64::from(here.crossings.min(1)));
    let bytes = here.bytes_in + here.bytes_out;
    Ok(Exchange { here, there, round_trips, bytes, work: began.elapsed() })
}

/// Lets two databases exchange what differs over TCP on this machine; returns what came of it on one side, and
/// how long it took from the first byte on.
pub fn over_tcp<S: PageStore + Sync, T: PageStore + Sync>(
    ours: &Db<S>,
    theirs: &Db<T>,
) -> Result<(Summary, Duration), Failure> {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (here, there) = (runtime()?, runtime()?);
    let listener = here.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let listener = listener.into_std()?;
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            there.block_on(async {
                let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
                stream.set_nodelay(true).map_err(|error| error.to_string())?;
                sync_over(theirs, stream, Options::default(), |_| ()).await.map_err(|error| error.to_string())
            })
        });
        let ended = here.block_on(async {
            let (stream, _) = TcpListener::from_std(listener)?.accept().await?;
            stream.set_nodelay(true)?;
            let began = Instant::now();
            let summary = sync_over(ours, stream, Options::default(), |_| ()).await?;
            Ok::<_, Failure>((summary, began.elapsed()))
        });
        other.join().map_err(|_| "the other side panicked")??;
        ended
    })
}
