//! A process that commits and collects is killed at any moment: only garbage is ever gone.

#![cfg(feature = "fjall")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use prolly::{Config, FjallStore, PageStore, Tree, gc_trees};

/// Set for the process to be killed: the directory.
const DIR: &str = "PROLLY_GC_KILL_TEST_DIR";

const KILLS: u32 = 16;

const PAIRS: u32 = 4_000;

fn key(n: u32) -> Vec<u8> {
    blake3::hash(&n.to_be_bytes()).as_bytes()[..8].to_vec()
}

/// Goes to and fro between the same few trees, so that pages are garbage and put again.
fn work_until_killed(dir: &Path) {
    let store = FjallStore::open(dir).unwrap();
    for round in 0u32.. {
        let expected = store.root("main").unwrap();
        let tree = expected.map(|root| Tree::new(Config::default(), root));
        let tree = tree.unwrap_or_else(|| Tree::empty(&store, Config::default()).unwrap());
        let value = [[u8::try_from(round % 3).unwrap(); 16], [9; 16]].concat();
        let next = tree.edit(&store, (0..PAIRS).map(|n| (key(n), Some(value.clone())))).unwrap();
        store.swap_root("main", expected, Some(next.root)).unwrap();
        println!("collecting");
        let report = gc_trees(&store, Config::default()).unwrap();
        println!("removed {}", report.removed);
        if round % 4 == 3 {
            store.compact().unwrap();
        }
    }
}

#[test]
fn a_kill_takes_nothing_but_garbage() {
    if let Some(dir) = std::env::var_os(DIR) {
        return work_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut whole, mut removed, mut between) = (0, 0, 0);
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_kill_takes_nothing_but_garbage", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // After some rounds, and in the middle of one: a busy wait of another length every time.
        let wait = u32::from_le_bytes(*blake3::hash(&kill.to_le_bytes()).as_bytes().first_chunk().unwrap());
        let mut seen: Vec<String> = lines.by_ref().take(wait as usize % 9 + 2).collect();
        (0..wait % 8_000_000).for_each(|n| {
            std::hint::black_box(n);
        });
        child.kill().unwrap();
        child.wait().unwrap();
        seen.extend(lines);
        removed += seen.iter().filter(|line| line.contains("removed") && !line.ends_with(" 0")).count();
        between += usize::from(seen.last().is_some_and(|line| line.contains("collecting")));

        let store = FjallStore::open(dir.path()).unwrap();
        if let Some(root) = store.root("main").unwrap() {
            let tree = Tree::new(Config::default(), root);
            assert_eq!(tree.verify(&store).unwrap().pairs, u64::from(PAIRS));
            let value = tree.get(&store, &key(0)).unwrap().unwrap();
            for pair in tree.range::<_, &[u8]>(&store, ..) {
                assert_eq!(pair.unwrap().1, value);
            }
            let report = gc_trees(&store, Config::default()).unwrap();
            assert_eq!(store.page_count().unwrap(), report.kept);
            whole += 1;
        }
    }
    println!("{whole} times whole, {removed} collections removed pages, {between} kills in a collection");
    assert!(whole > KILLS / 2 && removed > 0);
}
