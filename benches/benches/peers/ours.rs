//! Ours: in memory, and over fjall where a disk is asked for.

use std::hint::black_box;
use std::time::Duration;

use benches::Pair;
use prolly::{
    Commit, Config, FjallStore, KeyRange, MemoryStore, PageStore, Proof, ProofError, Proven, RootChange,
    Tree, ValueRef,
};

use crate::system::{Failure, Key, System, Timed, expect, timed};

#[derive(Default)]
pub struct Ours {
    store: MemoryStore,
    tree: Option<Tree>,
    edited: Option<Tree>,
    disk: Option<(tempfile::TempDir, Tree)>,
    proofs: Vec<Vec<u8>>,
}

impl Ours {
    fn tree(&self) -> Result<Tree, Failure> {
        self.tree.ok_or_else(|| "nothing is built".into())
    }
}

fn puts(batch: &[Pair]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    batch.iter().map(|(key, value)| (key.to_vec(), Some(value.to_vec()))).collect()
}

/// Builds a tree in a store on disk.
pub fn build_on_disk(dir: &std::path::Path, pairs: impl IntoIterator<Item = Pair>) -> Result<Tree, Failure> {
    let store = FjallStore::open(dir)?;
    let tree = Tree::build(&store, Config::default(), pairs)?;
    let root = RootChange { name: "pairs".to_owned(), expected: None, new: Some(tree.root) };
    store.commit(&Commit { roots: vec![root], notes: Vec::new() })?;
    Ok(tree)
}

impl System for Ours {
    fn name(&self) -> &'static str {
        "prolly"
    }

    fn build(&mut self, sorted: &[Pair]) -> Timed {
        *self = Self::default();
        let (tree, time) =
            timed(|| Tree::build(&self.store, Config::default(), sorted.iter().map(|(k, v)| (k, v))));
        self.tree = Some(tree?);
        Ok(Some(time))
    }

    fn build_random(&mut self, pairs: &[Pair]) -> Timed {
        let store = MemoryStore::new();
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let (tree, time) = timed(|| {
            let mut pairs = pairs;
            pairs.sort_unstable();
            Tree::build(&store, Config::default(), pairs)
        });
        expect(usize::from(tree?.root == self.tree()?.root), 1)?;
        Ok(Some(time))
    }

    fn get(&mut self, keys: &[Key]) -> Timed {
        let tree = self.tree()?;
        let (found, time) = timed(|| {
            keys.iter().filter(|key| matches!(tree.get(&self.store, &key[..]), Ok(Some(_)))).count()
        });
        expect(found, keys.len())?;
        Ok(Some(time))
    }

    fn cold_get(&mut self, keys: &[Key]) -> Timed {
        if self.disk.is_none() {
            let dir = tempfile::tempdir()?;
            let tree = self.tree()?;
            let store = FjallStore::open(dir.path())?;
            let built = Tree::build(
                &store,
                Config::default(),
                tree.range::<_, &[u8]>(&self.store, ..).filter_map(Result::ok),
            )?;
            store.commit(&Commit::default())?;
            self.disk = Some((dir, built));
        }
        let (dir, tree) = self.disk.as_ref().ok_or("nothing is on disk")?;
        let store = FjallStore::open(dir.path())?;
        let (found, time) =
            timed(|| keys.iter().filter(|key| matches!(tree.get(&store, &key[..]), Ok(Some(_)))).count());
        expect(found, keys.len())?;
        Ok(Some(time))
    }

    fn scan(&mut self, from: &Key, most: usize) -> Timed {
        let tree = self.tree()?;
        let (found, time) =
            timed(|| tree.range(&self.store, &from[..]..).take(most).filter(Result::is_ok).count());
        expect(found, most)?;
        Ok(Some(time))
    }

    fn visit(&mut self, count: usize) -> Timed {
        let tree = self.tree()?;
        let (found, time) = timed(|| {
            let mut found = 0;
            for run in tree.runs(&self.store, vec![KeyRange::all()]) {
                run?.iter().for_each(|(key, value)| {
                    if let ValueRef::Inline(value) = value {
                        found += usize::from(value.len() == 100);
                        black_box((key, value));
                    }
                });
            }
            Ok::<_, Failure>(found)
        });
        expect(found?, count)?;
        Ok(Some(time))
    }

    fn batch(&mut self, batch: &[Pair]) -> Timed {
        let tree = self.tree()?;
        let edits = puts(batch);
        let (edited, time) = timed(|| tree.edit(&self.store, edits));
        self.edited = Some(edited?);
        Ok(Some(time))
    }

    fn diff(&mut self, expected: usize) -> Timed {
        let (tree, edited) = (self.tree()?, self.edited.ok_or("no batch was applied")?);
        let (found, time) = timed(|| tree.diff(&edited, &self.store).map(Iterator::count));
        expect(found?, expected)?;
        Ok(Some(time))
    }

    fn merge(&mut self, left: &[Pair], right: &[Pair]) -> Timed {
        let base = self.tree()?;
        let (ours, theirs) = (base.edit(&self.store, puts(left))?, base.edit(&self.store, puts(right))?);
        let (merged, time) =
            timed(|| ours.merge(&base, &theirs, &self.store, &self.store, |_, both| both.left.into()));
        let merged = merged?;
        for (key, value) in right.iter().take(10) {
            let kept = left.iter().find(|pair| pair.0 == *key).map_or(value, |pair| &pair.1);
            expect(usize::from(merged.get(&self.store, key)?.as_deref() == Some(&kept[..])), 1)?;
        }
        Ok(Some(time))
    }

    fn prove(&mut self, keys: &[Key]) -> Result<Option<(Duration, u64)>, Failure> {
        let tree = self.tree()?;
        let (proofs, time) = timed(|| {
            let prove = |key: &Key| Ok::<_, ProofError>(Proof::get(&tree, &self.store, key)?.to_bytes());
            keys.iter().map(prove).collect::<Result<Vec<_>, _>>()
        });
        self.proofs = proofs?;
        Ok(Some((time, self.proofs.iter().map(|proof| proof.len() as u64).sum())))
    }

    fn verify(&mut self) -> Timed {
        let root = self.tree()?.root;
        let proofs = self.proofs.clone();
        let (good, time) = timed(|| {
            let shown = |proof: Vec<u8>| Proof::from_bytes(proof)?.verify(&root);
            proofs.into_iter().map(shown).filter(|shown| matches!(shown, Ok(Proven::Value(Some(_))))).count()
        });
        expect(good, self.proofs.len())?;
        Ok(Some(time))
    }

    fn bytes(&self) -> Result<Option<u64>, Failure> {
        Ok(Some(self.tree()?.stats(&self.store)?.bytes))
    }
}
