//! Work that blocks, on a thread of its own.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// What a thread gives in the end. If it is dropped, the thread still ends by itself.
pub(super) struct OnThread<T>(Arc<Mutex<Slot<T>>>);

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
        if let Err(error) = std::thread::Builder::new().spawn(move || give(work())) {
            failed(Err(error));
        }
        Self(slot)
    }
}

impl<T> Future for OnThread<T> {
    type Output = io::Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
