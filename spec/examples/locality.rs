//! Measures how many pages one insert changes under the default configuration: for ordinary keys,
//! and for keys ground so that their hashes fall steadily.
//!
//! `cargo run --release -p spec --example locality`

use std::collections::BTreeMap;

use prolly::{Cid, Config, Error, MemoryStore, Page, PageSource, Tree, boundary_hash};

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Counts, by level, the pages of the new tree that the old store has not.
struct Written<'a> {
    store: &'a MemoryStore,
    old: std::collections::BTreeSet<Cid>,
    root: Cid,
}

impl Written<'_> {
    fn levels(&self) -> Result<Vec<usize>, Error> {
        let mut row: Vec<Page> = self.store.page(&self.root)?.into_iter().collect();
        let mut levels = Vec::new();
        while !row.is_empty() {
            levels.push(row.len());
            let mut below = Vec::new();
            for page in &row {
                for child in
                    (0..page.len()).filter_map(|n| page.child(n)).filter(|cid| !self.old.contains(cid))
                {
                    below.extend(self.store.page(&child)?);
                }
            }
            row = below;
        }
        levels.reverse();
        Ok(levels)
    }
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn key(n: u64, len: usize) -> Vec<u8> {
    let mut key = n.to_be_bytes().to_vec();
    key.resize(len, 0);
    key
}

/// Inserts one pair after another into the same tree, each time measuring what it wrote.
fn measure(name: &str, pairs: &Pairs, inserts: &Pairs) -> Result<(), Error> {
    let store = MemoryStore::new();
    let tree = Tree::build(&store, Config::default(), pairs)?;
    let old: std::collections::BTreeSet<Cid> = store.cids().into_iter().collect();
    let (mut totals, mut worst) = (Vec::new(), Vec::new());
    for (key, value) in inserts {
        let edited = tree.edit(&store, [(key.clone(), Some(value.clone()))])?;
        let levels = Written { store: &store, old: old.clone(), root: edited.root }.levels()?;
        totals.push(levels.iter().sum::<usize>());
        for (level, count) in levels.into_iter().enumerate() {
            worst.resize(worst.len().max(level + 1), 0);
            worst[level] = count.max(worst[level]);
        }
    }
    totals.sort_unstable();
    let at = |per_mille: usize| totals[(totals.len() - 1) * per_mille / 1000];
    let stats = tree.stats(&store)?;
    println!(
        "{name}: {} pairs, {} pages, height {}; {} inserts: median {}, 99 % {}, 99.9 % {}, worst {}; worst by level {worst:?}",
        stats.pairs,
        stats.pages,
        stats.height,
        totals.len(),
        at(500),
        at(990),
        at(999),
        at(1000),
    );
    Ok(())
}

/// The longest run of ascending keys with falling hashes among `tries` keys.
fn falling(tries: u64, len: usize) -> Vec<Vec<u8>> {
    let hashes: Vec<u64> = (0..tries).map(|n| !boundary_hash(0, &key(n * 2 + 2, len))).collect();
    let (mut ends, mut before) = (Vec::<usize>::new(), vec![None; hashes.len()]);
    for (index, hash) in hashes.iter().enumerate() {
        let place = ends.partition_point(|end| hashes[*end] < *hash);
        before[index] = place.checked_sub(1).map(|shorter| ends[shorter]);
        if place == ends.len() { ends.push(index) } else { ends[place] = index }
    }
    let mut run = Vec::new();
    let mut at = ends.last().copied();
    while let Some(index) = at {
        run.push(key(index as u64 * 2 + 2, len));
        at = before[index];
    }
    run.reverse();
    run
}

fn main() -> Result<(), Error> {
    let mut state = 1;
    for (name, count, key_len, value_len, inserts) in [
        ("16-byte keys, values of 0 to 200 bytes", 200_000, 16, 201, 5000),
        ("16-byte keys, values of exactly 100 bytes", 200_000, 16, 0, 5000),
        ("16-byte keys, values of exactly 1000 bytes", 60_000, 16, 1, 5000),
        ("keys of 1024 bytes, values of exactly 1000 bytes", 20_000, 1024, 1, 5000),
    ] {
        let mut pair = || {
            let key = key(random(&mut state), key_len);
            let len = match value_len {
                0 => 100,
                1 => 1000,
                most => usize::try_from(random(&mut state) % most).unwrap_or(0),
            };
            (key, vec![b'v'; len])
        };
        let pairs: Pairs = (0..count).map(|_| pair()).collect();
        let inserts: Pairs = (0..inserts).map(|_| pair()).collect();
        measure(name, &pairs, &inserts)?;
    }
    for (name, key_len, value_len) in [("small", 8, 100), ("large", 1024, 1000)] {
        let pairs: Pairs =
            falling(4_000_000, key_len).into_iter().map(|key| (key, vec![b'v'; value_len])).collect();
        let first = Pairs::from([(key(1, key_len), vec![b'v'; value_len])]);
        measure(&format!("ground: hashes fall, {name} pairs, insert before all"), &pairs, &first)?;
    }
    Ok(())
}
