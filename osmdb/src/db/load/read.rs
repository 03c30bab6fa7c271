//! Files become sorted entries, on all cores.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::groups::record;
use super::records::Records;
use super::sorter::{Sorted, Sorter};
use super::{Scratch, cores, joined};
use crate::error::Error;
use crate::io::{Raw, ReadError, Reader};
use crate::views::keys::{self, ELEMENT_BYTES};

/// So many decoded parts of files may wait to be sorted.
const WAITING: usize = 4;

/// Part of a file, decoded and encoded as entries.
struct Part {
    records: Records<ELEMENT_BYTES>,
    /// How many bytes of all files are read.
    position: u64,
}

/// Reads files; parts of them are decoded side by side, and arrive in the order of the files. Returns
/// the entries of all, sorted by element, and how many there are.
pub(crate) fn read(
    files: Vec<Reader>,
    scratch: &Scratch,
    mut progress: impl FnMut(u64),
) -> Result<(Sorted<ELEMENT_BYTES>, u64), Error> {
    let mut sorter = Sorter::new(scratch, scratch.entries);
    let mut read = 0;
    let source = Mutex::new(Source { files: files.into(), number: 0, before: 0 });
    let turns = Turns::default();
    thread::scope(|scope| {
        let (send, receive) = sync_channel(WAITING);
        // One more than there are cores: one may wait for its turn.
        let begin = |_| {
            let send = send.clone();
            scope.spawn(|| work(&source, &turns, send))
        };
        let workers: Vec<_> = (0..=cores()).map(begin).collect();
        drop(send);
        let all_read = receive.into_iter().try_for_each(|part| {
            let Part { records, position } = part.inspect_err(|_| turns.stop())?;
            sorter.append(&records).inspect_err(|_| turns.stop())?;
            read += records.count() as u64;
            progress(position);
            Ok::<(), Error>(())
        });
        workers.into_iter().for_each(joined);
        all_read
    })?;
    Ok((sorter.finish()?, read))
}

/// The files that are left.
struct Source {
    files: VecDeque<Reader>,
    /// How many parts were taken.
    number: u64,
    /// How many bytes the files had that are done.
    before: u64,
}

impl Source {
    /// Takes the next part, with its number and how many bytes are read.
    fn next(&mut self) -> Option<(u64, u64, Result<Raw, ReadError>)> {
        while let Some(file) = self.files.front_mut() {
            if let Some(raw) = file.next_raw() {
                let number = self.number;
                self.number += 1;
                return Some((number, self.before + Reader::position(file), raw));
            }
            self.before += file.total();
            self.files.pop_front();
        }
        None
    }
}

/// Whose turn it is to deliver.
#[derive(Default)]
struct Turns {
    state: Mutex<(u64, bool)>,
    changed: Condvar,
}

impl Turns {
    /// Waits until all parts before this one are delivered. `false`: there is nobody to deliver to.
    fn wait(&self, number: u64) -> bool {
        let state = lock(&self.state);
        let waiting = |(next, stopped): &mut (u64, bool)| *next != number && !*stopped;
        let state = self.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        !state.1
    }

    fn done(&self) {
        lock(&self.state).0 += 1;
        self.changed.notify_all();
    }

    fn stop(&self) {
        lock(&self.state).1 = true;
        self.changed.notify_all();
    }
}

/// Stops the others when a worker ends by a panic.
struct Watch<'a>(&'a Turns);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

// The receiver owns nothing of the sender: when one ends, the other learns of it.
#[allow(clippy::needless_pass_by_value)]
fn work(source: &Mutex<Source>, turns: &Turns, send: SyncSender<Result<Part, Error>>) {
    let _watch = Watch(turns);
    let mut buffer = Vec::new();
    loop {
        let Some((number, position, raw)) = lock(source).next() else { return };
        let encode = || {
            let mut records = Records::default();
            for entry in raw?.entries()? {
                record(&entry, &mut buffer);
                records.push(&keys::element(entry.element), &buffer);
            }
            Ok(Part { records, position })
        };
        let part = encode().map_err(|error: ReadError| error.into());
        let failed = part.is_err();
        if !turns.wait(number) || send.send(part).is_err() {
            return turns.stop();
        }
        if failed {
            return turns.stop();
        }
        turns.done();
    }
}

// Nothing that may panic is done under these locks, but for reading files, after which all stops.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
