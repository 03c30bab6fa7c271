//! How long the other side may be silent, or busy with one message.

use std::time::Duration;

use super::error::SyncError;
use super::limits::MAX_MESSAGE_TIME;

/// Knows the time that it is told, and when something came last.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    now: Duration,
    heard: Duration,
    /// When a message began that is not yet whole.
    began: Option<Duration>,
}

impl Clock {
    /// Notes that something came.
    pub(crate) fn hear(&mut self) {
        self.heard = self.now;
    }

    /// Notes that something came now.
    #[cfg(feature = "net")]
    pub(crate) fn hear_at(&mut self, now: Duration) {
        (self.now, self.heard) = (now, now);
    }

    /// Notes that a message is whole.
    pub(crate) fn ends_message(&mut self) {
        self.began = None;
    }

    /// Notes whether a message has begun that is not yet whole.
    pub(crate) fn is_inside(&mut self, inside: bool) {
        self.began = inside.then(|| self.began.unwrap_or(self.now));
    }

    /// Takes the time; fails if nothing came for longer than the other side may be silent, or if its message
    /// takes too long.
    pub(crate) fn tick(&mut self, now: Duration, patience: Duration) -> Result<(), SyncError> {
        self.now = now;
        let silent = now.saturating_sub(self.heard);
        if silent > patience {
            return Err(SyncError::Silence { after: silent });
        }
        match self.began.map(|began| now.saturating_sub(began)) {
            Some(after) if after > MAX_MESSAGE_TIME => Err(SyncError::Slow { after }),
            _ => Ok(()),
        }
    }
}
