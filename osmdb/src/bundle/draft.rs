//! Writing a section: as a whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use prolly::PageStore;

use super::format::{End, Head, file_head};
use super::{BundleError, Wrote};
use crate::db::{Db, now};
use crate::root::Root;
use crate::sync::{ENTRIES, Outgoing, Sending, SyncError};

/// What the name of a file ends in that is not yet whole.
pub(super) const DRAFT: &str = ".part";

/// Where a section is to be written.
#[derive(Debug, Clone)]
pub(super) enum Begin {
    /// Behind the whole sections of a file, which end here.
    Append(PathBuf, u64),
    /// Into a new file.
    New(PathBuf),
}

/// Where the rest of a section goes.
pub(super) struct Split<'a> {
    /// A file is long enough at so many bytes.
    pub(super) part_bytes: u64,
    /// Returns the name of the file with the next part.
    pub(super) next: &'a mut dyn FnMut() -> PathBuf,
}

/// A file that is being written.
struct Piece {
    file: File,
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    /// A file that had so many bytes.
    Old(u64),
    /// A new file, under the name that it has until it is whole.
    New(PathBuf),
}

/// A section that is being written.
struct Draft {
    pieces: Vec<Piece>,
    /// The length of the last file.
    len: u64,
    hasher: blake3::Hasher,
    /// The bytes of this part of the section.
    part: u64,
    /// All bytes.
    total: u64,
    /// How many of them there was room for, once it has run out: from then on bytes are only counted.
    fitted: Option<u64>,
}

/// Writes the entries that came after a base.
pub(super) fn write<S: PageStore>(
    db: &Db<S>,
    (base, root): (&Root, &Root),
    begin: &Begin,
    split: Option<Split<'_>>,
) -> Result<Wrote, BundleError> {
    let (Begin::Append(path, _) | Begin::New(path)) = begin;
    let mut draft =
        Draft { pieces: Vec::new(), len: 0, hasher: blake3::Hasher::new(), part: 0, total: 0, fitted: None };
    let written = draft.fill(db, (base, root), begin, split);
    let written = written.and_then(|entries| match draft.fitted {
        Some(fitted) => Err(BundleError::Full { path: path.clone(), needed: draft.total, fitted }),
        None => draft.keep().map(|()| entries),
    });
    match written {
        Ok(entries) => Ok(Wrote {
            path: path.clone(),
            files: u32::try_from(draft.pieces.len()).unwrap_or(u32::MAX),
            base: base.cid(),
            root: root.cid(),
            entries,
            bytes: draft.total,
        }),
        Err(error) => {
            draft.take_back();
            Err(error)
        }
    }
}

impl Draft {
    fn fill<S: PageStore>(
        &mut self,
        db: &Db<S>,
        (base, root): (&Root, &Root),
        begin: &Begin,
        mut split: Option<Split<'_>>,
    ) -> Result<u64, BundleError> {
        let key = db.key()?;
        let tag = file_head(crate::sync::tag(root));
        let mut head =
            Head { base: base.cid(), root: root.cid(), author: key.author(), time: now(), part: 0 };
        let mut sending = Sending::since(base, root, None).map_err(ours)?;
        match begin {
            Begin::Append(path, len) => self.append(path, *len)?,
            Begin::New(path) => self.create(path, &tag)?,
        }
        let mut before = 0;
        let mut ready: Option<Vec<u8>> = sending.message(db.store())?.map(<[u8]>::to_vec);
        loop {
            (self.hasher, self.part) = (blake3::Hasher::new(), 0);
            self.put(&head.frame())?;
            let (mut out, mut sent) = (Outgoing::new(), before);
            while let Some(message) = ready.take() {
                out.push_columns(ENTRIES, &message).map_err(ours)?;
                while let Some(frame) = out.pop() {
                    self.put(&frame)?;
                }
                sent = sending.sent;
                ready = sending.message(db.store())?.map(<[u8]>::to_vec);
                if split.as_ref().is_some_and(|split| self.len >= split.part_bytes) {
                    break;
                }
            }
            // The end says that all before it is there: it is written when that is so.
            self.make_durable()?;
            let sum = (self.part, *self.hasher.finalize().as_bytes());
            let end = End::new(&key, &head, ready.is_some(), sent - before, sum);
            self.put(&end.frame())?;
            self.make_durable()?;
            before = sent;
            match &mut split {
                Some(split) if ready.is_some() => self.create(&(split.next)(), &tag)?,
                _ => return Ok(sent),
            }
            head.part = head.part.saturating_add(1);
        }
    }

    fn append(&mut self, path: &Path, len: u64) -> Result<(), BundleError> {
        let failed = || BundleError::io(path, "writing");
        let mut file = OpenOptions::new().write(true).open(path).map_err(failed())?;
        // What is behind the last whole section was never finished.
        file.set_len(len).map_err(failed())?;
        file.seek(SeekFrom::Start(len)).map_err(failed())?;
        self.len = len;
        self.pieces.push(Piece { file, path: path.to_owned(), kind: Kind::Old(len) });
        Ok(())
    }

    fn create(&mut self, path: &Path, head: &[u8]) -> Result<(), BundleError> {
        self.len = 0;
        if self.fitted.is_none() {
            let draft = draft_of(path);
            match OpenOptions::new().write(true).create(true).truncate(true).open(&draft) {
                Ok(file) => self.pieces.push(Piece { file, path: path.to_owned(), kind: Kind::New(draft) }),
                Err(error) if is_full(&error) => self.fitted = Some(self.total),
                Err(error) => return Err(BundleError::io(path, "creating the file")(error)),
            }
        }
        self.put_raw(head)
    }

    /// Writes bytes of a section.
    fn put(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.hasher.update(bytes);
        self.part += bytes.len() as u64;
        self.put_raw(bytes)
    }

    fn put_raw(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.len += bytes.len() as u64;
        if self.fitted.is_none()
            && let Some(Piece { file, path, .. }) = self.pieces.last_mut()
        {
            match file.write_all(bytes) {
                Ok(()) => {}
                Err(error) if is_full(&error) => self.fitted = Some(self.total),
                Err(error) => return Err(BundleError::io(path, "writing")(error)),
            }
        }
        self.total += bytes.len() as u64;
        Ok(())
    }

    fn make_durable(&mut self) -> Result<(), BundleError> {
        if self.fitted.is_none()
            && let Some(Piece { file, path, .. }) = self.pieces.last_mut()
        {
            match file.sync_all() {
                Ok(()) => {}
                // Some systems find out late.
                Err(error) if is_full(&error) => self.fitted = Some(self.total),
                Err(error) => return Err(BundleError::io(path, "writing")(error)),
            }
        }
        Ok(())
    }

    /// Gives new files their names, the last first: until the first has its own, the others are parts of nothing.
    fn keep(&mut self) -> Result<(), BundleError> {
        for piece in self.pieces.iter_mut().rev() {
            if let Kind::New(draft) = &piece.kind {
                fs::rename(draft, &piece.path).map_err(BundleError::io(&piece.path, "naming the file"))?;
            }
            sync_dir(&piece.path).map_err(BundleError::io(&piece.path, "writing the directory"))?;
        }
        Ok(())
    }

    /// Takes away what was begun. What cannot be is found to be torn when the file is read.
    fn take_back(&mut self) {
        for Piece { file, kind, .. } in self.pieces.drain(..) {
            match kind {
                Kind::Old(len) => {
                    let _ = file.set_len(len).and_then(|()| file.sync_all());
                }
                Kind::New(draft) => {
                    drop(file);
                    let _ = fs::remove_file(draft);
                }
            }
        }
    }
}

/// Returns the name that a file has until it is whole. It is not one of a bundle.
pub(super) fn draft_of(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(DRAFT);
    path.with_file_name(name)
}

/// Makes the names in a directory durable, where a system can do that.
pub(super) fn sync_dir(file: &Path) -> io::Result<()> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    if cfg!(unix) {
        match File::open(dir)?.sync_all() {
            // Some file systems cannot.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
            other => other,
        }
    } else {
        Ok(())
    }
}

/// Tells whether a disk, a quota or a file has no more room.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

fn ours(error: SyncError) -> BundleError {
    match error {
        SyncError::Db(error) => BundleError::Db(error),
        other => BundleError::Stream(other),
    }
}
