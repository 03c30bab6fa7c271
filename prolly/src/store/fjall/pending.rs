//! Pages that were put and are not in the engine yet.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::cid::Cid;

/// The pages of a batch, in order.
pub(super) type Batch = BTreeMap<Cid, New>;

/// A page, and its record for the engine.
#[derive(Debug, Clone)]
pub(super) struct New {
    pub(super) page: Bytes,
    pub(super) record: Bytes,
}

/// Pages gathered for the next batch, and those of the batch being written: a page can be read
/// here until the engine gives it.
#[derive(Debug, Default)]
pub(super) struct Pending(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    gathered: Batch,
    bytes: usize,
    writing: Arc<Batch>,
}

impl Pending {
    pub(super) fn get(&self, cid: &Cid) -> Option<Bytes> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let new = state.gathered.get(cid).or_else(|| state.writing.get(cid));
        new.map(|new| new.page.clone())
    }

    /// Gathers a page, and returns how many bytes of records are gathered.
    pub(super) fn add(&self, cid: Cid, new: New) -> usize {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let len = new.record.len();
        // Another thread may have put the same page meanwhile.
        if !state.writing.contains_key(&cid) && state.gathered.insert(cid, new).is_none() {
            state.bytes += len;
        }
        state.bytes
    }

    /// Takes what is gathered to be written, if it has at least so many bytes. Only one batch may
    /// be written at a time.
    pub(super) fn start(&self, least: usize) -> Option<Arc<Batch>> {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if state.bytes < least {
            return None;
        }
        state.bytes = 0;
        state.writing = Arc::new(std::mem::take(&mut state.gathered));
        Some(Arc::clone(&state.writing))
    }

    /// Forgets the batch that was written.
    pub(super) fn finish(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).writing = Arc::default();
    }
}
