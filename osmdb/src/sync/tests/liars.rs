//! Peers who lie to a reader: each lie has its error, and who lied is asked no more.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prolly::cbor::{put_bytes, put_unsigned};
use prolly::{Cid, MemoryStore, PageSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Runtime;

use super::super::asking::{Answered, Asker};
use super::super::message::{self, HELLO, Message, PAGES, READ_END, SIGNED};
use super::super::page_columns::{PageReader, PageWriter};
use super::super::wire::{Incoming, Outgoing};
use super::filled;
use super::hostile::{Memory, same};
use crate::db::Feature;
use crate::entry::DeviceKey;
use crate::model::BBox;
use crate::net::PeerOrigin;
use crate::remote::{MAX_READ_BYTES, OriginError, Remote, RemoteError, RemoteOptions, TrustError};
use crate::signed_root::{SignedRoot, SignedRootError};
use crate::sync::{
    MAX_MESSAGE_BYTES, MAX_MESSAGE_TIME, MAX_READ_PAGES, MAX_SILENCE, Options, PAGES_BYTES, Session,
    SyncError,
};

/// What becomes of a message to the reader.
type Lie = Box<dyn FnMut(u8, Bytes) -> Vec<(u8, Vec<u8>)> + Send>;

fn globe() -> BBox {
    "-180,-90,180,90".parse().unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Answers the questions of a reader, with somebody between them.
async fn answer(db: Arc<Memory>, mut stream: DuplexStream, mut lie: Lie) {
    let mut session = Session::new(&*db, Options::default()).unwrap();
    let (mut heard, mut told) = (Incoming::new(), Outgoing::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        while let Some(bytes) = session.send().unwrap() {
            heard.push(&bytes);
            while let Some((kind, body)) = heard.pop().unwrap() {
                for (kind, body) in lie(kind, body) {
                    told.push(kind, &body, true).unwrap();
                    if stream.write_all(&told.pop().unwrap()).await.is_err() {
                        return;
                    }
                }
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => session.receive(&buffer[..count]).unwrap(),
            _ => return,
        }
    }
}

fn peer(name: &str, db: &Arc<Memory>, lie: Lie) -> PeerOrigin<DuplexStream> {
    let (near, far) = duplex(1 << 16);
    tokio::spawn(answer(Arc::clone(db), far, lie));
    PeerOrigin::new(name, near)
}

fn honest() -> Lie {
    Box::new(|kind, body| same(kind, &body))
}

async fn read(remote: &Remote<PeerOrigin<DuplexStream>>) -> Result<Vec<Feature>, RemoteError> {
    let mut answers = remote.query(globe());
    let mut found = Vec::new();
    while let Some(feature) = answers.next().await {
        found.push(feature?);
    }
    Ok(found)
}

/// A database whose trees have several levels.
fn town() -> Arc<Memory> {
    let db = filled(4_000);
    assert!(db.snapshot().root().trees.spatial.stats(db.store()).unwrap().height > 1);
    Arc::new(db)
}

/// Reads from a liar alone, which must fail, and with somebody honest beside, which must not. Returns the error.
#[track_caller]
fn lied_to(lie: impl Fn() -> Lie) -> OriginError {
    let db = town();
    let expected: Vec<Feature> = db.snapshot().query(globe()).collect::<Result<_, _>>().unwrap();
    let error = runtime().block_on(async {
        let alone = match Remote::open(peer("liar", &db, lie())).await {
            Ok(remote) => {
                let error = read(&remote).await.unwrap_err();
                // It stays so: nobody waits for it again.
                read(&remote).await.unwrap_err();
                error
            }
            Err(error) => error,
        };
        let RemoteError::Origin { name, source } = alone else { panic!("{alone}") };
        assert_eq!(name, "liar");
        let options = RemoteOptions { root: Some(db.root()), ..RemoteOptions::default() };
        let origins = vec![peer("liar", &db, lie()), peer("honest", &db, honest())];
        let remote = Remote::open_with(&options, origins, MemoryStore::new()).await.unwrap();
        assert_eq!(read(&remote).await.unwrap(), expected);
        let dropped: Vec<_> = remote.dropped().into_iter().map(|dropped| dropped.name).collect();
        assert_eq!(dropped, if source.is_lie() { vec!["liar"] } else { Vec::new() }, "{source}");
        source
    });
    let db = Arc::into_inner(db);
    assert!(db.is_none_or(|db| db.verify().is_ok()), "who serves is as before");
    error
}

/// Takes the pages of a message apart.
fn pages(body: &Bytes) -> (u64, Vec<Bytes>) {
    let mut reader = prolly::cbor::Reader::new(body);
    let id = reader.unsigned().unwrap();
    (id, PageReader::new(&mut reader).unwrap().map(Result::unwrap).collect())
}

fn put_pages(id: u64, pages: &[Bytes]) -> Vec<(u8, Vec<u8>)> {
    let mut out = Vec::new();
    put_unsigned(&mut out, id);
    let mut columns = PageWriter::default();
    pages.iter().for_each(|page| columns.push(page));
    columns.finish(&mut out);
    vec![(PAGES, out)]
}

/// Changes the pages of an answer.
fn of_pages(change: fn(&mut Vec<Bytes>)) -> Lie {
    Box::new(move |kind, body| {
        if kind != PAGES {
            return same(kind, &body);
        }
        let (id, mut pages) = pages(&body);
        change(&mut pages);
        if pages.is_empty() { Vec::new() } else { put_pages(id, &pages) }
    })
}

/// Says something instead of pages, so many times.
fn instead(times: usize, said: impl Fn(u64) -> (u8, Vec<u8>) + Clone + Send + 'static) -> impl Fn() -> Lie {
    move || {
        let said = said.clone();
        Box::new(move |kind, body| match kind {
            PAGES => vec![said(pages(&body).0); times],
            _ => same(kind, &body),
        })
    }
}

#[test]
fn nobody_between_is_no_lie() {
    let db = town();
    runtime().block_on(async {
        let remote = Remote::open(peer("peer", &db, honest())).await.unwrap();
        assert_eq!(read(&remote).await.unwrap().len(), 4_000);
        assert!(remote.dropped().is_empty());
    });
}

#[test]
fn wrong_pages() {
    let flip = |pages: &mut Vec<Bytes>| {
        for page in pages {
            let mut bytes = page.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            *page = bytes.into();
        }
    };
    let error = lied_to(|| of_pages(flip));
    assert!(matches!(error, OriginError::Unasked { .. }), "{error}");
}

#[test]
fn pages_out_of_order() {
    // Leaves before the branches that name them.
    let error = lied_to(|| of_pages(|pages| pages.reverse()));
    assert!(matches!(error, OriginError::Unasked { .. }), "{error}");
    // The same page twice.
    let error = lied_to(|| of_pages(|pages| pages.extend(pages.clone())));
    assert!(matches!(error, OriginError::Unasked { .. }), "{error}");
}

#[test]
fn missing_pages() {
    let error = lied_to(|| of_pages(Vec::clear));
    assert!(matches!(error, OriginError::Missing(_)), "{error}");
}

#[test]
fn a_tree_that_is_none() {
    // Every hash is right, and the root is the one that is trusted; but a branch has its children in the wrong order.
    let db = town();
    let snapshot = db.snapshot();
    let tree = snapshot.root().trees.heads.root;
    let page = prolly::Page::verify(tree, db.store().load(&tree).unwrap().unwrap()).unwrap();
    let links: Vec<Cid> = (0..page.len()).filter_map(|index| page.child(index)).collect();
    let mut forged = page.bytes().to_vec();
    let find = |cid: &Cid, bytes: &[u8]| bytes.windows(32).position(|part| part == cid.as_bytes()).unwrap();
    let (first, second) = (find(&links[0], &forged), find(&links[1], &forged));
    forged[first..first + 32].copy_from_slice(links[1].as_bytes());
    forged[second..second + 32].copy_from_slice(links[0].as_bytes());
    let mut record = snapshot.root().encode();
    let at = find(&tree, &record);
    record[at..at + 32].copy_from_slice(Cid::of(&forged).as_bytes());
    let root = Cid::of(&record);
    let (forged, record) = (Bytes::from(forged), Bytes::from(record));
    for page in [&forged, &record] {
        prolly::PageSink::put(db.store(), Cid::of(page), page.clone()).unwrap();
    }
    runtime().block_on(async {
        // Whoever serves it notices too, and says so.
        let options = RemoteOptions { root: Some(root), ..RemoteOptions::default() };
        let (near, far) = duplex(1 << 16);
        tokio::spawn({
            let db = Arc::clone(&db);
            async move { crate::net::sync_over(&*db, far, Options::default(), |_| ()).await }
        });
        let origin = PeerOrigin::new("peer", near);
        let remote = Remote::open_with(&options, vec![origin], MemoryStore::new()).await.unwrap();
        let error = remote.get(crate::model::ElementId::node(3)).await.unwrap_err();
        let is_damaged = |error: &RemoteError| {
            matches!(
                error,
                RemoteError::Read(crate::Error::Tree(prolly::Error::Page { .. }))
                    | RemoteError::Origin { source: OriginError::Peer(SyncError::Refused { .. }), .. }
            )
        };
        assert!(is_damaged(&error), "{error:?}");
    });
}

#[test]
fn endless_answers() {
    // Messages without pages, and pages without bytes.
    for empty in [false, true] {
        let error = lied_to(instead(100, move |id| {
            let pages = if empty { vec![Bytes::new()] } else { Vec::new() };
            put_pages(id, &pages).remove(0)
        }));
        assert!(matches!(error, OriginError::Peer(SyncError::Message { kind: PAGES })), "{error}");
    }
    // Bytes without end.
    let error = lied_to(instead(40, |id| put_pages(id, &vec![Bytes::from(vec![7; 1 << 15]); 32]).remove(0)));
    assert!(
        matches!(error, OriginError::Peer(SyncError::TooMuch { limit }) if limit == MAX_READ_BYTES as u64),
        "{error}"
    );
    // More pages than bytes could be good for.
    let many = vec![Bytes::from_static(b"?"); MAX_READ_PAGES / 4];
    let error = lied_to(instead(5, move |id| put_pages(id, &many).remove(0)));
    assert!(matches!(error, OriginError::Peer(SyncError::TooMuch { .. })), "{error}");
    // Something else, again and again.
    let error = lied_to(instead(100, |_| (message::CREDIT, message::number(1))));
    assert!(matches!(error, OriginError::Peer(SyncError::Turn { kind: message::CREDIT })), "{error}");
}

#[test]
fn a_bomb() {
    let error = lied_to(instead(1, |_| (PAGES, vec![0; MAX_MESSAGE_BYTES + 1])));
    assert!(
        matches!(&error, OriginError::Peer(SyncError::Frame { what }) if what.contains("longer than")),
        "{error}"
    );
}

#[test]
fn absurd_counts() {
    // A page that says that it is longer than what there is.
    let error = lied_to(instead(1, |id| {
        let (kind, mut body) = put_pages(id, &[]).remove(0);
        body.extend([0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        (kind, body)
    }));
    assert!(matches!(error, OriginError::Peer(SyncError::Message { kind: PAGES })), "{error}");
    // The answer to a question that nobody has asked yet.
    let error = lied_to(instead(1, |_| put_pages(u64::MAX, &[Bytes::from_static(b"?")]).remove(0)));
    assert!(matches!(error, OriginError::Peer(SyncError::Turn { kind: PAGES })), "{error}");
}

#[test]
fn a_root_that_is_not_there() {
    let db = town();
    let another = Cid::of(b"another root");
    let lie: Lie = Box::new(move |kind, body| {
        if kind != READ_END {
            return if kind == SIGNED { Vec::new() } else { same(kind, &body) };
        }
        let mut out = Vec::new();
        put_unsigned(&mut out, prolly::cbor::Reader::new(&body).unsigned().unwrap());
        put_bytes(&mut out, another.as_bytes());
        put_unsigned(&mut out, 0);
        vec![(READ_END, out)]
    });
    let error = runtime().block_on(async { Remote::open(peer("liar", &db, lie)).await.unwrap_err() });
    assert!(
        matches!(&error, RemoteError::Origin { source: OriginError::Missing(cid), .. } if *cid == another),
        "{error}"
    );
}

#[test]
fn said_twice() {
    // The greeting.
    let error = lied_to(|| {
        Box::new(|kind, body| if kind == HELLO { vec![(kind, body.to_vec()); 2] } else { same(kind, &body) })
    });
    assert!(matches!(error, OriginError::Peer(SyncError::Turn { kind: HELLO })), "{error}");
    // An answer.
    let error = lied_to(|| {
        let mut said = Vec::new();
        let mut ended = 0;
        Box::new(move |kind, body| {
            if kind != HELLO && ended == 0 {
                said.push((kind, body.to_vec()));
            }
            ended += u32::from(kind == READ_END);
            if ended > 0 && kind != READ_END { said.clone() } else { same(kind, &body) }
        })
    });
    assert!(matches!(error, OriginError::Peer(SyncError::Turn { kind: PAGES })), "{error}");
    // Something before the greeting.
    let error = lied_to(|| Box::new(|kind, body| if kind == HELLO { Vec::new() } else { same(kind, &body) }));
    assert!(matches!(error, OriginError::Peer(SyncError::Turn { .. })), "{error}");
    // A greeting in another version is no lie, but leads nowhere.
    let error = lied_to(|| Box::new(|kind, body| same(kind, if kind == HELLO { &[2] } else { &body })));
    assert!(matches!(error, OriginError::Peer(SyncError::Version { ours: 1, theirs: 2 })), "{error}");
}

#[test]
fn the_slow_and_the_silent() {
    let mut asker = Asker::new().unwrap();
    asker.ask(None, None, &[], &[]).unwrap();
    asker.tick(MAX_SILENCE).unwrap();
    let error = asker.tick(MAX_SILENCE + Duration::from_secs(1)).unwrap_err();
    assert!(matches!(error, SyncError::Silence { .. }), "{error}");
    // A byte every half a minute is no silence, but it is slow.
    let mut asker = Asker::new().unwrap();
    asker.ask(None, None, &[], &[]).unwrap();
    let (mut now, mut answer) = (Duration::ZERO, Answered::default());
    let mut out = Outgoing::new();
    out.push(HELLO, &[1; 37], false).unwrap();
    let frame = out.pop().unwrap();
    let mut drip = frame[..1].iter().chain(&[0; 1_000]);
    let error = loop {
        now += MAX_SILENCE / 2;
        if let Err(error) = asker.tick_alive(now) {
            break error;
        }
        asker.receive(&[*drip.next().unwrap()], &mut answer).unwrap();
    };
    assert!(matches!(error, SyncError::Slow { after } if after > MAX_MESSAGE_TIME), "{error}");
}

#[test]
fn a_silent_peer_is_given_up() {
    runtime().block_on(async {
        let (near, far) = duplex(1 << 16);
        let origin = PeerOrigin::new("silent", near).with_patience(Duration::from_millis(1_500));
        let error = Remote::open(origin).await.unwrap_err();
        let is_silence = |error: &RemoteError| {
            matches!(error, RemoteError::Origin { source: OriginError::Peer(SyncError::Silence { .. }), .. })
        };
        assert!(is_silence(&error), "{error}");
        drop(far);
    });
}

#[test]
fn a_question_for_which_nobody_waits_harms_no_other() {
    let db = town();
    runtime().block_on(async {
        let remote = Remote::open(peer("peer", &db, honest())).await.unwrap();
        for wait in [0, 0, 1, 3] {
            // Dropped in the middle of an answer.
            let _ = tokio::time::timeout(Duration::from_millis(wait), read(&remote)).await;
        }
        assert_eq!(read(&remote).await.unwrap().len(), 4_000);
        assert!(remote.dropped().is_empty());
    });
    // Byte by byte: the answer to the first question comes after the second was asked.
    let mut asker = Asker::new().unwrap();
    let mut session = Session::new(&*db, Options::default()).unwrap();
    for _ in 0..2 {
        asker.ask(None, None, &[], &[]).unwrap();
    }
    while let Some(bytes) = asker.send() {
        session.receive(&bytes).unwrap();
    }
    let mut answer = Answered::default();
    while let Some(bytes) = session.send().unwrap() {
        asker.receive(&bytes, &mut answer).unwrap();
    }
    assert_eq!((answer.pages.len(), answer.end), (2, Some((db.root(), 0))));
}

/// What a reader may make somebody who serves hold and send.
#[test]
fn no_question_gets_more_than_it_asked_for() {
    let db = town();
    let ask = crate::remote::Ask::Trees(vec!["heads".to_owned(), "history".to_owned()]);
    for budget in [0_u64, 1, 5_000, 200_000] {
        let mut question = Vec::new();
        put_unsigned(&mut question, 1);
        prolly::cbor::put_null(&mut question);
        put_bytes(&mut question, &ask.encode().unwrap());
        put_bytes(&mut question, &[]);
        put_bytes(&mut question, &[]);
        put_unsigned(&mut question, budget);
        let mut session = Session::new(&*db, Options::default()).unwrap();
        let mut out = Outgoing::new();
        let reader = message::Hello {
            follows: false,
            reader: true,
            tag: [0; 4],
            root: Cid::from_hash([0; 32]),
            parts: Vec::new(),
            earlier: Vec::new(),
        };
        out.push(HELLO, &reader.encode(), false).unwrap();
        out.push(message::READ, &question, false).unwrap();
        while let Some(bytes) = out.pop() {
            session.receive(&bytes).unwrap();
        }
        let mut heard = Incoming::new();
        let (mut bytes, mut ended) = (0, None);
        while let Some(frame) = session.send().unwrap() {
            heard.push(&frame);
            while let Some((kind, body)) = heard.pop().unwrap() {
                match kind {
                    PAGES => {
                        assert!(body.len() < PAGES_BYTES + prolly::MAX_PAGE_BYTES + 64);
                        bytes += pages(&body).1.iter().map(Bytes::len).sum::<usize>();
                    }
                    READ_END => ended = Some(body.last().copied().unwrap()),
                    HELLO => drop(Message::decode(kind, body).unwrap()),
                    other => panic!("{other}"),
                }
            }
        }
        assert!(bytes as u64 <= budget, "{bytes} bytes for {budget}");
        let all = budget == 200_000 && ended == Some(0);
        assert!(all || ended == Some(1), "{budget}: {ended:?} after {bytes} bytes");
        assert!(budget < 5_000 || bytes > 1_000);
    }
}

/// Opens the dataset of a peer who says something of his own in place of a signed root.
fn open_signed(
    db: &Arc<Memory>,
    options: &RemoteOptions,
    mut say: impl FnMut(&SignedRoot) -> Vec<Vec<u8>> + Send + 'static,
) -> Result<Remote<PeerOrigin<DuplexStream>>, RemoteError> {
    let lie: Lie = Box::new(move |kind, body| match kind {
        SIGNED => {
            let signed = SignedRoot::decode(&body).unwrap();
            say(&signed).into_iter().map(|body| (SIGNED, body)).collect()
        }
        _ => same(kind, &body),
    });
    runtime().block_on(async {
        let origin = peer("liar", db, lie).of_peer(Some(db.author().unwrap()));
        Remote::open_with(options, vec![origin], MemoryStore::new()).await
    })
}

#[test]
fn roots_that_are_not_signed_as_a_peer_says() {
    let db = Arc::new(filled(10));
    let anyone = RemoteOptions::default();
    let friends = RemoteOptions::default().trusting([db.author().unwrap()]);
    let lied = |say: fn(&SignedRoot) -> Vec<Vec<u8>>| match open_signed(&db, &anyone, say) {
        Err(RemoteError::Origin { source: OriginError::Peer(error), .. }) => {
            assert!(error.is_fault_of_peer());
            error
        }
        other => panic!("{other:?}"),
    };
    let error = lied(|signed| {
        let mut bytes = signed.encode();
        bytes.last_mut().into_iter().for_each(|byte| *byte ^= 1);
        vec![bytes]
    });
    assert!(matches!(error, SyncError::Signed(SignedRootError::Forged { .. })), "{error}");
    let error = lied(|_| vec![b"signed".to_vec()]);
    assert!(matches!(error, SyncError::Signed(SignedRootError::Malformed(_))), "{error}");
    let error = lied(|signed| vec![signed.encode(), signed.encode()]);
    assert!(matches!(error, SyncError::Turn { kind: SIGNED }), "{error}");
    let error = lied(|signed| {
        vec![SignedRoot::sign(&DeviceKey::new(&[7; 32]), Cid::of(b"another"), signed.number()).encode()]
    });
    assert!(matches!(error, SyncError::Signed(SignedRootError::OtherRoot { .. })), "{error}");
    // Honest, but not whom the reader trusts; and who says nothing is not trusted either.
    let untrusted = |say: fn(&SignedRoot) -> Vec<Vec<u8>>| match open_signed(&db, &friends, say) {
        Err(RemoteError::Trust { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let stranger = |signed: &SignedRoot| {
        vec![SignedRoot::sign(&DeviceKey::new(&[7; 32]), signed.root(), signed.number()).encode()]
    };
    let author = DeviceKey::new(&[7; 32]).author();
    assert_eq!(untrusted(stranger), TrustError::Stranger { author });
    assert_eq!(untrusted(|_| Vec::new()), TrustError::Unsigned { root: db.root() });
    let remote = open_signed(&db, &friends, |signed| vec![signed.encode()]).unwrap();
    assert_eq!(remote.signed(), Some(db.sign_root().unwrap()));
    // A peer that signs nothing, as older programs do, is read by whoever trusts the connection.
    assert_eq!(open_signed(&db, &anyone, |_| Vec::new()).unwrap().signed(), None);
}

#[test]
fn a_peer_that_says_an_older_root_than_before() {
    let db = Arc::new(filled(10));
    let old = db.sign_root().unwrap();
    db.create(super::node(77)).unwrap();
    // It is the same peer, by its key: so it is believed, but not that it has less than it had.
    let lie: Lie = Box::new(move |kind, body| match kind {
        SIGNED => vec![(kind, old.encode())],
        READ_END => {
            let mut out = Vec::new();
            put_unsigned(&mut out, prolly::cbor::Reader::new(&body).unsigned().unwrap());
            put_bytes(&mut out, old.root().as_bytes());
            put_unsigned(&mut out, 0);
            vec![(kind, out)]
        }
        _ => same(kind, &body),
    });
    let dir = tempfile::tempdir().unwrap();
    for (lie, is_honest) in [(honest(), true), (lie, false)] {
        let key = db.author().unwrap();
        let opened = runtime().block_on(async {
            let origin = peer("hilltop", &db, lie).of_peer(Some(key));
            let cache = prolly::FjallStore::open(dir.path().join("cache")).unwrap();
            let opened = Remote::open_with(&RemoteOptions::default(), vec![origin], cache).await;
            opened.map(|remote| remote.root())
        });
        match opened {
            Ok(root) => assert!(is_honest && root == db.root()),
            Err(RemoteError::Trust { source: TrustError::Older { author, seen, found }, .. }) => {
                assert!(!is_honest && author == key && seen > found && found == old.number());
            }
            Err(error) => panic!("{error}"),
        }
    }
}
