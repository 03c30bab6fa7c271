//! Where nodes are, for the lines of the ways: more of them than memory holds.

use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use super::Scratch;
use super::sorter::{ScratchFile, failed};
use crate::error::Error;
use crate::model::Coord;

/// The places of so many nodes are read at once from a file.
const BLOCK_NODES: usize = 4096;

/// The bytes of an id and a place in a file.
const NODE_BYTES: usize = 16;

/// The places of nodes, in order of their ids.
#[derive(Debug)]
pub(super) struct Places {
    scratch: Scratch,
    /// Those that are not in the file.
    nodes: Vec<(u64, Coord)>,
    file: Option<ScratchFile>,
    /// The first id of every block in the file.
    firsts: Vec<u64>,
}

impl Places {
    /// Begins; places take at most about so many bytes of memory, if there is a directory for files.
    pub(super) fn new(scratch: &Scratch) -> Self {
        Self { scratch: scratch.clone(), nodes: Vec::new(), file: None, firsts: Vec::new() }
    }

    /// Adds a node, whose id is greater than those before.
    pub(super) fn push(&mut self, id: u64, coord: Coord) -> Result<(), Error> {
        self.nodes.push((id, coord));
        let is_full = self.nodes.len() * NODE_BYTES >= self.scratch.places
            && self.nodes.len().is_multiple_of(BLOCK_NODES);
        if is_full { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), Error> {
        let Some(dir) = &self.scratch.dir else { return Ok(()) };
        let mut bytes = Vec::with_capacity(self.nodes.len() * NODE_BYTES);
        for (id, coord) in &self.nodes {
            bytes.extend_from_slice(&id.to_le_bytes());
            bytes.extend_from_slice(&coord.lat().to_le_bytes());
            bytes.extend_from_slice(&coord.lon().to_le_bytes());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(ScratchFile::create(dir)?),
        };
        file.file.write_all(&bytes).map_err(failed)?;
        self.firsts.extend(self.nodes.chunks(BLOCK_NODES).filter_map(|block| Some(block.first()?.0)));
        self.nodes.clear();
        Ok(())
    }

    /// Finds nodes: each is an id and the place in `found` that its coordinates go to. Costs a walk over
    /// the blocks that hold the ids.
    pub(super) fn find(
        &mut self,
        wanted: &mut [(u64, u32)],
        found: &mut [Option<Coord>],
    ) -> Result<(), Error> {
        wanted.sort_unstable();
        let mut found = |slot: u32, coord: Coord| {
            if let Some(found) = usize::try_from(slot).ok().and_then(|slot| found.get_mut(slot)) {
                *found = Some(coord);
            }
        };
        let mut left: &[(u64, u32)] = wanted;
        if self.file.is_some() {
            self.spill()?;
        }
        let Some(file) = &self.file else {
            look_up(&self.nodes, &mut left, &mut found);
            return Ok(());
        };
        let mut file = BufReader::with_capacity(BLOCK_NODES * NODE_BYTES, file.open()?);
        let mut bytes = Vec::new();
        let mut at = 0;
        while let Some((id, _)) = left.first() {
            let block = self.firsts.partition_point(|first| first <= id).saturating_sub(1);
            let begin = block as u64 * (BLOCK_NODES * NODE_BYTES) as u64;
            if at != begin {
                file.seek(SeekFrom::Start(begin)).map_err(failed)?;
            }
            bytes.clear();
            let read = file.by_ref().take((BLOCK_NODES * NODE_BYTES) as u64).read_to_end(&mut bytes);
            at = begin + read.map_err(failed)? as u64;
            let nodes: Vec<_> = bytes.chunks_exact(NODE_BYTES).filter_map(decode).collect();
            let before = left.len();
            let next = self.firsts.get(block + 1).copied().unwrap_or(u64::MAX);
            let here = left.partition_point(|(id, _)| *id < next);
            let (mut here, rest) = left.split_at_checked(here).unwrap_or((left, &[]));
            look_up(&nodes, &mut here, &mut found);
            left = rest;
            if left.len() == before {
                break;
            }
        }
        Ok(())
    }
}

/// Walks over nodes and ids side by side.
fn look_up(nodes: &[(u64, Coord)], wanted: &mut &[(u64, u32)], found: &mut impl FnMut(u32, Coord)) {
    let mut nodes = nodes;
    for (id, slot) in *wanted {
        // Most ids are close to the one before.
        let mut step = 8;
        while nodes.get(step).is_some_and(|(known, _)| known < id) {
            step *= 2;
        }
        let within = nodes.get(..=step).unwrap_or(nodes);
        nodes = nodes.get(within.partition_point(|(known, _)| known < id)..).unwrap_or_default();
        if let Some((_, coord)) = nodes.first().filter(|(known, _)| known == id) {
            found(*slot, *coord);
        }
    }
}

fn decode(bytes: &[u8]) -> Option<(u64, Coord)> {
    let (id, rest) = bytes.split_first_chunk()?;
    let (lat, rest) = rest.split_first_chunk()?;
    let lon = rest.first_chunk()?;
    let coord = Coord::new(i32::from_le_bytes(*lat).into(), i32::from_le_bytes(*lon).into()).ok()?;
    Some((u64::from_le_bytes(*id), coord))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn are_found_in_memory_and_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let coord = |id: u64| Coord::new(i64::try_from(id % 900_000_000).unwrap(), -7).unwrap();
        for (count, most) in [(0, 1), (1, 1), (20_000, usize::MAX), (20_000, 1), (4_096, 1), (8_192, 100_000)]
        {
            let scratch = Scratch { places: most, ..Scratch::new(Some(dir.path().to_owned())) };
            let mut places = Places::new(&scratch);
            let ids: Vec<u64> = (0..count).map(|n: u64| 1 + n * 3 + (n / 5_000) * 100_000).collect();
            for id in &ids {
                places.push(*id, coord(*id)).unwrap();
            }
            let known: BTreeMap<u64, Coord> = ids.iter().map(|id| (*id, coord(*id))).collect();
            for round in 0..3_u64 {
                let wanted: Vec<u64> =
                    (0..5_000).map(|n: u64| n.wrapping_mul(7_919 + round) % 400_000).collect();
                let mut slots: Vec<(u64, u32)> = wanted.iter().copied().zip(0..).collect();
                let mut found = vec![None; wanted.len()];
                places.find(&mut slots, &mut found).unwrap();
                for (id, found) in wanted.iter().zip(found) {
                    assert_eq!(found, known.get(id).copied(), "{id} of {count}");
                }
            }
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
