//! A walk, where no common root is known: what both compare, and what they then send.

use prolly::{Cid, PageStore};

use super::super::bulk::Pieces;
use super::super::error::SyncError;
use super::super::limits::FRAME_BYTES;
use super::super::message::{self, Phase};
use super::super::receiving::Receiving;
use super::super::sending::Sending;
use super::super::sketch::{CELL_BYTES, Cell};
use super::super::summary::Way;
use super::super::walk::{Found, Outgoing, Walk};
use super::{Job, Session};

impl<S: PageStore + Sync> Session<'_, S> {
    pub(super) fn begin_walk(&mut self, theirs: Cid) -> Result<(), SyncError> {
        let (walk, first) = Walk::begin(*self.ours.source(), self.ours.root(), &theirs, self.round)?;
        self.walk = Some(walk);
        if self.round == 0 && !self.resuming.is_on {
            self.resuming.keep(self.options.inbox.as_deref(), theirs, self.ours.root().cid())?;
        }
        self.send_cells(&first)
    }

    /// Says what belongs to a walk, if the peer does not hold it from an earlier one.
    pub(super) fn say(&mut self, kind: u8, body: &[u8]) -> Result<(), SyncError> {
        if self.resuming.has(kind, body)? { Ok(()) } else { self.out.push(kind, body, true) }
    }

    pub(super) fn send_cells(&mut self, cells: &Outgoing) -> Result<(), SyncError> {
        let Outgoing { phase, members, start, cells } = cells;
        let mut start = *start;
        for cells in cells.chunks(FRAME_BYTES / CELL_BYTES) {
            self.say(message::CELLS, &message::cells(*phase, *members, start, cells))?;
            start += cells.len();
        }
        Ok(())
    }

    pub(super) fn take_cells(&mut self, place: (Phase, u64, u64), cells: &[Cell]) -> Result<(), SyncError> {
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
    pub(super) fn go_on(&mut self, found: Found) -> Result<(), SyncError> {
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
}
