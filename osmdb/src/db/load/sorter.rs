//! Sorting of more records than memory holds.
//!
//! Records gather in memory. When they take more than the sorter may have, they are sorted and
//! written to a file as one run; at the end the runs are merged while they are read. Records that come
//! in order make one long run, and are never compared again. Without a directory for files all stays
//! in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prolly::StoreError;

use super::Scratch;
use super::records::{Ordered, OrderedIter, Records};
use crate::error::Error;

/// When so many runs are on disk, they are merged into one: each takes an open file and a buffer
/// when they are read.
pub(super) const RUNS_MAX: usize = 64;

/// The buffer before a file, in bytes.
pub(super) const BUFFER_BYTES: usize = 128 << 10;

/// A file that is removed when it is dropped.
#[derive(Debug)]
pub(super) struct ScratchFile {
    path: PathBuf,
    pub(super) file: File,
}

impl ScratchFile {
    pub(super) fn create(dir: &Path) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = dir.join(format!("{}-{number}", std::process::id()));
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { path, file }),
                // Another process of that number left it, and nobody opened the database since.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Opens the file once more, to be read from its start.
    pub(super) fn open(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(failed)
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        // If it cannot be removed, the next opening of the database tries again.
        let _ = std::fs::remove_file(&self.path);
    }
}

pub(super) fn failed(source: io::Error) -> Error {
    StoreError::Io { what: "sorting on disk for an import", source }.into()
}

/// A key and its value.
pub(crate) type Record<'a, const N: usize> = (&'a [u8; N], &'a [u8]);

/// A file of sorted records.
#[derive(Debug)]
struct Run<const N: usize> {
    file: ScratchFile,
    count: u64,
    last: [u8; N],
}

/// Takes records in any order.
#[derive(Debug)]
pub(crate) struct Sorter<const N: usize> {
    scratch: Scratch,
    most: usize,
    records: Records<N>,
    runs: Vec<Run<N>>,
}

impl<const N: usize> Sorter<N> {
    /// Begins; records take at most about so many bytes of memory, if there is a directory for files.
    pub(crate) fn new(scratch: &Scratch, most: usize) -> Self {
        Self { scratch: scratch.clone(), most, records: Records::default(), runs: Vec::new() }
    }

    pub(crate) fn push(&mut self, key: &[u8; N], value: &[u8]) -> Result<(), Error> {
        self.records.push(key, value);
        if self.records.memory_bytes() >= self.most { self.spill() } else { Ok(()) }
    }

    pub(crate) fn append(&mut self, records: &Records<N>) -> Result<(), Error> {
        self.records.append(records);
        if self.records.memory_bytes() >= self.most { self.spill() } else { Ok(()) }
    }

    /// Writes what is in memory to a run.
    fn spill(&mut self) -> Result<(), Error> {
        let Some(dir) = &self.scratch.dir else { return Ok(()) };
        if let Some((first, last, bytes)) = self.records.ascending() {
            let count = self.records.count() as u64;
            match self.runs.last_mut().filter(|run| run.last <= *first) {
                Some(run) => {
                    run.file.file.write_all(bytes).map_err(failed)?;
                    (run.count, run.last) = (run.count + count, *last);
                }
                None => {
                    let mut file = ScratchFile::create(dir)?;
                    file.file.write_all(bytes).map_err(failed)?;
                    self.runs.push(Run { file, count, last: *last });
                }
            }
            self.records.clear();
        } else {
            let ordered = std::mem::take(&mut self.records).sorted();
            let mut writer = RunWriter::create(dir)?;
            for (key, value) in ordered.iter() {
                writer.push(key, value)?;
            }
            self.runs.extend(writer.finish()?);
            self.records = ordered.into_records();
        }
        if self.runs.len() >= RUNS_MAX {
            let mut writer = RunWriter::create(dir)?;
            let mut cursors = Vec::new();
            add_runs(&self.runs, &mut cursors)?;
            let mut merge = Merge::new(cursors)?;
            while let Some((key, value)) = merge.next()? {
                writer.push(key, value)?;
            }
            drop(merge);
            self.runs = writer.finish()?.into_iter().collect();
        }
        Ok(())
    }

    /// Ends; what was written to files stays there and leaves the memory.
    pub(crate) fn finish(mut self) -> Result<Sorted<N>, Error> {
        if self.runs.is_empty() {
            return Ok(Sorted::Memory(self.records.sorted()));
        }
        self.spill()?;
        Ok(Sorted::Runs(self.runs))
    }
}

/// Writes a run, record by record.
struct RunWriter<const N: usize> {
    out: BufWriter<File>,
    file: ScratchFile,
    record: Records<N>,
    count: u64,
    last: Option<[u8; N]>,
}

impl<const N: usize> RunWriter<N> {
    fn create(dir: &Path) -> Result<Self, Error> {
        let file = ScratchFile::create(dir)?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, file.file.try_clone().map_err(failed)?);
        Ok(Self { out, file, record: Records::default(), count: 0, last: None })
    }

    fn push(&mut self, key: &[u8; N], value: &[u8]) -> Result<(), Error> {
        self.record.clear();
        self.record.push(key, value);
        let (_, _, bytes) = self.record.ascending().unwrap_or((key, key, &[]));
        self.out.write_all(bytes).map_err(failed)?;
        (self.count, self.last) = (self.count + 1, Some(*key));
        Ok(())
    }

    fn finish(mut self) -> Result<Option<Run<N>>, Error> {
        self.out.flush().map_err(failed)?;
        Ok(self.last.map(|last| Run { file: self.file, count: self.count, last }))
    }
}

/// Records in the order of their keys, to be read as often as wanted.
#[derive(Debug)]
pub(crate) enum Sorted<const N: usize> {
    #[allow(private_interfaces)]
    Memory(Ordered<N>),
    #[allow(private_interfaces)]
    Runs(Vec<Run<N>>),
    /// To be read as one.
    Several(Vec<Arc<Self>>),
}

impl<const N: usize> Sorted<N> {
    pub(crate) fn iter(&self) -> Result<Merge<'_, N>, Error> {
        let mut cursors = Vec::new();
        self.add_cursors(&mut cursors)?;
        Merge::new(cursors)
    }

    fn add_cursors<'a>(&'a self, cursors: &mut Vec<Cursor<'a, N>>) -> Result<(), Error> {
        match self {
            Self::Memory(ordered) => cursors.push(Cursor::new(From::Memory(ordered.iter()))),
            Self::Runs(runs) => add_runs(runs, cursors)?,
            Self::Several(several) => several.iter().try_for_each(|each| each.add_cursors(cursors))?,
        }
        Ok(())
    }
}

fn add_runs<const N: usize>(runs: &[Run<N>], cursors: &mut Vec<Cursor<'_, N>>) -> Result<(), Error> {
    for run in runs {
        let file = BufReader::with_capacity(BUFFER_BYTES, run.file.open()?);
        cursors.push(Cursor::new(From::File { file, left: run.count, value: Vec::new() }));
    }
    Ok(())
}

/// Where records come from.
enum From<'a, const N: usize> {
    Memory(OrderedIter<'a, N>),
    File { file: BufReader<File>, left: u64, value: Vec<u8> },
}

/// A source and the record that it is at.
struct Cursor<'a, const N: usize> {
    from: From<'a, N>,
    key: [u8; N],
    /// The value, if it is in memory.
    value: &'a [u8],
}

impl<'a, const N: usize> Cursor<'a, N> {
    const fn new(from: From<'a, N>) -> Self {
        Self { from, key: [0; N], value: &[] }
    }

    /// Goes to the next record. `false`: there is none.
    fn advance(&mut self) -> Result<bool, Error> {
        match &mut self.from {
            From::Memory(records) => {
                let Some((key, value)) = records.next() else { return Ok(false) };
                (self.key, self.value) = (*key, value);
            }
            From::File { left: 0, .. } => return Ok(false),
            From::File { file, left, value } => {
                *left -= 1;
                file.read_exact(&mut self.key).map_err(failed)?;
                let mut byte = [0x80];
                let (mut len, mut shift) = (0_usize, 0);
                while let [0x80..=u8::MAX] = byte {
                    file.read_exact(&mut byte).map_err(failed)?;
                    let [bits] = byte;
                    len |= usize::from(bits & 0x7f) << shift;
                    shift += 7;
                }
                value.resize(len, 0);
                file.read_exact(value).map_err(failed)?;
            }
        }
        Ok(true)
    }

    fn record(&self) -> Record<'_, N> {
        match &self.from {
            From::Memory(_) => (&self.key, self.value),
            From::File { value, .. } => (&self.key, value),
        }
    }
}

/// Reads sorted runs as one.
pub(crate) struct Merge<'a, const N: usize> {
    cursors: Vec<Cursor<'a, N>>,
    /// The keys that the cursors are at, but for the current one.
    heap: BinaryHeap<Reverse<([u8; N], usize)>>,
    current: Option<usize>,
}

impl<'a, const N: usize> Merge<'a, N> {
    fn new(cursors: Vec<Cursor<'a, N>>) -> Result<Self, Error> {
        let mut merge = Self { cursors, heap: BinaryHeap::new(), current: None };
        if merge.cursors.len() > 1 {
            (0..merge.cursors.len()).try_for_each(|index| merge.advance(index))?;
        }
        Ok(merge)
    }

    fn advance(&mut self, index: usize) -> Result<(), Error> {
        let Some(cursor) = self.cursors.get_mut(index) else { return Ok(()) };
        if cursor.advance()? {
            self.heap.push(Reverse((cursor.key, index)));
        }
        Ok(())
    }

    /// Returns the next record; those of one key come one after another.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_, N>>, Error> {
        let single = if let [only] = self.cursors.as_mut_slice() { Some(only.advance()?) } else { None };
        let index = match single {
            Some(true) => 0,
            Some(false) => return Ok(None),
            None => {
                if let Some(current) = self.current.take() {
                    self.advance(current)?;
                }
                let Some(Reverse((_, index))) = self.heap.pop() else { return Ok(None) };
                self.current = Some(index);
                index
            }
        };
        Ok(self.cursors.get(index).map(Cursor::record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Pair = ([u8; 9], Vec<u8>);

    fn check(pairs: &[Pair], most: usize, sorted: bool) {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(&Scratch::new(Some(dir.path().to_owned())), most);
        for (key, value) in pairs {
            sorter.push(key, value).unwrap();
        }
        if sorted {
            assert!(sorter.runs.len() <= 1, "what is sorted makes one run");
        }
        let all = sorter.finish().unwrap();
        let mut expected = pairs.to_vec();
        expected.sort();
        for _ in 0..2 {
            let (mut merge, mut found) = (all.iter().unwrap(), Vec::new());
            while let Some((key, value)) = merge.next().unwrap() {
                found.push((*key, value.to_vec()));
            }
            assert!(found.is_sorted_by_key(|(key, _)| *key));
            found.sort();
            assert_eq!(found, expected);
        }
        drop(all);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no file is left");
    }

    proptest! {
        #[test]
        fn any_order_in_any_memory(
            pairs in prop::collection::vec((prop::array::uniform9(0_u8..4), prop::collection::vec(any::<u8>(), 0..200)), 0..200),
            most in 1_usize..4_000,
        ) {
            check(&pairs, most, false);
            let mut sorted = pairs;
            sorted.sort();
            check(&sorted, most, true);
        }
    }

    #[test]
    fn many_runs_are_merged_meanwhile() {
        let pairs: Vec<Pair> = (0..1_000_u64)
            .map(|n| {
                let mut key = [0; 9];
                key[1..].copy_from_slice(&(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
                (key, vec![7; 10])
            })
            .collect();
        check(&pairs, 100, false);
    }
}
