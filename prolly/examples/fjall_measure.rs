//! Measures the store on fjall: writing, reading, and what zstd makes of pages like those of a map.
//!
//! `cargo run --release -p prolly-index --features fjall --example fjall_measure`

use std::time::Instant;

use prolly::{
    Cid, Commit, Config, FjallOptions, FjallStore, MemoryStore, PageSink, PageSource, PageStore, Tree,
};

type Failure = Box<dyn std::error::Error>;

fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

/// Pairs like those of elements: ascending ids; places nearby, times, a few common tags.
fn elements(count: u64) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let tags =
        ["building=yes", "highway=residential", "natural=tree", "addr:street=Hauptstrasse", "source=survey"];
    (0..count).map(move |n| {
        let noise = random(n, 24);
        let key = [&[1][..], &(4_000_000_000 + n * 3).to_be_bytes()].concat();
        let mut value = vec![0x86, 0x1a, 0x1c];
        value.extend([&noise[..3], &[0x1a, 0x05], &noise[3..6], &[0x1a, 0x66], &noise[6..9]].concat());
        let tags = tags.iter().zip(&noise[12..]).filter(|(_, noise)| **noise < 70);
        tags.for_each(|(tag, _)| value.extend(tag.bytes()));
        (key, value)
    })
}

fn timed<T>(
    what: &str,
    count: usize,
    bytes: usize,
    run: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let start = Instant::now();
    let result = run()?;
    let seconds = start.elapsed().as_secs_f64();
    let (each, rate) = (seconds / count as f64 * 1e6, bytes as f64 / seconds / 1e6);
    println!("{what}: {count} pages, {each:.1} us each, {rate:.0} MB/s");
    Ok(result)
}

fn write_and_read(what: &str, level: i32, pages: &[(Cid, Vec<u8>)]) -> Result<(), Failure> {
    let dir = tempfile::tempdir_in(std::env::var_os("MEASURE_DIR").unwrap_or(".".into()))?;
    let options = FjallOptions { zstd_level: level, ..FjallOptions::default() };
    let bytes = pages.iter().map(|(_, page)| page.len()).sum();
    let store = options.open(dir.path())?;
    println!("-- {what}, zstd {level}, {bytes} bytes");
    timed("put and commit", pages.len(), bytes, || {
        pages.iter().try_for_each(|(cid, page)| store.put(*cid, page.clone().into()))?;
        Ok(store.commit(&Commit::default())?)
    })?;
    timed("put again", pages.len(), bytes, || {
        Ok(pages.iter().try_for_each(|(cid, page)| store.put(*cid, page.clone().into()))?)
    })?;
    let get = |what, store: &FjallStore| {
        timed(what, pages.len(), bytes, || {
            Ok(pages.iter().try_for_each(|(cid, _)| store.load(cid).map(drop))?)
        })
    };
    get("get, from the engine", &store)?;
    println!("disk / data: {:.2}", store.disk_bytes()? as f64 / bytes as f64);
    drop(store);
    let store = timed("reopen", 1, 0, || Ok(options.open(dir.path())?))?;
    get("get, reopened", &store)?;
    let start = Instant::now();
    (0..200).try_for_each(|_| store.commit(&Commit::default()))?;
    println!("empty commit: {:.0} us", start.elapsed().as_secs_f64() / 200.0 * 1e6);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let noise: Vec<_> = (0..10_000).map(|n| random(n, 8192)).map(|page| (Cid::of(&page), page)).collect();
    let memory = MemoryStore::new();
    let tree = Tree::build(&memory, Config::default(), elements(2_000_000))?;
    let loaded =
        memory.cids().into_iter().map(|cid| Ok((cid, memory.load(&cid)?.unwrap_or_default().to_vec())));
    let map = loaded.collect::<Result<Vec<_>, Failure>>()?;
    println!("{:?}", tree.stats(&memory)?);
    for (cid, page) in map.iter().take(3) {
        println!("{cid}: {} bytes", page.len());
    }
    let bytes = map.iter().map(|(_, page)| page.len()).sum::<usize>();
    for level in [1, 3, 6] {
        let mut writer = zstd::bulk::Compressor::new(level)?;
        let mut reader = zstd::bulk::Decompressor::new()?;
        let records = timed(&format!("zstd {level} compresses"), map.len(), bytes, || {
            Ok(map.iter().map(|(_, page)| writer.compress(page)).collect::<Result<Vec<_>, _>>()?)
        })?;
        timed(&format!("zstd {level} decompresses"), map.len(), bytes, || {
            Ok(records.iter().try_for_each(|record| reader.decompress(record, 65_535).map(drop))?)
        })?;
        let small = records.iter().map(Vec::len).sum::<usize>();
        println!("zstd {level}: {:.3} of the data", small as f64 / bytes as f64);
    }
    timed("hashing", map.len(), bytes, || {
        Ok(map.iter().for_each(|(_, page)| _ = std::hint::black_box(Cid::of(page))))
    })?;
    write_and_read("random pages", 1, &noise)?;
    write_and_read("a tree of elements", 1, &map)?;
    write_and_read("a tree of elements", 3, &map)?;
    // Decoded pages, found in the cache.
    let dir = tempfile::tempdir()?;
    let store = FjallStore::open(dir.path())?;
    let few = &map[..map.len().min(2000)];
    few.iter().try_for_each(|(cid, page)| store.put(*cid, page.clone().into()))?;
    let all = || Ok(few.iter().try_for_each(|(cid, _)| store.page(cid).map(drop))?);
    timed("page, decoded for the first time", few.len(), 0, all)?;
    timed("page, from the cache", few.len(), 0, all)
}
