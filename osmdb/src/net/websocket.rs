//! WebSocket (RFC 6455) as a stream of bytes: what is written goes in binary messages, whose bounds mean
//! nothing.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::HANDSHAKE_TIME;
use super::error::NetError;

/// No message is longer than this.
const MAX_MESSAGE: usize = 1 << 20;

/// So many bytes are put into one message at most. A message is read when it is whole: what came of one that is cut is
/// lost.
const MESSAGE: usize = 16 << 10;

/// A WebSocket, as a stream of bytes.
///
/// ```
/// use osmdb::net::WebSocket;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (left, right) = tokio::io::duplex(1_000);
/// let (left, right) = tokio::join!(
///     WebSocket::connect(left, "ws://hilltop.example/sync"),
///     WebSocket::accept(right),
/// );
/// let (mut left, mut right) = (left?, right?);
/// left.write_all(b"a spring").await?;
/// left.flush().await?;
/// let mut came = [0; 8];
/// right.read_exact(&mut came).await?;
/// assert_eq!(&came, b"a spring");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WebSocket<T> {
    socket: WebSocketStream<T>,
    came: Bytes,
}

impl<T> fmt::Debug for WebSocket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").finish_non_exhaustive()
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE))
}

impl<T: AsyncRead + AsyncWrite + Unpin> WebSocket<T> {
    /// Asks for a WebSocket, at an address that begins with `ws://`, on a stream that leads there.
    ///
    /// # Errors
    /// Whoever is there speaks no WebSocket, or is silent.
    pub async fn connect(stream: T, address: &str) -> Result<Self, NetError> {
        let asking = tokio_tungstenite::client_async_with_config(address, stream, Some(config()));
        let asked = timeout(HANDSHAKE_TIME, asking).await.map_err(|_| NetError::SlowHandshake)?;
        let (socket, _) = asked.map_err(|error| NetError::Handshake { reason: error.to_string() })?;
        Ok(Self { socket, came: Bytes::new() })
    }

    /// Answers somebody who asks for a WebSocket, at whatever path.
    ///
    /// # Errors
    /// Whoever is there asks for something else, or is silent.
    pub async fn accept(stream: T) -> Result<Self, NetError> {
        let answering = tokio_tungstenite::accept_async_with_config(stream, Some(config()));
        let answered = timeout(HANDSHAKE_TIME, answering).await.map_err(|_| NetError::SlowHandshake)?;
        let socket = answered.map_err(|error| NetError::Handshake { reason: error.to_string() })?;
        Ok(Self { socket, came: Bytes::new() })
    }
}

#[cfg(feature = "server")]
impl<T: AsyncRead + AsyncWrite + Unpin> WebSocket<T> {
    /// Goes on where somebody else has answered who asked for a WebSocket.
    pub(super) async fn granted(stream: T) -> Self {
        use tokio_tungstenite::tungstenite::protocol::Role;
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config())).await;
        Self { socket, came: Bytes::new() }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> WebSocket<T> {
    /// Sends a message, once there is room for one.
    fn start(&mut self, cx: &mut Context<'_>, message: Bytes) -> Poll<io::Result<usize>> {
        let bytes = message.len();
        Pin::new(&mut self.socket).start_send(Message::Binary(message)).map_err(io)?;
        // Not every layer above flushes what it says last.
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(io(error))),
            _ => Poll::Ready(Ok(bytes)),
        }
    }
}

fn io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        // As of any stream that ends before it is closed.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => io::ErrorKind::UnexpectedEof.into(),
        Error::Protocol(_) => io::Error::new(io::ErrorKind::InvalidData, error),
        other => io::Error::other(other),
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.came.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.came = bytes,
                Some(Ok(Message::Text(_))) => {
                    let reason = "text came where bytes were expected";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
                }
                // Pings are answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io(error))),
            }
        }
        let fits = self.came.len().min(buf.remaining());
        buf.put_slice(self.came.get(..fits).unwrap_or_default());
        self.came.advance(fits);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io)?;
        let some = Bytes::copy_from_slice(buf.get(..MESSAGE).unwrap_or(buf));
        self.start(cx, some)
    }

    /// TLS writes the last records of a handshake that fails in one call, and does not try again.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io)?;
        let bytes = bufs.iter().flat_map(|buf| buf.iter().copied());
        self.start(cx, bytes.take(MESSAGE).collect())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_close(cx)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(io(error))),
        }
    }
}
