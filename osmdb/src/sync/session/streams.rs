//! Streams of entries: those that follow a root that both have, and those that are pushed.

use prolly::{Cid, PageStore};

use super::super::error::SyncError;
use super::super::message::{self, Cursor, Had, short};
use super::super::receiving::Receiving;
use super::super::sending::Sending;
use super::super::summary::Way;
use super::{Job, Resumed, Session};
use crate::root::Root;

impl<S: PageStore + Sync> Session<'_, S> {
    /// Begins to send what came after a root.
    pub(super) fn send_since(&mut self, base: &Root) -> Result<(), SyncError> {
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

    pub(super) fn take_delta(&mut self, base: Cid, after: Option<Cursor>) -> Result<(), SyncError> {
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
                if !self.announced.iter().any(|held| held.had == Had::Cursor(cursor)) {
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

    /// Sends what is new here, if the last push has arrived.
    pub(super) fn push(&mut self) -> Result<bool, SyncError> {
        let now = self.db.snapshot();
        let Some(following) = &mut self.following else { return Ok(false) };
        let Some(base) = following.base(now.root().cid()) else { return Ok(false) };
        self.out.push(message::PUSH, &message::push(&now.root().cid(), &base.cid()), false)?;
        self.sending.push_back(Job::Stream(Box::new(Sending::since(base, now.root(), None)?)));
        following.send(now.root().clone());
        Ok(true)
    }

    pub(super) fn take_push(&mut self, root: Cid, base: Cid) -> Result<(), SyncError> {
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
}
