//! How many messages of one side of a walk there were, so that a walk that was cut goes on behind them.

use std::fmt;

/// The messages of one side of a walk, counted and hashed.
#[derive(Clone, Default)]
pub(crate) struct Transcript {
    count: u32,
    /// Boxed: it is long, and most parts are those of streams.
    hasher: Box<blake3::Hasher>,
}

/// What is said of a transcript: how many messages, and the start of their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) messages: u32,
    pub(crate) hash: [u8; 8],
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcript").field("extent", &self.extent()).finish()
    }
}

impl Transcript {
    pub(crate) fn add(&mut self, kind: u8, body: &[u8]) {
        self.count = self.count.saturating_add(1);
        self.hasher.update(&[kind]);
        self.hasher.update(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.hasher.update(body);
    }

    pub(crate) const fn messages(&self) -> u32 {
        self.count
    }

    pub(crate) fn extent(&self) -> Extent {
        let hash = self.hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default();
        Extent { messages: self.count, hash }
    }
}
