//! Finding the sections of a file without reading their entries.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::format::{END, END_FRAME, End, FILE_HEAD, FILE_HEAD_BYTES, HEAD_FRAME, Head, MAGIC, VERSION};
use super::{BundleError, MAX_SECTIONS};
use crate::sync::{ENTRIES, MAX_FRAME_BYTES};

/// A whole section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    pub(super) head: Head,
    pub(super) end: End,
    /// Where it begins.
    pub(super) at: u64,
}

impl Section {
    /// Where the next one begins.
    pub(super) const fn behind(&self) -> u64 {
        self.at + self.end.length + END_FRAME as u64
    }
}

/// A file, as far as its sections are whole.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) path: PathBuf,
    pub(super) sections: Vec<Section>,
    /// Where what is whole ends.
    pub(super) end: u64,
    /// How many bytes are behind it that nobody finished.
    pub(super) torn: u64,
    /// What is wrong behind it, if it was not merely torn off.
    pub(super) damage: Option<BundleError>,
    /// Whether there is, or was before it was told.
    pub(super) is_damaged: bool,
    /// How many bytes were read.
    pub(super) read: u64,
}

/// A file, and how much of it was read.
struct Source<'a> {
    path: &'a Path,
    file: File,
    len: u64,
    read: u64,
}

impl Source<'_> {
    /// Reads some bytes; the caller has made sure that they are there.
    fn get<const N: usize>(&mut self, at: u64) -> Result<[u8; N], BundleError> {
        let mut bytes = [0; N];
        let failed = || BundleError::io(self.path, "reading");
        self.file.seek(SeekFrom::Start(at)).map_err(failed())?;
        self.file.read_exact(&mut bytes).map_err(failed())?;
        self.read += N as u64;
        Ok(bytes)
    }

    /// Tells whether all bytes from here on are 0: room that was taken, and never written.
    fn is_blank(&mut self, at: u64) -> Result<bool, BundleError> {
        let failed = || BundleError::io(self.path, "reading");
        self.file.seek(SeekFrom::Start(at)).map_err(failed())?;
        let mut bytes = [0; 16 << 10];
        loop {
            let found = self.file.read(&mut bytes).map_err(failed())?;
            self.read += found as u64;
            match bytes.get(..found) {
                None | Some([]) => return Ok(true),
                Some(bytes) if bytes.iter().any(|byte| *byte != 0) => return Ok(false),
                Some(_) => {}
            }
        }
    }
}

impl Scan {
    /// Reads the heads and ends of a file's sections.
    pub(super) fn read(path: &Path, tag: [u8; 4]) -> Result<Self, BundleError> {
        let file = File::open(path).map_err(BundleError::io(path, "opening"))?;
        let len = file.metadata().map_err(BundleError::io(path, "opening"))?.len();
        let mut source = Source { path, file, len, read: 0 };
        let not_one = || BundleError::NotABundle { path: path.to_owned() };
        let empty = |source: &Source<'_>, end: u64| Self {
            path: path.to_owned(),
            sections: Vec::new(),
            end,
            torn: len - end,
            damage: None,
            is_damaged: false,
            read: source.read,
        };
        if len < FILE_HEAD_BYTES {
            let mut start = Vec::new();
            source.file.read_to_end(&mut start).map_err(BundleError::io(path, "reading"))?;
            source.read += start.len() as u64;
            let expected = [&MAGIC[..], &[VERSION], &tag].concat();
            let is_torn = expected.starts_with(&start) || start.iter().all(|byte| *byte == 0);
            return if is_torn { Ok(empty(&source, 0)) } else { Err(not_one()) };
        }
        let start: [u8; FILE_HEAD] = source.get(0)?;
        let Some((magic, [version, found @ ..])) = start.split_first_chunk() else { return Err(not_one()) };
        if magic != MAGIC {
            return if source.is_blank(0)? { Ok(empty(&source, 0)) } else { Err(not_one()) };
        }
        if *version != VERSION {
            return Err(BundleError::Version { path: path.to_owned(), found: *version });
        }
        if *found != tag {
            return Err(BundleError::OtherDataset { path: path.to_owned() });
        }
        let mut scan = empty(&source, FILE_HEAD_BYTES);
        match backwards(&mut source)? {
            Some(sections) => (scan.sections, scan.end) = (sections, len),
            None => scan.forwards(&mut source)?,
        }
        scan.torn = if scan.damage.is_some() { 0 } else { len - scan.end };
        scan.read = source.read;
        scan.check_order();
        Ok(scan)
    }

    /// Goes from frame to frame, up to where the file ends or what stands there makes no sense.
    fn forwards(&mut self, source: &mut Source<'_>) -> Result<(), BundleError> {
        loop {
            if self.sections.len() == MAX_SECTIONS {
                return Err(BundleError::TooMany { path: self.path.clone() });
            }
            match next(source, self.end)? {
                Step::Section(section) => {
                    self.end = section.behind();
                    self.sections.push(*section);
                }
                Step::Ended => return Ok(()),
                Step::Nonsense(at, what) => {
                    if !source.is_blank(at)? {
                        self.is_damaged = true;
                        self.damage = Some(BundleError::damaged(&self.path, at, what));
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Makes sure that every section but the first begins where the one before ended.
    fn check_order(&mut self) {
        let fits = |pair: &[Section]| match pair {
            [before, after] => {
                !before.end.more && after.head.part == 0 && after.head.base == before.head.root
            }
            _ => true,
        };
        if let Some(place) = self.sections.windows(2).position(|pair| !fits(pair)) {
            self.cut(place + 1, |path, at| {
                BundleError::damaged(path, at, "a section does not begin where the one before it ended")
            });
        }
    }

    /// Gives up a section and all behind it.
    pub(super) fn cut(&mut self, section: usize, why: impl FnOnce(&Path, u64) -> BundleError) {
        let Some(at) = self.sections.get(section).map(|section| section.at) else { return };
        self.sections.truncate(section);
        (self.end, self.torn) = (at, 0);
        self.is_damaged = true;
        self.damage = Some(why(&self.path, at));
    }
}

/// Finds the sections from the end of the file; `None` if the file does not end with one.
fn backwards(source: &mut Source<'_>) -> Result<Option<Vec<Section>>, BundleError> {
    let mut sections = Vec::new();
    let mut end = source.len;
    while end > FILE_HEAD_BYTES {
        if sections.len() == MAX_SECTIONS {
            return Err(BundleError::TooMany { path: source.path.to_owned() });
        }
        let Some(place) = end.checked_sub(END_FRAME as u64).filter(|place| *place > FILE_HEAD_BYTES) else {
            return Ok(None);
        };
        let Some(last) = End::read(&source.get::<END_FRAME>(place)?) else { return Ok(None) };
        let at = place.checked_sub(last.length).filter(|at| *at >= FILE_HEAD_BYTES);
        let Some(at) = at.filter(|_| last.length >= HEAD_FRAME as u64) else { return Ok(None) };
        let Some(head) = Head::read(&source.get::<HEAD_FRAME>(at)?) else { return Ok(None) };
        sections.push(Section { head, end: last, at });
        end = at;
    }
    sections.reverse();
    Ok(Some(sections))
}

enum Step {
    Section(Box<Section>),
    /// The file ends here, or within this section.
    Ended,
    /// Here stands what cannot be.
    Nonsense(u64, &'static str),
}

fn next(source: &mut Source<'_>, at: u64) -> Result<Step, BundleError> {
    let len = source.len;
    let fits = |at: u64, bytes: usize| at.checked_add(bytes as u64).is_some_and(|end| end <= len);
    if !fits(at, HEAD_FRAME) {
        return Ok(Step::Ended);
    }
    let Some(head) = Head::read(&source.get::<HEAD_FRAME>(at)?) else {
        return Ok(Step::Nonsense(at, "a section was to begin here"));
    };
    let mut place = at + HEAD_FRAME as u64;
    loop {
        let (mut length, mut used) = (0_usize, 0);
        loop {
            if !fits(place, used + 2) {
                return Ok(Step::Ended);
            }
            let [byte] = source.get(place + used as u64)?;
            length |= usize::from(byte & 0x7f) << (7 * used);
            used += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if used == 4 {
                return Ok(Step::Nonsense(place, "the length of a frame is too great"));
            }
        }
        if length == 0 || length > MAX_FRAME_BYTES {
            return Ok(Step::Nonsense(place, "the length of a frame cannot be"));
        }
        let [kind] = source.get(place + used as u64)?;
        if kind == END {
            if !fits(place, END_FRAME) {
                return Ok(Step::Ended);
            }
            let end = End::read(&source.get::<END_FRAME>(place)?);
            return Ok(match end.filter(|end| end.length == place - at) {
                Some(end) => Step::Section(Box::new(Section { head, end, at })),
                None => Step::Nonsense(place, "the end of a section is malformed"),
            });
        }
        if kind & 0x7f != ENTRIES {
            return Ok(Step::Nonsense(place, "a frame has an unknown kind"));
        }
        if !fits(place, used + length) {
            return Ok(Step::Ended);
        }
        place += (used + length) as u64;
    }
}
