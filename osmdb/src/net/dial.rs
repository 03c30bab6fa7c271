//! Connections to peers.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::HANDSHAKE_TIME;
use super::address::Address;
use super::error::NetError;
use super::identity::Identity;
use super::piped::Piped;
#[cfg(feature = "iroh")]
use super::quic;
use super::tls::{Admit, Secured};
use super::websocket::WebSocket;
use crate::entry::Author;

/// How many bytes have crossed the wire so far, with all that secures them.
///
/// ```
/// let wire = osmdb::net::Wire::default();
/// assert_eq!((wire.bytes_in(), wire.bytes_out()), (0, 0));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Wire(Arc<[AtomicU64; 2]>);

impl Wire {
    /// Returns how many came.
    ///
    /// ```
    /// assert_eq!(osmdb::net::Wire::default().bytes_in(), 0);
    /// ```
    #[must_use]
    pub fn bytes_in(&self) -> u64 {
        self.0[0].load(Ordering::Relaxed)
    }

    /// Returns how many were sent.
    ///
    /// ```
    /// assert_eq!(osmdb::net::Wire::default().bytes_out(), 0);
    /// ```
    #[must_use]
    pub fn bytes_out(&self) -> u64 {
        self.0[1].load(Ordering::Relaxed)
    }

    /// Says how many were counted elsewhere.
    #[cfg(feature = "iroh")]
    pub(super) fn set(&self, bytes_in: u64, bytes_out: u64) {
        self.0[0].store(bytes_in, Ordering::Relaxed);
        self.0[1].store(bytes_out, Ordering::Relaxed);
    }
}

/// A stream whose bytes are counted.
#[derive(Debug)]
pub(super) struct Metered<T> {
    stream: T,
    wire: Wire,
}

impl<T> Metered<T> {
    pub(super) fn new(stream: T) -> (Self, Wire) {
        let wire = Wire::default();
        (Self { stream, wire: wire.clone() }, wire)
    }
}

impl<T> Metered<T> {
    pub(super) const fn get(&self) -> &T {
        &self.stream
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.wire.0[0].fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        read
    }
}

impl<T> Metered<T> {
    fn count(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.wire.0[1].fetch_add(*bytes as u64, Ordering::Relaxed);
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A two-way stream of bytes.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream to a peer, whatever carries it.
///
/// ```
/// use osmdb::net::{Connection, sync_over};
/// # use osmdb::{Db, sync::Options};
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// # let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
/// let (here, there) = tokio::io::duplex(1_000);
/// let connection = Connection::new(here);
/// let wire = connection.wire().clone();
/// let (summary, _) = tokio::join!(
///     sync_over(&ours, connection, Options::default(), |_| ()),
///     sync_over(&theirs, there, Options::default(), |_| ()),
/// );
/// assert_eq!(summary?.bytes_in, wire.bytes_in());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection {
    stream: Box<dyn Duplex>,
    peer: Option<Author>,
    wire: Wire,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Connection {
    /// Makes a connection of any stream, of which it is known otherwise who is at the other end.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (stream, wire) = Metered::new(stream);
        Self { stream: Box::new(stream), peer: None, wire }
    }

    /// Makes a connection of a secured stream, below which bytes are counted.
    pub(super) fn secured<T>(stream: Secured<T>, wire: Wire) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let peer = Some(stream.peer());
        Self { stream: Box::new(stream), peer, wire }
    }

    /// Makes a connection of a stream whose peer has proved its key otherwise, and whose bytes are counted elsewhere.
    #[cfg(feature = "iroh")]
    pub(super) fn proved(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: Author,
        wire: Wire,
    ) -> Self {
        Self { stream: Box::new(stream), peer: Some(peer), wire }
    }

    /// Returns the key that the peer has proved, if it was asked for one.
    ///
    /// ```
    /// # let (stream, _) = tokio::io::duplex(1);
    /// assert_eq!(osmdb::net::Connection::new(stream).peer(), None);
    /// ```
    #[must_use]
    pub const fn peer(&self) -> Option<Author> {
        self.peer
    }

    /// Returns how many bytes cross the wire: the count goes on while the connection does.
    ///
    /// ```
    /// # let (stream, _) = tokio::io::duplex(1);
    /// assert_eq!(osmdb::net::Connection::new(stream).wire().bytes_out(), 0);
    /// ```
    #[must_use]
    pub const fn wire(&self) -> &Wire {
        &self.wire
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Connects to a peer. What crosses a network is [`Secured`] with the identity, and `admit` decides whether the
/// peer's key is one that was expected; commands see to that themselves. Needs a tokio runtime with I/O and
/// time. See the [module](super) for an example.
///
/// # Errors
/// Nobody answers; whoever does is no peer, or not admitted; the command does not start; the program was built
/// without QUIC, and the address asks for it. A directory is no
/// connection: [`Db::merge`](crate::Db::merge) unites two of this machine.
pub async fn dial(address: &Address, identity: &Identity, admit: Admit) -> Result<Connection, NetError> {
    match address {
        Address::Tcp { host, port } => {
            let (stream, wire) = Metered::new(tcp(address, host, *port).await?);
            Ok(Connection::secured(Secured::connect(stream, identity, admit).await?, wire))
        }
        Address::WebSocket { host, port, .. } => {
            let (stream, wire) = Metered::new(tcp(address, host, *port).await?);
            let socket = WebSocket::connect(stream, &address.to_string()).await?;
            Ok(Connection::secured(Secured::connect(socket, identity, admit).await?, wire))
        }
        #[cfg(feature = "iroh")]
        Address::Iroh { key, place } => quic::dial(address, key, place.as_ref(), identity, &admit).await,
        #[cfg(not(feature = "iroh"))]
        Address::Iroh { .. } => Err(NetError::NoQuic),
        Address::Command(line) => Ok(Connection::new(Piped::spawn(shell(line), line)?)),
        Address::Ssh { host, port, path } => {
            let mut command = Command::new("ssh");
            if let Some(port) = port {
                command.arg("-p").arg(port.to_string());
            }
            // The shell there takes the words apart once more.
            let path = path.strip_prefix("/~/").map_or_else(|| path.clone(), |path| format!("./{path}"));
            let path = format!("'{}'", path.replace('\'', r"'\''"));
            command.arg("--").arg(host).args(["osmdb", "serve", "--stdio", &path]);
            Ok(Connection::new(Piped::spawn(command, "ssh")?))
        }
        Address::Dir(_) => {
            let source = io::Error::new(io::ErrorKind::Unsupported, "it is a directory of this machine");
            Err(NetError::Connect { address: address.to_string(), source })
        }
    }
}

async fn tcp(address: &Address, host: &str, port: u16) -> Result<TcpStream, NetError> {
    let failed = |source| NetError::Connect { address: address.to_string(), source };
    let connected = timeout(HANDSHAKE_TIME, TcpStream::connect((host, port))).await;
    let stream = connected.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

/// Runs a line as the shell of the system does.
fn shell(line: &str) -> Command {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut command = Command::new(shell);
    command.arg(flag).arg(line);
    command
}
