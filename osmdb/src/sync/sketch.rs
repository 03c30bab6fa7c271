//! Finding what two sets differ in, at the price of the difference.
//!
//! Both sides make *cells* from their sets: sums of the ids that fall into them. Taken from one another,
//! cells of equal index leave the sums of what only one side has; a cell that is left with one id names it,
//! and taking it out of its other cells may leave one id there too. Cells come in any number: with about
//! 1.4 for each id in which the sets differ, all come apart.
//!
//! After L. Yang, Y. Gilad, M. Alizadeh: *Practical Rateless Set Reconciliation* (SIGCOMM 2024), section 4,
//! in integers only.

use std::collections::BTreeMap;

/// A set's element as cells see it: short and salted, so that nobody can choose ids that meet.
pub(crate) type Id = u64;

/// The bytes of one cell on the wire.
pub(crate) const CELL_BYTES: usize = 13;

/// The sum of the ids that fall into one cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// How many ids: those of one side less those of the other.
    count: i32,
    ids: u64,
    checks: u32,
}

impl Cell {
    fn add(&mut self, id: Id, times: i32) {
        self.count = self.count.wrapping_add(times);
        self.ids ^= id;
        self.checks ^= check(id);
    }

    const fn less(self, other: Self) -> Self {
        Self {
            count: self.count.wrapping_sub(other.count),
            ids: self.ids ^ other.ids,
            checks: self.checks ^ other.checks,
        }
    }

    const fn is_empty(self) -> bool {
        self.count == 0 && self.ids == 0 && self.checks == 0
    }

    /// Tells whether one id alone is left.
    const fn is_pure(self) -> bool {
        (self.count == 1 || self.count == -1) && check(self.ids) == self.checks
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        // How many ids fall into a cell is known but for a little, so the low bits say it.
        let [a, ..] = self.count.to_le_bytes();
        out.push(a);
        out.extend(self.ids.to_le_bytes());
        out.extend(self.checks.to_le_bytes());
    }

    pub(crate) fn read(bytes: &[u8; CELL_BYTES]) -> Self {
        let [count, ids @ .., a, b, c, d] = *bytes;
        let ids: [u8; 8] = ids;
        Self {
            count: i32::from(count),
            ids: u64::from_le_bytes(ids),
            checks: u32::from_le_bytes([a, b, c, d]),
        }
    }
}

/// Mixes the bits of a number (the finalizer of SplitMix64: G. Steele, D. Lea, C. Flood, *Fast splittable
/// pseudorandom number generators*, 2014).
const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// What a cell of one id has as its check sum.
const fn check(id: Id) -> u32 {
    (mix(id ^ 0x6f73_6d64_625f_6370) >> 32) as u32
}

/// The indexes of the cells into which an id falls: 0, and ever sparser ones behind it.
#[derive(Debug, Clone)]
struct Places {
    id: Id,
    next: u64,
    random: u64,
}

impl Places {
    const fn new(id: Id) -> Self {
        Self { id, next: 0, random: id }
    }

    /// Goes on to the next index. The chance that an id falls into cell `i` is `1 / (1 + i / 2)`: with `r`
    /// drawn from (0, 1], the step from `i` is `(i + 3/2) × (1 / √r - 1)`, rounded up.
    fn advance(&mut self) {
        self.random = mix(self.random);
        let r = (self.random >> 32) | 1;
        // √r is this root over 2³².
        let root = (r << 32).isqrt();
        let (above, below) = ((1 << 32) - root, 2 * root);
        let step = u128::from(2 * self.next + 3) * u128::from(above);
        let step = step.div_ceil(u128::from(below.max(1))).max(1);
        self.next = self.next.saturating_add(u64::try_from(step).unwrap_or(u64::MAX >> 8)).min(u64::MAX >> 8);
    }
}

/// Makes the cells of a set, ever more of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sketch {
    places: Vec<Places>,
    made: usize,
}

impl Sketch {
    pub(crate) fn new(ids: impl IntoIterator<Item = Id>) -> Self {
        Self { places: ids.into_iter().map(Places::new).collect(), made: 0 }
    }

    /// How many ids the set has.
    pub(crate) const fn len(&self) -> usize {
        self.places.len()
    }

    /// Makes the next cells, up to so many in all.
    pub(crate) fn extend_to(&mut self, end: usize) -> Vec<Cell> {
        let mut cells = vec![Cell::default(); end.saturating_sub(self.made)];
        for places in &mut self.places {
            while let Ok(index) = usize::try_from(places.next)
                && index < end
            {
                if let Some(cell) = index.checked_sub(self.made).and_then(|index| cells.get_mut(index)) {
                    cell.add(places.id, 1);
                }
                places.advance();
            }
        }
        self.made = self.made.max(end);
        cells
    }
}

/// In which ids two sets differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Apart {
    /// The first set alone has these.
    pub(crate) ours: Vec<Id>,
    /// The second set alone has these.
    pub(crate) theirs: Vec<Id>,
}

/// Takes the cells of two sets apart; `None` if there are too few of them. Both have the same number.
///
/// A cell's count comes with its low 8 bits alone: it matters only whether it is 1, 0 or -1 in the end, and
/// the check sum tells 1 from 257.
pub(crate) fn take_apart(ours: &[Cell], theirs: &[Cell]) -> Option<Apart> {
    let narrow = |cell: Cell| {
        let [low, ..] = cell.count.to_le_bytes();
        Cell { count: i32::from(low.cast_signed()), ..cell }
    };
    let mut cells: Vec<Cell> =
        ours.iter().zip(theirs).map(|(ours, theirs)| narrow(ours.less(*theirs))).collect();
    let mut apart: BTreeMap<Id, bool> = BTreeMap::new();
    let mut pure: Vec<usize> =
        (0..cells.len()).filter(|index| cells.get(*index).is_some_and(|cell| cell.is_pure())).collect();
    while let Some(index) = pure.pop() {
        let Some(cell) = cells.get(index).copied().filter(|cell| cell.is_pure()) else { continue };
        let id = cell.ids;
        // An honest peer's id comes out once.
        if apart.insert(id, cell.count == 1).is_some() {
            return None;
        }
        let mut places = Places::new(id);
        while let Some(other) = usize::try_from(places.next).ok().and_then(|index| cells.get_mut(index)) {
            other.add(id, -cell.count);
            *other = narrow(*other);
            if other.is_pure() {
                pure.extend(usize::try_from(places.next));
            }
            places.advance();
        }
    }
    if !cells.iter().all(|cell| cell.is_empty()) {
        return None;
    }
    let side = |ours: bool| apart.iter().filter(move |(_, is)| **is == ours).map(|(id, _)| *id).collect();
    Some(Apart { ours: side(true), theirs: side(false) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Returns how many cells it took to tell two sets apart, and checks what came out.
    fn cells_needed(ours: &BTreeSet<Id>, theirs: &BTreeSet<Id>) -> usize {
        let (mut left, mut right) = (Sketch::new(ours.iter().copied()), Sketch::new(theirs.iter().copied()));
        let (mut left_cells, mut right_cells) = (Vec::new(), Vec::new());
        for count in 1.. {
            left_cells.extend(left.extend_to(count));
            let mut bytes = Vec::new();
            right.extend_to(count).into_iter().for_each(|cell| cell.write(&mut bytes));
            right_cells.extend(bytes.as_chunks().0.iter().map(Cell::read));
            if let Some(apart) = take_apart(&left_cells, &right_cells) {
                assert!(apart.ours.iter().copied().eq(ours.difference(theirs).copied()));
                assert!(apart.theirs.iter().copied().eq(theirs.difference(ours).copied()));
                return count;
            }
        }
        unreachable!()
    }

    proptest! {
        #[test]
        fn any_two_sets_come_apart(
            ours in prop::collection::btree_set(any::<u64>(), 0..60),
            theirs in prop::collection::btree_set(any::<u64>(), 0..60),
            both in prop::collection::btree_set(any::<u64>(), 0..600),
        ) {
            let ours = ours.union(&both).copied().collect();
            let theirs = theirs.union(&both).copied().collect();
            let most = 40 + 4 * BTreeSet::symmetric_difference(&ours, &theirs).count();
            prop_assert!(cells_needed(&ours, &theirs) <= most);
        }
    }

    #[test]
    fn cells_are_few() {
        let set = |from: u64, to: u64| (from..to).map(mix).collect::<BTreeSet<_>>();
        let needed = cells_needed(&set(0, 20_000), &set(200, 20_200));
        assert!((400..700).contains(&needed), "{needed} cells for 400 ids");
        assert_eq!(cells_needed(&set(0, 9), &set(0, 9)), 1, "equal sets need no more than one");
    }

    #[test]
    fn cells_of_a_liar_do_not_come_apart() {
        let mut cells = Sketch::new((0..50).map(mix)).extend_to(100);
        let ours = Sketch::new((25..75).map(mix)).extend_to(100);
        assert!(take_apart(&ours, &cells).is_some());
        cells[3].ids ^= 1;
        assert!(take_apart(&ours, &cells).is_none());
        // The same id over and over, one copy more in each cell.
        let same: Vec<Cell> = (0..100)
            .map(|_| {
                let mut cell = Cell::default();
                cell.add(7, 1);
                cell
            })
            .collect();
        assert!(take_apart(&[Cell::default(); 100], &same).is_none());
    }
}
