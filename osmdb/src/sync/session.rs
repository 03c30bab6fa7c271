//! One exchange with a peer, as a machine: bytes in, bytes out.

mod resuming;
mod rounds;
mod streams;
mod walking;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use prolly::{Cid, PageStore};

use self::resuming::{Resuming, misfits};
use super::bases::Bases;
use super::clock::Clock;
use super::error::SyncError;
use super::following::Following;
use super::inbox::Held;
use super::limits::{
    CREDIT_BYTES, MAX_LISTED_BYTES, MAX_QUESTIONS, MAX_READER_SILENCE, MAX_SILENCE, MAX_WAITS,
};
use super::message::{self, Done, Hello, Message};
use super::options::Options;
use super::reading::{Answer, Wanted};
use super::receiving::Receiving;
use super::sending::Sending;
use super::summary::{Summary, Way};
use super::walk::Walk;
use super::wire::{Incoming, Outgoing};
use crate::db::{Db, Snapshot};
use crate::root::Root;
use crate::signed_root::SignedRoot;

/// A peer takes in about so many entries a second, on a slow machine.
const ENTRIES_PER_SECOND: u64 = 5_000;

/// A peer takes in, or makes anew, about so many messages of a walk that was cut a second, on a slow machine.
const REPLAYED_PER_SECOND: u64 = 10;

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
    announced: Vec<Held>,
    /// What of a walk is kept in case of a cut, and what of an earlier one.
    resuming: Resuming,
    /// What is coming goes on with what somebody else may have sent.
    resumed: Resumed,
    /// What came of this round here, and there.
    our_done: Option<Done>,
    their_done: Option<Done>,
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
        let announced = Self::announce(db, options.inbox.as_deref())?;
        let hello = Hello {
            reader: false,
            follows: options.follow,
            tag: tag(ours.root()),
            root,
            parts: announced.iter().map(Held::part).collect(),
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
            edited: false,
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
            announced,
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
            Message::Done(Done { root, gained, .. }) if self.following.is_some() => {
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
            Message::Done(done) => {
                // The peer may hold all that is still to be made anew here.
                while self.resuming.is_behind() && !self.sending.is_empty() && self.work()? {}
                if self.their_done.is_some() || !self.sending.is_empty() {
                    return Err(out_of_turn);
                }
                self.summary.given = self.summary.given.saturating_add(done.gained);
                self.summary.their_root = Some(done.root);
                self.their_done = Some(done);
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
                self.out.push(kind, &body, false)?;
            } else {
                self.out.push_columns(kind, &body)?;
            }
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
                    self.out.push_columns(message::ENTRIES, entries)?;
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
