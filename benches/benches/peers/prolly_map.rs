//! `prolly-map`, over its own memory store; where a disk is asked for, over fjall as ours.

use std::hint::black_box;

use benches::Pair;
use fjall::KeyspaceCreateOptions;
use prolly_map::{BatchOp, Config, KeyProof, MemStore, Mutation, Prolly, SortedBatchBuilder, Store, Tree};

use crate::system::{Failure, Key, System, Timed, expect, timed};

pub struct ProllyMap {
    map: Prolly<MemStore>,
    tree: Option<Tree>,
    edited: Option<Tree>,
    proofs: Vec<Vec<u8>>,
    disk: Option<(tempfile::TempDir, Tree)>,
}

impl Default for ProllyMap {
    fn default() -> Self {
        let map = Prolly::new(MemStore::new(), Config::default());
        Self { map, tree: None, edited: None, proofs: Vec::new(), disk: None }
    }
}

impl ProllyMap {
    fn tree(&self) -> Result<&Tree, Failure> {
        self.tree.as_ref().ok_or_else(|| "nothing is built".into())
    }
}

fn upserts(batch: &[Pair]) -> Vec<Mutation> {
    batch.iter().map(|(key, val)| Mutation::Upsert { key: key.to_vec(), val: val.to_vec() }).collect()
}

impl System for ProllyMap {
    fn name(&self) -> &'static str {
        "prolly-map"
    }

    fn build(&mut self, sorted: &[Pair]) -> Timed {
        *self = Self::default();
        let pairs: Vec<_> = sorted.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let (tree, time) = timed(|| self.map.build_from_sorted_entries(pairs));
        self.tree = Some(tree?);
        Ok(Some(time))
    }

    fn build_random(&mut self, pairs: &[Pair]) -> Timed {
        let map = Prolly::new(MemStore::new(), Config::default());
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let (tree, time) = timed(|| map.build_from_entries(pairs));
        tree?;
        Ok(Some(time))
    }

    fn get(&mut self, keys: &[Key]) -> Timed {
        let tree = self.tree()?;
        let (found, time) =
            timed(|| keys.iter().filter(|key| matches!(self.map.get(tree, &key[..]), Ok(Some(_)))).count());
        expect(found, keys.len())?;
        Ok(Some(time))
    }

    fn cold_get(&mut self, keys: &[Key]) -> Timed {
        if self.disk.is_none() {
            let dir = tempfile::tempdir()?;
            let mut builder = SortedBatchBuilder::new(Nodes::open(dir.path())?, Config::default());
            let tree = self.tree()?;
            for pair in self.map.range(tree, &[], None)? {
                let (key, value) = pair?;
                builder.add(key, value)?;
            }
            self.disk = Some((dir, builder.build()?));
        }
        let (dir, tree) = self.disk.as_ref().ok_or("nothing is on disk")?;
        let map = Prolly::new(Nodes::open(dir.path())?, Config::default());
        let (found, time) =
            timed(|| keys.iter().filter(|key| matches!(map.get(tree, &key[..]), Ok(Some(_)))).count());
        expect(found, keys.len())?;
        Ok(Some(time))
    }

    fn scan(&mut self, from: &Key, most: usize) -> Timed {
        let tree = self.tree()?;
        let (found, time) = timed(|| {
            Ok::<_, Failure>(self.map.range(tree, from, None)?.take(most).filter(Result::is_ok).count())
        });
        expect(found?, most)?;
        Ok(Some(time))
    }

    fn visit(&mut self, count: usize) -> Timed {
        let tree = self.tree()?;
        let mut found = 0;
        let (result, time) = timed(|| {
            self.map.scan_range(tree, &[], None, |entry| {
                found += usize::from(entry.value().len() == 100);
                black_box((entry.key(), entry.value()));
            })
        });
        result?;
        expect(found, count)?;
        Ok(Some(time))
    }

    fn batch(&mut self, batch: &[Pair]) -> Timed {
        let mutations = upserts(batch);
        let tree = self.tree()?;
        let (edited, time) = timed(|| self.map.batch(tree, mutations));
        self.edited = Some(edited?);
        Ok(Some(time))
    }

    fn diff(&mut self, expected: usize) -> Timed {
        let (tree, edited) = (self.tree()?, self.edited.as_ref().ok_or("no batch was applied")?);
        let (found, time) = timed(|| self.map.diff(tree, edited));
        expect(found?.len(), expected)?;
        Ok(Some(time))
    }

    fn merge(&mut self, left: &[Pair], right: &[Pair]) -> Timed {
        let base = self.tree()?;
        let (ours, theirs) = (self.map.batch(base, upserts(left))?, self.map.batch(base, upserts(right))?);
        let keep_left = || -> prolly_map::Resolver {
            Box::new(|conflict| match &conflict.left {
                Some(value) => prolly_map::Resolution::value(value.clone()),
                None => prolly_map::Resolution::delete(),
            })
        };
        let (merged, time) = timed(|| self.map.merge(base, &ours, &theirs, Some(keep_left())));
        let merged = merged?;
        for (key, value) in right.iter().take(10) {
            let kept = left.iter().find(|pair| pair.0 == *key).map_or(value, |pair| &pair.1);
            expect(usize::from(self.map.get(&merged, key)?.as_deref() == Some(kept)), 1)?;
        }
        Ok(Some(time))
    }

    fn prove(&mut self, keys: &[Key]) -> Result<Option<(std::time::Duration, u64)>, Failure> {
        let tree = self.tree()?;
        let (proofs, time) = timed(|| {
            let prove = |key: &Key| self.map.prove_key(tree, key)?.to_bundle_bytes();
            keys.iter().map(prove).collect::<Result<Vec<_>, _>>()
        });
        self.proofs = proofs?;
        Ok(Some((time, self.proofs.iter().map(|proof| proof.len() as u64).sum())))
    }

    fn verify(&mut self) -> Timed {
        let root = self.tree()?.root.clone();
        let (good, time) = timed(|| {
            let holds = |proof: &&Vec<u8>| {
                KeyProof::from_bundle_bytes(proof).is_ok_and(|proof| {
                    let verified = proof.verify();
                    verified.valid && verified.root == root && verified.value.is_some()
                })
            };
            self.proofs.iter().filter(holds).count()
        });
        expect(good, self.proofs.len())?;
        Ok(Some(time))
    }

    fn bytes(&self) -> Result<Option<u64>, Failure> {
        Ok(Some(self.map.collect_stats(self.tree()?)?.total_tree_size_bytes as u64))
    }
}

/// Keeps the nodes of `prolly-map` in fjall.
#[derive(Clone)]
pub struct Nodes {
    _db: fjall::Database,
    nodes: fjall::Keyspace,
}

impl Nodes {
    pub fn open(dir: &std::path::Path) -> Result<Self, Failure> {
        let db = fjall::Database::builder(dir).worker_threads(1).open()?;
        let values = fjall::KvSeparationOptions::default();
        let nodes =
            db.keyspace("nodes", || KeyspaceCreateOptions::default().with_kv_separation(Some(values)))?;
        Ok(Self { _db: db, nodes })
    }
}

impl Store for Nodes {
    type Error = fjall::Error;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, fjall::Error> {
        Ok(self.nodes.get(key)?.map(|value| value.to_vec()))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), fjall::Error> {
        self.nodes.insert(key, value)
    }

    fn delete(&self, key: &[u8]) -> Result<(), fjall::Error> {
        self.nodes.remove(key)
    }

    fn batch(&self, ops: &[BatchOp<'_>]) -> Result<(), fjall::Error> {
        ops.iter().try_for_each(|op| match op {
            BatchOp::Upsert { key, value } => self.put(key, value),
            BatchOp::Delete { key } => self.delete(key),
        })
    }
}
