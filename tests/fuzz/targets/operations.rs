//! Any sequence of operations, beside a plain map.

#![no_main]
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use prolly::{Config, MemoryStore, Tree, read};

#[derive(Arbitrary, Debug)]
enum Operation {
    Edit(Vec<(Key, Option<Value>)>),
    Get(Key),
    Range(Key, Key),
    Rank(Key),
    Fork,
    Union,
    Diff,
}

#[derive(Arbitrary, Debug, Clone)]
enum Key {
    Number(u16),
    Bytes([u8; 3], u8),
}

#[derive(Arbitrary, Debug, Clone)]
struct Value(u8, u16);

impl Key {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Number(number) => number.to_be_bytes().to_vec(),
            Self::Bytes(bytes, len) => bytes.iter().copied().cycle().take(usize::from(len % 41)).collect(),
        }
    }
}

impl Value {
    /// Mostly short, sometimes out of line.
    fn bytes(&self) -> Vec<u8> {
        let len = if self.1 % 16 == 0 { usize::from(self.1) } else { usize::from(self.1 % 60) };
        vec![self.0; len]
    }
}

fn small() -> Config {
    Config { leaf_min: 120, leaf_max: 360, branch_min: 100, branch_max: 300, key_max: 40, inline_max: 50 }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fuzz_target!(|operations: Vec<Operation>| run(operations).expect("no operation fails"));

fn run(operations: Vec<Operation>) -> Result<(), prolly::Error> {
    let store = MemoryStore::new();
    let mut tree = Tree::empty(&store, small())?;
    let mut model = Model::new();
    let mut fork = (tree, model.clone());
    for operation in operations {
        match operation {
            Operation::Edit(edits) => {
                let batch: Vec<_> =
                    edits.iter().map(|(key, value)| (key.bytes(), value.as_ref().map(Value::bytes))).collect();
                tree = tree.edit(&store, batch.clone())?;
                for (key, value) in batch {
                    match value {
                        Some(value) => model.insert(key, value),
                        None => model.remove(&key),
                    };
                }
                assert_eq!(tree, Tree::build(&store, small(), &model)?);
            }
            Operation::Get(key) => {
                let key = key.bytes();
                assert_eq!(tree.get(&store, &key)?.as_deref(), model.get(&key).map(Vec::as_slice));
            }
            Operation::Range(from, to) => {
                let (from, to) = (from.bytes().min(to.bytes()), from.bytes().max(to.bytes()));
                let found: Result<Vec<_>, _> = tree.range(&store, &from[..]..&to[..]).collect();
                let found: Vec<_> = found?.into_iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
                let expected: Vec<_> = model.range(from..to).map(|(k, v)| (k.clone(), v.clone())).collect();
                assert_eq!(found, expected);
            }
            Operation::Rank(key) => {
                let key = key.bytes();
                assert_eq!(tree.rank(&store, &key)?, model.range(..key).count() as u64);
            }
            Operation::Fork => fork = (tree, model.clone()),
            Operation::Union => {
                tree = tree.union(&fork.0, &store, &store, |_, ours, theirs| ours.max(theirs))?;
                for (key, value) in &fork.1 {
                    let ours = model.entry(key.clone()).or_insert_with(|| value.clone());
                    *ours = value.clone().max(std::mem::take(ours));
                }
                assert_eq!(tree, Tree::build(&store, small(), &model)?);
            }
            Operation::Diff => {
                let mut found = fork.1.clone();
                for change in fork.0.diff(&tree, &store)? {
                    let change = change?;
                    assert_ne!(change.left, change.right);
                    match change.right {
                        Some(value) => found.insert(change.key.to_vec(), read(&store, value)?.to_vec()),
                        None => found.remove(&change.key[..]),
                    };
                }
                assert_eq!(found, model);
            }
        }
    }
    Ok(())
}
