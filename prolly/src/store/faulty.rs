//! A simulated disk that fails as it is told, for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::{Commit, Note, PageSink, PageSource, PageStore, Pins, change_roots};
use crate::cid::Cid;
use crate::error::StoreError;
use crate::page::PageError;

/// What goes wrong in one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It fails and does nothing. After a failed put, commit or sweep the store is poisoned.
    Fail,
    /// A put, a commit or a sweep does all it should, and is on disk; but it reports that it failed.
    FailAfter,
    /// A put or a commit fails, and of all pages put since the last commit only some reach the disk,
    /// one of them torn in the middle. A sweep fails with some of the pages removed. Which ones, the
    /// seed decides. A read merely fails.
    Torn,
    /// A read gets the bytes with one bit flipped, as the disk gave them, and must notice. Writes
    /// are not harmed.
    FlipBit,
}

/// What happens to what was not committed when the machine goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// All of it is gone.
    All,
    /// All of it had reached the disk.
    Nothing,
    /// Some pages are gone, as the seed decides, in no order.
    Some(u64),
}

/// Which operations fail, and how. Operations are counted from 1: loads (each page read counts, by
/// whatever method), puts, commits, sweeps.
///
/// ```
/// use prolly::{Fault, Faults};
/// let faults = Faults::new(7).at(12, Fault::Torn);
/// # let _ = faults;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    seed: u64,
    at: BTreeMap<u64, Fault>,
    delay: Duration,
}

impl Faults {
    /// No faults yet; what chance would decide, the seed does.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, at: BTreeMap::new(), delay: Duration::ZERO }
    }

    /// Adds a fault in an operation.
    #[must_use]
    pub fn at(mut self, operation: u64, fault: Fault) -> Self {
        self.at.insert(operation, fault);
        self
    }

    /// Makes every operation take so long.
    #[must_use]
    pub const fn slow(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A store on a simulated disk: what was put is readable at once, and on disk only after a commit.
///
/// The same faults and the same operations have the same outcome, if one thread does them.
///
/// ```
/// use prolly::{Config, Error, Fault, Faults, FaultyStore, Lost, PageStore, StoreError, Tree};
/// let store = FaultyStore::new(Faults::new(1).at(4, Fault::Fail));
/// let tree = Tree::build(&store, Config::default(), [("a", "1")])?; // operation 1
/// store.swap_root("main", None, Some(tree.root))?;                  // operation 2
/// let next = tree.edit(&store, [("b", Some("2"))]);                 // reads, then fails to put
/// assert!(next.is_err());
/// let poisoned = store.swap_root("main", Some(tree.root), None);
/// assert!(matches!(poisoned, Err(StoreError::Poisoned)));
/// // After a restart, all that was committed is there.
/// let store = store.crash(Lost::All);
/// assert_eq!(store.root("main")?, Some(tree.root));
/// assert_eq!(tree.get(&store, b"a")?.as_deref(), Some(&b"1"[..]));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Default)]
pub struct FaultyStore {
    state: Mutex<State>,
    pins: Pins,
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    operations: u64,
    poisoned: bool,
    disk: Disk,
    /// Put since the last commit.
    unsynced: BTreeMap<Cid, Bytes>,
}

#[derive(Debug, Clone, Default)]
struct Disk {
    pages: BTreeMap<Cid, Bytes>,
    roots: BTreeMap<String, Cid>,
    notes: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl FaultyStore {
    /// Returns an empty store that will fail like this.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { state: Mutex::new(State { faults, ..State::default() }), pins: Pins::default() }
    }

    /// Returns how many operations were begun.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Returns how many pages are there, committed or not.
    #[must_use]
    pub fn len(&self) -> usize {
        let state = self.state();
        let only_new = |cid: &&Cid| !state.disk.pages.contains_key(cid);
        state.disk.pages.len() + state.unsynced.keys().filter(only_new).count()
    }

    /// Tells whether no page is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the store as its disk shows it after the machine went down now and came up again:
    /// not poisoned, without faults to come. This store is left as it is.
    #[must_use]
    pub fn crash(&self, lost: Lost) -> Self {
        let state = self.state();
        let mut disk = state.disk.clone();
        let survives = |cid: &Cid| match lost {
            Lost::All => false,
            Lost::Nothing => true,
            Lost::Some(seed) => chance(seed, cid).is_multiple_of(2),
        };
        disk.pages.extend(
            state.unsynced.iter().filter(|(cid, _)| survives(cid)).map(|(cid, bytes)| (*cid, bytes.clone())),
        );
        Self { state: Mutex::new(State { disk, ..State::default() }), pins: Pins::default() }
    }

    /// Sets what fails from now on; operations are counted from 1 again.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.state();
        state.faults = faults;
        state.operations = 0;
    }

    // Nothing panics while the state is changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation, and returns the fault in it.
    fn begin(&self) -> (MutexGuard<'_, State>, Option<Fault>) {
        let delay = self.state().faults.delay;
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        let mut state = self.state();
        state.operations += 1;
        let fault = state.faults.at.get(&state.operations).copied();
        (state, fault)
    }

    /// Begins something that changes the disk.
    fn begin_write(&self) -> Result<(MutexGuard<'_, State>, Option<Fault>), StoreError> {
        let (mut state, fault) = self.begin();
        if state.poisoned {
            return Err(StoreError::Poisoned);
        }
        state.poisoned = matches!(fault, Some(Fault::Fail | Fault::FailAfter | Fault::Torn));
        Ok((state, fault))
    }
}

impl State {
    fn seed(&self) -> u64 {
        self.faults.seed.wrapping_add(self.operations)
    }

    /// Writes some of the unsynced pages to the disk, and a part of one.
    fn tear(&mut self) {
        let seed = self.seed();
        let mut torn = false;
        for (cid, bytes) in &self.unsynced {
            if self.disk.pages.contains_key(cid) {
                continue;
            }
            match chance(seed, cid) % 3 {
                0 => drop(self.disk.pages.insert(*cid, bytes.clone())),
                1 if !torn => {
                    torn = true;
                    self.disk.pages.insert(*cid, bytes.slice(..bytes.len() / 2));
                }
                _ => {}
            }
        }
    }

    fn sync(&mut self) {
        self.disk.pages.append(&mut self.unsynced);
    }
}

/// Something that looks like chance, the same for the same page.
fn chance(seed: u64, cid: &Cid) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(cid.as_bytes());
    hasher.finalize().as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn fault(what: &'static str) -> StoreError {
    StoreError::Io { what, source: std::io::Error::other("a simulated fault") }
}

impl PageSource for FaultyStore {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        let (state, planned) = self.begin();
        if matches!(planned, Some(Fault::Fail | Fault::FailAfter | Fault::Torn)) {
            return Err(fault("reading a page"));
        }
        let Some(bytes) = state.unsynced.get(cid).or_else(|| state.disk.pages.get(cid)) else {
            return Ok(None);
        };
        let mut bytes = bytes.clone();
        if planned == Some(Fault::FlipBit) {
            let mut flipped = bytes.to_vec();
            let bits = (flipped.len() as u64 * 8).max(1);
            let bit = chance(state.seed(), cid) % bits;
            if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| flipped.get_mut(at)) {
                *byte ^= 1 << (bit % 8);
            }
            bytes = flipped.into();
        }
        let found = Cid::of(&bytes);
        if found == *cid {
            Ok(Some(bytes))
        } else {
            Err(StoreError::Page { cid: *cid, source: PageError::Hash { found } })
        }
    }

    /// Is no operation. A torn page does not count as being there.
    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        let state = self.state();
        let bytes = state.unsynced.get(cid).or_else(|| state.disk.pages.get(cid));
        Ok(bytes.is_some_and(|bytes| Cid::of(bytes) == *cid))
    }
}

impl PageSink for FaultyStore {
    fn put(&self, cid: Cid, bytes: Bytes) -> Result<(), StoreError> {
        let _put = self.pins.putting(cid);
        let there = self.contains(&cid)?;
        let (mut state, planned) = self.begin_write()?;
        if !there && planned != Some(Fault::Fail) {
            state.unsynced.insert(cid, bytes);
        }
        match planned {
            None | Some(Fault::FlipBit) => return Ok(()),
            Some(Fault::Torn) => state.tear(),
            Some(_) => {}
        }
        Err(fault("writing a page"))
    }
}

impl PageStore for FaultyStore {
    fn root(&self, name: &str) -> Result<Option<Cid>, StoreError> {
        Ok(self.state().disk.roots.get(name).copied())
    }

    fn notes(&self, prefix: &[u8]) -> Result<Vec<Note>, StoreError> {
        let state = self.state();
        let from = state.disk.notes.range(prefix.to_vec()..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    /// The failed commit of [`Fault::FailAfter`] can be read at once.
    fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        let (mut state, planned) = self.begin_write()?;
        let mut roots = state.disk.roots.clone();
        if let Err(conflict) = change_roots(&mut roots, &commit.roots) {
            state.poisoned = false;
            return Err(conflict);
        }
        match planned {
            Some(Fault::Torn) => state.tear(),
            Some(Fault::Fail) => {}
            None | Some(Fault::FailAfter | Fault::FlipBit) => {
                state.sync();
                state.disk.roots = roots;
                for (key, value) in &commit.notes {
                    match value {
                        Some(value) => state.disk.notes.insert(key.clone(), value.clone()),
                        None => state.disk.notes.remove(key),
                    };
                }
            }
        }
        if state.poisoned {
            return Err(fault("syncing a commit"));
        }
        drop(state);
        self.pins.committed();
        Ok(())
    }

    fn roots(&self) -> Result<BTreeMap<String, Cid>, StoreError> {
        Ok(self.state().disk.roots.clone())
    }

    fn pins(&self) -> &Pins {
        &self.pins
    }

    fn sweep(&self, keep: &dyn Fn(&Cid) -> bool) -> Result<(u64, u64), StoreError> {
        let sweeping = self.pins.sweeping();
        let (mut state, planned) = self.begin_write()?;
        let seed = state.seed();
        let (mut removed, mut freed) = (0, 0);
        state.disk.pages.retain(|cid, bytes| {
            let spared = match planned {
                Some(Fault::Fail) => true,
                Some(Fault::Torn) => chance(seed, cid).is_multiple_of(2),
                _ => false,
            };
            let stays = spared || keep(cid) || sweeping.spares(cid);
            if !stays {
                removed += 1;
                freed += bytes.len() as u64;
            }
            stays
        });
        if state.poisoned { Err(fault("removing pages")) } else { Ok((removed, freed)) }
    }
}
