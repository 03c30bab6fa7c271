//! Waiting for a change.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
#[cfg(feature = "net")]
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Wakes those that wait for a change.
#[derive(Debug, Default)]
pub(in super::super) struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How often it has rung.
    rung: u64,
    /// Tasks that wait.
    wakers: Vec<Waker>,
}

impl Bell {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in super::super) fn ring(&self) {
        let mut state = self.state();
        state.rung += 1;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(in super::super) fn count(&self) -> u64 {
        self.state().rung
    }

    /// Is ready with the count when it has rung more often than this; the task is woken then.
    #[cfg(feature = "net")]
    pub(in super::super) fn poll(&self, count: u64, cx: &Context<'_>) -> Poll<u64> {
        let mut state = self.state();
        if state.rung != count {
            return Poll::Ready(state.rung);
        }
        if state.wakers.iter().all(|waker| !waker.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits until it has rung more often than this; tells whether it has.
    pub(super) fn wait(&self, count: u64, until: Option<Instant>) -> bool {
        let mut state = self.state();
        while state.rung == count {
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return false,
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }
}
