//! Drives a session over a stream.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use prolly::PageStore;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at, timeout};

use super::error::NetError;
use crate::db::Db;
use crate::sync::{KEEP_ALIVE, Options, Session, Summary, SyncError};

/// So many bytes are read at once.
const READ_BYTES: usize = 64 << 10;

/// How often the session is told the time, and progress is shown at most so often.
const TICK: Duration = Duration::from_millis(200);

/// What was said last is to arrive before the connection goes: the peer has so long to close its side.
const LINGER: Duration = Duration::from_secs(5);

/// Exchanges everything with a peer over a two-way stream of bytes, whatever carries it, and closes the stream.
/// Reads and writes at once, so that two peers who both have much to send never wait for each other.
///
/// `progress` is shown how far the session is, five times a second at most. A peer that only reads is answered
/// for as long as it stays.
///
/// Work on the database is done within this future, which may keep its thread busy for as long as an import
/// takes: a program with other things to do gives it a thread, as [`serve`](super::serve) does for each
/// peer, with `tokio::task::spawn_blocking` and `Handle::block_on`. It needs the timer of a tokio runtime.
///
/// ```
/// use osmdb::net::sync_over;
/// use osmdb::sync::Options;
/// use osmdb::{Coord, Db, Payload, Tags};
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
/// theirs.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
/// let (here, there) = tokio::io::duplex(1_000);
/// let (here, there) = tokio::join!(
///     sync_over(&ours, here, Options::default(), |_| ()),
///     sync_over(&theirs, there, Options::default(), |_| ()),
/// );
/// assert_eq!((here?.gained, there?.given), (1, 1));
/// assert_eq!(ours.root(), theirs.root());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`SyncError::Cut`] if the stream ends before all is exchanged; otherwise what the session finds wrong, of
/// which the peer is told, or what the stream does.
pub async fn sync_over<S, T>(
    db: &Db<S>,
    stream: T,
    options: Options,
    mut progress: impl FnMut(&Summary),
) -> Result<Summary, NetError>
where
    S: PageStore + Sync,
    T: AsyncRead + AsyncWrite + Unpin,
{
    sync_or_stay(db, stream, options, &mut progress, || Ok(())).await
}

/// The same; is asked before the session stays open to follow.
pub(super) async fn sync_or_stay<S, T>(
    db: &Db<S>,
    stream: T,
    options: Options,
    mut progress: impl FnMut(&Summary),
    stays: impl FnOnce() -> Result<(), SyncError>,
) -> Result<Summary, NetError>
where
    S: PageStore + Sync,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let changes = db.changes();
    let mut session = Session::new(db, options)?;
    let mut link = Link::new(stream);
    let exchanged = match exchange(&mut session, &mut link, &mut progress).await {
        Ok(()) if session.is_following() => match stays() {
            Ok(()) => follow(db, changes, &mut session, &mut link, &mut progress).await,
            Err(error) => Err(error.into()),
        },
        other => other,
    };
    match exchanged {
        Ok(()) => {
            link.close().await;
            Ok(session.summary())
        }
        Err(error) => {
            if let NetError::Sync(reason) = &error
                && !matches!(reason, SyncError::Cut | SyncError::Refused { .. })
            {
                // A frame that is half on its way is finished first, or the peer would take this for its rest.
                link.out = [&link.out[..], &session.farewell(reason)].concat().into();
                link.close().await;
            }
            Err(error)
        }
    }
}

async fn exchange<S: PageStore + Sync, T: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<'_, S>,
    link: &mut Link<T>,
    progress: &mut impl FnMut(&Summary),
) -> Result<(), NetError> {
    let began = Instant::now();
    // How long this side has worked: the peer is not to be blamed for that.
    let mut worked = Duration::ZERO;
    loop {
        let start = Instant::now();
        if link.is_idle()
            && let Some(bytes) = session.send()?
        {
            link.out = bytes;
        }
        worked += start.elapsed();
        if session.is_following() || (session.is_finished() && link.is_idle()) {
            // Who stays notices anew that the peer has gone.
            link.ended = None;
            progress(&session.summary());
            return Ok(());
        }
        if let Some(end) = link.ended.take() {
            // One that only reads may go at any time.
            if session.is_read_only() {
                return Ok(());
            }
            if link.deaf || link.is_idle() {
                return Err(end);
            }
            link.ended = Some(end);
        }
        let turn = poll_fn(|cx| link.poll_turn(cx)).await;
        let start = Instant::now();
        if turn.ticked {
            session.tick(start.duration_since(began).saturating_sub(worked))?;
            progress(&session.summary());
        }
        if let Some(bytes) = turn.came {
            session.receive(link.buffer.get(..bytes).unwrap_or_default())?;
        }
        // A peer that has heard the last word goes: that may be seen before this side knows that it was sent, and while
        // it has not taken in all that came. So what is left is done first.
        link.ended = turn.ended.or_else(|| link.ended.take());
        worked += start.elapsed();
    }
}

/// Stays connected, and wakes when something comes, when the database changes, or when it is time to say that this
/// side is still there. Ends when the peer goes.
async fn follow<S: PageStore + Sync, T: AsyncRead + AsyncWrite + Unpin>(
    db: &Db<S>,
    mut changes: u64,
    session: &mut Session<'_, S>,
    link: &mut Link<T>,
    progress: &mut impl FnMut(&Summary),
) -> Result<(), NetError> {
    let began = Instant::now();
    link.timer = interval_at(began + KEEP_ALIVE, KEEP_ALIVE);
    link.timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    session.restart_clock();
    let mut worked = Duration::ZERO;
    loop {
        let start = Instant::now();
        if link.is_idle()
            && let Some(bytes) = session.send()?
        {
            link.out = bytes;
        }
        worked += start.elapsed();
        let turn = poll_fn(|cx| {
            let turn = link.poll_turn(cx);
            match db.poll_changes(changes, cx) {
                Poll::Ready(now) => {
                    changes = now;
                    Poll::Ready(match turn {
                        Poll::Ready(turn) => turn,
                        Poll::Pending => Turn::default(),
                    })
                }
                Poll::Pending => turn,
            }
        })
        .await;
        let start = Instant::now();
        if turn.ticked {
            session.tick(start.duration_since(began).saturating_sub(worked))?;
            session.keep_alive()?;
        }
        if let Some(bytes) = turn.came {
            session.receive(link.buffer.get(..bytes).unwrap_or_default())?;
        }
        if let Some(end) = turn.ended {
            return if session.is_quiet() && link.is_idle() { Ok(()) } else { Err(end) };
        }
        worked += start.elapsed();
        progress(&session.summary());
    }
}

/// A stream, with what is to be written to it.
struct Link<T> {
    stream: T,
    out: Bytes,
    /// What was written may wait in the stream.
    unflushed: bool,
    /// Nothing can be written any more; the peer may have said why.
    deaf: bool,
    /// Why nothing more comes.
    ended: Option<NetError>,
    buffer: Vec<u8>,
    timer: Interval,
}

/// What has happened.
#[derive(Debug, Default)]
struct Turn {
    /// So many bytes came.
    came: Option<usize>,
    /// Nothing more comes, for this reason.
    ended: Option<NetError>,
    ticked: bool,
    sent: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Link<T> {
    fn new(stream: T) -> Self {
        let mut timer = interval(TICK);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            stream,
            out: Bytes::new(),
            unflushed: false,
            deaf: false,
            ended: None,
            buffer: vec![0; READ_BYTES],
            timer,
        }
    }

    /// Tells whether all is on its way.
    fn is_idle(&self) -> bool {
        !self.deaf && self.out.is_empty() && !self.unflushed
    }

    /// Waits until something has happened, and does what can be done in both directions.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let mut turn = Turn { ticked: self.timer.poll_tick(cx).is_ready(), ..Turn::default() };
        if !self.deaf && (!self.out.is_empty() || self.unflushed) {
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) => turn.sent = true,
                Poll::Ready(Err(_)) => self.deaf = true,
                Poll::Pending => {}
            }
        }
        let mut buffer = ReadBuf::new(&mut self.buffer);
        let read = match self.ended {
            Some(_) => Poll::Pending,
            None => Pin::new(&mut self.stream).poll_read(cx, &mut buffer),
        };
        match read {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => turn.ended = Some(SyncError::Cut.into()),
            Poll::Ready(Ok(())) => turn.came = Some(buffer.filled().len()),
            Poll::Ready(Err(error)) => turn.ended = Some(NetError::of_stream(error)),
            Poll::Pending => {}
        }
        let happened = turn.ticked || turn.sent || turn.came.is_some() || turn.ended.is_some();
        if happened { Poll::Ready(turn) } else { Poll::Pending }
    }

    /// Writes all that is to be written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
            self.unflushed = true;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Writes what is left, closes this direction, and waits for the peer to close the other: a connection
    /// that goes while something comes may take with it what was sent.
    async fn close(&mut self) {
        let closed = async {
            if !self.deaf {
                poll_fn(|cx| self.poll_write(cx)).await?;
                poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await?;
            }
            loop {
                let read = poll_fn(|cx| {
                    let mut buffer = ReadBuf::new(&mut self.buffer);
                    let read = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
                    read.map_ok(|()| buffer.filled().len())
                });
                if read.await? == 0 {
                    return io::Result::Ok(());
                }
            }
        };
        // All was exchanged, or the session has failed already: nobody is helped by another error.
        let _ = timeout(LINGER, closed).await;
    }
}

#[cfg(test)]
mod tests {
    use prolly::MemoryStore;

    use super::*;
    use crate::model::{Coord, Payload, Tags};

    /// A peer who is gone the moment it has heard the last word.
    struct Hasty<'a> {
        session: Session<'a, MemoryStore>,
        said: Vec<u8>,
    }

    impl AsyncRead for Hasty<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            while let Some(bytes) = self.session.send().unwrap() {
                self.said.extend_from_slice(&bytes);
            }
            if self.said.is_empty() && !self.session.is_finished() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let some = buf.remaining().min(self.said.len());
            buf.put_slice(&self.said.drain(..some).collect::<Vec<_>>());
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Hasty<'_> {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.session.receive(bytes).unwrap();
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn who_goes_after_the_last_word_has_cut_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for (edits_here, edits_there) in [(0, 0), (0, 9), (9, 0), (9, 9), (900, 900)] {
            let filled = |edits, lat| {
                let db = Db::in_memory("osm").unwrap();
                for lon in 0..edits {
                    let coord = Coord::new(lat, lon).unwrap();
                    db.create(Payload::Node { coord, tags: Tags::new() }).unwrap();
                }
                db
            };
            let (ours, theirs) = (filled(edits_here, 1), filled(edits_there, 2));
            let session = Session::new(&theirs, Options::default()).unwrap();
            let hasty = Hasty { session, said: Vec::new() };
            let done = runtime.block_on(sync_over(&ours, hasty, Options::default(), |_| ()));
            let summary = done.unwrap_or_else(|error| panic!("{edits_here} and {edits_there}: {error}"));
            assert_eq!((ours.root(), summary.root), (theirs.root(), theirs.root()));
        }
    }
}
