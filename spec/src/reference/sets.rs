//! The operations on sets of pairs (10).

use std::collections::{BTreeMap, BTreeSet};

use super::cbor::ensure;
use super::{Config, MAX_VALUE_BYTES, Pairs};

/// What differs: by key, the left and the right value.
pub type Changes = BTreeMap<Vec<u8>, (Option<Vec<u8>>, Option<Vec<u8>>)>;

/// The values of a key in the base, on the left and on the right.
pub type Sides = [Option<Vec<u8>>; 3];

/// The keys that both sides of a merge changed, each in its own way.
pub type Conflicts = BTreeMap<Vec<u8>, Sides>;

/// Refuses a list of edits of which one has a key or a value beyond the limits (5).
///
/// # Errors
/// One has.
pub fn check_edits(config: &Config, edits: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), String> {
    for (key, value) in edits {
        ensure(key.len() <= config.key_max as usize, "a key too long")?;
        let len = value.as_ref().map_or(0, Vec::len) as u64;
        ensure(len <= MAX_VALUE_BYTES, "a value too long")?;
    }
    Ok(())
}

/// Applies edits in their order: a value to put, or none to remove the key.
pub fn edit(pairs: &mut Pairs, edits: &[(Vec<u8>, Option<Vec<u8>>)]) {
    for (key, value) in edits {
        match value {
            Some(value) => drop(pairs.insert(key.clone(), value.clone())),
            None => drop(pairs.remove(key)),
        }
    }
}

/// Finds what differs between two sets of pairs.
#[must_use]
pub fn diff(left: &Pairs, right: &Pairs) -> Changes {
    let keys: BTreeSet<_> = left.keys().chain(right.keys()).cloned().collect();
    let sides = keys.into_iter().map(|key| (left.get(&key).cloned(), right.get(&key).cloned(), key));
    sides.filter(|(left, right, _)| left != right).map(|(left, right, key)| (key, (left, right))).collect()
}

/// Merges two sets that grew from a base; returns what is decided without a resolver, and what is not.
#[must_use]
pub fn merge(base: &Pairs, left: &Pairs, right: &Pairs) -> (Pairs, Conflicts) {
    let keys: BTreeSet<_> = [base, left, right].into_iter().flat_map(BTreeMap::keys).collect();
    let (mut merged, mut conflicts) = (Pairs::new(), Conflicts::new());
    for key in keys {
        let [b, l, r] = [base, left, right].map(|side| side.get(key));
        let result = if l == b {
            r
        } else if r == b || l == r {
            l
        } else {
            conflicts.insert(key.clone(), [b, l, r].map(Option::<&Vec<u8>>::cloned));
            continue;
        };
        merged.extend(result.map(|value| (key.clone(), value.clone())));
    }
    (merged, conflicts)
}
