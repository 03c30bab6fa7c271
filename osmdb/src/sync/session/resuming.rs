//! A walk that was cut goes on: both sides hold what the other said, and say only what comes behind it.
//!
//! What a side says in a walk follows from its root and from what the other said. So who holds the other's messages
//! takes them in again, as if they had just come, makes its own anew, and passes over those that the other holds.

use std::time::Duration;

use bytes::Bytes;
use prolly::{Cid, PageStore};

use super::super::error::SyncError;
use super::super::inbox::{Held, Inbox, Ticket};
use super::super::message::{
    self, CELLS, END, ENTRIES, Had, Hello, LEAVES, LIST, Message, Part, WANT, short,
};
use super::super::receiving::Receiving;
use super::super::transcript::{Extent, Transcript};
use super::{MAX_WAIT, REPLAYED_PER_SECOND, Resumed, Session};
use crate::db::{Db, Snapshot};
use crate::error::Error;

/// What of a walk is kept, and what of an earlier one the peer holds.
#[derive(Default)]
pub(super) struct Resuming {
    /// Where what comes is noted.
    ticket: Option<Ticket>,
    /// What the peer holds of what is said here, until it was made anew.
    had: Option<(Extent, Transcript)>,
    /// The root of the peer at which both walk, if it is not the one that it announced.
    pub(super) theirs: Option<Cid>,
    /// Both go on with an earlier walk.
    pub(super) is_on: bool,
    /// What came before is being taken in again.
    pub(super) replays: bool,
    /// What came before did not fit: what comes is passed over until the round ends.
    passes_over: bool,
    /// How many entries had come, and had been sent, before.
    pub(super) received: u64,
    pub(super) sent: u64,
}

impl Resuming {
    /// Tells whether the peer holds a message that was made here.
    pub(super) fn has(&mut self, kind: u8, body: &[u8]) -> Result<bool, SyncError> {
        let Some((extent, transcript)) = &mut self.had else { return Ok(false) };
        transcript.add(kind, body);
        if transcript.messages() == extent.messages {
            let is_same = transcript.extent() == *extent;
            self.had = None;
            return if is_same { Ok(true) } else { Err(SyncError::Part) };
        }
        Ok(true)
    }

    /// Tells whether the peer holds messages that are not yet made anew.
    pub(super) const fn is_behind(&self) -> bool {
        self.had.is_some()
    }

    /// Begins to keep what comes of a walk.
    pub(super) fn keep(&mut self, inbox: Option<&Inbox>, theirs: Cid, ours: Cid) -> Result<(), SyncError> {
        self.ticket = inbox.map(|inbox| inbox.begin_walk(theirs, ours)).transpose()?;
        Ok(())
    }

    /// Adds what came.
    fn note(&self, inbox: Option<&Inbox>, kind: u8, body: &Bytes) -> Result<(), SyncError> {
        match (self.ticket, inbox) {
            (Some(ticket), Some(inbox)) if is_of_walk(kind) => inbox.add(ticket, kind, body),
            _ => Ok(()),
        }
    }

    /// Forgets what came.
    pub(super) fn forget(&mut self, inbox: Option<&Inbox>) {
        if let (Some(ticket), Some(inbox)) = (self.ticket.take(), inbox) {
            inbox.forget_walk(ticket);
        }
        *self = Self::default();
    }

    /// Ends with its round; what came before is counted on.
    pub(super) fn close(&mut self, inbox: Option<&Inbox>) {
        let (received, sent) = (self.received, self.sent);
        self.forget(inbox);
        (self.received, self.sent) = (received, sent);
    }
}

/// Tells whether a message belongs to a walk: both sides say the same ones if they walk again.
const fn is_of_walk(kind: u8) -> bool {
    matches!(kind, CELLS | LEAVES | WANT | LIST | ENTRIES | END)
}

/// Tells whether what came can be no walk together with what had come before.
pub(super) const fn misfits(error: &SyncError) -> bool {
    error.is_fault_of_peer() || matches!(error, SyncError::Sketch { .. })
}

/// A walk that both sides can go on with.
pub(super) struct Again {
    theirs: Cid,
    ours: Cid,
    /// What came.
    had: Extent,
    /// What the peer holds.
    given: Extent,
}

impl Again {
    /// Returns the walk of which a part is held here, and one by the peer.
    fn of(held: &Held, part: &Part) -> Option<Self> {
        let &Held { root: theirs, base: ours, had: Had::Messages(had) } = held else { return None };
        let &Part { root, base, had: Had::Messages(given) } = part else { return None };
        ((root, base) == (short(&ours), short(&theirs))).then_some(Self { theirs, ours, had, given })
    }
}

impl<S: PageStore + Sync> Session<'_, S> {
    /// Lists what is kept of streams and walks that were cut, if it can still be of use.
    pub(super) fn announce(db: &Db<S>, inbox: Option<&Inbox>) -> Result<Vec<Held>, SyncError> {
        let mut parts = Vec::new();
        for held in inbox.map(Inbox::held).unwrap_or_default() {
            // To go on with a walk, its root here must not have been collected.
            if matches!(held.had, Had::Cursor(_)) || db.store().contains(&held.base).map_err(Error::from)? {
                parts.push(held);
            }
        }
        Ok(parts)
    }

    /// Returns the walk that both announced: of several, that which the side with the lesser root named first.
    pub(super) fn is_to_resume(&self, hello: &Hello) -> Option<Again> {
        let is_first = self.ours.root().cid() < hello.root;
        let place = |ours: usize, theirs: usize| if is_first { (ours, theirs) } else { (theirs, ours) };
        let of_both = self.announced.iter().enumerate().flat_map(|(ours, held)| {
            let parts = hello.parts.iter().enumerate();
            parts.filter_map(move |(theirs, part)| Some((place(ours, theirs), Again::of(held, part)?)))
        });
        of_both.min_by_key(|(place, _)| *place).map(|(_, again)| again)
    }

    /// Goes on with a walk: takes in what had come, which makes what was said.
    pub(super) fn resume(&mut self, again: &Again) -> Result<(), SyncError> {
        // The peer takes in what was said here, and makes what it had said, before it says anything.
        let replayed = u64::from(again.given.messages) + u64::from(again.had.messages);
        self.patience += Duration::from_secs(replayed / REPLAYED_PER_SECOND).min(MAX_WAIT);
        match self.replay(again) {
            Err(error) if misfits(&error) => self.begin_walk_anew(true),
            replayed => replayed,
        }
    }

    fn replay(&mut self, Again { theirs, ours, had, given }: &Again) -> Result<(), SyncError> {
        self.resuming.is_on = true;
        let Some(inbox) = self.options.inbox.clone() else { return Err(SyncError::Part) };
        let Some((ticket, messages)) = inbox.resume_walk(theirs, ours, *had)? else {
            return Err(SyncError::Part);
        };
        self.ours = Snapshot::open(self.db.store(), *ours)?;
        self.resuming.had = (given.messages > 0).then(|| (*given, Transcript::default()));
        self.resuming.theirs = Some(*theirs);
        self.resumed = Resumed::Yes;
        self.begin_walk(*theirs)?;
        self.resuming.ticket = Some(ticket);
        self.resuming.replays = true;
        let crossings = self.summary.crossings;
        let mut replayed = Ok(());
        for message in messages {
            let (kind, body) = message?;
            replayed = Message::decode(kind, body).and_then(|message| self.take(kind, message));
            if replayed.is_err() {
                break;
            }
        }
        self.resuming.replays = false;
        self.summary.crossings = crossings;
        self.resuming.received = self.receiving.iter().chain(&self.arrived).map(Receiving::come).sum();
        replayed
    }

    /// Takes in a message, and keeps it in case of a cut.
    pub(super) fn take_and_keep(&mut self, kind: u8, body: &Bytes) -> Result<(), SyncError> {
        let message = Message::decode(kind, body.clone())?;
        if self.resuming.passes_over && is_of_walk(kind) {
            return self.pass_over(kind, body.len() as u64);
        }
        match self.take(kind, message) {
            Ok(()) => self.resuming.note(self.options.inbox.as_deref(), kind, body),
            Err(error) => self.or_anew(error),
        }
    }

    /// Begins the walk anew if it is one that goes on, and what came does not fit: nobody knows who has lied, this peer
    /// or who sent what had come before.
    pub(super) fn or_anew(&mut self, error: SyncError) -> Result<(), SyncError> {
        if misfits(&error) && self.resuming.is_on && self.our_done.is_none() {
            return self.begin_walk_anew(true);
        }
        Err(error)
    }

    /// Forgets what came of a walk on both sides, and ends the round.
    pub(super) fn begin_walk_anew(&mut self, say: bool) -> Result<(), SyncError> {
        self.summary.sent = self.summary.sent.saturating_sub(self.resuming.sent);
        self.resuming.forget(self.options.inbox.as_deref());
        self.resuming.passes_over = self.their_done.is_none();
        self.resumed = Resumed::No;
        (self.walk, self.receiving, self.arrived) = (None, None, None);
        self.sending.clear();
        if say {
            self.out.push(message::ANEW, &[], false)?;
        }
        if self.our_done.is_some() { Ok(()) } else { self.begin_anew() }
    }

    /// The peer cannot go on with the walk.
    pub(super) fn take_anew(&mut self) -> Result<(), SyncError> {
        if self.resuming.is_on && self.their_done.is_none() {
            self.begin_walk_anew(false)
        } else if self.resuming.passes_over {
            // Both found out at once.
            Ok(())
        } else {
            Err(SyncError::Turn { kind: message::ANEW })
        }
    }

    /// Lets go what belongs to a walk that is forgotten.
    fn pass_over(&mut self, kind: u8, bytes: u64) -> Result<(), SyncError> {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken > self.options.most_bytes {
            return Err(SyncError::TooMuch { limit: self.options.most_bytes });
        }
        if kind == ENTRIES { self.use_credit(bytes) } else { Ok(()) }
    }
}
