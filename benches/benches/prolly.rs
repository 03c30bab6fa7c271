//! Trees of 100,000 and 1,000,000 pairs of 16 + 100 bytes, in memory and on disk.

use std::hint::black_box;

use benches::{pair, sorted_pairs};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use prolly::{Config, FjallStore, MemoryStore, Overlay, PageStore, Tree};

const COUNTS: [u64; 2] = [100_000, 1_000_000];

fn tree(c: &mut Criterion) {
    for count in COUNTS {
        let pairs = sorted_pairs(count);
        let store = MemoryStore::new();
        let tree = Tree::build(&store, Config::default(), pairs_of(&pairs)).expect("the pairs are sorted");
        let stats = tree.stats(&store).expect("all pages are here");
        println!("tree of {count}: {stats:?}, {:.4} × the pairs", stats.bytes as f64 / (count * 116) as f64);

        let mut group = c.benchmark_group("build");
        group.sample_size(10).throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("memory", count), |b| {
            b.iter(|| Tree::build(&MemoryStore::new(), Config::default(), pairs_of(&pairs)).expect("sorted"));
        });
        group.bench_function(BenchmarkId::new("fjall", count), |b| {
            b.iter_batched(
                || tempfile::tempdir().expect("a temporary directory"),
                |dir| {
                    let store = FjallStore::open(dir.path()).expect("an empty store");
                    Tree::build(&store, Config::default(), pairs_of(&pairs)).expect("sorted");
                    store.commit(&prolly::Commit::default()).expect("a commit");
                    dir
                },
                BatchSize::PerIteration,
            );
        });
        group.finish();

        let mut group = c.benchmark_group("read");
        let mut number = 0;
        group.bench_function(BenchmarkId::new("get", count), |b| {
            b.iter(|| {
                number = (number + 7_919) % count;
                tree.get(&store, &pair(number).0).expect("all pages are here")
            });
        });
        group.bench_function(BenchmarkId::new("key alone", count), |b| {
            b.iter(|| {
                number = (number + 7_919) % count;
                black_box(pair(number).0)
            });
        });
        group.throughput(Throughput::Elements(1000));
        group.bench_function(BenchmarkId::new("range of 1000", count), |b| {
            b.iter(|| {
                number = (number + 7_919) % (count - 1000);
                let from = &pairs[usize::try_from(number).unwrap_or(0)].0;
                tree.range(&store, &from[..]..)
                    .take(1000)
                    .map(|pair| pair.map(|(k, v)| k.len() + v.len()).unwrap_or(0))
                    .sum::<usize>()
            });
        });
        group.sample_size(10).throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("scan", count), |b| {
            b.iter(|| {
                tree.range::<_, &[u8]>(&store, ..)
                    .map(|pair| pair.map(|(k, v)| k.len() + v.len()).unwrap_or(0))
                    .sum::<usize>()
            });
        });
        group.finish();

        let mut group = c.benchmark_group("edit");
        group.sample_size(10);
        for edits in [1, 100, 1000, 100_000] {
            group.throughput(Throughput::Elements(edits));
            for (what, first) in [("update", 0), ("insert", count)] {
                let id = BenchmarkId::new(format!("{what} {edits}"), count);
                let batch: Vec<_> = (0..edits)
                    .map(|n| (pair(first + n * 7_919 % count).0.to_vec(), Some(vec![7; 100])))
                    .collect();
                group.bench_function(id, |b| {
                    b.iter_batched(
                        || batch.clone(),
                        |batch| tree.edit(&Overlay::new(&store), batch).expect("an edit"),
                        BatchSize::LargeInput,
                    );
                });
            }
        }
        group.finish();

        let mut group = c.benchmark_group("diff");
        for edits in [1_u64, 100, 10_000] {
            let batch: Vec<_> =
                (0..edits).map(|n| (pair(n * 7_919 % count).0.to_vec(), Some(vec![7; 100]))).collect();
            let other = tree.edit(&store, batch).expect("an edit");
            group.bench_function(BenchmarkId::new(format!("{edits} changes"), count), |b| {
                b.iter(|| tree.diff(&other, &store).expect("one configuration").count());
            });
        }
        group.finish();
    }
}

fn pairs_of(pairs: &[benches::Pair]) -> Vec<(&[u8], &[u8])> {
    pairs.iter().map(|(key, value)| (&key[..], &value[..])).collect()
}

criterion_group!(benches, tree);
criterion_main!(benches);
