//! Keys ground so that the hashes at boundaries are as bad as they can be: pages stay in the window.

mod support;

use prolly::{Cid, Page};
use spec::reference::{Config, Pages, Pairs, key_hash};
use support::{assert_same, default_config, small, tiny};

/// Checks every page of a tree: only the last one of its level may be below the window, and none
/// above. Returns how many pages each level has.
fn check_windows(config: &Config, root: &[u8; 32], pages: &Pages) -> Vec<usize> {
    let decode = |address: &[u8; 32]| {
        Page::verify(Cid::from_hash(*address), pages[address].clone().into()).expect("a page of the tree")
    };
    let mut row = vec![decode(root)];
    let mut counts = Vec::new();
    loop {
        counts.push(row.len());
        let level = row[0].level();
        let [min, max] = if level == 0 { config.leaf } else { config.branch };
        for (index, page) in row.iter().enumerate() {
            assert!(page.payload() <= max as usize);
            assert!(page.payload() >= min as usize || index + 1 == row.len());
            assert!(page.bytes().len() <= page.payload() + 12);
        }
        if level == 0 {
            return counts;
        }
        let children = |page: &Page| (0..page.len()).filter_map(|n| page.child(n)).collect::<Vec<_>>();
        row = row.iter().flat_map(children).map(|cid| decode(cid.as_bytes())).collect();
    }
}

/// The longest run of keys, in ascending order, whose hashes fall (or rise) all the way: out of
/// `tries` keys about two times the square root.
fn monotone(tries: u32, falling: bool) -> Vec<Vec<u8>> {
    let order = |hash: u64| if falling { !hash } else { hash };
    let keys: Vec<_> = (0..tries).map(|n| n.to_be_bytes().to_vec()).collect();
    let hashes: Vec<_> = keys.iter().map(|key| order(key_hash(0, key))).collect();
    // The last key of the best run of each length, and the key before it.
    let (mut ends, mut before) = (Vec::<usize>::new(), vec![None; keys.len()]);
    for (index, hash) in hashes.iter().enumerate() {
        let len = ends.partition_point(|end| hashes[*end] < *hash);
        before[index] = len.checked_sub(1).map(|shorter| ends[shorter]);
        ends.truncate(ends.len().max(len));
        if len == ends.len() { ends.push(index) } else { ends[len] = index }
    }
    let mut run = Vec::new();
    let mut at = ends.last().copied();
    while let Some(index) = at {
        run.push(keys[index].clone());
        at = before[index];
    }
    run.reverse();
    run
}

fn filled(keys: Vec<Vec<u8>>, len: usize) -> Pairs {
    keys.into_iter().map(|key| (key, vec![b'v'; len])).collect()
}

/// The first key of a page, and a byte behind it, so that it is never empty.
fn first_key(page: &[u8]) -> Vec<u8> {
    let page = Page::verify(Cid::of(page), page.to_vec().into()).expect("a page of the tree");
    [page.key(0), &[0]].concat()
}

#[test]
fn keys_with_the_greatest_hashes_end_pages_like_others() {
    // No threshold is ever met by one key in 64 at the greatest hashes: the rule needs none.
    let keys = (0u32..400_000).map(|n| n.to_be_bytes().to_vec());
    let model = filled(keys.filter(|key| key_hash(0, key) >= u64::MAX / 64 * 63).collect(), 20);
    for config in [tiny(), small(), default_config()] {
        let (root, pages) = assert_same(&config, &model);
        let counts = check_windows(&config, &root, &pages);
        assert!(counts.len() > 1);
    }
}

#[test]
fn keys_with_the_least_hashes_end_pages_like_others() {
    let keys = (0u32..400_000).map(|n| n.to_be_bytes().to_vec());
    let model = filled(keys.filter(|key| key_hash(0, key) <= u64::MAX / 64).collect(), 20);
    for config in [tiny(), small(), default_config()] {
        let (root, pages) = assert_same(&config, &model);
        check_windows(&config, &root, &pages);
    }
}

#[test]
fn hashes_that_fall_or_rise_steadily_leave_pages_in_the_window() {
    for falling in [true, false] {
        let keys = monotone(400_000, falling);
        assert!(keys.len() > 1000);
        for (config, len) in [(tiny(), 20), (small(), 20), (default_config(), 1000)] {
            // Behind the ground keys stand ordinary ones.
            let ordinary: Vec<_> = (0..500u16).map(|n| [&[0xff][..], &n.to_be_bytes()].concat()).collect();
            let mut before = filled(keys.clone(), len);
            before.extend(filled(ordinary, len));
            let (root, pages) = assert_same(&config, &before);
            check_windows(&config, &root, &pages);
            // One pair before all others may move every boundary among the ground keys, but few of
            // the boundaries behind them.
            let mut after = before.clone();
            after.insert(Vec::new(), vec![b'v'; len]);
            let (root, more) = assert_same(&config, &after);
            check_windows(&config, &root, &more);
            let changed = more.iter().filter(|(address, _)| !pages.contains_key(*address));
            let behind = changed.filter(|(_, page)| first_key(page)[0] == 0xff).count();
            assert!(behind <= 40, "{behind} pages behind the ground keys changed");
        }
    }
}

#[test]
fn pairs_of_the_greatest_and_the_least_size_leave_pages_in_the_window() {
    for config in [tiny(), small(), default_config()] {
        let key_max = config.key_max as usize;
        let long = |n: u16| [vec![0; key_max - 2], n.to_be_bytes().to_vec()].concat();
        let lengths = [0, config.inline_max as usize, config.inline_max as usize + 1];
        for len in lengths {
            let model: Pairs = (0..600).map(|n| (long(n), vec![1; len])).collect();
            let (root, pages) = assert_same(&config, &model);
            check_windows(&config, &root, &only_tree(&pages));
        }
        // Short and long pairs in turn.
        let mixed: Pairs = (0..600u16)
            .map(|n| {
                if n % 7 == 0 {
                    (long(n), vec![1; lengths[1]])
                } else {
                    (long(n)[key_max - 2..].to_vec(), Vec::new())
                }
            })
            .collect();
        let (root, pages) = assert_same(&config, &mixed);
        check_windows(&config, &root, &pages);
    }
}

/// Value pages left out.
fn only_tree(pages: &Pages) -> Pages {
    let is_page = |bytes: &Vec<u8>| spec::reference::check_page(bytes).is_ok();
    pages
        .iter()
        .filter(|(_, bytes)| is_page(bytes))
        .map(|(address, bytes)| (*address, bytes.clone()))
        .collect()
}
