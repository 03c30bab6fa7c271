//! Work that blocks, on a thread of its own.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

/// What a thread gives in the end. If it is dropped, the thread still ends by itself.
pub(super) struct OnThread<T> {
    slot: Arc<Mutex<Slot<T>>>,
    thread: Option<JoinHandle<()>>,
}

struct Slot<T> {
    result: Option<io::Result<T>>,
    waker: Option<Waker>,
}

impl<T: Send + 'static> OnThread<T> {
    pub(super) fn run(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Self {
        let slot = Arc::new(Mutex::new(Slot { result: None, waker: None }));
        let there = Arc::clone(&slot);
        let give = move |result| {
            let mut slot = there.lock().unwrap_or_else(PoisonError::into_inner);
            slot.result = Some(result);
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        };
        let failed = give.clone();
        let thread = std::thread::Builder::new().spawn(move || give(work()));
        let thread = thread.map_err(|error| failed(Err(error))).ok();
        Self { slot, thread }
    }
}

impl<T> Future for OnThread<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(result) = slot.result.take() else {
            slot.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        drop(slot);
        // It has nothing more to do.
        let _ = self.thread.take().map(JoinHandle::join);
        Poll::Ready(result)
    }
}
