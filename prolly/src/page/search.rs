//! Finding keys in a page.

use super::Page;

/// Guesses the place of a key as if keys lay evenly between the first and the last, as hashed keys
/// and close ids do. A wrong guess costs a few steps more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess {
    first: u64,
    /// Places per unit of a number, in 2⁻³² and after `shift`.
    scale: u64,
    shift: u32,
}

impl Guess {
    pub(super) fn new(behind: &[u64]) -> Self {
        let (Some(first), Some(last)) = (behind.first(), behind.last()) else {
            return Self { first: 0, scale: 0, shift: 0 };
        };
        let span = last - first;
        let shift = (u64::BITS - span.leading_zeros()).saturating_sub(32);
        let scale = ((behind.len() as u64 - 1) << 32) / ((span >> shift) + 1);
        Self { first: *first, scale, shift }
    }

    #[inline]
    fn place(&self, number: u64) -> usize {
        let way = u128::from(number.saturating_sub(self.first) >> self.shift);
        usize::try_from((way * u128::from(self.scale)) >> 32).unwrap_or(usize::MAX)
    }
}

impl Page {
    /// Finds a key: its place, or the place where it would stand.
    #[inline]
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(last) = self.len().checked_sub(1) else { return Err(0) };
        let common = usize::from(self.0.common);
        if !self.begins_alike(key) {
            return Err(if key < &self.key(last)[..common] { 0 } else { self.len() });
        }
        let wanted = number(&key[common..]);
        let behind = &self.0.behind;
        // From the guess on in steps that double: everything below `low` is less, from `high` on not.
        let mut place = self.0.guess.place(wanted).min(last);
        let (mut low, mut high, mut step) = (0, behind.len(), 1);
        if behind[place] < wanted {
            low = place + 1;
            while let Some(next) = behind.get(low + step - 1) {
                if *next >= wanted {
                    high = low + step - 1;
                    break;
                }
                (low, step) = (low + step, step * 2);
            }
        } else {
            high = place;
            while let Some(next) = high.checked_sub(step) {
                if behind[next] < wanted {
                    low = next + 1;
                    break;
                }
                (high, step) = (next, step * 2);
            }
        }
        place = low + behind[low..high].partition_point(|number| *number < wanted);
        // Keys with the same 8 bytes, or that end within them, are told apart one by one.
        let equals = behind[place..].partition_point(|number| *number == wanted);
        (low, high) = (place, place + equals);
        while low < high {
            place = low.midpoint(high);
            match self.key(place).cmp(key) {
                std::cmp::Ordering::Less => low = place + 1,
                std::cmp::Ordering::Equal => return Ok(place),
                std::cmp::Ordering::Greater => high = place,
            }
        }
        Err(low)
    }

    /// Tells whether a key begins with what all keys of the page begin with.
    #[inline]
    fn begins_alike(&self, key: &[u8]) -> bool {
        let common = usize::from(self.0.common);
        let unused = 64 - 8 * common.min(8);
        let front = |number: u64| number.checked_shr(u32::try_from(unused).unwrap_or(64)).unwrap_or(0);
        key.len() >= common
            && front(number(key)) == front(self.0.begins)
            && (common <= 8 || key[8..common] == self.key(0)[8..common])
    }

    /// Returns the place of the first key that is not less.
    ///
    /// ```
    /// # use prolly::{Config, MemoryStore, PageSource, Tree};
    /// # let store = MemoryStore::new();
    /// # let tree = Tree::build(&store, Config::default(), [("a", "1"), ("b", "2"), ("c", "3")])?;
    /// let Some(page) = store.page(&tree.root)? else { unreachable!("it is here") };
    /// assert_eq!((page.lower_bound(b"b"), page.lower_bound(b"bb")), (1, 2));
    /// assert_eq!(page.lower_bound(b"x"), page.len(), "all keys are less");
    /// # Ok::<(), prolly::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        self.search(key).unwrap_or_else(|place| place)
    }

    /// Returns the place of the first key, from a place on, for which this does not hold; it must hold
    /// for a run of keys from there. Looks near first: the next key that is wanted is often close.
    #[inline]
    pub(crate) fn lower_bound_from(&self, start: usize, holds: impl Fn(&[u8]) -> bool) -> usize {
        let len = self.len();
        let (mut low, mut step) = (start, 1);
        while low < len && holds(self.key(low)) {
            let next = low + step;
            if next >= len || !holds(self.key(next)) {
                // The boundary lies between the two.
                let (mut yes, mut no) = (low, next.min(len));
                while no - yes > 1 {
                    let middle = yes.midpoint(no);
                    if holds(self.key(middle)) { yes = middle } else { no = middle }
                }
                return no;
            }
            low = next;
            step *= 2;
        }
        low
    }
}

/// Returns the first 8 bytes as a number that sorts as they do; missing bytes count as zeros.
#[inline]
pub(super) fn number(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut first = [0; 8];
            first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(first)
        }
    }
}
