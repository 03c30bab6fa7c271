//! Finding the difference to a peer with whom no root is shared.
//!
//! Both sides do the same, in step: cells of their leaves, more of them if they do not come apart, then
//! cells of the entries in those leaves that differ. What both know decides how many come next, so nobody
//! has to say it. Where the cells would cost more than naming the leaves, they exchange lists (see `bulk`), and
//! cells again for what lists have missed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prolly::{Cid, PageSource};

use super::bulk::{Bulk, Matched, Pieces};
use super::error::SyncError;
use super::holdings::{Entries, Leaves, Salt};
use super::limits::MAX_CELLS;
use super::message::Phase;
use super::sketch::{Cell, Id, Sketch, take_apart};
use crate::entry::Version;
use crate::error::Error;
use crate::model::ElementId;
use crate::root::Root;

/// So many cells of leaves are sent first: enough for about 270 leaves.
const FIRST_CELLS: usize = 384;

/// When cells do not come apart, so many times as many are sent.
const GROWTH: usize = 4;

/// What a leaf costs in a list, and a cell in both directions, in bytes.
const LISTED_BYTES: u64 = 4;
const CELLS_BYTES: u64 = 2 * super::sketch::CELL_BYTES as u64;

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
    bulk: Option<Bulk>,
    /// How many cells come first when lists were exchanged.
    cells: usize,
    /// Whether this side is the lister if both have as many leaves.
    first: bool,
}

/// What the comparison comes to.
pub(crate) enum Found {
    /// More must come first.
    Nothing,
    /// Cells that are to be sent.
    Send(Outgoing),
    /// Lists that are to be sent.
    Pieces(Pieces),
    /// The difference: the entries that the peer lacks, and the ids of those that are lacking here.
    Difference(Chosen, Vec<Id>),
    /// Most of the difference, and lists to be sent before it: the entries that the peer lacks.
    Most(Pieces, Chosen),
}

/// Entries, by element.
pub(crate) type Chosen = BTreeMap<ElementId, BTreeSet<Version>>;

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
        theirs: &Cid,
        round: u32,
    ) -> Result<(Self, Outgoing), Error> {
        let ours = root.cid();
        let salt = Salt::new(&ours, theirs, round);
        let leaves = Leaves::read(source, root, salt)?;
        let mut walk = Self {
            salt,
            root: root.clone(),
            phase: Phase::Leaves,
            sketch: Sketch::new(leaves.ids()),
            leaves,
            entries: None,
            ours: Vec::new(),
            theirs: Vec::new(),
            bulk: None,
            cells: 0,
            first: ours < *theirs,
        };
        let first = walk.more(FIRST_CELLS);
        Ok((walk, first))
    }

    fn more(&mut self, end: usize) -> Outgoing {
        let start = self.ours.len();
        let cells = self.sketch.extend_to(end);
        self.ours.extend(&cells);
        Outgoing { phase: self.phase, members: self.sketch.len(), start, cells }
    }

    /// Takes in cells of the peer, who has so many members in its set.
    pub(crate) fn receive<S: PageSource>(
        &mut self,
        source: &S,
        (phase, members, start): (Phase, u64, u64),
        cells: &[Cell],
    ) -> Result<Found, SyncError> {
        let in_turn = phase == self.phase && u64::try_from(self.theirs.len()) == Ok(start);
        if !in_turn
            || self.bulk.is_some()
            || cells.is_empty()
            || cells.len() > self.ours.len() - self.theirs.len()
        {
            return Err(SyncError::Turn { kind: super::message::CELLS });
        }
        self.theirs.extend(cells);
        if self.theirs.len() < self.ours.len() {
            return Ok(Found::Nothing);
        }
        let Some(apart) = take_apart(&self.ours, &self.theirs) else { return self.too_few(members) };
        if self.phase == Phase::Entries {
            let chosen = self.entries.as_ref().map(|entries| entries.select(&apart.ours));
            return Ok(Found::Difference(chosen.unwrap_or_default(), apart.theirs));
        }
        let entries = self.leaves.entries(source, apart.ours.iter().copied())?;
        // An edit makes a leaf or two differ, on both sides.
        let leaves = apart.ours.len() + apart.theirs.len();
        let sketch = Sketch::new(entries.ids());
        Ok(Found::Send(self.compare_entries(entries, sketch, leaves * 3 / 4 + 32)))
    }

    fn compare_entries(&mut self, entries: Entries, sketch: Sketch, cells: usize) -> Outgoing {
        (self.entries, self.sketch, self.phase) = (Some(entries), sketch, Phase::Entries);
        (self.ours, self.theirs) = (Vec::new(), Vec::new());
        self.more(cells)
    }

    /// Goes on where cells did not come apart: with more of them, or with lists.
    fn too_few(&mut self, members: u64) -> Result<Found, SyncError> {
        let cells = self.ours.len();
        let more = (cells * (GROWTH - 1)) as u64 * CELLS_BYTES;
        let own = self.sketch.len() as u64;
        if self.phase == Phase::Leaves && own.min(members).saturating_mul(LISTED_BYTES) <= more {
            let is_lister = own < members || (own == members && self.first);
            let (bulk, pieces) =
                if is_lister { Bulk::ask(&self.leaves) } else { (Bulk::wait(), Pieces::new()) };
            self.bulk = Some(bulk);
            return Ok(Found::Pieces(pieces));
        }
        if cells.saturating_mul(GROWTH) > MAX_CELLS {
            return Err(SyncError::Sketch { cells });
        }
        Ok(Found::Send(self.more(cells * GROWTH)))
    }

    /// Takes in a piece of a list.
    pub(crate) fn receive_piece<S: PageSource>(
        &mut self,
        source: &S,
        piece: (u8, bool, &Bytes),
    ) -> Result<Found, SyncError> {
        let bulk = self.bulk.take().ok_or(SyncError::Turn { kind: piece.0 })?;
        let (bulk, pieces, matched) = bulk.receive(source, &self.leaves, piece)?;
        self.bulk = bulk;
        let Some(Matched { entries, lacking, cells }) = matched else { return Ok(Found::Pieces(pieces)) };
        self.entries = Some(entries);
        self.cells = cells;
        Ok(Found::Most(pieces, lacking))
    }

    /// When both sides have exchanged what the lists have shown: compares again, with what came.
    pub(crate) fn compare_again(&mut self, came: &[Id]) -> Outgoing {
        let entries = self.entries.take().unwrap_or_else(|| Entries::none(self.salt));
        let sketch = Sketch::new(entries.ids().chain(came.iter().copied()));
        self.compare_entries(entries, sketch, self.cells)
    }

    pub(crate) const fn root(&self) -> &Root {
        &self.root
    }
}
