//! What came of streams that were cut, kept until the rest comes.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prolly::Cid;

use super::columns::EntryReader;
use super::error::SyncError;
use super::limits::MAX_MESSAGE_BYTES;
use super::message::Cursor;

/// So many streams are kept that were cut; of more, the oldest is forgotten.
const MAX_PARTS: usize = 4;

const MAGIC: &[u8; 16] = b"osmdb inbox 1\n\0\0";

/// Keeps what came of streams that were cut, so that it is not sent again.
///
/// Nothing in it is part of the database yet: that it is whole is known only at the end of a stream.
///
/// ```
/// use osmdb::sync::{Inbox, Options};
/// # let dir = tempfile::tempdir()?;
/// let inbox = Inbox::in_dir(dir.path().join("inbox"))?;
/// let options = Options { inbox: Some(inbox.into()), ..Options::default() };
/// # let _ = options;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Inbox {
    dir: Option<PathBuf>,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    /// The oldest first.
    kept: Vec<Partial>,
    next: u64,
}

impl Inbox {
    /// Keeps streams in memory: they end with the program.
    ///
    /// ```
    /// let inbox = osmdb::sync::Inbox::in_memory();
    /// # let _ = inbox;
    /// ```
    #[must_use]
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Keeps streams in files of a directory, which is created if it is not there. One program at a time
    /// uses it: put it into the directory of the database.
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("inbox");
    /// let inbox = osmdb::sync::Inbox::in_dir(&dir)?;
    /// assert_eq!(std::fs::read_dir(&dir)?.count(), 0);
    /// # let _ = inbox;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The directory cannot be created or read.
    pub fn in_dir(dir: impl AsRef<Path>) -> Result<Self, SyncError> {
        let dir = dir.as_ref();
        let failed = |source| SyncError::Inbox { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        let mut parts = Parts::default();
        let mut files = Vec::new();
        for file in std::fs::read_dir(dir).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            let number =
                path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
            files.extend(number.map(|number| (number, path)));
        }
        files.sort_unstable();
        for (number, path) in files {
            parts.next = parts.next.max(number.saturating_add(1));
            match Partial::read(path.clone())? {
                Some(part) => parts.keep(part),
                // A stream of which nothing whole had come, or that nobody wrote.
                None => remove(&path),
            }
        }
        Ok(Self { dir: Some(dir.to_owned()), parts: Mutex::new(parts) })
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says of which stream there is a part: the one that was cut last.
    pub(crate) fn latest(&self) -> Option<(Cid, Cid, Cursor)> {
        self.parts().kept.last().and_then(|part| Some((part.root, part.base, part.cursor?)))
    }

    /// Takes out a part, to go on with it.
    pub(crate) fn take(&self, root: &Cid, base: &Cid, cursor: &Cursor) -> Option<Partial> {
        let mut parts = self.parts();
        let fits = |part: &Partial| part.root == *root && part.base == *base && part.cursor == Some(*cursor);
        let Some(place) = parts.kept.iter().position(fits) else {
            // The start of a root was that of another one: nobody can go on with it.
            parts.forget(|part| part.cursor == Some(*cursor));
            return None;
        };
        Some(parts.kept.remove(place))
    }

    /// Begins another stream.
    pub(crate) fn begin(&self, root: Cid, base: Cid) -> Result<Partial, SyncError> {
        let mut parts = self.parts();
        // Another part of this stream, or of an older one from the same base, is of no use any more.
        parts.forget(|part| part.root == root);
        let body = match &self.dir {
            None => Body::Memory(Vec::new()),
            Some(dir) => {
                let path = dir.join(parts.next.to_string());
                parts.next += 1;
                let failed = |source| SyncError::Inbox { path: path.clone(), source };
                let open = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
                let mut file = open.map_err(failed)?;
                let header = [&MAGIC[..], root.as_bytes(), base.as_bytes()].concat();
                file.write_all(&header).map_err(failed)?;
                Body::File { file, path }
            }
        };
        Ok(Partial { root, base, cursor: None, body })
    }

    /// Keeps a stream that was cut.
    pub(crate) fn keep(&self, part: Partial) {
        if part.cursor.is_some() {
            self.parts().keep(part);
        }
    }
}

impl Parts {
    /// Forgets some parts, and their files.
    fn forget(&mut self, which: impl Fn(&Partial) -> bool) {
        self.kept.extract_if(.., |part| which(part)).for_each(Partial::discard);
    }

    fn keep(&mut self, part: Partial) {
        self.forget(|other| (other.root, other.base) == (part.root, part.base));
        self.kept.push(part);
        if self.kept.len() > MAX_PARTS {
            self.kept.remove(0).discard();
        }
    }
}

/// What came of one stream. A file of it goes with it, unless the program ends before.
#[derive(Debug)]
pub(crate) struct Partial {
    root: Cid,
    base: Cid,
    cursor: Option<Cursor>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Memory(Vec<Bytes>),
    File { file: File, path: PathBuf },
}

/// How a message stands in a file: its length, the start of its hash, and itself.
const FRAME_HEAD: usize = 12;

impl Partial {
    /// Reads a file as far as it is whole; `None` if it holds nothing.
    fn read(path: PathBuf) -> Result<Option<Self>, SyncError> {
        let failed = |source| SyncError::Inbox { path: path.clone(), source };
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        let mut header = [0; 16 + 32 + 32];
        match file.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let Some((MAGIC, rest)) = header.split_first_chunk::<16>() else { return Ok(None) };
        let Some((root, base)) = rest.split_first_chunk::<32>() else { return Ok(None) };
        let base = base.first_chunk().copied().unwrap_or_default();
        let mut cursor = None;
        let mut end = header.len() as u64;
        let mut frames = Frames { file: BufReader::new(&file) };
        while let Some(body) = frames.next().map_err(failed)? {
            let Ok(next) = advance(cursor, &body) else { break };
            cursor = next;
            end += (FRAME_HEAD + body.len()) as u64;
        }
        drop(frames);
        if cursor.is_none() {
            return Ok(None);
        }
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let (root, base) = (Cid::from_hash(*root), Cid::from_hash(base));
        Ok(Some(Self { root, base, cursor, body: Body::File { file, path } }))
    }

    /// Adds a message whose entries were checked.
    pub(crate) fn push(&mut self, message: &Bytes) -> Result<(), SyncError> {
        let cursor = advance(self.cursor, message)?;
        match &mut self.body {
            Body::Memory(messages) => messages.push(message.clone()),
            Body::File { file, path } => {
                let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
                let frame = [&len.to_le_bytes(), &digest(message)[..], message].concat();
                let written = file.write_all(&frame);
                written.map_err(|source| SyncError::Inbox { path: path.clone(), source })?;
            }
        }
        self.cursor = cursor;
        Ok(())
    }

    /// Shows all messages.
    pub(crate) fn each(
        &mut self,
        mut show: impl FnMut(&[u8]) -> Result<(), SyncError>,
    ) -> Result<(), SyncError> {
        match &mut self.body {
            Body::Memory(messages) => messages.iter().try_for_each(|message| show(message)),
            Body::File { file, path } => {
                let failed = |source| SyncError::Inbox { path: path.clone(), source };
                file.seek(SeekFrom::Start(16 + 32 + 32)).map_err(failed)?;
                let mut frames = Frames { file: BufReader::new(&*file) };
                while let Some(message) = frames.next().map_err(failed)? {
                    show(&message)?;
                }
                Ok(())
            }
        }
    }

    pub(crate) const fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Forgets it.
    pub(crate) fn discard(self) {
        if let Body::File { path, .. } = &self.body {
            remove(path);
        }
    }
}

/// Removes a file; if that fails, the next opening tries again.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

fn digest(message: &[u8]) -> [u8; 8] {
    blake3::hash(message).as_bytes().first_chunk().copied().unwrap_or_default()
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

struct Frames<R> {
    file: R,
}

impl<R: Read> Frames<R> {
    /// Returns the next message; `None` where the file ends or is damaged.
    fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
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
        let Some(len) = usize::try_from(len).ok().filter(|len| *len <= MAX_MESSAGE_BYTES) else {
            return Ok(None);
        };
        let mut message = vec![0; len];
        Ok((read(&mut message)? && digest(&message) == hash).then_some(message))
    }
}
