//! Reading a dataset over a connection: who serves runs the question and sends the pages that it touches.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use prolly::cbor::{CborError, Reader, put_bytes, put_unsigned};
use prolly::{Cid, Page, PageSource, Step, StoreError};

use super::error::SyncError;
use super::limits::{MAX_HAVE, MAX_READ_MISSING, PAGES_BYTES};
use super::message::{PAGES, READ, READ_END, number};
use super::page_columns::PageWriter;
use crate::db::Snapshot;
use crate::error::Error;
use crate::remote::answering::Answering;
use crate::remote::{Ask, MAX_READ_BYTES};

/// The bytes of an address by which a page is named that somebody has.
const HAVE_BYTES: usize = 8;

pub(crate) type Have = [u8; HAVE_BYTES];

pub(crate) fn have(cid: &Cid) -> Have {
    cid.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) id: u64,
    /// `None`: the root that the other side has now; its record comes first.
    pub(crate) root: Option<Cid>,
    pub(crate) ask: Option<Ask>,
    /// Pages that are asked for by their addresses.
    pub(crate) missing: Vec<Cid>,
    /// Pages that need not be sent.
    have: BTreeSet<Have>,
    /// No more bytes of pages than this are wanted.
    budget: usize,
}

impl Wanted {
    pub(crate) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        let malformed = |_: CborError| SyncError::Message { kind: READ };
        let wrong = || SyncError::Message { kind: READ };
        let mut reader = Reader::new(body);
        let id = reader.unsigned().map_err(malformed)?;
        let root = reader.optional(Reader::bytes).map_err(malformed)?;
        let root = root.map(|root| root.try_into().map(Cid::from_hash)).transpose().map_err(|_| wrong())?;
        let ask = reader.optional(Reader::bytes).map_err(malformed)?;
        let ask = ask.map(Ask::decode).transpose().map_err(SyncError::Ask)?;
        let (missing, rest) = reader.bytes().map_err(malformed)?.as_chunks::<32>();
        let (had, more) = reader.bytes().map_err(malformed)?.as_chunks::<HAVE_BYTES>();
        let budget = reader.unsigned().map_err(malformed)?;
        reader.end().map_err(malformed)?;
        let right = rest.is_empty() && more.is_empty();
        if !right || missing.len() > MAX_READ_MISSING || had.len() > MAX_HAVE {
            return Err(wrong());
        }
        let missing: Vec<Cid> = missing.iter().map(|hash| Cid::from_hash(*hash)).collect();
        // What is lacking is sent, even if it is said to be there.
        let mut had: BTreeSet<Have> = had.iter().copied().collect();
        for cid in &missing {
            had.remove(&have(cid));
        }
        Ok(Self {
            id,
            root,
            ask,
            missing,
            have: had,
            budget: usize::try_from(budget).unwrap_or(usize::MAX).min(MAX_READ_BYTES),
        })
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All is there.
    Whole = 0,
    /// There is more, beyond what was wanted at once.
    More = 1,
    /// The root is not here.
    NoRoot = 2,
}

/// Remembers which pages are looked at, until those that are to be sent are as many as are wanted: what is beyond is
/// as if it were not there, so that no question makes whoever serves hold more.
struct Recording<'a, S> {
    source: &'a S,
    /// Pages that need not be sent.
    have: BTreeSet<Have>,
    seen: RefCell<BTreeSet<Cid>>,
    new: RefCell<VecDeque<Bytes>>,
    /// How many bytes more are wanted.
    left: Cell<usize>,
    is_full: Cell<bool>,
}

impl<S> Recording<'_, S> {
    /// Notes that a page is looked at; tells whether it may be.
    fn note(&self, cid: Cid, bytes: &Bytes) -> bool {
        let mut seen = self.seen.borrow_mut();
        if seen.contains(&cid) {
            return true;
        }
        if !self.have.contains(&have(&cid)) {
            let Some(left) = self.left.get().checked_sub(bytes.len()) else {
                self.is_full.set(true);
                return false;
            };
            self.left.set(left);
            self.new.borrow_mut().push_back(bytes.clone());
        }
        seen.insert(cid)
    }
}

impl<S: PageSource> PageSource for Recording<'_, S> {
    fn load(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        Ok(self.source.load(cid)?.filter(|bytes| self.note(*cid, bytes)))
    }

    fn page(&self, cid: &Cid) -> Result<Option<Page>, StoreError> {
        Ok(self.source.page(cid)?.filter(|page| self.note(*cid, page.bytes())))
    }

    fn child(&self, branch: &Page, index: usize) -> Result<Option<Page>, StoreError> {
        Ok(self.source.child(branch, index)?.filter(|page| self.note(*page.cid(), page.bytes())))
    }

    fn contains(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.source.contains(cid)
    }
}

/// A question that is being answered.
pub(crate) struct Answer<'a, S> {
    id: u64,
    root: Cid,
    pages: Recording<'a, S>,
    answering: Option<Answering>,
    ended: Option<Ended>,
}

impl<'a, S: PageSource> Answer<'a, S> {
    pub(crate) fn begin(source: &'a S, now: Cid, wanted: Wanted) -> Result<Self, SyncError> {
        let Wanted { id, root, ask, missing, have, budget } = wanted;
        let opening = root.is_none();
        let root = root.unwrap_or(now);
        let pages = Recording {
            source,
            have,
            seen: RefCell::default(),
            new: RefCell::default(),
            left: Cell::new(budget),
            is_full: Cell::new(false),
        };
        let mut answer = Self { id, root, pages, answering: None, ended: None };
        for cid in &missing {
            answer.pages.load(cid).map_err(Error::from)?;
        }
        if answer.pages.is_full.get() {
            return Ok(answer);
        }
        if opening || ask.is_some() {
            if answer.pages.source.load(&root).map_err(Error::from)?.is_none() {
                answer.ended = Some(Ended::NoRoot);
                return Ok(answer);
            }
            // Read anew for the question, so that its record and configuration are only sent when asked for.
            let record = if opening {
                let opened = Snapshot::open(&answer.pages, root).map(|snapshot| snapshot.root().clone());
                if answer.pages.is_full.get() {
                    return Ok(answer);
                }
                opened?
            } else {
                Snapshot::open(answer.pages.source, root)?.root().clone()
            };
            if let Some(ask) = ask {
                answer.answering = Some(Answering::new(&record, &ask).map_err(SyncError::Ask)?);
            }
        }
        Ok(answer)
    }

    /// Returns the next message: its kind, and its body. The last one is that of the end.
    pub(crate) fn message(&mut self) -> Result<(u8, Vec<u8>), SyncError> {
        let mut out = number(self.id);
        let mut pages = PageWriter::default();
        while self.ended.is_none() && pages.len() < PAGES_BYTES {
            // One step may look at many.
            if let Some(bytes) = self.pages.new.get_mut().pop_front() {
                pages.push(&bytes);
                continue;
            }
            if self.pages.is_full.get() {
                self.ended = Some(Ended::More);
                break;
            }
            let Some(answering) = &mut self.answering else {
                self.ended = Some(Ended::Whole);
                break;
            };
            match answering.step(&self.pages)? {
                Step::Ready(Some(_)) => {}
                Step::Ready(None) => self.answering = None,
                // There is no room for it.
                Step::Missing(_) if self.pages.is_full.get() => {}
                // A page is not here, though the root is: whoever asks gets what there is.
                Step::Missing(_) => self.ended = Some(Ended::Whole),
            }
        }
        if pages.len() > 0 {
            pages.finish(&mut out);
            return Ok((PAGES, out));
        }
        put_bytes(&mut out, self.root.as_bytes());
        put_unsigned(&mut out, self.ended.map_or(0, |ended| ended as u64));
        Ok((READ_END, out))
    }
}
