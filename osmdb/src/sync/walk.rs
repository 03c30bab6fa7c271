//! Finding the difference to a peer with whom no root is shared.
//!
//! Both sides do the same, in step: cells of their leaves, more of them if they do not come apart, then
//! cells of the entries in those leaves that differ. What both know decides how many come next, so nobody
//! has to say it.

use prolly::PageSource;

use super::error::SyncError;
use super::holdings::{Entries, Leaves, Salt};
use super::limits::MAX_CELLS;
use super::message::Phase;
use super::sketch::{Apart, Cell, Sketch, take_apart};
use crate::error::Error;
use crate::root::Root;

/// So many cells of leaves are sent first: enough for about 270 leaves.
const FIRST_CELLS: usize = 384;

/// When cells do not come apart, so many times as many are sent.
const GROWTH: usize = 4;

/// The comparison.
pub(crate) struct Walk {
    pub(crate) salt: Salt,
    root: Root,
    phase: Phase,
    leaves: Leaves,
    entries: Option<Entries>,
    sketch: Sketch,
    ours: Vec<Cell>,
    theirs: Vec<Cell>,
}

/// What the comparison comes to.
pub(crate) enum Found {
    /// More must come first.
    Nothing,
    /// Cells that are to be sent.
    Send(Outgoing),
    /// The difference: the entries that the peer lacks, and the ids of those that are lacking here.
    Difference(Apart),
}

/// Cells that are to be sent.
pub(crate) struct Outgoing {
    pub(crate) phase: Phase,
    pub(crate) members: usize,
    pub(crate) start: usize,
    pub(crate) cells: Vec<Cell>,
}

impl Walk {
    /// Begins; returns the cells to send first.
    pub(crate) fn begin<S: PageSource>(
        source: &S,
        root: &Root,
        salt: Salt,
    ) -> Result<(Self, Outgoing), Error> {
        let leaves = Leaves::read(source, root, salt)?;
        let sketch = Sketch::new(leaves.ids());
        let (ours, theirs, phase) = (Vec::new(), Vec::new(), Phase::Leaves);
        let mut walk = Self { salt, root: root.clone(), phase, leaves, entries: None, sketch, ours, theirs };
        let first = walk.more(FIRST_CELLS);
        Ok((walk, first))
    }

    fn more(&mut self, end: usize) -> Outgoing {
        let start = self.ours.len();
        let cells = self.sketch.extend_to(end);
        self.ours.extend(&cells);
        Outgoing { phase: self.phase, members: self.sketch.len(), start, cells }
    }

    /// Takes in cells of the peer.
    pub(crate) fn receive<S: PageSource>(
        &mut self,
        source: &S,
        phase: Phase,
        start: u64,
        cells: &[Cell],
    ) -> Result<Found, SyncError> {
        let in_turn = phase == self.phase && u64::try_from(self.theirs.len()) == Ok(start);
        if !in_turn || cells.len() > self.ours.len() - self.theirs.len() {
            return Err(SyncError::Turn { kind: super::message::CELLS });
        }
        self.theirs.extend(cells);
        if self.theirs.len() < self.ours.len() {
            return Ok(Found::Nothing);
        }
        let Some(apart) = take_apart(&self.ours, &self.theirs) else {
            let cells = self.ours.len();
            if cells.saturating_mul(GROWTH) > MAX_CELLS {
                return Err(SyncError::Sketch { cells });
            }
            return Ok(Found::Send(self.more(cells * GROWTH)));
        };
        if self.phase == Phase::Entries {
            return Ok(Found::Difference(apart));
        }
        let entries = self.leaves.entries(source, &apart.ours)?;
        self.sketch = Sketch::new(entries.ids());
        self.entries = Some(entries);
        self.phase = Phase::Entries;
        (self.ours, self.theirs) = (Vec::new(), Vec::new());
        // An edit makes a leaf or two differ, on both sides.
        let leaves = apart.ours.len() + apart.theirs.len();
        Ok(Found::Send(self.more(leaves * 3 / 4 + 32)))
    }

    pub(crate) const fn root(&self) -> &Root {
        &self.root
    }

    pub(crate) const fn entries(&self) -> Option<&Entries> {
        self.entries.as_ref()
    }
}
