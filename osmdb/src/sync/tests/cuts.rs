//! Streams that are cut anywhere, again and again: what has come as a whole message never comes again.

use std::sync::Arc;

use super::{filled, into};
use crate::db::Db;
use crate::sync::{FRAME_BYTES, Inbox, Options, Session};

/// Numbers that look random, and are the same in every run.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What one try has moved to the one who receives.
struct Try {
    bytes: u64,
    /// Entries that came as a whole message.
    entries: u64,
    is_done: bool,
}

/// Lets two talk until so many bytes came, and cuts the connection.
fn talk(
    ours: &Db<prolly::MemoryStore>,
    theirs: &Db<prolly::MemoryStore>,
    inbox: &Arc<Inbox>,
    left: u64,
) -> Try {
    let mut here = Session::new(ours, Options::default()).unwrap();
    let options = into(inbox);
    let mut there = Session::new(theirs, options).unwrap();
    let mut bytes = 0;
    while bytes < left && !(here.is_finished() && there.is_finished()) {
        while let Some(bytes) = there.send().unwrap() {
            here.receive(&bytes).unwrap();
        }
        while let Some(frame) = here.send().unwrap() {
            let some = &frame[..frame.len().min(usize::try_from(left - bytes).unwrap())];
            bytes += some.len() as u64;
            there.receive(some).unwrap();
            if bytes == left {
                break;
            }
        }
    }
    let is_done = here.is_finished() && there.is_finished();
    Try { bytes, entries: there.summary().received, is_done }
}

#[test]
fn cuts_repeat_no_whole_message() {
    cut_again_and_again(100);
}

#[test]
#[ignore = "takes a minute"]
fn a_thousand_cuts_repeat_no_whole_message() {
    cut_again_and_again(1_000);
}

fn cut_again_and_again(at_least: u64) {
    let ours = filled(20_000);
    let empty = || Db::in_memory("osm").unwrap();
    let whole = talk(&ours, &empty(), &Arc::new(Inbox::in_memory()), u64::MAX);
    assert!(whole.is_done && whole.entries == 20_000);
    // A message, at most, and what every try begins with: a hello, a delta, and a compressor that knows nothing yet.
    let repeated = 3 * FRAME_BYTES as u64 / 4;
    let mut numbers = Numbers(11);
    let (mut cuts, mut runs) = (0_u64, 0);
    while cuts < at_least {
        let (theirs, inbox) = (empty(), Arc::new(Inbox::in_memory()));
        let (mut bytes, mut entries, mut tries) = (0, 0, 0);
        loop {
            tries += 1;
            // Often within the first message, in which case nothing is gained.
            let one = talk(&ours, &theirs, &inbox, 1 + numbers.below(50_000));
            bytes += one.bytes;
            entries += one.entries;
            if one.is_done {
                break;
            }
            cuts += 1;
            assert!([0, 20_000].contains(&theirs.counts().entries), "half of a stream is never seen");
            // What was moved was new, but for that.
            let new = one.entries * 2 * whole.bytes / 20_000;
            assert!(one.bytes <= new + repeated, "{} bytes for {} entries", one.bytes, one.entries);
        }
        assert_eq!(theirs.root(), ours.root());
        // No entry came twice, in all the messages that came whole.
        assert_eq!(entries, 20_000, "{tries} tries");
        assert!(
            bytes <= whole.bytes + tries * repeated,
            "{bytes} bytes in {tries} tries, {} in one",
            whole.bytes
        );
        runs += 1;
    }
    assert!(runs > 1, "{cuts} cuts in {runs} runs");
}

#[test]
fn a_stream_of_which_nothing_came_leaves_no_file() {
    let (ours, theirs) = (filled(100), Db::in_memory("osm").unwrap());
    let dir = tempfile::tempdir().unwrap();
    let inbox = Arc::new(Inbox::in_dir(dir.path()).unwrap());
    let mut here = Session::new(&ours, Options::default()).unwrap();
    let mut there = Session::new(&theirs, into(&inbox)).unwrap();
    while let Some(bytes) = there.send().unwrap() {
        here.receive(&bytes).unwrap();
    }
    // HELLO and DELTA.
    for _ in 0..2 {
        there.receive(&here.send().unwrap().unwrap()).unwrap();
    }
    let files = || std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files(), 1);
    drop(there);
    assert_eq!(files(), 0);
}
