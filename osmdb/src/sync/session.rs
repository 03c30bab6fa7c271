//! One exchange with a peer, as a machine: bytes in, bytes out.

mod resuming;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prolly::{Cid, PageStore};

use self::resuming::{Resuming, misfits};
use super::bases::Bases;
use super::bulk::Pieces;
use super::clock::Clock;
use super::error::SyncError;
use super::following::Following;
use super::limits::{
    CREDIT_BYTES, FRAME_BYTES, MAX_LISTED_BYTES, MAX_QUESTIONS, MAX_READER_SILENCE, MAX_ROUNDS, MAX_SILENCE,
    MAX_WAITS,
};
use super::message::{self, Cursor, Had, Hello, Message, Part, Phase, short};
use super::options::Options;
use super::reading::{Answer, Wanted};
use super::receiving::Receiving;
use super::sending::Sending;
use super::summary::{Summary, Way};
use super::walk::{Found, Walk};
use super::wire::{Incoming, Outgoing};
use crate::db::{Db, Received, Snapshot};
use crate::root::Root;
use crate::signed_root::SignedRoot;

/// A peer takes in about so many entries a second, on a slow machine.
const ENTRIES_PER_SECOND: u64 = 5_000;

/// Nobody asks for more patience than this.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// One exchange with a peer, over any two-way stream of bytes. See the [module](super).
///
/// Whoever drives it takes what is to be sent from [`send`](Self::send) until there is nothing, gives what
/// came to [`receive`](Self::receive), and tells the time with [`tick`](Self::tick). Work on the database is
/// done within `send`.
pub struct Session<'a, S> {
    db: &'a Db<S>,
    options: Options,
    /// What is compared: the database at one root.
    ours: Snapshot<&'a S>,
    bases: Bases,
    out: Outgoing,
    incoming: Incoming,
    theirs: Option<Hello>,
    round: u32,
    walk: Option<Walk>,
    /// What is to be sent, in order.
    sending: VecDeque<Job>,
    /// Questions of a reader that wait, each with the root that was here when it came.
    questions: VecDeque<(Cid, Option<SignedRoot>, Wanted)>,
    /// The one that is being answered: its pages are held until they are sent.
    answer: Option<Answer<'a, S>>,
    /// What is said before its end.
    signed: Option<SignedRoot>,
    receiving: Option<Receiving>,
    /// What has come as a whole, and is to be added.
    arrived: Option<Receiving>,
    /// What was announced of streams and walks that were cut.
    announced: Vec<Part>,
    /// What of a walk is kept in case of a cut, and what of an earlier one.
    resuming: Resuming,
    /// What is coming goes on with what somebody else may have sent.
    resumed: Resumed,
    our_done: Option<Cid>,
    their_done: Option<(Cid, u64)>,
    /// How many bytes of entries may still be sent.
    credit: u64,
    /// How many bytes of entries the peer may still send.
    granted: u64,
    /// How many bytes of entries have come.
    taken: u64,
    /// How many bytes of lists have come.
    listed: u64,
    /// How often the peer has asked for patience.
    waits: u32,
    /// Whether cells have come that are of no use, since a common root was known here.
    passed_over: bool,
    clock: Clock,
    /// How long the peer may be silent.
    patience: Duration,
    finished: bool,
    /// Once all is exchanged, if one side stays.
    following: Option<Following>,
    summary: Summary,
}

/// Whether a stream goes on where an earlier one was cut. Who sent that may have lied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resumed {
    No,
    /// It is good for something if all of it makes the announced root.
    Yes,
    /// The earlier one was that of another root: it is good for nothing.
    InVain,
}

/// What is sent piece by piece, as there is room.
enum Job {
    Stream(Box<Sending>),
    Cells(super::walk::Outgoing),
}

impl<S> fmt::Debug for Session<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("summary", &self.summary).finish_non_exhaustive()
    }
}

impl<'a, S: PageStore + Sync> Session<'a, S> {
    /// Begins an exchange.
    ///
    /// ```
    /// use osmdb::sync::{Options, Session};
    /// let db = osmdb::Db::in_memory("osm")?;
    /// let mut session = Session::new(&db, Options::default())?;
    /// let hello = session.send()?.expect("it says hello at once");
    /// assert_eq!(hello.len(), 39);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The database's store fails.
    pub fn new(db: &'a Db<S>, options: Options) -> Result<Self, SyncError> {
        let ours = db.snapshot();
        let bases = Bases::read(db, ours.root())?;
        let root = ours.root().cid();
        let parts = Self::announce(db, options.inbox.as_deref())?;
        let hello = Hello {
            reader: false,
            follows: options.follow,
            tag: tag(ours.root()),
            root,
            parts: parts.clone(),
            earlier: bases.announced().to_vec(),
        };
        let mut out = Outgoing::new();
        out.push(message::HELLO, &hello.encode(), false)?;
        let summary = Summary {
            way: None,
            base: None,
            gained: 0,
            given: 0,
            received: 0,
            sent: 0,
            forked: Vec::new(),
            refused: Vec::new(),
            bytes_in: 0,
            bytes_out: 0,
            crossings: 0,
            follows: false,
            root,
            their_root: None,
        };
        Ok(Self {
            db,
            options,
            ours,
            bases,
            out,
            incoming: Incoming::new(),
            theirs: None,
            round: 0,
            walk: None,
            sending: VecDeque::new(),
            questions: VecDeque::new(),
            answer: None,
            signed: None,
            receiving: None,
            arrived: None,
            announced: parts,
            resuming: Resuming::default(),
            resumed: Resumed::No,
            our_done: None,
            their_done: None,
            credit: CREDIT_BYTES,
            granted: CREDIT_BYTES,
            taken: 0,
            listed: 0,
            waits: 0,
            passed_over: false,
            clock: Clock::default(),
            patience: MAX_SILENCE,
            finished: false,
            following: None,
            summary,
        })
    }

    /// Tells whether all is exchanged, and nothing is left to be sent.
    ///
    /// ```
    /// # use osmdb::sync::{Options, Session};
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// assert!(!Session::new(&db, Options::default())?.is_finished());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished && self.out.waiting() == 0
    }

    /// Says what has come of the session so far.
    ///
    /// ```
    /// # use osmdb::sync::{Options, Session};
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let mut session = Session::new(&db, Options::default())?;
    /// while session.send()?.is_some() {}
    /// assert_eq!((session.summary().bytes_out, session.summary().crossings), (39, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = self.summary.clone();
        summary.bytes_in = self.incoming.total;
        summary.bytes_out = self.out.total;
        // What is on its way counts too.
        summary.received += self.receiving.iter().chain(&self.arrived).map(Receiving::come).sum::<u64>();
        let going = |job: &Job| if let Job::Stream(sending) = job { sending.sent } else { 0 };
        summary.sent += self.sending.iter().map(going).sum::<u64>();
        // What had come, and had been sent, before a cut does not.
        summary.received = summary.received.saturating_sub(self.resuming.received);
        summary.sent = summary.sent.saturating_sub(self.resuming.sent);
        summary
    }

    /// Tells whether the peer only asks, and takes part in no exchange: such a session ends with its
    /// connection, at any time.
    ///
    /// ```
    /// # use osmdb::sync::{Options, Session};
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// assert!(!Session::new(&db, Options::default())?.is_read_only());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.theirs.as_ref().is_some_and(|hello| hello.reader)
    }

    /// Tells whether all was exchanged, and both sides stayed: what is new here since is sent by
    /// [`send`](Self::send), which is to be called whenever the database has changed.
    ///
    /// ```
    /// use osmdb::sync::{Options, Session};
    /// use osmdb::{Coord, Db, Payload, Tags};
    /// let (ours, theirs) = (Db::in_memory("osm")?, Db::in_memory("osm")?);
    /// let mut here = Session::new(&ours, Options { follow: true, ..Options::default() })?;
    /// let mut there = Session::new(&theirs, Options::default())?;
    /// let mut talk = || -> Result<bool, Box<dyn std::error::Error>> {
    ///     loop {
    ///         let (said, answered) = (here.send()?, there.send()?);
    ///         if said.is_none() && answered.is_none() {
    ///             return Ok(here.is_following() && there.is_following());
    ///         }
    ///         there.receive(&said.unwrap_or_default())?;
    ///         here.receive(&answered.unwrap_or_default())?;
    ///     }
    /// };
    /// assert!(talk()?, "they have nothing to exchange, and stay");
    /// ours.create(Payload::Node { coord: Coord::new(0, 0)?, tags: Tags::new() })?;
    /// talk()?;
    /// assert_eq!(theirs.root(), ours.root());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn is_following(&self) -> bool {
        self.following.is_some()
    }

    /// Tells whether both sides stayed, nothing is on its way, and the peer has all that is here.
    ///
    /// ```
    /// # use osmdb::sync::{Options, Session};
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// assert!(!Session::new(&db, Options::default())?.is_quiet(), "nobody has answered yet");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let now = self.db.root();
        self.out.waiting() == 0 && self.following.as_ref().is_some_and(|following| following.is_quiet(now))
    }

    /// Says that this side is still there, if both stayed. To be called every
    /// [`KEEP_ALIVE`](super::KEEP_ALIVE).
    ///
    /// ```
    /// # use osmdb::sync::{Options, Session};
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// Session::new(&db, Options::default())?.keep_alive()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It cannot be said.
    pub fn keep_alive(&mut self) -> Result<(), SyncError> {
        match &self.following {
            Some(_) => self.out.push(message::ALIVE, &[], false),
            None => Ok(()),
        }
    }

    /// Lets the time begin anew: what is told to [`tick`](Self::tick) now counts from now on.
    #[cfg(feature = "net")]
    pub(crate) fn restart_clock(&mut self) {
        self.clock = Clock::default();
    }

    /// Returns the next bytes for the peer; `None` if nothing is to be sent before something comes. Works on
    /// the database when there is work to do: that may take as long as an import.
    ///
    /// # Errors
    /// The database failed, or what the peer sent cannot be taken in. The session is over then.
    pub fn send(&mut self) -> Result<Option<Bytes>, SyncError> {
        loop {
            if let Some(frame) = self.out.pop() {
                return Ok(Some(frame));
            }
            let worked = match self.work() {
                Err(error) => self.or_anew(error).map(|()| true),
                worked => worked,
            };
            if !self.judge(worked)? {
                return Ok(None);
            }
        }
    }

    /// Takes in bytes that came from the peer: any number of them, cut anywhere.
    ///
    /// # Errors
    /// The peer broke the protocol, or what it sent is not fit to be taken in. The session is over then, and
    /// [`farewell`](Self::farewell) has bytes that tell the peer why.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), SyncError> {
        let taken = self.take_in(bytes);
        self.judge(taken)
    }

    /// Forgets what came of somebody who lies: nobody goes on with it. Nor with a walk that comes to no end.
    fn judge<T>(&mut self, outcome: Result<T, SyncError>) -> Result<T, SyncError> {
        let Err(error) = &outcome else { return outcome };
        if error.is_fault_of_peer() {
            self.receiving.take().into_iter().chain(self.arrived.take()).for_each(Receiving::discard);
        }
        if misfits(error) || (self.resuming.is_on && matches!(error, SyncError::Refused { .. })) {
            self.resuming.forget(self.options.inbox.as_deref());
        }
        outcome
    }

    fn take_in(&mut self, bytes: &[u8]) -> Result<(), SyncError> {
        self.incoming.push(bytes);
        self.clock.hear();
        while let Some((kind, body)) = self.incoming.pop()? {
            self.clock.ends_message();
            self.patience = MAX_SILENCE;
            self.take_and_keep(kind, &body)?;
        }
        self.clock.is_inside(self.incoming.is_inside());
        Ok(())
    }

    /// Tells how late it is: the time since the session began.
    ///
    /// # Errors
    /// The peer has been silent, or busy with one message, for too long.
    pub fn tick(&mut self, now: Duration) -> Result<(), SyncError> {
        let patience = if self.is_read_only() { MAX_READER_SILENCE } else { self.patience };
        let ticked = self.clock.tick(now, patience);
        if ticked.is_err() && self.resuming.is_behind() && self.sending.is_empty() && self.out.waiting() == 0
        {
            // The peer waits for more than there is: what it holds was never said here.
            self.resuming.forget(self.options.inbox.as_deref());
        }
        ticked
    }

    /// Returns bytes that tell the peer why the session ends.
    ///
    /// ```
    /// use osmdb::sync::{Options, Session, SyncError};
    /// # let db = osmdb::Db::in_memory("osm")?;
    /// let (mut here, mut there) =
    ///     (Session::new(&db, Options::default())?, Session::new(&db, Options::default())?);
    /// let error = here.receive(&[0]).unwrap_err();
    /// let reason = match there.receive(&here.farewell(&error)) {
    ///     Err(SyncError::Refused { reason }) => reason,
    ///     other => panic!("{other:?}"),
    /// };
    /// assert_eq!(reason, error.to_string());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn farewell(&self, error: &SyncError) -> Bytes {
        let mut out = Outgoing::new();
        // What cannot be said is not said.
        let _ = out.push(message::STOP, &message::text(&error.to_string()), false);
        out.pop().unwrap_or_default()
    }

    fn take(&mut self, kind: u8, message: Message) -> Result<(), SyncError> {
        let out_of_turn = SyncError::Turn { kind };
        let reads = self.theirs.as_ref().is_some_and(|hello| hello.reader);
        if self.finished {
            return Err(out_of_turn);
        }
        match message {
            Message::Stop { reason } => return Err(SyncError::Refused { reason }),
            Message::Hello(hello) if self.theirs.is_none() => return self.meet(hello),
            Message::Read(wanted) if reads && self.questions.len() < MAX_QUESTIONS => {
                // Where nothing can be noted any more, nothing is signed, and all is answered.
                let signed = self.is_to_sign(&wanted).then(|| self.db.sign_root().ok()).flatten();
                let root = signed.map_or_else(|| self.db.root(), |signed| signed.root());
                self.questions.push_back((root, signed, *wanted));
            }
            _ if self.theirs.is_none() || reads => return Err(out_of_turn),
            Message::Delta { .. } | Message::Cells { .. } | Message::Piece { .. }
                if self.following.is_some() =>
            {
                return Err(out_of_turn);
            }
            Message::Push { root, base } => self.take_push(root, base)?,
            Message::Alive if self.following.is_some() => {}
            Message::Done { root, gained, .. } if self.following.is_some() => {
                let now = self.db.snapshot().root().clone();
                let arrived = self.following.as_mut().is_some_and(|following| following.arrive(root, &now));
                if !arrived || !self.sending.is_empty() {
                    return Err(out_of_turn);
                }
                self.summary.given = self.summary.given.saturating_add(gained);
                self.summary.their_root = Some(root);
            }
            // Only what was used is given again: so this ends with what is sent.
            Message::Credit { bytes } => match self.credit.checked_add(bytes) {
                Some(credit) if bytes > 0 && credit <= CREDIT_BYTES => self.credit = credit,
                _ => return Err(out_of_turn),
            },
            Message::Wait { .. } if self.waits == MAX_WAITS => return Err(out_of_turn),
            Message::Wait { seconds } => {
                self.waits += 1;
                self.patience = MAX_SILENCE + Duration::from_secs(seconds).min(MAX_WAIT);
            }
            Message::Delta { base, after } => self.take_delta(base, after)?,
            Message::Cells { phase, members, start, cells } => {
                self.take_cells((phase, members, start), &cells)?;
            }
            Message::Entries(entries) => {
                let receiving = self.receiving.as_mut().ok_or(out_of_turn)?;
                let bytes = entries.len() as u64;
                // The last message within the credit may go beyond it.
                if self.granted == 0 {
                    return Err(SyncError::Turn { kind });
                }
                self.taken = self.taken.saturating_add(receiving.take(&entries)?);
                if self.taken > self.options.most_bytes {
                    return Err(SyncError::TooMuch { limit: self.options.most_bytes });
                }
                if !self.resuming.replays {
                    self.use_credit(bytes)?;
                }
            }
            Message::Anew => self.take_anew()?,
            Message::End { entries } => {
                self.receiving.as_mut().ok_or(SyncError::Turn { kind })?.check(entries)?;
                let receiving = self.receiving.take().ok_or(out_of_turn)?;
                self.summary.crossings += 1;
                if let Some(walk) = &mut self.walk {
                    self.sending.push_back(Job::Cells(walk.compare_again(receiving.noted())));
                    self.receiving = Some(receiving);
                } else {
                    self.arrived = Some(receiving);
                }
            }
            Message::Piece { kind, more, bytes } => {
                let walk = self.walk.as_mut().ok_or(out_of_turn)?;
                self.listed = self.listed.saturating_add(bytes.len() as u64);
                if self.listed > MAX_LISTED_BYTES {
                    return Err(SyncError::LongLists { limit: MAX_LISTED_BYTES });
                }
                let found = walk.receive_piece(*self.ours.source(), (kind, more, &bytes))?;
                self.go_on(found)?;
            }
            Message::Done { root, gained, refused } => {
                // The peer may hold all that is still to be made anew here.
                while self.resuming.is_behind() && !self.sending.is_empty() && self.work()? {}
                if self.their_done.is_some() || !self.sending.is_empty() {
                    return Err(out_of_turn);
                }
                self.summary.given = self.summary.given.saturating_add(gained);
                self.summary.their_root = Some(root);
                self.their_done = Some((root, refused));
                self.close_round()?;
            }
            Message::Hello(_) | Message::Read(_) | Message::Alive => return Err(out_of_turn),
        }
        Ok(())
    }

    /// Notes that bytes of entries came, and gives credit anew.
    fn use_credit(&mut self, bytes: u64) -> Result<(), SyncError> {
        self.granted = self.granted.saturating_sub(bytes);
        if self.granted < CREDIT_BYTES / 2 {
            self.out.push(message::CREDIT, &message::number(CREDIT_BYTES - self.granted), false)?;
            self.granted = CREDIT_BYTES;
        }
        Ok(())
    }

    /// Tells whether a reader wants to know who stands for the root.
    fn is_to_sign(&self, wanted: &Wanted) -> bool {
        let reads_signed =
            |hello: &Hello| hello.tag.first().is_some_and(|bits| bits & message::READS_SIGNED != 0);
        wanted.root.is_none() && self.theirs.as_ref().is_some_and(reads_signed)
    }

    /// Hears what the peer holds, and begins to send.
    fn meet(&mut self, hello: Hello) -> Result<(), SyncError> {
        self.summary.crossings += 1;
        if hello.reader {
            self.theirs = Some(hello);
            return Ok(());
        }
        self.summary.their_root = Some(hello.root);
        if hello.root == self.ours.root().cid() {
            self.summary.way = Some(Way::Equal);
            let root = hello.root;
            self.theirs = Some(hello);
            return self.end(root, root);
        }
        if hello.tag != tag(self.ours.root()) {
            return Err(SyncError::OtherDataset);
        }
        if let Some(again) = self.is_to_resume(&hello) {
            self.theirs = Some(hello);
            return self.resume(&again);
        }
        let base = self.bases.shared_with(self.db, &hello)?;
        let theirs = hello.root;
        self.theirs = Some(hello);
        match base {
            Some(base) => self.send_since(&base),
            None => self.begin_walk(theirs),
        }
    }

    /// Begins to send what came after a root.
    fn send_since(&mut self, base: &Root) -> Result<(), SyncError> {
        let ours = short(&self.ours.root().cid());
        let stream = self.theirs.iter().flat_map(|hello| &hello.parts).find_map(|part| match part.had {
            Had::Cursor(cursor) if part.root == ours => Some((part.base, cursor)),
            _ => None,
        });
        let resumed = match stream {
            Some((base, cursor)) => match self.bases.by_short(base) {
                Some(base) => self.bases.get(self.db, &base)?.map(|base| (base, cursor)),
                None => None,
            },
            None => None,
        };
        let (base, after) = match &resumed {
            Some((base, cursor)) => (base, Some(*cursor)),
            None => (base, None),
        };
        self.out.push(message::DELTA, &message::delta(&base.cid(), after.as_ref()), false)?;
        self.sending.push_back(Job::Stream(Box::new(Sending::since(base, self.ours.root(), after)?)));
        Ok(())
    }

    fn take_delta(&mut self, base: Cid, after: Option<Cursor>) -> Result<(), SyncError> {
        let theirs = self.theirs.as_ref().map_or(base, |hello| hello.root);
        let in_turn = self.receiving.is_none() && self.arrived.is_none() && self.our_done.is_none();
        if !in_turn || self.round > 0 || self.resuming.is_on {
            return Err(SyncError::Turn { kind: message::DELTA });
        }
        let root = self.bases.get(self.db, &base)?.ok_or(SyncError::Base { base })?;
        // Cells were sent for nothing: the peer knows a root that is known here, though it was not announced.
        if self.walk.take().is_some() {
            self.resuming.forget(self.options.inbox.as_deref());
            self.send_since(&root)?;
        }
        let part = match (&self.options.inbox, after) {
            (None, None) => None,
            (Some(inbox), None) => Some(inbox.begin(theirs, base)?),
            (Some(inbox), Some(cursor)) => {
                // It was announced by the start of its root, which may be the start of two.
                if !self.announced.iter().any(|part| part.had == Had::Cursor(cursor)) {
                    return Err(SyncError::Turn { kind: message::DELTA });
                }
                let part = inbox.take(&theirs, &base, &cursor);
                self.resumed = if part.is_some() { Resumed::Yes } else { Resumed::InVain };
                part
            }
            (None, Some(_)) => return Err(SyncError::Turn { kind: message::DELTA }),
        };
        self.summary.way = Some(Way::Delta);
        self.summary.base = Some(base);
        self.receiving = Some(Receiving::since(self.db, root, part)?);
        Ok(())
    }

    fn begin_walk(&mut self, theirs: Cid) -> Result<(), SyncError> {
        let (walk, first) = Walk::begin(*self.ours.source(), self.ours.root(), &theirs, self.round)?;
        self.walk = Some(walk);
        if self.round == 0 && !self.resuming.is_on {
            self.resuming.keep(self.options.inbox.as_deref(), theirs, self.ours.root().cid())?;
        }
        self.send_cells(&first)
    }

    /// Says what belongs to a walk, if the peer does not hold it from an earlier one.
    fn say(&mut self, kind: u8, body: &[u8]) -> Result<(), SyncError> {
        if self.resuming.has(kind, body)? { Ok(()) } else { self.out.push(kind, body, true) }
    }

    fn send_cells(&mut self, cells: &super::walk::Outgoing) -> Result<(), SyncError> {
        let super::walk::Outgoing { phase, members, start, cells } = cells;
        let mut start = *start;
        for cells in cells.chunks(FRAME_BYTES / super::sketch::CELL_BYTES) {
            self.say(message::CELLS, &message::cells(*phase, *members, start, cells))?;
            start += cells.len();
        }
        Ok(())
    }

    fn take_cells(
        &mut self,
        place: (Phase, u64, u64),
        cells: &[super::sketch::Cell],
    ) -> Result<(), SyncError> {
        let Some(walk) = &mut self.walk else {
            // The peer knew of no root that both have; this side has told it one.
            let told = self.round == 0 && place.0 == Phase::Leaves && self.summary.way != Some(Way::Walk);
            let told = told && !std::mem::replace(&mut self.passed_over, true);
            return if told { Ok(()) } else { Err(SyncError::Turn { kind: message::CELLS }) };
        };
        let found = walk.receive(*self.ours.source(), place, cells)?;
        self.go_on(found)
    }

    /// Does what a comparison has come to.
    fn go_on(&mut self, found: Found) -> Result<(), SyncError> {
        let mut send = |pieces: Pieces| pieces.iter().try_for_each(|(kind, body)| self.say(*kind, body));
        match found {
            Found::Nothing => return Ok(()),
            // Behind those that may wait there.
            Found::Send(cells) => self.sending.push_back(Job::Cells(cells)),
            Found::Pieces(pieces) if pieces.is_empty() => return Ok(()),
            Found::Pieces(pieces) => send(pieces)?,
            Found::Most(pieces, chosen) => {
                send(pieces)?;
                let Some(walk) = &self.walk else { return Ok(()) };
                self.sending.push_back(Job::Stream(Box::new(Sending::chosen(walk.root(), chosen))));
                self.receiving = Some(Receiving::noting(self.db, walk.salt)?);
            }
            Found::Difference(chosen, lacking) => {
                let Some(walk) = self.walk.take() else { return Ok(()) };
                self.summary.way = Some(Way::Walk);
                self.sending.push_back(Job::Stream(Box::new(Sending::chosen(walk.root(), chosen))));
                let mut receiving = match self.receiving.take() {
                    Some(receiving) => receiving,
                    None => Receiving::noting(self.db, walk.salt)?,
                };
                receiving.expect(&lacking);
                self.receiving = Some(receiving);
            }
        }
        self.summary.crossings += 1;
        Ok(())
    }

    /// Does one piece of work; tells whether there was any.
    fn work(&mut self) -> Result<bool, SyncError> {
        if self.answer.is_none()
            && let Some((now, signed, wanted)) = self.questions.pop_front()
        {
            self.answer = Some(Answer::begin(self.db.store(), now, wanted)?);
            self.signed = signed;
        }
        if let Some(answer) = &mut self.answer {
            let (kind, body) = answer.message()?;
            if kind == message::READ_END {
                self.answer = None;
                if let Some(signed) = self.signed.take() {
                    self.out.push(message::SIGNED, &signed.encode(), false)?;
                }
            }
            self.out.push(kind, &body, true)?;
            return Ok(true);
        }
        if let Some(Job::Cells(cells)) = self.sending.pop_front_if(|job| matches!(job, Job::Cells(_))) {
            self.send_cells(&cells)?;
            return Ok(true);
        }
        if self.credit > 0
            && let Some(Job::Stream(sending)) = self.sending.front_mut()
        {
            let before = sending.sent;
            match sending.message(*self.ours.source())? {
                Some(entries) if self.resuming.has(message::ENTRIES, entries)? => {
                    self.resuming.sent += sending.sent - before;
                }
                Some(entries) => {
                    self.credit = self.credit.saturating_sub(entries.len() as u64);
                    self.out.push_entries(entries)?;
                }
                None => {
                    let sent = sending.sent;
                    self.summary.sent += sent;
                    self.sending.pop_front();
                    self.say(message::END, &message::number(sent))?;
                }
            }
            return Ok(true);
        }
        let Some(receiving) = &self.arrived else { return self.push() };
        let seconds = receiving.total / ENTRIES_PER_SECOND;
        if seconds > 0 && self.our_done.is_none() && self.patience == MAX_SILENCE {
            // The next call does the work, when this is on its way.
            self.out.push(message::WAIT, &message::number(seconds), false)?;
            self.patience += Duration::from_secs(seconds);
            return Ok(true);
        }
        if let Some(receiving) = self.arrived.take() {
            self.unite(receiving)?;
        }
        Ok(true)
    }

    /// Adds what came to the database.
    fn unite(&mut self, receiving: Receiving) -> Result<(), SyncError> {
        let own = self.db.snapshot().root().clone();
        let coming = self.following.as_ref().and_then(Following::coming);
        let theirs = match (coming, &self.theirs, self.round) {
            (Some(coming), ..) => coming,
            (None, Some(hello), 0) => self.resuming.theirs.unwrap_or(hello.root),
            _ => self.summary.their_root.unwrap_or_else(|| self.ours.root().cid()),
        };
        self.summary.received += receiving.total;
        let (base, heap) = receiving.finish(self.db)?;
        let policy = Arc::clone(&self.options.policy);
        let resumed = std::mem::replace(&mut self.resumed, Resumed::No);
        if resumed == Resumed::InVain {
            return self.begin_anew();
        }
        match self.db.unite(base.as_ref(), theirs, heap, &*policy)? {
            // Nobody knows which of the two has lied.
            Received::Astray(_) | Received::Orphan { .. } if resumed == Resumed::Yes => self.begin_anew(),
            Received::United { gained, forked, refused, root } => {
                self.summary.gained += gained;
                self.summary.forked.extend(forked);
                self.summary.root = root;
                self.out.push(message::DONE, &message::done(&root, gained, refused.len() as u64), false)?;
                if let Some(following) = &mut self.following {
                    let theirs = Snapshot::open(self.db.store(), theirs)?.root().clone();
                    let after = Snapshot::open(self.db.store(), root)?.root().clone();
                    // Somebody may have edited after `own` was looked at.
                    let alone = own.counts.entries.checked_add(gained) == Some(after.counts.entries);
                    following.take_in(theirs, alone.then(|| own.cid()), after);
                    self.summary.refused.extend(refused);
                    return Ok(());
                }
                self.summary.refused = refused;
                self.our_done = Some(root);
                self.close_round()
            }
            Received::Astray(found) => Err(SyncError::Root { announced: theirs, found }),
            Received::Orphan { element, version, parent } => {
                Err(SyncError::Parent { element, version, parent })
            }
        }
    }

    /// Forgets what came of a stream that does not fit to its beginning: the next round finds the difference.
    fn begin_anew(&mut self) -> Result<(), SyncError> {
        let root = self.db.root();
        self.summary.root = root;
        self.out.push(message::DONE, &message::done(&root, 0, 0), false)?;
        self.our_done = Some(root);
        self.close_round()
    }

    /// When all is exchanged: stays, if one side wants to.
    fn end(&mut self, ours: Cid, theirs: Cid) -> Result<(), SyncError> {
        if let (Some(inbox), Some(hello)) = (&self.options.inbox, &self.theirs)
            && ours == theirs
        {
            let had = |root: &Cid| *root == hello.root || hello.earlier.contains(&short(root));
            inbox.forget(|root| *root == theirs || had(root));
        }
        if !self.options.follow && !self.theirs.as_ref().is_some_and(|hello| hello.follows) {
            self.finished = true;
            return Ok(());
        }
        if ours != theirs {
            // One side refuses what the other has: they have no root from which both could count.
            return Err(SyncError::NoAgreement { rounds: self.round + 1, ours, theirs });
        }
        (self.our_done, self.their_done, self.walk) = (None, None, None);
        let root = Snapshot::open(self.db.store(), ours)?;
        self.following = Some(Following::new(root.root()));
        self.summary.follows = true;
        Ok(())
    }

    /// Sends what is new here, if the last push has arrived.
    fn push(&mut self) -> Result<bool, SyncError> {
        let now = self.db.snapshot();
        let Some(following) = &mut self.following else { return Ok(false) };
        let Some(base) = following.base(now.root().cid()) else { return Ok(false) };
        self.out.push(message::PUSH, &message::push(&now.root().cid(), &base.cid()), false)?;
        self.sending.push_back(Job::Stream(Box::new(Sending::since(base, now.root(), None)?)));
        following.send(now.root().clone());
        Ok(true)
    }

    fn take_push(&mut self, root: Cid, base: Cid) -> Result<(), SyncError> {
        let out_of_turn = SyncError::Turn { kind: message::PUSH };
        let Some(following) = self.following.as_mut().filter(|_| self.receiving.is_none()) else {
            return Err(out_of_turn);
        };
        if following.coming().is_some() {
            return Err(out_of_turn);
        }
        let base = following.begin(root, base).ok_or(SyncError::Base { base })?;
        // Each push may be as long, and ask for as much patience, as a session.
        (self.taken, self.waits) = (0, 0);
        self.receiving = Some(Receiving::since(self.db, base, None)?);
        Ok(())
    }

    /// When both sides have taken in what came: compares the roots.
    fn close_round(&mut self) -> Result<(), SyncError> {
        let (Some(ours), Some((theirs, their_refused))) = (self.our_done, self.their_done) else {
            return Ok(());
        };
        self.resuming.close(self.options.inbox.as_deref());
        if ours == theirs || their_refused > 0 || !self.summary.refused.is_empty() {
            return self.end(ours, theirs);
        }
        self.round += 1;
        if self.round >= MAX_ROUNDS {
            return Err(SyncError::NoAgreement { rounds: self.round, ours, theirs });
        }
        (self.our_done, self.their_done) = (None, None);
        self.ours = Snapshot::open(self.db.store(), ours)?;
        self.begin_walk(theirs)
    }
}

impl<S> Drop for Session<'_, S> {
    /// Keeps what came of a stream that was cut.
    fn drop(&mut self) {
        let receiving = self.receiving.take().or_else(|| self.arrived.take());
        if let (Some(receiving), Some(inbox)) = (receiving, &self.options.inbox) {
            receiving.keep(inbox);
        }
    }
}

/// Returns the start of the hash of what two datasets must have in common.
pub(crate) fn tag(root: &Root) -> [u8; 4] {
    let mut hasher = blake3::Hasher::new_derive_key("osmdb sync 1: the dataset");
    hasher.update(root.trees.heads.config.cid().as_bytes());
    hasher.update(root.name.as_bytes());
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
}
