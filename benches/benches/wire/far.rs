//! Asking a dataset that is elsewhere: a peer, and static files.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use osmdb::net::{self, PeerOrigin};
use osmdb::{
    Ask, BBox, BlockingRemote, Db, ElementId, Filter, Folder, PackOrigin, PageOrigin, Payload, Remote,
    RemoteOptions, Traffic, block_on,
};
use prolly::{FjallStore, MemoryStore};

use crate::Failure;
use crate::table::Table;

/// 0.02 degrees of Andorra la Vella, and the screen beside it.
const BOX: &str = "1.515,42.500,1.535,42.520";
const BESIDE: &str = "1.525,42.500,1.545,42.520";

/// What somebody looks at first.
const SCREEN: &str = "1.520,42.506,1.522,42.508";

type Wire = tokio::io::DuplexStream;

/// What touches a box.
struct Answer {
    count: u64,
    /// The bytes of its records, compressed as one stream.
    own: u64,
    /// The same with the records of the nodes of ways, whose places are in the answer too.
    placed: u64,
}

fn answer(db: &Db<FjallStore>, bbox: BBox) -> Result<Answer, Failure> {
    let snapshot = db.snapshot();
    let (mut own, mut placed) = (BTreeSet::new(), BTreeSet::new());
    for feature in snapshot.query(bbox) {
        let element = feature?.element;
        own.insert(element);
        for head in snapshot.get(element)? {
            if let Some(Payload::Way { refs, .. }) = head.entry.payload {
                placed.extend(refs.into_iter().map(ElementId::node));
            }
        }
    }
    let count = own.len() as u64;
    placed.extend(&own);
    let compressed = |elements: BTreeSet<ElementId>| -> Result<u64, Failure> {
        let mut all = Vec::new();
        for element in elements {
            let key = [&[element.kind.code()][..], &element.id.to_be_bytes()].concat();
            let heads = snapshot.root().trees.heads.get(snapshot.source(), &key)?;
            all.extend_from_slice(&heads.unwrap_or_default());
        }
        Ok(zstd::bulk::compress(&all, 6)?.len() as u64)
    };
    Ok(Answer { count, own: compressed(own)?, placed: compressed(placed)? })
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
    let screen: BBox = SCREEN.parse()?;
    let [whole, next, first] = [answer(&db, bbox)?, answer(&db, beside)?, answer(&db, screen)?];
    let count = whole.count;
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
        table.ask("far: one element of a peer, cold", &remote.traffic(), found, (0, 0));

        let remote = Remote::open(peer(Ask::Query(screen, Filter::new()))).await?;
        let found = query(&remote, screen).await?;
        table.ask("far: 0.002 degrees of a peer, cold", &remote.traffic(), found, (first.own, first.placed));

        let remote = Remote::open(peer(Ask::Query(bbox, Filter::new()))).await?;
        let found = query(&remote, bbox).await?;
        if found != count {
            return Err(format!("{found} features of {count}").into());
        }
        let cold = remote.traffic();
        table.ask("far: 0.02 degrees of a peer, cold", &cold, found, (whole.own, whole.placed));
        let found = query(&remote, beside).await?;
        table.ask(
            "far: half a screen further, warm",
            &less(remote.traffic(), cold),
            found,
            (next.own, next.placed),
        );
        Ok::<(), Failure>(())
    })?;

    let origin = || -> Result<_, Failure> { Ok(PackOrigin::new(Folder::open(&files.to_string_lossy())?)) };
    let remote = BlockingRemote::open(origin()?)?;
    let found = remote.get(node)?.len() as u64;
    table.ask("far: one element of static files, cold", &remote.traffic(), found, (0, 0));
    block_on(async {
        let options = RemoteOptions::default();
        let remote = Remote::open_with(&options, vec![origin()?], MemoryStore::new()).await?;
        let found = query(&remote, bbox).await?;
        let own = (whole.own, whole.placed);
        table.ask("far: 0.02 degrees of static files, cold", &remote.traffic(), found, own);
        Ok::<(), Failure>(())
    })
}
