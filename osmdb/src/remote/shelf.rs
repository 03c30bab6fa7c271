//! The pages that are here: a bounded cache, and what a running question holds.

use std::cell::Cell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prolly::{Cid, Commit, Page, PageSource, PageStore, StoreError};

use super::pins;

/// A running question remembers no more pages that it has touched than this.
const MAX_TOUCHED: usize = 1 << 16;

/// A cache of pages in a store. Pages never change, so it is never out of date.
#[derive(Debug)]
pub(super) struct Shelf<C: PageStore> {
    store: C,
    max_pages: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pages: usize,
    /// Used since the store was last cleared of what nobody uses.
    recent: HashSet<Cid>,
    unwritten: bool,
    /// How many ask for nothing to be removed.
    holds: usize,
    /// What is pinned, once that was needed.
    pinned: Option<HashSet<Cid>>,
}

impl<C: PageStore> Shelf<C> {
    pub(super) fn new(store: C, max_pages: usize) -> Result<Self, StoreError> {
        let count = Cell::new(0);
        store.sweep(&|_| {
            count.set(count.get() + 1);
            true
        })?;
        let state = State { pages: count.get(), ..State::default() };
        let shelf = Self { store, max_pages: max_pages.max(1), state: Mutex::new(state) };
        if count.get() > max_pages {
            shelf.clear(&mut shelf.state())?;
        }
        Ok(shelf)
    }

    pub(super) const fn store(&self) -> &C {
        &self.store
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A damaged page is fetched again.
    fn healed<T>(result: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
        match result {
            Err(StoreError::Page { .. }) => Ok(None),
            other => other,
        }
    }

    fn used(&self, cid: &Cid) {
        self.state().recent.insert(*cid);
    }

    pub(super) fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError> {
        let mut state = self.state();
        if self.store.contains(&cid)? {
            return Ok(());
        }
        if state.pages >= self.max_pages && state.holds == 0 {
            self.clear(&mut state)?;
        }
        self.store.put(cid, bytes)?;
        state.pages += 1;
        state.recent.insert(cid);
        state.unwritten = true;
        Ok(())
    }

    /// Removes what was not used lately; all, if that leaves too many. What is pinned stays, and does not count.
    fn clear(&self, state: &mut State) -> Result<(), StoreError> {
        self.store.commit(&Commit::default())?;
        state.unwritten = false;
        if state.recent.len() > self.max_pages / 2 {
            state.recent.clear();
        }
        let pinned = match state.pinned.take() {
            Some(pinned) => pinned,
            None => pins::pages(&self.store)?,
        };
        let left = Cell::new(0);
        self.store.sweep(&|cid| {
            let (is_pinned, is_recent) = (pinned.contains(cid), state.recent.contains(cid));
            left.set(left.get() + usize::from(is_recent && !is_pinned));
            is_pinned || is_recent
        })?;
        state.pages = left.get();
        state.pinned = Some(pinned);
        state.recent.clear();
        Ok(())
    }

    /// Makes what came last as durable as the store is.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        if std::mem::take(&mut state.unwritten) {
            self.store.commit(&Commit::default())?;
        }
        Ok(())
    }
}

/// As long as it is there, nothing is removed; then it is looked anew at what is pinned.
#[derive(Debug)]
pub(super) struct Hold<'a, C: PageStore>(&'a Shelf<C>);

impl<'a, C: PageStore> Hold<'a, C> {
    pub(super) fn new(shelf: &'a Shelf<C>) -> Self {
        shelf.state().holds += 1;
        Self(shelf)
    }
}

impl<C: PageStore> Drop for Hold<'_, C> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.holds -= 1;
        state.pinned = None;
    }
}

impl<C: PageStore> Drop for Shelf<C> {
    fn drop(&mut self) {
        // What is not kept is fetched again.
        let _ = self.flush();
    }
}

impl<C: PageStore> PageSource for Shelf<C> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let found = Self::healed(self.store.load(cid))?;
        if found.is_some() {
            self.used(cid);
        }
        Ok(found)
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        // A page that does not decode is damaged if it is not what its address says, and else what it is.
        match self.store.page(cid) {
            Err(error @ StoreError::Page { .. }) => match Self::healed(self.store.load(cid))? {
                Some(bytes) if Cid::of(&bytes) == *cid => Err(error),
                _ => Ok(None),
            },
            found => {
                if let Ok(Some(_)) = found {
                    self.used(cid);
                }
                found
            }
        }
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.store.contains(cid)
    }
}

/// The pages as a running question sees them: those of the cache, and those that came for it, which it has
/// for a while even if the cache is too small for them.
#[derive(Debug)]
pub(super) struct Session<'a, C: PageStore> {
    shelf: &'a Shelf<C>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    round: u64,
    /// With the round in which each came or was used last.
    pages: HashMap<Cid, (Bytes, u64)>,
    touched: HashSet<Cid>,
    order: VecDeque<Cid>,
}

impl<'a, C: PageStore> Session<'a, C> {
    pub(super) fn new(shelf: &'a Shelf<C>) -> Self {
        Self { shelf, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the pages of a round, which have been checked.
    pub(super) fn take(&self, pages: Vec<(Cid, Bytes)>) -> Result<(), StoreError> {
        let mut held = self.held();
        held.round += 1;
        let round = held.round;
        held.pages.retain(|_, (_, last)| *last + 1 >= round);
        for (cid, bytes) in pages {
            held.pages.insert(cid, (bytes.clone(), round));
            self.shelf.put(cid, bytes)?;
        }
        Ok(())
    }

    /// Returns the pages that were used so far, or the last of them.
    pub(super) fn touched(&self) -> Vec<Cid> {
        self.held().order.iter().copied().collect()
    }

    fn look(&self, cid: &Cid) -> Option<Bytes> {
        let mut held = self.held();
        let round = held.round;
        let (bytes, last) = held.pages.get_mut(cid)?;
        *last = round;
        Some(bytes.clone())
    }

    fn touch(&self, cid: &Cid) {
        let mut held = self.held();
        if held.touched.insert(*cid) {
            held.order.push_back(*cid);
            if held.order.len() > MAX_TOUCHED
                && let Some(first) = held.order.pop_front()
            {
                held.touched.remove(&first);
            }
        }
    }
}

impl<C: PageStore> PageSource for Session<'_, C> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let found = match self.shelf.load(cid)? {
            None => self.look(cid),
            found => found,
        };
        if found.is_some() {
            self.touch(cid);
        }
        Ok(found)
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        let found = match self.shelf.page(cid)? {
            None => {
                let decode = |bytes| Page::verify(*cid, bytes);
                let damaged = |source| StoreError::Page { cid: *cid, source };
                self.look(cid).map(decode).transpose().map_err(damaged)?
            }
            found => found,
        };
        if found.is_some() {
            self.touch(cid);
        }
        Ok(found)
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        let found = self.shelf.contains(cid)? || self.held().pages.contains_key(cid);
        if found {
            self.touch(cid);
        }
        Ok(found)
    }
}
