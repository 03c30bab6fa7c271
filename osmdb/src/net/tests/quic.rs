//! Two peers, over QUIC on one machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use super::*;
use crate::entry::Author;

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn anyone() -> Admit {
    Arc::new(|_| true)
}

/// A server of a database, and what it says of its visits.
struct Quic {
    address: Address,
    visits: mpsc::UnboundedReceiver<Result<Summary, NetError>>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), NetError>>,
}

impl Quic {
    async fn start(db: &Arc<Memory>, admit: Admit, announced: bool) -> Result<Self, NetError> {
        let listener = QuicListener::bind(&Identity::of(&**db).unwrap(), LOOPBACK).await.unwrap();
        if announced {
            listener.announce()?;
        }
        let address = listener.address();
        let (told, visits) = mpsc::unbounded_channel();
        let report = move |visit: &Visit| {
            assert!(visit.from.ip().is_loopback());
            let outcome = match &visit.outcome {
                Ok(summary) => Ok(summary.clone()),
                Err(NetError::UnknownPeer { key }) => {
                    assert_eq!(visit.peer, Some(*key));
                    Err(NetError::UnknownPeer { key: *key })
                }
                Err(NetError::NotKnownThere { ours }) => Err(NetError::NotKnownThere { ours: *ours }),
                Err(error) => Err(NetError::Handshake { reason: error.to_string() }),
            };
            let _ = told.send(outcome);
        };
        let options = ServeOptions { admit, sync: keep(), report: Arc::new(report) };
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let running = tokio::spawn(serve_quic(Arc::clone(db), listener, options, stopped));
        Ok(Self { address, visits, stop, running })
    }

    async fn visit(&mut self) -> Result<Summary, NetError> {
        self.visits.recv().await.unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
    }
}

async fn call(address: &Address, db: &Memory, admit: Admit) -> Result<Connection, NetError> {
    dial(address, &Identity::of(db).unwrap(), admit).await
}

#[test]
fn every_pair_becomes_one_by_quic() {
    runtime().block_on(async {
        for swapped in [false, true] {
            for (name, ours, theirs, entries) in pairs() {
                let (ours, theirs) = if swapped { (theirs, ours) } else { (ours, theirs) };
                let theirs = Arc::new(theirs);
                let mut server = Quic::start(&theirs, anyone(), false).await.unwrap();
                let connection = call(&server.address, &ours, anyone()).await.unwrap();
                assert_eq!(connection.peer(), Some(theirs.author().unwrap()));
                let wire = connection.wire().clone();
                let here = sync_over(&ours, connection, Options::default(), |_| ()).await.unwrap();
                let there = server.visit().await.unwrap();
                assert_eq!((ours.root(), ours.counts().entries), (theirs.root(), entries), "{name}");
                assert_eq!((here.gained, here.given), (there.given, there.gained), "{name}");
                assert!(wire.bytes_in() > here.bytes_in && wire.bytes_out() > here.bytes_out, "{name}");
                ours.verify().unwrap();
                server.stop().await;
            }
        }
    });
}

#[test]
fn what_is_cut_goes_on_where_it_was() {
    let mut numbers = Numbers(11);
    runtime().block_on(async {
        for gives in [false, true] {
            // One has nothing.
            let (full, empty) = (filled(20_000), Db::in_memory("osm").unwrap());
            let (ours, theirs) = if gives { (full, empty) } else { (empty, full) };
            let theirs = Arc::new(theirs);
            let mut server = Quic::start(&theirs, anyone(), false).await.unwrap();
            let whole = {
                let (ours, theirs) = (copy(&ours), Arc::new(copy(&theirs)));
                let (here, _) = both(&ours, &theirs, duplex(1_000)).await;
                here.bytes_in + here.bytes_out
            };
            let (options, mut all, mut tries) = (keep(), 0, 0);
            loop {
                tries += 1;
                assert!(tries < 100, "gives: {gives}: {all} of {whole} bytes, and no try brings it further");
                let left = Arc::new(AtomicU64::new(2_000 + numbers.below(whole / 4)));
                let came = Arc::new(AtomicU64::new(0));
                let stream = call(&server.address, &ours, anyone()).await.unwrap();
                // Where this side gives, it is cut by what it has said.
                let outcome = if gives {
                    let (went, rest) =
                        (Arc::clone(&came), Box::pin(tokio::time::sleep(Duration::from_secs(60))));
                    let stream = Muted { stream, left, went, rest };
                    sync_over(&ours, stream, options.clone(), |_| ()).await
                } else {
                    let stream = Cut { stream, left, came: Arc::clone(&came) };
                    sync_over(&ours, stream, options.clone(), |_| ()).await
                };
                all += came.load(Ordering::Relaxed);
                let visit = server.visit().await;
                match outcome {
                    Ok(_) => break,
                    Err(NetError::Sync(SyncError::Cut)) => {}
                    Err(error) => panic!("{error}: {visit:?}"),
                }
            }
            assert_eq!(ours.root(), theirs.root());
            assert_eq!(ours.counts().entries, 20_000);
            assert!(tries > 3, "{tries} tries");
            // A try repeats a message at most.
            assert!(all < whole + tries * 40_000, "{all} bytes in {tries} tries, {whole} in one");
            server.stop().await;
        }
    });
}

/// A stream that is cut after so many bytes of what goes: when these have had the time to arrive, because a
/// connection that is closed takes along what is still on its way.
struct Muted<T> {
    stream: T,
    left: Arc<AtomicU64>,
    went: Arc<AtomicU64>,
    rest: Pin<Box<Sleep>>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Muted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left.load(Ordering::Relaxed) == 0 {
            return self.rest.as_mut().poll(cx).map(Ok);
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Muted<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let left = usize::try_from(self.left.load(Ordering::Relaxed)).unwrap();
        if left == 0 {
            return self.rest.as_mut().poll(cx).map(|()| Err(io::ErrorKind::BrokenPipe.into()));
        }
        let some = &buf[..buf.len().min(left)];
        let written = Pin::new(&mut self.stream).poll_write(cx, some);
        if let Poll::Ready(Ok(bytes)) = written {
            self.left.fetch_sub(bytes as u64, Ordering::Relaxed);
            self.went.fetch_add(bytes as u64, Ordering::Relaxed);
            if bytes == left {
                self.rest.as_mut().reset(Instant::now() + Duration::from_millis(200));
                // Who waits for what comes is woken by it.
                let _ = self.rest.as_mut().poll(cx);
            }
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[test]
fn strangers_are_refused_on_both_sides() {
    let (ours, theirs) = (filled(1), Arc::new(filled(2)));
    let (our_key, their_key) = (ours.author().unwrap(), theirs.author().unwrap());
    let before = theirs.root();
    runtime().block_on(async {
        // They do not know us.
        let mut server = Quic::start(&theirs, Arc::new(|_| false), false).await.unwrap();
        let outcome = async {
            let connection = call(&server.address, &ours, anyone()).await?;
            sync_over(&ours, connection, Options::default(), |_| ()).await
        };
        let error = outcome.await.unwrap_err();
        let fingerprint = Fingerprint::of(&our_key);
        assert!(matches!(error, NetError::NotKnownThere { ours } if ours == fingerprint), "{error}");
        let visit = server.visit().await;
        assert!(matches!(visit, Err(NetError::UnknownPeer { key }) if key == our_key), "{visit:?}");
        server.stop().await;
        // We do not know them, and see which key it is.
        let mut server = Quic::start(&theirs, anyone(), false).await.unwrap();
        let error = call(&server.address, &ours, Arc::new(|_| false)).await.unwrap_err();
        assert!(matches!(error, NetError::UnknownPeer { key } if key == their_key), "{error}");
        let visit = server.visit().await;
        assert!(matches!(visit, Err(NetError::NotKnownThere { .. })), "{visit:?}");
        server.stop().await;
    });
    assert_eq!(theirs.root(), before);
}

#[test]
fn only_who_has_the_key_is_met() {
    let (ours, theirs) = (filled(1), Arc::new(filled(2)));
    runtime().block_on(async {
        let mut server = Quic::start(&theirs, anyone(), false).await.unwrap();
        let Address::Iroh { place, .. } = server.address.clone() else { panic!("{}", server.address) };
        let other = crate::DeviceKey::new(&[7; 32]).author();
        let wrong = Address::Iroh { key: other, place: place.clone() };
        let never: Admit = Arc::new(|key: &Author| panic!("{key} is not asked for"));
        let error = call(&wrong, &ours, never).await.unwrap_err();
        assert!(
            matches!(&error, NetError::Handshake { reason } if reason.contains("the key that the address names")),
            "{error}"
        );
        assert!(server.visit().await.is_err());
        // One that nobody can have, and one's own.
        let nobody = "0200000000000000000000000000000000000000000000000000000000000000".parse().unwrap();
        for (key, said) in [(nobody, "nobody can have this key"), (ours.author().unwrap(), "this device")] {
            let error = call(&Address::Iroh { key, place: place.clone() }, &ours, anyone()).await.unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
        // The right one is still met.
        let connection = call(&server.address, &ours, anyone()).await.unwrap();
        sync_over(&ours, connection, Options::default(), |_| ()).await.unwrap();
        server.visit().await.unwrap();
        server.stop().await;
    });
    assert_eq!(ours.root(), theirs.root());
}

#[test]
fn nobody_answers_by_quic() {
    let db = filled(1);
    let key = crate::DeviceKey::new(&[7; 32]).author();
    runtime().block_on(async {
        let free = UdpSocket::bind(LOOPBACK).unwrap().local_addr().unwrap();
        let address: Address = format!("iroh://{key}@{free}").parse().unwrap();
        let error = call(&address, &db, anyone()).await.unwrap_err();
        assert!(matches!(error, NetError::Connect { .. }), "{error}");
    });
}

#[test]
fn many_come_by_quic_and_bad_ones_harm_nobody() {
    let db = Arc::new(filled(1_000));
    runtime().block_on(async {
        let mut server = Quic::start(&db, anyone(), false).await.unwrap();
        let Address::Iroh { place: Some((host, port)), .. } = server.address.clone() else { panic!() };
        let rude = UdpSocket::bind(LOOPBACK).unwrap();
        for length in [1, 100, 1_200] {
            rude.send_to(&vec![0xc3; length], (host.as_str(), port)).unwrap();
        }
        // Some who come and say nothing.
        let mut silent = Vec::new();
        for _ in 0..3 {
            silent.push(call(&server.address, &filled(1), anyone()).await.unwrap());
        }
        let mut peers = Vec::new();
        for number in 0..8 {
            let address = server.address.clone();
            peers.push(tokio::task::spawn_blocking(move || {
                let peer = Db::in_memory("osm").unwrap();
                edit(&peer, [10_000 + number]);
                // Where many write at once, two may not come to an end of it before a third one writes.
                tokio::runtime::Handle::current().block_on(async { while !come(&address, &peer).await {} });
                peer
            }));
        }
        let mut met = Vec::new();
        for peer in peers {
            met.push(peer.await.unwrap());
        }
        assert_eq!(db.counts().entries, 1_008);
        for peer in &met {
            assert!(come(&server.address, peer).await);
            assert_eq!(peer.root(), db.root());
        }
        drop(silent);
        quic_closed().await;
        server.visit().await.unwrap();
        server.stop().await;
    });
}

/// Tells whether what is sent to a group arrives at this machine.
fn multicast_works() -> bool {
    let group = Ipv4Addr::new(239, 255, 83, 77);
    let tried = || -> io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.send_to(b"hello", (group, socket.local_addr()?.port()))?;
        socket.recv_from(&mut [0; 8]).map(drop)
    };
    tried().is_ok()
}

#[test]
fn who_is_nearby_is_found() {
    if !multicast_works() {
        println!("skipped: this machine has no multicast");
        return;
    }
    let (ours, theirs) = (filled(3), Arc::new(filled(50)));
    let their_key = theirs.author().unwrap();
    runtime().block_on(async {
        let mut server = Quic::start(&theirs, anyone(), true).await.unwrap();
        let found = nearby(NEARBY_TIME).await.unwrap();
        assert!(found.contains(&their_key), "{found:?}");
        assert!(found.is_sorted());
        let address = Address::Iroh { key: their_key, place: None };
        let connection = call(&address, &ours, anyone()).await.unwrap();
        sync_over(&ours, connection, Options::default(), |_| ()).await.unwrap();
        server.visit().await.unwrap();
        server.stop().await;
        // Whoever is not there is not found.
        let address = Address::Iroh { key: crate::DeviceKey::new(&[9; 32]).author(), place: None };
        let error = call(&address, &ours, anyone()).await.unwrap_err();
        assert!(matches!(error, NetError::Connect { .. }), "{error}");
    });
    assert_eq!(ours.root(), theirs.root());
}
