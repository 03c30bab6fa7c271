//! What came before a cut, in memory or in a file.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prolly::Cid;

use super::super::columns::EntryReader;
use super::super::error::SyncError;
use super::super::limits::MAX_MESSAGE_BYTES;
use super::super::message::{Cursor, Had};
use super::super::transcript::Transcript;

/// How a file begins, by what is in it.
const STREAM: &[u8; MAGIC_BYTES] = b"osmdb inbox 2\n\0s";
const WALK: &[u8; MAGIC_BYTES] = b"osmdb inbox 2\n\0w";
const MAGIC_BYTES: usize = 16;

/// Then come two roots.
const HEADER_BYTES: usize = MAGIC_BYTES + 32 + 32;

/// How a message stands in a file: the length of its kind and body, the start of their hash, and they.
const FRAME_HEAD: usize = 12;

/// The messages that came of one stream or walk. A file of it goes with it, unless the program ends before.
#[derive(Debug)]
pub(crate) struct Partial {
    /// What the peer announced.
    pub(super) root: Cid,
    /// From which root it counts; in a walk, the root here.
    pub(super) base: Cid,
    progress: Progress,
    body: Body,
}

#[derive(Debug)]
enum Progress {
    Stream(Option<Cursor>),
    Walk(Transcript),
}

#[derive(Debug)]
enum Body {
    Memory(Vec<(u8, Bytes)>),
    File { file: File, path: PathBuf },
}

/// What is kept: a stream of entries, or all that comes of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Stream,
    Walk,
}

impl Progress {
    fn begin(sort: Sort) -> Self {
        match sort {
            Sort::Stream => Self::Stream(None),
            Sort::Walk => Self::Walk(Transcript::default()),
        }
    }

    fn add(&mut self, kind: u8, body: &[u8]) -> Result<(), SyncError> {
        match self {
            Self::Stream(cursor) => *cursor = advance(*cursor, body)?,
            Self::Walk(transcript) => transcript.add(kind, body),
        }
        Ok(())
    }

    fn had(&self) -> Option<Had> {
        match self {
            Self::Stream(cursor) => cursor.map(Had::Cursor),
            Self::Walk(transcript) => Some(Had::Messages(transcript.extent())),
        }
    }
}

impl Partial {
    /// Begins, in a new file if there is a place for it.
    pub(super) fn begin(sort: Sort, root: Cid, base: Cid, path: Option<PathBuf>) -> Result<Self, SyncError> {
        let body = match path {
            None => Body::Memory(Vec::new()),
            Some(path) => {
                let failed = |source| SyncError::Inbox { path: path.clone(), source };
                let open = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
                let mut file = open.map_err(failed)?;
                let magic = if sort == Sort::Walk { WALK } else { STREAM };
                let header = [&magic[..], root.as_bytes(), base.as_bytes()].concat();
                file.write_all(&header).map_err(failed)?;
                Body::File { file, path }
            }
        };
        Ok(Self { root, base, progress: Progress::begin(sort), body })
    }

    /// Reads a file as far as it is whole; `None` if it holds nothing.
    pub(super) fn read(path: PathBuf) -> Result<Option<Self>, SyncError> {
        let failed = |source| SyncError::Inbox { path: path.clone(), source };
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        let mut header = [0; HEADER_BYTES];
        match file.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let Some((magic, roots)) = header.split_first_chunk() else { return Ok(None) };
        let sort = match magic {
            STREAM => Sort::Stream,
            WALK => Sort::Walk,
            _ => return Ok(None),
        };
        let ([root, base], []) = roots.as_chunks() else { return Ok(None) };
        let mut progress = Progress::begin(sort);
        let mut end = header.len() as u64;
        let mut frames = Frames { file: BufReader::new(&file) };
        while let Some((kind, body)) = frames.next().map_err(failed)? {
            if progress.add(kind, &body).is_err() {
                break;
            }
            end += (FRAME_HEAD + 1 + body.len()) as u64;
        }
        drop(frames);
        if progress.had().is_none() {
            return Ok(None);
        }
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let (root, base) = (Cid::from_hash(*root), Cid::from_hash(*base));
        Ok(Some(Self { root, base, progress, body: Body::File { file, path } }))
    }

    /// Adds a message that was checked.
    pub(crate) fn push(&mut self, kind: u8, message: &Bytes) -> Result<(), SyncError> {
        self.progress.add(kind, message)?;
        match &mut self.body {
            Body::Memory(messages) => messages.push((kind, message.clone())),
            Body::File { file, path } => {
                let len = u32::try_from(message.len() + 1).unwrap_or(u32::MAX);
                let frame = [&len.to_le_bytes(), &digest(kind, message)[..], &[kind], message].concat();
                let written = file.write_all(&frame);
                written.map_err(|source| SyncError::Inbox { path: path.clone(), source })?;
            }
        }
        Ok(())
    }

    /// Returns all messages, in order.
    pub(crate) fn messages(&self) -> Result<Messages, SyncError> {
        match &self.body {
            Body::Memory(messages) => Ok(Messages::Memory(messages.clone().into_iter())),
            Body::File { path, .. } => {
                let failed = |source| SyncError::Inbox { path: path.clone(), source };
                let mut file = File::open(path).map_err(failed)?;
                file.seek(SeekFrom::Start(HEADER_BYTES as u64)).map_err(failed)?;
                Ok(Messages::File { frames: Frames { file: BufReader::new(file) }, path: path.clone() })
            }
        }
    }

    /// Says how much has come; `None` if it is nothing of a stream. Of a walk that has begun even nothing says from
    /// where.
    pub(super) fn had(&self) -> Option<Had> {
        self.progress.had()
    }

    pub(crate) const fn cursor(&self) -> Option<Cursor> {
        match &self.progress {
            Progress::Stream(cursor) => *cursor,
            Progress::Walk(_) => None,
        }
    }

    pub(super) const fn sort(&self) -> Sort {
        match &self.progress {
            Progress::Stream(_) => Sort::Stream,
            Progress::Walk(_) => Sort::Walk,
        }
    }

    /// Forgets it.
    pub(crate) fn discard(self) {
        if let Body::File { path, .. } = &self.body {
            remove(path);
        }
    }
}

/// Messages that came, one after another.
pub(crate) enum Messages {
    Memory(std::vec::IntoIter<(u8, Bytes)>),
    File { frames: Frames<BufReader<File>>, path: PathBuf },
}

impl Iterator for Messages {
    type Item = Result<(u8, Bytes), SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Memory(messages) => messages.next().map(Ok),
            Self::File { frames, path } => {
                let next = frames.next().map_err(|source| SyncError::Inbox { path: path.clone(), source });
                next.transpose()
            }
        }
    }
}

/// Removes a file; if that fails, the next opening tries again.
pub(super) fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

fn digest(kind: u8, message: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind]).update(message);
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Returns where a stream is behind a message.
fn advance(cursor: Option<Cursor>, message: &[u8]) -> Result<Option<Cursor>, SyncError> {
    let mut reader = EntryReader::new(message);
    let mut cursor = cursor;
    while let Some((element, _)) = reader.next()? {
        let same = |cursor: &Cursor| cursor.element == element;
        let entries = cursor.filter(same).map_or(0, |cursor| cursor.entries).saturating_add(1);
        cursor = Some(Cursor { element, entries });
    }
    Ok(cursor)
}

pub(crate) struct Frames<R> {
    file: R,
}

impl<R: Read> Frames<R> {
    /// Returns the next message; `None` where the file ends or is damaged.
    fn next(&mut self) -> std::io::Result<Option<(u8, Bytes)>> {
        let mut head = [0; FRAME_HEAD];
        let mut read = |bytes: &mut [u8]| match self.file.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        };
        if !read(&mut head)? {
            return Ok(None);
        }
        let (len, hash) = head.split_at(4);
        let len = u32::from_le_bytes(len.try_into().unwrap_or_default());
        let Some(len) = usize::try_from(len).ok().filter(|len| *len <= MAX_MESSAGE_BYTES + 1) else {
            return Ok(None);
        };
        let mut frame = vec![0; len];
        if !read(&mut frame)? {
            return Ok(None);
        }
        let frame = Bytes::from(frame);
        let Some(kind) = frame.first().copied() else { return Ok(None) };
        let body = frame.slice(1..);
        Ok((digest(kind, &body) == hash).then_some((kind, body)))
    }
}
