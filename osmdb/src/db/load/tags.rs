//! The tags tree, from the tags of everything in the order of ids.
//!
//! A tag is met many times: so its text is kept once, and what is sorted are numbers and places, 24 bytes
//! each. When they take more memory than they may, the texts are sorted, the numbers become their ranks, and
//! all goes to a file as one run: each text, and the places that have the tag.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};

use prolly::cbor::Reader;
use prolly::{Builder, Config, PageSink, Tree};

use super::Scratch;
use super::sorter::{BUFFER_BYTES, RUNS_MAX, ScratchFile, failed};
use crate::entry::EntryError;
use crate::error::Error;
use crate::model::ElementId;
use crate::views::spatial::KEY_BYTES;
use crate::views::tags::Texts;

type Place = [u8; KEY_BYTES];

/// What a tag that is known takes beside its text, about: in the map, and while texts are sorted.
const KNOWN_BYTES: usize = 128;

/// Takes tags in any order.
#[derive(Debug)]
pub(super) struct TagSorter {
    scratch: Scratch,
    most: usize,
    texts: Texts,
    /// The tags as they are encoded in entries, with their numbers.
    known: HashMap<Box<[u8]>, u32>,
    known_bytes: usize,
    places: Vec<(u32, Place)>,
    runs: Vec<Run>,
}

/// A file of texts with their places, in order.
#[derive(Debug)]
struct Run {
    file: ScratchFile,
    texts: u64,
}

impl TagSorter {
    /// Begins; what is taken takes at most about so many bytes of memory, if there is a directory for files.
    pub(super) fn new(scratch: &Scratch, most: usize, config: &Config) -> Self {
        Self {
            scratch: scratch.clone(),
            most,
            texts: Texts::of(config),
            known: HashMap::new(),
            known_bytes: 0,
            places: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Takes the tags of something, as they are encoded, which has this key in the spatial tree.
    pub(super) fn push(&mut self, element: ElementId, tags: &[u8], place: &Place) -> Result<(), Error> {
        let damaged = |error| Error::entry(element)(EntryError::from(error));
        let mut reader = Reader::new(tags);
        for _ in 0..reader.array().map_err(damaged)? / 2 {
            let start = reader.position();
            reader.text().map_err(damaged)?;
            reader.text().map_err(damaged)?;
            let tag = tags.get(start..reader.position()).unwrap_or_default();
            let number = match self.known.get(tag) {
                Some(number) => *number,
                None => {
                    // What memory holds is far fewer than 2³².
                    let number = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
                    self.known_bytes += 2 * tag.len() + KNOWN_BYTES;
                    self.known.insert(tag.into(), number);
                    number
                }
            };
            self.places.push((number, *place));
        }
        let bytes = self.known_bytes + size_of::<(u32, Place)>() * self.places.len();
        if bytes >= self.most { self.spill() } else { Ok(()) }
    }

    /// Sorts what is in memory, and forgets it.
    fn sort(&mut self) -> Result<Ordered, Error> {
        let mut tags = Vec::with_capacity(self.known.len());
        for (tag, number) in self.known.drain() {
            let mut reader = Reader::new(&tag);
            let (Ok(key), Ok(value)) = (reader.text(), reader.text()) else { continue };
            tags.push((self.texts.tag(key, value), number));
        }
        self.known_bytes = 0;
        tags.sort_unstable();
        let mut ranks = vec![0; tags.len()];
        let mut texts: Vec<Vec<u8>> = Vec::with_capacity(tags.len());
        for (text, number) in tags {
            if texts.last() != Some(&text) {
                texts.push(text);
            }
            let rank = ranks.get_mut(usize::try_from(number).unwrap_or(usize::MAX));
            // As for the numbers.
            let last = u32::try_from(texts.len() - 1).unwrap_or(u32::MAX);
            rank.into_iter().for_each(|rank| *rank = last);
        }
        let mut places = std::mem::take(&mut self.places);
        for (number, _) in &mut places {
            *number = ranks.get(usize::try_from(*number).unwrap_or(usize::MAX)).copied().unwrap_or_default();
        }
        places.sort_unstable();
        places.dedup();
        Ok(Ordered { texts, places })
    }

    /// Writes what is in memory to a run.
    fn spill(&mut self) -> Result<(), Error> {
        let Some(dir) = self.scratch.dir.clone() else { return Ok(()) };
        let ordered = self.sort()?;
        let mut writer = RunWriter::new(ScratchFile::create(&dir)?)?;
        for (text, places) in ordered.groups() {
            writer.begin(text, places.len() as u64)?;
            places.iter().try_for_each(|(_, place)| writer.place(place))?;
        }
        self.runs.push(writer.finish()?);
        if self.runs.len() >= RUNS_MAX {
            let mut writer = RunWriter::new(ScratchFile::create(&dir)?)?;
            let mut merge = Merge::new(&self.runs)?;
            while let Some(count) = merge.next_text()? {
                writer.begin(&merge.text, count)?;
                while let Some(place) = merge.next_place()? {
                    writer.place(&place)?;
                }
            }
            drop(merge);
            self.runs = vec![writer.finish()?];
        }
        Ok(())
    }

    /// Ends; what was written to files stays there and leaves the memory.
    pub(super) fn finish(mut self) -> Result<SortedTags, Error> {
        if self.runs.is_empty() {
            return Ok(SortedTags::Memory(self.sort()?));
        }
        self.spill()?;
        Ok(SortedTags::Runs(self.runs))
    }
}

/// Texts in order; and places, each with the rank of the text before it, in order, each once.
#[derive(Debug)]
pub(super) struct Ordered {
    texts: Vec<Vec<u8>>,
    places: Vec<(u32, Place)>,
}

impl Ordered {
    fn groups(&self) -> impl Iterator<Item = (&[u8], &[(u32, Place)])> {
        // Every text has a place.
        self.texts.iter().map(Vec::as_slice).zip(self.places.chunk_by(|a, b| a.0 == b.0))
    }
}

/// Tags in the order of their keys.
#[derive(Debug)]
pub(super) enum SortedTags {
    Memory(Ordered),
    #[allow(private_interfaces)]
    Runs(Vec<Run>),
}

impl SortedTags {
    /// Builds the tree.
    pub(super) fn build<S: PageSink>(&self, store: &S, config: Config) -> Result<Tree, Error> {
        let mut builder = Builder::new(store, config)?;
        let mut key = Vec::new();
        let mut push = |text: &[u8], place: &Place| {
            key.clear();
            key.extend_from_slice(text);
            key.extend_from_slice(place);
            builder.push(&key, b"")
        };
        match self {
            Self::Memory(ordered) => {
                for (text, places) in ordered.groups() {
                    places.iter().try_for_each(|(_, place)| push(text, place))?;
                }
            }
            Self::Runs(runs) => {
                let mut merge = Merge::new(runs)?;
                while merge.next_text()?.is_some() {
                    let mut before = None;
                    while let Some(place) = merge.next_place()? {
                        if before != Some(place) {
                            push(&merge.text, &place)?;
                            before = Some(place);
                        }
                    }
                }
            }
        }
        Ok(builder.finish()?)
    }
}

/// Writes a run: for each text its length in two bytes, the text, how many places there are in eight, and
/// these.
struct RunWriter {
    out: BufWriter<File>,
    run: Run,
}

impl RunWriter {
    fn new(file: ScratchFile) -> Result<Self, Error> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, file.file.try_clone().map_err(failed)?);
        Ok(Self { out, run: Run { file, texts: 0 } })
    }

    fn begin(&mut self, text: &[u8], places: u64) -> Result<(), Error> {
        self.run.texts += 1;
        // The two texts of a tag have at most 255 bytes each.
        let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let mut write = |bytes: &[u8]| self.out.write_all(bytes).map_err(failed);
        write(&len.to_le_bytes())?;
        write(text)?;
        write(&places.to_le_bytes())
    }

    fn place(&mut self, place: &Place) -> Result<(), Error> {
        self.out.write_all(place).map_err(failed)
    }

    fn finish(mut self) -> Result<Run, Error> {
        self.out.flush().map_err(failed)?;
        Ok(self.run)
    }
}

/// Reads runs as one.
struct Merge {
    cursors: Vec<Cursor>,
    /// The texts that the cursors are at, but for those that belong to the current text.
    waiting: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    /// The places of the current text that the cursors are at.
    open: BinaryHeap<Reverse<(Place, usize)>>,
    text: Vec<u8>,
}

struct Cursor {
    file: BufReader<File>,
    texts: u64,
    places: u64,
}

impl Merge {
    fn new(runs: &[Run]) -> Result<Self, Error> {
        let mut merge = Self {
            cursors: Vec::with_capacity(runs.len()),
            waiting: BinaryHeap::new(),
            open: BinaryHeap::new(),
            text: Vec::new(),
        };
        for (index, run) in runs.iter().enumerate() {
            let file = BufReader::with_capacity(BUFFER_BYTES, run.file.open()?);
            merge.cursors.push(Cursor { file, texts: run.texts, places: 0 });
            merge.advance(index)?;
        }
        Ok(merge)
    }

    /// Goes to the next text of a run.
    fn advance(&mut self, index: usize) -> Result<(), Error> {
        if let Some(cursor) = self.cursors.get_mut(index)
            && let Some(text) = cursor.text()?
        {
            self.waiting.push(Reverse((text, index)));
        }
        Ok(())
    }

    /// Goes to the next text, and returns how many places it has; one may come several times. All places of
    /// the text before were taken.
    fn next_text(&mut self) -> Result<Option<u64>, Error> {
        let Some(Reverse((text, index))) = self.waiting.pop() else { return Ok(None) };
        self.text = text;
        let mut count = self.open(index)?;
        while let Some(Reverse((_, index))) =
            self.waiting.peek().filter(|Reverse((text, _))| *text == self.text)
        {
            let index = *index;
            self.waiting.pop();
            count += self.open(index)?;
        }
        Ok(Some(count))
    }

    /// Begins with the places of the text that a run is at.
    fn open(&mut self, index: usize) -> Result<u64, Error> {
        let Some(cursor) = self.cursors.get_mut(index) else { return Ok(0) };
        let count = cursor.places;
        if let Some(place) = cursor.place()? {
            self.open.push(Reverse((place, index)));
        }
        Ok(count)
    }

    fn next_place(&mut self) -> Result<Option<Place>, Error> {
        let Some(Reverse((place, index))) = self.open.pop() else { return Ok(None) };
        let next = self.cursors.get_mut(index).map(Cursor::place).transpose()?.flatten();
        match next {
            Some(next) => self.open.push(Reverse((next, index))),
            None => self.advance(index)?,
        }
        Ok(Some(place))
    }
}

impl Cursor {
    fn text(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let Some(left) = self.texts.checked_sub(1) else { return Ok(None) };
        self.texts = left;
        let (mut len, mut places) = ([0; 2], [0; 8]);
        self.file.read_exact(&mut len).map_err(failed)?;
        let mut text = vec![0; u16::from_le_bytes(len).into()];
        self.file.read_exact(&mut text).map_err(failed)?;
        self.file.read_exact(&mut places).map_err(failed)?;
        self.places = u64::from_le_bytes(places);
        Ok(Some(text))
    }

    fn place(&mut self) -> Result<Option<Place>, Error> {
        let Some(left) = self.places.checked_sub(1) else { return Ok(None) };
        self.places = left;
        let mut place = [0; KEY_BYTES];
        self.file.read_exact(&mut place).map_err(failed)?;
        Ok(Some(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::put_tags;
    use crate::model::Tags;
    use crate::views::spatial::nowhere;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn any_tags_in_any_memory(
            tags in prop::collection::vec(("[ab]{0,2}", "[ab\u{0}]{0,3}", 1..30_u64), 0..150),
            most in 1_usize..30_000,
        ) {
            let config = Config::default();
            let dir = tempfile::tempdir().unwrap();
            let mut expected = BTreeSet::new();
            for scratch in [Scratch::new(Some(dir.path().to_owned())), Scratch::new(None)] {
                let mut sorter = TagSorter::new(&scratch, most, &config);
                for (key, value, id) in &tags {
                    let (element, mut encoded) = (ElementId::way(*id), Vec::new());
                    let tags: Tags = [(key.clone(), value.clone())].into_iter().collect();
                    put_tags(&mut encoded, &tags);
                    let place = nowhere(element);
                    sorter.push(element, &encoded, &place).unwrap();
                    expected.extend(Texts::of(&config).keys(&tags, &place));
                }
                let store = prolly::MemoryStore::new();
                let tree = sorter.finish().unwrap().build(&store, config).unwrap();
                let plain = prolly::MemoryStore::new();
                let pairs = expected.iter().map(|key| (key.clone(), ""));
                prop_assert_eq!(tree, Tree::build(&plain, config, pairs).unwrap());
            }
            prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }
}
