//! The end of a round: what came is added, and if the roots differ still, another one begins.

use std::sync::Arc;

use prolly::{Cid, PageStore};

use super::super::error::SyncError;
use super::super::following::Following;
use super::super::limits::MAX_ROUNDS;
use super::super::message::{self, Done, short};
use super::super::receiving::Receiving;
use super::{Resumed, Session};
use crate::db::{Received, Snapshot};

impl<S: PageStore + Sync> Session<'_, S> {
    /// Adds what came to the database.
    pub(super) fn unite(&mut self, receiving: Receiving) -> Result<(), SyncError> {
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
                let done = Done { root, gained, refused: refused.len() as u64 };
                self.out.push(message::DONE, &done.encode(), false)?;
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
                self.our_done = Some(done);
                self.close_round()
            }
            Received::Astray(found) => Err(SyncError::Root { announced: theirs, found }),
            Received::Orphan { element, version, parent } => {
                Err(SyncError::Parent { element, version, parent })
            }
        }
    }

    /// Forgets what came of a stream that does not fit to its beginning: the next round finds the difference.
    pub(super) fn begin_anew(&mut self) -> Result<(), SyncError> {
        let root = self.db.root();
        self.summary.root = root;
        let done = Done { root, gained: 0, refused: 0 };
        self.out.push(message::DONE, &done.encode(), false)?;
        self.our_done = Some(done);
        self.close_round()
    }

    /// When all is exchanged: stays, if one side wants to.
    pub(super) fn end(&mut self, ours: Cid, theirs: Cid) -> Result<(), SyncError> {
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
            // One side refuses what the other has, or edits never pause: they have no root from which both could count.
            return Err(SyncError::NoAgreement { rounds: self.round + 1, ours, theirs });
        }
        (self.our_done, self.their_done, self.walk) = (None, None, None);
        let root = Snapshot::open(self.db.store(), ours)?;
        self.following = Some(Following::new(root.root()));
        self.summary.follows = true;
        Ok(())
    }

    /// When both sides have taken in what came: compares the roots.
    pub(super) fn close_round(&mut self) -> Result<(), SyncError> {
        let (Some(ours), Some(theirs)) = (self.our_done, self.their_done) else {
            return Ok(());
        };
        self.resuming.close(self.options.inbox.as_deref());
        if ours.root == theirs.root || ours.refused > 0 || theirs.refused > 0 {
            return self.end(ours.root, theirs.root);
        }
        if self.round + 1 == MAX_ROUNDS {
            // If anything moved, what either side had when this round began is on both, and edits went on.
            self.summary.edited = ours.gained > 0 || theirs.gained > 0;
            return if self.summary.edited {
                self.end(ours.root, theirs.root)
            } else {
                Err(SyncError::NoAgreement { rounds: MAX_ROUNDS, ours: ours.root, theirs: theirs.root })
            };
        }
        self.round += 1;
        (self.our_done, self.their_done) = (None, None);
        self.ours = Snapshot::open(self.db.store(), ours.root)?;
        self.begin_walk(theirs.root)
    }
}
