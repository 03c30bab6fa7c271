//! A process that commits is killed at any moment: what it reported as committed is there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use prolly::{Commit, Config, FjallStore, PageStore, RootChange, StoreError, Tree};

/// Set for the process to be killed: the directory.
const DIR: &str = "PROLLY_KILL_TEST_DIR";

const KILLS: u32 = 30;

/// Every commit adds so many pairs.
const PAIRS: u32 = 400;

/// Commits for ever, and tells the number of every commit after it returned.
fn commit_until_killed(dir: &Path) {
    let store = FjallStore::open(dir).unwrap();
    let mut tree = tree(&store).unwrap_or_else(|| Tree::empty(&store, Config::default()).unwrap());
    for number in number(&store) + 1.. {
        let key = |n: u32| *blake3::hash(&(number * PAIRS + n).to_be_bytes()).as_bytes();
        let expected = store.root("main").unwrap();
        tree = tree
            .edit(&store, (0..PAIRS).map(|n| (key(n).to_vec(), Some([n.to_be_bytes(); 50].concat()))))
            .unwrap();
        let change = RootChange { name: "main".into(), expected, new: Some(tree.root) };
        let notes = vec![(b"number".to_vec(), Some(number.to_be_bytes().to_vec()))];
        store.commit(&Commit { roots: vec![change], notes }).unwrap();
        println!("committed {number} {}", tree.root);
    }
}

fn tree(store: &FjallStore) -> Option<Tree> {
    store.root("main").unwrap().map(|root| Tree { root, config: Config::default() })
}

fn number(store: &FjallStore) -> u32 {
    let notes = store.notes(b"number").unwrap();
    notes.first().map_or(0, |(_, value)| u32::from_be_bytes(value[..].try_into().unwrap()))
}

#[test]
fn what_was_reported_survives_a_kill() {
    if let Some(dir) = std::env::var_os(DIR) {
        return commit_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut reported, mut stored) = (0, 0);
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_was_reported_survives_a_kill", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut commits = lines.map_while(Result::ok).filter_map(|line| {
            line.split_once("committed ").and_then(|(_, rest)| rest.split(' ').next()?.parse::<u32>().ok())
        });
        // At a moment that no clock decides: some commits in, then a busy wait of another length
        // every time. The first kills come while the store is being made.
        let wait = u32::from_le_bytes(*blake3::hash(&kill.to_le_bytes()).as_bytes().first_chunk().unwrap());
        if kill >= 5 {
            reported = reported.max(commits.by_ref().take((wait % 7) as usize + 1).last().unwrap_or(0));
        }
        (0..wait % 40_000_000).for_each(|n| {
            std::hint::black_box(n);
        });
        child.kill().unwrap();
        child.wait().unwrap();
        reported = reported.max(commits.last().unwrap_or(0));

        let store = match FjallStore::open(dir.path()) {
            Err(StoreError::Locked { .. }) => panic!("the lock outlives the process"),
            store => store.unwrap(),
        };
        stored = number(&store);
        assert!(stored >= reported, "commit {reported} was reported, {stored} is there");
        if let Some(tree) = tree(&store) {
            let stats = tree.verify(&store).unwrap();
            assert_eq!(stats.pairs, u64::from(stored * PAIRS));
        }
    }
    println!("{stored} commits survived {KILLS} kills");
    assert!(stored > KILLS, "{stored}");
}
