//! What came of streams and walks that were cut, kept until the rest comes.

mod partial;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prolly::Cid;

pub(crate) use self::partial::{Messages, Partial};
use self::partial::{Sort, remove};
use super::error::SyncError;
use super::limits::MAX_PARTS;
use super::message::{Cursor, Had, Part, short};
use super::transcript::Extent;

/// Keeps what came of streams and walks that were cut, so that it is not sent again.
///
/// Nothing in it is part of the database yet: that it is whole is known only at the end. Of more than
/// [`MAX_PARTS`] that were cut, the oldest is forgotten.
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
    /// The oldest first. Streams that come are not among them, walks are.
    kept: Vec<Kept>,
    next_file: u64,
    next_ticket: u64,
}

#[derive(Debug)]
struct Kept {
    part: Partial,
    /// Whose walk it is.
    ticket: Ticket,
}

/// Who adds to a walk. Whoever goes on with it after a cut takes it from a session that has not noticed the cut yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// What is kept of a stream or walk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// The root that the peer announced.
    pub(crate) root: Cid,
    /// From which root it counted; in a walk, the root here.
    pub(crate) base: Cid,
    pub(crate) had: Had,
}

impl Held {
    /// Returns it as it is told to a peer.
    pub(crate) fn part(&self) -> Part {
        Part { root: short(&self.root), base: short(&self.base), had: self.had }
    }
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
            parts.next_file = parts.next_file.max(number.saturating_add(1));
            match Partial::read(path.clone())? {
                Some(part) => {
                    parts.keep(part);
                }
                // A stream of which nothing whole had come, or that nobody wrote.
                None => remove(&path),
            }
        }
        Ok(Self { dir: Some(dir.to_owned()), parts: Mutex::new(parts) })
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is kept: the latest first.
    pub(crate) fn held(&self) -> Vec<Held> {
        let parts = self.parts();
        let all = parts.kept.iter().rev().filter_map(|Kept { part, .. }| {
            Some(Held { root: part.root, base: part.base, had: part.had()? })
        });
        all.take(MAX_PARTS).collect()
    }

    /// Takes out what came of a stream, to go on with it.
    pub(crate) fn take(&self, root: &Cid, base: &Cid, cursor: &Cursor) -> Option<Partial> {
        let mut parts = self.parts();
        let fits =
            |part: &Partial| part.root == *root && part.base == *base && part.cursor() == Some(*cursor);
        let Some(place) = parts.kept.iter().position(|kept| fits(&kept.part)) else {
            // The start of a root was that of another one: nobody can go on with it.
            parts.forget(|part| part.cursor() == Some(*cursor));
            return None;
        };
        Some(parts.kept.remove(place).part)
    }

    fn next_file(&self, parts: &mut Parts) -> Option<PathBuf> {
        let path = self.dir.as_ref().map(|dir| dir.join(parts.next_file.to_string()));
        parts.next_file += 1;
        path
    }

    /// Begins another stream.
    pub(crate) fn begin(&self, root: Cid, base: Cid) -> Result<Partial, SyncError> {
        let mut parts = self.parts();
        // Another part of this stream, or of an older one from the same base, is of no use any more.
        parts.forget(|part| part.root == root && part.sort() == Sort::Stream);
        let path = self.next_file(&mut parts);
        Partial::begin(Sort::Stream, root, base, path)
    }

    /// Keeps a stream that was cut, if anything of it came.
    pub(crate) fn keep(&self, part: Partial) {
        if part.cursor().is_some() {
            self.parts().keep(part);
        } else {
            part.discard();
        }
    }

    /// Begins to keep what comes of a walk from a root here to one there.
    pub(crate) fn begin_walk(&self, root: Cid, base: Cid) -> Result<Ticket, SyncError> {
        let mut parts = self.parts();
        let path = self.next_file(&mut parts);
        let part = Partial::begin(Sort::Walk, root, base, path)?;
        Ok(parts.keep(part))
    }

    /// Adds a message of a walk; if somebody else has gone on with it, it is passed over.
    pub(crate) fn add(&self, ticket: Ticket, kind: u8, body: &Bytes) -> Result<(), SyncError> {
        match self.parts().kept.iter_mut().find(|kept| kept.ticket == ticket) {
            Some(kept) => kept.part.push(kind, body),
            None => Ok(()),
        }
    }

    /// Goes on with a walk: returns what came of it, if it is still as it was announced.
    pub(crate) fn resume_walk(
        &self,
        root: &Cid,
        base: &Cid,
        extent: Extent,
    ) -> Result<Option<(Ticket, Messages)>, SyncError> {
        let mut parts = self.parts();
        let ticket = parts.ticket();
        let had = Some(Had::Messages(extent));
        let fits = |part: &Partial| part.root == *root && part.base == *base && part.had() == had;
        let Some(kept) = parts.kept.iter_mut().find(|kept| fits(&kept.part)) else { return Ok(None) };
        kept.ticket = ticket;
        Ok(Some((ticket, kept.part.messages()?)))
    }

    /// Forgets a walk, unless somebody else has gone on with it.
    pub(crate) fn forget_walk(&self, ticket: Ticket) {
        let mut parts = self.parts();
        if let Some(place) = parts.kept.iter().position(|kept| kept.ticket == ticket) {
            parts.kept.remove(place).part.discard();
        }
    }

    /// Forgets what came of some roots: it is all here by now.
    pub(crate) fn forget(&self, roots: impl Fn(&Cid) -> bool) {
        self.parts().forget(|part| roots(&part.root));
    }
}

impl Parts {
    const fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// Forgets some parts, and their files.
    fn forget(&mut self, which: impl Fn(&Partial) -> bool) {
        self.kept.extract_if(.., |kept| which(&kept.part)).for_each(|kept| kept.part.discard());
    }

    fn keep(&mut self, part: Partial) -> Ticket {
        self.forget(|other| (other.root, other.base, other.sort()) == (part.root, part.base, part.sort()));
        let ticket = self.ticket();
        self.kept.push(Kept { part, ticket });
        if self.kept.len() > MAX_PARTS {
            self.kept.remove(0).part.discard();
        }
        ticket
    }
}
