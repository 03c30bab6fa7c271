//! Bytes on their way in: counted for progress, bounded for safety.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Any buffered source; `Send`, so that a reader can move to another thread.
pub(super) type Source = Box<dyn BufRead + Send>;

/// Counts the bytes that are read through it.
pub(super) struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Counted<R> {
    /// Wraps a source; returns the counter beside it.
    pub(super) fn new(inner: R) -> (Self, Arc<AtomicU64>) {
        let count = Arc::new(AtomicU64::new(0));
        (Self { inner, count: Arc::clone(&count) }, count)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.count.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(read)
    }
}

/// Hands out at most so many bytes until it is refilled, and counts lines.
///
/// The XML parser collects one event in a buffer before it shows it; this is what bounds the buffer.
pub(super) struct Rationed<R> {
    inner: R,
    left: usize,
    /// Bytes handed out so far.
    pub(super) byte: u64,
    /// Line breaks handed out so far.
    pub(super) breaks: u64,
    /// Whether the ration ran out.
    pub(super) exceeded: bool,
    /// Whether the end of the source was seen.
    pub(super) at_end: bool,
}

impl<R: BufRead> Rationed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, left: 0, byte: 0, breaks: 0, exceeded: false, at_end: false }
    }

    /// Allows so many bytes from now on.
    pub(super) fn refill(&mut self, ration: usize) {
        self.left = ration;
    }
}

impl<R: BufRead> BufRead for Rationed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            self.exceeded = true;
            return Err(io::Error::other("too long"));
        }
        let available = self.inner.fill_buf()?;
        self.at_end = available.is_empty();
        Ok(available.get(..self.left).unwrap_or(available))
    }

    fn consume(&mut self, amount: usize) {
        // The parser consumes only what it was just shown, so this reads nothing new.
        let shown = self.inner.fill_buf().unwrap_or_default();
        let taken = shown.get(..amount).unwrap_or(shown);
        let breaks = taken.iter().filter(|byte| **byte == b'\n').count();
        self.breaks = self.breaks.saturating_add(u64::try_from(breaks).unwrap_or(u64::MAX));
        self.byte = self.byte.saturating_add(u64::try_from(amount).unwrap_or(u64::MAX));
        self.left = self.left.saturating_sub(amount);
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Rationed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let read = available.read(buf)?;
        self.consume(read);
        Ok(read)
    }
}
