//! What a collection must spare beside the named roots: what is read, and what was just put.
//!
//! A collection marks from the roots it saw when it began, and then removes what is not marked. Two
//! things may still be needed. A *reader* walks a root that has lost its name: it pins that root. A
//! *writer* has put pages that no root names yet; and, since a page that is there is not written
//! again, it may rely on an old page that is garbage to the collection. So every put is noted, also
//! one of a page that is there, **before** the store looks whether it is there:
//!
//! - A page put before the collection began and not committed then is in `fresh`. Roots and `fresh`
//!   are read under one lock, and a commit clears `fresh` only after its roots can be read: so a
//!   page is named by a root that is seen, or it is in `fresh`.
//! - A page put while the collection runs is in `touched`, which starts as a copy of `fresh`. A put
//!   holds the gate for reading from before it notes the page until the page is in the store; the
//!   collection holds the gate for writing while it compares some pages with `touched` and removes
//!   them. So either the put comes first, and the page is spared; or the removal comes first, and
//!   the put finds no page and writes it.
//!
//! All pages of a new tree are put, or belong to the tree that it was made from: so it suffices that
//! the latter is named or pinned.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::cid::Cid;
use crate::error::StoreError;

/// What is in use in a store beside its named roots. Memory: an address, about 40 bytes, for each
/// page put since the last commit.
#[derive(Debug, Default)]
pub struct Pins {
    state: Arc<Mutex<State>>,
    gate: RwLock<()>,
    collecting: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// How many pins each root has.
    roots: BTreeMap<Cid, usize>,
    writers: usize,
    /// Put since the last commit.
    fresh: HashSet<Cid>,
    /// Put since the collection began, or fresh then. `None`: no collection runs.
    touched: Option<HashSet<Cid>>,
}

/// Keeps pages from being collected until it is dropped.
#[derive(Debug)]
pub struct Pin {
    root: Option<Cid>,
    state: Arc<Mutex<State>>,
}

impl Pin {
    /// Returns the root that is pinned; `None` if it is a writer's pin.
    #[must_use]
    pub const fn root(&self) -> Option<Cid> {
        self.root
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        match self.root {
            None => state.writers = state.writers.saturating_sub(1),
            Some(root) => match state.roots.get_mut(&root) {
                Some(count @ 2..) => *count -= 1,
                _ => drop(state.roots.remove(&root)),
            },
        }
    }
}

impl Pins {
    /// Pins a root that is named, or pinned already, or whose pages were put since the last commit.
    /// For a root found by its name see [`PageStore::pin_root`](super::PageStore::pin_root).
    ///
    /// ```
    /// use prolly::{Config, MemoryStore, PageStore, Tree, gc_trees};
    /// let store = MemoryStore::new();
    /// let tree = Tree::build(&store, Config::default(), [("a", "1")])?;
    /// let pin = store.pins().pin(tree.root);
    /// store.swap_root("other", None, None)?;
    /// assert_eq!(gc_trees(&store, Config::default())?.removed, 0);
    /// drop(pin);
    /// assert_eq!(gc_trees(&store, Config::default())?.removed, 1);
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[must_use = "dropping the pin lets the pages be collected"]
    pub fn pin(&self, root: Cid) -> Pin {
        *lock(&self.state).roots.entry(root).or_default() += 1;
        Pin { root: Some(root), state: Arc::clone(&self.state) }
    }

    /// Keeps all pages put from now on. Needed only where several threads write to one store and
    /// commit on their own: a commit of one would otherwise end the protection of what another has
    /// put. The pages must be committed or pinned before the pin is dropped.
    #[must_use = "dropping the pin lets the pages be collected"]
    pub fn pin_writes(&self) -> Pin {
        lock(&self.state).writers += 1;
        Pin { root: None, state: Arc::clone(&self.state) }
    }

    pub(super) fn pin_with(
        &self,
        root: impl FnOnce() -> Result<Option<Cid>, StoreError>,
    ) -> Result<Option<Pin>, StoreError> {
        let mut state = lock(&self.state);
        let Some(root) = root()? else { return Ok(None) };
        *state.roots.entry(root).or_default() += 1;
        Ok(Some(Pin { root: Some(root), state: Arc::clone(&self.state) }))
    }

    /// Notes a page. The store looks whether the page is there, and takes it, while the guard lives.
    pub(super) fn putting(&self, cid: Cid) -> RwLockReadGuard<'_, ()> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let mut state = lock(&self.state);
        state.fresh.insert(cid);
        if let Some(touched) = &mut state.touched {
            touched.insert(cid);
        }
        gate
    }

    /// No page is removed while the guard lives.
    #[cfg(feature = "fjall")]
    pub(super) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that all pages put are named. The new roots can be read already.
    pub(super) fn committed(&self) {
        let mut state = lock(&self.state);
        if state.writers == 0 {
            state.fresh = HashSet::new();
        }
    }

    /// Stops puts while pages are removed.
    pub(super) fn sweeping(&self) -> Sweeping<'_> {
        let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        Sweeping { state: lock(&self.state), _gate: gate }
    }

    /// Begins a collection, and returns the roots that are named or pinned.
    pub(super) fn collect(
        &self,
        roots: impl FnOnce() -> Result<BTreeMap<String, Cid>, StoreError>,
    ) -> Result<(Collecting<'_>, Vec<Cid>), StoreError> {
        let turn = lock(&self.collecting);
        let mut state = lock(&self.state);
        let named = roots()?;
        state.touched = Some(state.fresh.clone());
        let roots = named.into_values().chain(state.roots.keys().copied()).collect();
        Ok((Collecting { pins: self, _turn: turn }, roots))
    }
}

/// No put is under way while this lives.
pub(super) struct Sweeping<'a> {
    state: MutexGuard<'a, State>,
    _gate: RwLockWriteGuard<'a, ()>,
}

impl Sweeping<'_> {
    /// Tells whether a page was put too lately to be removed.
    pub(super) fn spares(&self, cid: &Cid) -> bool {
        let touched = self.state.touched.as_ref().unwrap_or(&self.state.fresh);
        touched.contains(cid)
    }
}

/// A collection that runs.
pub(super) struct Collecting<'a> {
    pins: &'a Pins,
    _turn: MutexGuard<'a, ()>,
}

impl Drop for Collecting<'_> {
    fn drop(&mut self) {
        lock(&self.pins.state).touched = None;
    }
}

// Every change of the state is a single one, so a panic elsewhere leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
