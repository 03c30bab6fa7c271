//! QUIC (RFC 9000), through iroh: a connection to the holder of a key, at an address or wherever on the local
//! network it is. No server takes part: there are no relays, and no name is asked for outside the local network.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use iroh::endpoint::{
    BindError, ConnectError, ConnectWithOptsError, ConnectingError, ConnectionError, Incoming, IncomingAddr,
    NetReportConfig, PortmapperConfig, QuicTransportConfig, RecvStream, SendStream, TransportErrorCode,
    VarInt, presets,
};
use iroh::{Endpoint, EndpointAddr, PublicKey, RelayMode, SecretKey};
use prolly::PageStore;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use super::HANDSHAKE_TIME;
use super::address::Address;
use super::dial::{Connection, Wire};
use super::error::NetError;
use super::identity::{Fingerprint, Identity};
use super::nearby;
use super::serve::{Meeting, ServeOptions, Server};
use super::tls::{ALPN, Admit};
use crate::db::Db;
use crate::entry::Author;
use crate::sync::SyncError;

/// With this code a connection is closed whose key is not let in.
const NOT_KNOWN: VarInt = VarInt::from_u32(1);

/// What TLS says of a key that is not the expected one (RFC 8446, section 6: `unknown_ca`).
const OTHER_KEY: u8 = 48;

/// A peer hears within this time that a connection has ended, or never.
const FAREWELL: Duration = Duration::from_secs(2);

/// How many connections to peers are being closed.
static CLOSING: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Where peers may call by QUIC: a port of UDP.
///
/// ```
/// use osmdb::net::{Address, Identity, QuicListener};
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let db = osmdb::Db::in_memory("osm")?;
/// let listener = QuicListener::bind(&Identity::of(&db)?, "127.0.0.1:0".parse()?).await?;
/// assert!(listener.address().to_string().starts_with(&format!("iroh://{}@127.0.0.1:", db.author()?)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct QuicListener {
    endpoint: Own,
    key: Author,
    at: SocketAddr,
}

impl QuicListener {
    /// Listens at an address of this machine, with port 0 at any port that is free. Nobody is told: see
    /// [`announce`](Self::announce). Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// The address is not of this machine, or the port is taken.
    pub async fn bind(identity: &Identity, at: SocketAddr) -> io::Result<Self> {
        let endpoint = bind(identity, Some(at)).await?;
        let bound = endpoint.0.bound_sockets().first().copied();
        let at = bound.ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { endpoint, key: identity.author(), at })
    }

    /// Returns the address to [`dial`](super::dial): the key, and where it is listened.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::Iroh { key: self.key, place: Some((self.at.ip().to_string(), self.at.port())) }
    }

    /// Says on the local network, by multicast DNS (RFC 6762, RFC 6763), that the holder of the key can be called
    /// here, for as long as the listener is there: [`nearby`](super::nearby) finds it. Whoever is on the network may
    /// read the key; who is let in is another question.
    ///
    /// ```
    /// # use osmdb::net::{Identity, QuicListener};
    /// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let listener = QuicListener::bind(&Identity::of(&db)?, "127.0.0.1:0".parse()?).await?;
    /// match listener.announce() {
    ///     Ok(()) => println!("found by those who look"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`NoMulticast`](NetError::NoMulticast): the system does not let the program speak to the local network.
    pub fn announce(&self) -> Result<(), NetError> {
        nearby::look_from(&self.endpoint.0, true)
    }
}

/// An endpoint that is closed, and says so to those who are connected, when it goes.
#[derive(Debug)]
struct Own(Endpoint, Handle);

impl Drop for Own {
    fn drop(&mut self) {
        let (endpoint, closing) = (self.0.clone(), Closing::begin());
        self.1.spawn(async move {
            endpoint.close().await;
            drop(closing);
        });
    }
}

/// Counts, as long as it is there.
struct Closing;

impl Closing {
    fn begin() -> Self {
        CLOSING.send_modify(|count| *count += 1);
        Self
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        CLOSING.send_modify(|count| *count -= 1);
    }
}

/// Waits until those who were [dialed](super::dial) by QUIC know that the connections have ended, two seconds at
/// most. A program that ends before leaves them waiting until they give up, which takes them a quarter of a minute.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// runtime.block_on(osmdb::net::quic_closed());
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn quic_closed() {
    let mut closing = CLOSING.subscribe();
    let _ = timeout(FAREWELL, closing.wait_for(|count| *count == 0)).await;
}

/// Opens a port, at the address or anywhere.
async fn bind(identity: &Identity, at: Option<SocketAddr>) -> io::Result<Own> {
    // A peer opens one stream, and nothing else.
    let streams = VarInt::from_u32(u32::from(at.is_some()));
    let transport = QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(streams)
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .build();
    let builder = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .clear_address_lookup()
        .portmapper_config(PortmapperConfig::Disabled)
        .net_report_config(NetReportConfig::minimal())
        .transport_config(transport)
        .secret_key(SecretKey::from_bytes(identity.secret()));
    let builder = match at {
        Some(at) => {
            let builder = builder.alpns(vec![ALPN.to_vec()]).clear_ip_transports();
            builder.bind_addr(at).map_err(|error| io::Error::other(error.to_string()))?
        }
        None => builder,
    };
    let endpoint = builder.bind().await.map_err(|error| match error {
        BindError::Sockets { source, .. } | BindError::CreateQuicEndpoint { source, .. } => source,
        other => io::Error::other(other.to_string()),
    })?;
    Ok(Own(endpoint, Handle::current()))
}

/// Connects to the holder of a key.
pub(super) async fn dial(
    address: &Address,
    key: &Author,
    place: Option<&(String, u16)>,
    identity: &Identity,
    admit: &Admit,
) -> Result<Connection, NetError> {
    let failed = |source: io::Error| NetError::Connect { address: address.to_string(), source };
    let invalid = |why: &str| failed(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()));
    let id = PublicKey::from_bytes(key.as_bytes()).map_err(|_| invalid("nobody can have this key"))?;
    let mut peer = EndpointAddr::new(id);
    if let Some((host, port)) = place {
        for at in tokio::net::lookup_host((host.as_str(), *port)).await.map_err(failed)? {
            peer = peer.with_ip_addr(at);
        }
    }
    let own = bind(identity, None).await.map_err(failed)?;
    if place.is_none() {
        nearby::look_from(&own.0, false)?;
    }
    let ours = identity.fingerprint();
    let meeting = async {
        let connection = own.0.connect(peer, ALPN).await.map_err(|error| match error {
            ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. }
            | ConnectError::Connection { source, .. } => match source {
                ConnectionError::TimedOut => failed(io::ErrorKind::TimedOut.into()),
                other => not_met(&other, ours),
            },
            ConnectError::Connect { source: ConnectWithOptsError::SelfConnect { .. }, .. } => {
                invalid("it is this device")
            }
            ConnectError::Connect { source: ConnectWithOptsError::NoAddress { .. }, .. } => {
                failed(io::Error::new(io::ErrorKind::TimedOut, NOT_NEARBY))
            }
            other => failed(io::Error::other(format!("{other:#}"))),
        })?;
        let key = admitted(&connection, admit)?;
        let streams = connection.open_bi().await.map_err(|error| not_met(&error, ours))?;
        Ok((connection, streams, key))
    };
    let met = timeout(HANDSHAKE_TIME, meeting).await;
    let met = met.unwrap_or_else(|_| {
        let why = if place.is_none() { NOT_NEARBY } else { "nobody answers" };
        Err(failed(io::Error::new(io::ErrorKind::TimedOut, why)))
    });
    match met {
        Ok((connection, streams, key)) => {
            let stream = QuicStream::new(connection, streams, ours, Some(own));
            let wire = stream.wire.clone();
            Ok(Connection::proved(stream, key, wire))
        }
        Err(error) => {
            // What was said is on its way; a program that ends now would take it along.
            let _ = timeout(FAREWELL, own.0.close()).await;
            Err(error)
        }
    }
}

/// Returns the key of whoever is connected; ends the connection with those who are not let in.
fn admitted(connection: &iroh::endpoint::Connection, admit: &Admit) -> Result<Author, NetError> {
    let key = Author::new(*connection.remote_id().as_bytes());
    if !admit(&key) {
        connection.close(NOT_KNOWN, b"not known here");
        return Err(NetError::UnknownPeer { key });
    }
    Ok(key)
}

/// Why a key that is looked for is not found.
const NOT_NEARBY: &str = "nobody on the local network says that it has this key";

/// Says why two did not meet.
fn not_met(error: &ConnectionError, ours: Fingerprint) -> NetError {
    match error {
        ConnectionError::ApplicationClosed(close) if close.error_code == NOT_KNOWN => {
            NetError::NotKnownThere { ours }
        }
        ConnectionError::TransportError(error) if error.code == TransportErrorCode::crypto(OTHER_KEY) => {
            NetError::Handshake { reason: "it does not have the key that the address names".into() }
        }
        ConnectionError::TimedOut => NetError::SlowHandshake,
        ConnectionError::ApplicationClosed(_) | ConnectionError::LocallyClosed | ConnectionError::Reset => {
            SyncError::Cut.into()
        }
        other => NetError::Handshake { reason: other.to_string() },
    }
}

/// Answers peers who come by QUIC, until `stop` is there, as [`serve`](super::serve) does those who come by TCP,
/// beside whom as many others may come. Needs a tokio runtime of several threads, with I/O and time.
///
/// ```
/// use std::sync::Arc;
/// use osmdb::net::{self, Identity, QuicListener, ServeOptions};
/// use osmdb::sync::Options;
/// use osmdb::{Coord, Db, Payload, Tags};
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (hilltop, riverside) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
/// hilltop.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
///
/// let listener = QuicListener::bind(&Identity::of(&hilltop)?, "127.0.0.1:0".parse()?).await?;
/// let address = listener.address();
/// let friend = riverside.author()?;
/// let options = ServeOptions { admit: Arc::new(move |key| *key == friend), ..ServeOptions::default() };
/// tokio::spawn(net::serve_quic(Arc::new(hilltop), listener, options, std::future::pending()));
///
/// let identity = Identity::of(&riverside)?;
/// let connection = net::dial(&address, &identity, Arc::new(|_| true)).await?;
/// let summary = net::sync_over(&riverside, connection, Options::default(), |_| ()).await?;
/// assert_eq!((summary.gained, summary.their_root), (1, Some(riverside.root())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The database has no key, and cannot make one.
pub async fn serve_quic<S>(
    db: Arc<Db<S>>,
    listener: QuicListener,
    options: ServeOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), NetError>
where
    S: PageStore + Send + Sync + 'static,
{
    let ours = Fingerprint::of(&listener.key);
    let admit = Arc::clone(&options.admit);
    let server = Arc::new(Server::new(db, options)?);
    let next = || async {
        loop {
            let incoming = listener.endpoint.0.accept().await?;
            // There is no other way to come.
            let IncomingAddr::Ip(from) = incoming.remote_addr() else { continue };
            let (server, admit) = (Arc::clone(&server), Arc::clone(&admit));
            return Some(async move {
                let meeting = async {
                    let connection = meet(incoming, &admit, ours).await;
                    let wire = connection.as_ref().map(|met| met.wire().clone()).unwrap_or_default();
                    Meeting { websocket: false, wire, connection }
                };
                server.receive(from, meeting).await;
            });
        }
    };
    server.receive_all(next, stop).await;
    listener.endpoint.0.close().await;
    Ok(())
}

/// Finds out who comes.
async fn meet(incoming: Incoming, admit: &Admit, ours: Fingerprint) -> Result<Connection, NetError> {
    let meeting = async {
        let connection = incoming.await.map_err(|error| match error {
            ConnectingError::ConnectionError { source, .. } => not_met(&source, ours),
            other => NetError::Handshake { reason: other.to_string() },
        })?;
        let key = admitted(&connection, admit)?;
        let streams = connection.accept_bi().await.map_err(|error| not_met(&error, ours))?;
        let stream = QuicStream::new(connection, streams, ours, None);
        let wire = stream.wire.clone();
        Ok(Connection::proved(stream, key, wire))
    };
    timeout(HANDSHAKE_TIME, meeting).await.map_err(|_| NetError::SlowHandshake)?
}

/// The stream of a connection.
struct QuicStream {
    send: SendStream,
    receive: RecvStream,
    connection: iroh::endpoint::Connection,
    wire: Wire,
    ours: Fingerprint,
    /// Where the connection was made for this stream alone: goes last.
    _own: Option<Own>,
}

impl QuicStream {
    fn new(
        connection: iroh::endpoint::Connection,
        (send, receive): (SendStream, RecvStream),
        ours: Fingerprint,
        own: Option<Own>,
    ) -> Self {
        let stream = Self { send, receive, connection, wire: Wire::default(), ours, _own: own };
        stream.count();
        stream
    }

    /// Counts what crosses the wire, which happens elsewhere.
    fn count(&self) {
        let stats = self.connection.stats();
        self.wire.set(stats.udp_rx.bytes, stats.udp_tx.bytes);
    }

    /// Says what an error of the stream means.
    fn explain(&self, error: io::Error) -> io::Error {
        match self.connection.close_reason() {
            Some(ConnectionError::ApplicationClosed(close)) if close.error_code == NOT_KNOWN => {
                io::Error::other(NetError::NotKnownThere { ours: self.ours })
            }
            // Whatever ended the connection, it is cut.
            Some(reason) => io::Error::new(io::ErrorKind::ConnectionReset, reason),
            None => error,
        }
    }
}

impl AsyncRead for QuicStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = AsyncRead::poll_read(Pin::new(&mut self.receive), cx, buf);
        if read.is_ready() {
            self.count();
        }
        read.map_err(|error| self.explain(error))
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = AsyncWrite::poll_write(Pin::new(&mut self.send), cx, buf);
        if written.is_ready() {
            self.count();
        }
        written.map_err(|error| self.explain(error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.send), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = AsyncWrite::poll_shutdown(Pin::new(&mut self.send), cx);
        shut.map_err(|error| self.explain(error))
    }
}
