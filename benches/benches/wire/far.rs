//! Asking a dataset that is elsewhere: a peer, and static files.

use std::path::Path;
use std::sync::Arc;

use osmdb::net::{self, PeerOrigin};
use osmdb::{
    Ask, BBox, BlockingRemote, Db, ElementId, Filter, Folder, PackOrigin, PageOrigin, Remote, RemoteOptions,
    Traffic, block_on,
};
use prolly::{FjallStore, MemoryStore};

use crate::Failure;
use crate::table::Table;

/// 0.02 degrees of Andorra la Vella, and the screen beside it.
const BOX: &str = "1.515,42.500,1.535,42.520";
const BESIDE: &str = "1.525,42.500,1.545,42.520";

type Wire = tokio::io::DuplexStream;

/// Returns the records of what touches a box, compressed as one stream.
fn answer(db: &Db<FjallStore>, bbox: BBox) -> Result<(u64, u64), Failure> {
    let (mut all, mut count) = (Vec::new(), 0);
    let snapshot = db.snapshot();
    let heads = snapshot.root().trees.heads;
    for feature in snapshot.query(bbox) {
        let element = feature?.element;
        count += 1;
        let key = [&[element.kind.code()][..], &element.id.to_be_bytes()].concat();
        all.extend_from_slice(&heads.get(snapshot.source(), &key)?.unwrap_or_default());
    }
    Ok((count, zstd::bulk::compress(&all, 6)?.len() as u64))
}

async fn query<O: PageOrigin>(remote: &Remote<O>, bbox: BBox) -> Result<u64, Failure> {
    let (mut found, mut answers) = (0, remote.query(bbox));
    while let Some(feature) = answers.next().await {
        feature?;
        found += 1;
    }
    Ok(found)
}

fn less(after: Traffic, before: Traffic) -> Traffic {
    Traffic {
        rounds: after.rounds - before.rounds,
        requests: after.requests - before.requests,
        bytes: after.bytes - before.bytes,
        pages: after.pages - before.pages,
    }
}

pub fn measure(table: &mut Table, db: Db<FjallStore>, files: &Path) -> Result<(), Failure> {
    let (bbox, beside): (BBox, BBox) = (BOX.parse()?, BESIDE.parse()?);
    let (count, compressed) = answer(&db, bbox)?;
    let (_, compressed_beside) = answer(&db, beside)?;
    let place = db.counts().nodes / 2;
    let snapshot = db.snapshot();
    let key = snapshot.root().trees.heads.select(snapshot.source(), place)?.ok_or("no such pair")?.0;
    let node = ElementId::node(u64::from_be_bytes(key.get(1..9).ok_or("a short key")?.try_into()?));
    db.publish_to(files)?;

    let db = Arc::new(db);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let peer = |ask: Ask| -> PeerOrigin<Wire> {
        let (near, far) = tokio::io::duplex(1 << 20);
        let db = Arc::clone(&db);
        runtime.spawn(async move { net::sync_over(&*db, far, Default::default(), |_| ()).await });
        PeerOrigin::asking("peer", near, ask)
    };
    runtime.block_on(async {
        let remote = Remote::open(peer(Ask::Get(vec![node]))).await?;
        let found = remote.get(node).await?.len() as u64;
        table.ask("far: one element of a peer, cold", &remote.traffic(), found, 0);

        let remote = Remote::open(peer(Ask::Query(bbox, Filter::new()))).await?;
        let found = query(&remote, bbox).await?;
        if found != count {
            return Err(format!("{found} features of {count}").into());
        }
        let cold = remote.traffic();
        table.ask("far: 0.02 degrees of a peer, cold", &cold, found, compressed);
        let found = query(&remote, beside).await?;
        table.ask(
            "far: half a screen further, warm",
            &less(remote.traffic(), cold),
            found,
            compressed_beside,
        );
        Ok::<(), Failure>(())
    })?;

    let origin = || -> Result<_, Failure> { Ok(PackOrigin::new(Folder::open(&files.to_string_lossy())?)) };
    let remote = BlockingRemote::open(origin()?)?;
    let found = remote.get(node)?.len() as u64;
    table.ask("far: one element of static files, cold", &remote.traffic(), found, 0);
    block_on(async {
        let options = RemoteOptions::default();
        let remote = Remote::open_with(&options, vec![origin()?], MemoryStore::new()).await?;
        let found = query(&remote, bbox).await?;
        table.ask("far: 0.02 degrees of static files, cold", &remote.traffic(), found, compressed);
        Ok::<(), Failure>(())
    })
}
