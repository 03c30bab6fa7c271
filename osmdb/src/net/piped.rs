//! Commands and the standard streams, as two-way streams of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, Stdin, Stdout, stdin, stdout};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::error::NetError;

/// The standard input and the standard output of this program: whoever started it is the peer.
#[derive(Debug)]
pub struct Stdio {
    input: Stdin,
    output: Stdout,
}

impl Stdio {
    /// Takes both. Nothing else may use them then.
    ///
    /// ```
    /// use osmdb::net::Stdio;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # let _context = runtime.enter();
    /// let peer = Stdio::new();
    /// # let _ = peer;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self { input: stdin(), output: stdout() }
    }
}

impl Default for Stdio {
    fn default() -> Self {
        Self::new()
    }
}

impl AsyncRead for Stdio {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.output).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_shutdown(cx)
    }
}

/// A command that runs, as what it reads and writes. It is killed if it outlives the stream.
#[derive(Debug)]
pub(super) struct Piped {
    /// Gone when nothing more is to be written: only then the command sees the end.
    input: Option<ChildStdin>,
    output: ChildStdout,
    _child: Child,
}

impl Piped {
    /// Runs a command. What it writes to the standard error goes where that of this program goes.
    pub(super) fn spawn(mut command: Command, shown: &str) -> Result<Self, NetError> {
        use std::process::Stdio;
        let failed = |source| NetError::Command { command: shown.to_owned(), source };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        match (child.stdin.take(), child.stdout.take()) {
            (input, Some(output)) => Ok(Self { input, output, _child: child }),
            _ => Err(failed(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl AsyncRead for Piped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buf)
    }
}

impl AsyncWrite for Piped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.as_mut().poll_flush(cx);
        if flushed.is_ready() {
            self.input = None;
        }
        flushed
    }
}
