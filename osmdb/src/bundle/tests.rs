//! Sticks, whole, torn, damaged and forged.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prolly::MemoryStore;
use proptest::prelude::*;

use super::format::{END_FRAME, FILE_HEAD_BYTES, HEAD_FRAME};
use super::*;
use crate::db::{Authors, Db, Write};
use crate::entry::DeviceKey;
use crate::model::{Coord, ElementId, Payload, Tags};
use crate::sync::SyncError;

type Memory = Db<MemoryStore>;

fn node(lat: i64) -> Payload {
    Payload::Node { coord: Coord::new(lat, 7).unwrap(), tags: Tags::from([("name", "somewhere")]) }
}

fn filled(nodes: i64) -> Memory {
    let db = Db::in_memory("osm").unwrap();
    let mut batch = db.batch();
    for lat in 0..nodes {
        // Numbers that do not compress.
        let lat = lat.wrapping_mul(2_654_435_761) % 900_000_000;
        batch.push(Write::put(ElementId::node(lat.unsigned_abs() + 1), node(lat)));
    }
    batch.commit().unwrap();
    db
}

fn empty() -> Memory {
    Db::in_memory("osm").unwrap()
}

fn edit(db: &Memory, id: u64, lat: i64) {
    db.put(ElementId::node(id), node(lat)).unwrap();
}

/// Syncs, and makes sure that nothing went wrong.
#[track_caller]
fn sync(db: &Memory, stick: &Path) -> Summary {
    sync_in_parts(db, stick, PART_BYTES)
}

#[track_caller]
fn sync_in_parts(db: &Memory, stick: &Path, part_bytes: u64) -> Summary {
    let summary = db.sync_stick(stick, &Options { part_bytes, ..Options::default() }).unwrap();
    assert!(summary.problems.is_empty() && summary.unwritten.is_none(), "{summary:?}");
    summary
}

fn files(stick: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(stick).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

#[track_caller]
fn only_file(stick: &Path) -> (PathBuf, Vec<u8>) {
    let mut files = files(stick);
    assert_eq!(files.len(), 1, "{:?}", files.iter().map(|(path, _)| path).collect::<Vec<_>>());
    files.remove(0)
}

#[test]
fn two_villages_meet_on_a_stick() {
    let stick = tempfile::tempdir().unwrap();
    let stick = stick.path();
    let (ours, theirs) = (filled(3_000), filled(10));
    edit(&ours, 1, 5);
    edit(&theirs, 1, 6);
    let first = sync(&ours, stick);
    assert_eq!((first.gained, first.wrote.unwrap().entries), (0, 3_001));
    let key: String = ours.author().unwrap().to_string().chars().take(16).collect();
    let (path, before) = only_file(stick);
    assert_eq!(path.file_name().unwrap().to_str().unwrap(), format!("osmdb-{key}-1.osmb"));

    let second = sync(&theirs, stick);
    assert_eq!((second.received, second.forked.len()), (3_001, 10), "{second:?}");
    let wrote = second.wrote.unwrap();
    assert_eq!((wrote.base, wrote.root, wrote.entries), (ours.root(), theirs.root(), 11));
    assert_eq!(fs::read(&path).unwrap(), before, "the file of another is not touched");

    let third = sync(&ours, stick);
    assert_eq!((third.gained, third.received), (11, 11));
    assert_eq!(ours.root(), theirs.root());
    let grown = fs::read(&path).unwrap();
    assert!(grown.starts_with(&before) && grown.len() > before.len());
    let announced: Vec<_> = third.announced.iter().map(|one| (one.is_here, one.is_united)).collect();
    assert_eq!((announced.len(), announced.contains(&(true, true))), (2, true));

    // Nothing new: heads are read, nothing is written.
    for db in [&theirs, &ours] {
        sync(db, stick);
        let before = files(stick);
        let again = sync(db, stick);
        assert_eq!((again.received, again.wrote, files(stick)), (0, None, before));
        assert!(again.bytes_in < 2_000, "{} bytes", again.bytes_in);
    }
    ours.verify().unwrap();
}

#[test]
fn an_edit_costs_its_own_bytes() {
    let stick = tempfile::tempdir().unwrap();
    let stick = stick.path();
    let (ours, theirs) = (filled(2_000), empty());
    sync(&ours, stick);
    sync(&theirs, stick);
    edit(&ours, 1, 99);
    let wrote = sync(&ours, stick).wrote.unwrap();
    assert!((wrote.entries, wrote.files) == (1, 1) && wrote.bytes < 600, "{wrote:?}");
    let summary = sync(&theirs, stick);
    assert_eq!((summary.gained, summary.received, theirs.root()), (1, 1, ours.root()));
    assert_eq!(files(stick).len(), 2);
}

/// Truncates a stick on which there are sections of both, in the last one of which many entries stand.
#[test]
fn a_stick_pulled_out_anywhere_keeps_what_was_on_it() {
    let place = tempfile::tempdir().unwrap();
    let (stick, torn) = (place.path().join("stick"), place.path().join("torn"));
    fs::create_dir(&stick).unwrap();
    let (ours, theirs) = (filled(200), empty());
    sync(&ours, &stick);
    sync(&theirs, &stick);
    let met = ours.root();
    let mine = only_of(&stick, &ours);
    let whole = fs::metadata(&mine).unwrap().len();
    let mut batch = ours.batch();
    for id in 0..6_000 {
        let lat = i64::try_from(id * 2_654_435_761_u64 % 1_000_000_007).unwrap() % 900_000_000;
        batch.push(Write::put(ElementId::node(1_000_000_000 + id), node(lat)));
    }
    batch.commit().unwrap();
    sync(&ours, &stick);
    let len = fs::metadata(&mine).unwrap().len();
    assert!(len > whole + 60_000, "{len}");
    let odd = [whole + 1, whole + 7, whole + HEAD_FRAME as u64, len - END_FRAME as u64, len - 1];
    for cut in (0..len).step_by(4_096).chain(odd).chain([1, FILE_HEAD_BYTES]) {
        copy_dir(&stick, &torn);
        let file = torn.join(mine.file_name().unwrap());
        fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(cut).unwrap();
        // Another reads what is whole.
        let reader = empty();
        let summary = reader.sync_stick(&torn, &Options::default()).unwrap();
        let expected = if cut < whole { empty().root() } else { met };
        assert_eq!(reader.root(), expected, "cut at {cut}");
        // What the other village has written begins at the root that is gone with the first section.
        assert_eq!(summary.problems.len(), usize::from(cut < whole), "cut at {cut}");
        let is_torn = ![0, FILE_HEAD_BYTES, whole].contains(&cut);
        assert_eq!(summary.torn.len(), usize::from(is_torn), "cut at {cut}");
        // The owner completes it.
        let wrote = sync(&ours, &torn).wrote.unwrap();
        assert_eq!(wrote.root, ours.root());
        let summary = reader.sync_stick(&torn, &Options::default()).unwrap();
        assert_eq!((reader.root(), summary.torn.len()), (ours.root(), 0), "cut at {cut}");
        assert_eq!(summary.problems.len(), usize::from(cut < whole), "cut at {cut}");
        if cut >= whole {
            assert_eq!(fs::read(&file).unwrap()[..to(whole)], fs::read(&mine).unwrap()[..to(whole)]);
        }
        fs::remove_dir_all(&torn).unwrap();
    }
}

fn to(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap()
}

fn only_of(stick: &Path, db: &Memory) -> PathBuf {
    let key: String = db.author().unwrap().to_string().chars().take(16).collect();
    stick.join(format!("osmdb-{key}-1.osmb"))
}

fn copy_dir(from: &Path, into: &Path) {
    fs::create_dir_all(into).unwrap();
    for (path, bytes) in files(from) {
        fs::write(into.join(path.file_name().unwrap()), bytes).unwrap();
    }
}

#[test]
fn room_that_was_taken_and_never_written_is_torn() {
    let stick = tempfile::tempdir().unwrap();
    let stick = stick.path();
    let (ours, theirs) = (filled(50), empty());
    sync(&ours, stick);
    let file = only_of(stick, &ours);
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend([0; 40_000]);
    fs::write(&file, &bytes).unwrap();
    let summary = sync(&theirs, stick);
    assert_eq!((summary.gained, summary.torn[0].bytes), (50, 40_000));
    edit(&ours, 1, 9);
    sync(&ours, stick);
    assert_eq!(sync(&theirs, stick).gained, 1);
    assert_eq!(theirs.root(), ours.root());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn three_villages_and_one_stick_agree_after_two_rounds(
        edits in prop::collection::vec((0_usize..3, 1_u64..30, 0_i64..1_000), 0..40),
        first in prop::sample::subsequence(vec![0_usize, 1, 2], 3).prop_shuffle(),
        second in Just(vec![0_usize, 1, 2]).prop_shuffle(),
        before in prop::collection::vec(0_usize..3, 0..4),
        part_bytes in prop_oneof![Just(1_u64), Just(700), Just(PART_BYTES)],
    ) {
        let stick = tempfile::tempdir().unwrap();
        let villages = [empty(), empty(), empty()];
        let middle = edits.len() / 2;
        for (place, (village, id, lat)) in edits.iter().enumerate() {
            edit(&villages[*village], *id, *lat);
            if place == middle {
                before.iter().for_each(|village| drop(sync_in_parts(&villages[*village], stick.path(), part_bytes)));
            }
        }
        for village in first.iter().chain(&second) {
            sync_in_parts(&villages[*village], stick.path(), part_bytes);
        }
        // The union, by another way.
        let all = empty();
        for village in &villages {
            all.merge(&village.snapshot()).unwrap();
        }
        prop_assert_eq!(villages.each_ref().map(Db::root), [all.root(); 3]);
        // Who comes late finds all, and what is on the stick is no longer touched.
        let late = empty();
        sync_in_parts(&late, stick.path(), part_bytes);
        prop_assert_eq!(late.root(), all.root());
        villages.iter().for_each(|village| drop(sync_in_parts(village, stick.path(), part_bytes)));
        let still = files(stick.path());
        for village in villages.iter().chain([&late]) {
            prop_assert_eq!(sync_in_parts(village, stick.path(), part_bytes).received, 0);
        }
        prop_assert_eq!(files(stick.path()), still);
    }

    #[test]
    fn a_flipped_bit_is_an_error_or_a_torn_end(place in any::<prop::sample::Index>(), bit in 0_u8..8, second in any::<bool>()) {
        let stick = tempfile::tempdir().unwrap();
        let theirs = filled(300);
        sync(&theirs, stick.path());
        let one = theirs.root();
        edit(&theirs, 1, 5);
        sync(&theirs, stick.path());
        let (path, mut bytes) = only_file(stick.path());
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        let ours = filled(if second { 20 } else { 0 });
        let before = ours.root();
        let summary = ours.take_bundles(&[&path], &Options::default()).unwrap();
        prop_assert_eq!(summary.problems.len() + summary.torn.len(), 1, "byte {}: {:?}", place, summary);
        let expected = [empty(), ours];
        let [united, ours] = expected;
        // Either nothing was taken in, or the first section.
        if ours.root() != before {
            let first = filled(300);
            united.merge(&theirs.snapshot()).unwrap();
            prop_assert!(ours.counts().entries < united.counts().entries.max(321));
            prop_assert_eq!(summary.received, 300);
            prop_assert!(second || ours.root() == one, "{}", first.root());
        }
        ours.verify().unwrap();
    }
}

#[test]
fn long_sections_stand_in_several_files() {
    let stick = tempfile::tempdir().unwrap();
    let stick = stick.path();
    let (ours, theirs) = (filled(20_000), empty());
    let wrote = sync_in_parts(&ours, stick, 50_000).wrote.unwrap();
    assert!(wrote.files > 3, "{wrote:?}");
    for (path, bytes) in files(stick) {
        assert!(bytes.len() < 90_000, "{}", path.display());
    }
    assert_eq!(sync_in_parts(&theirs, stick, 50_000).gained, 20_000);
    assert_eq!(theirs.root(), ours.root());
    // Without one of the parts, nothing of it can be taken; its owner writes it again.
    let middle = only_of(stick, &ours).with_file_name(
        only_of(stick, &ours).file_name().unwrap().to_str().unwrap().replace("-1.osmb", "-2.osmb"),
    );
    fs::remove_file(middle).unwrap();
    let late = empty();
    let taken: Vec<_> = files(stick).into_iter().map(|(path, _)| path).collect();
    let summary = late.take_bundles(&taken, &Options::default()).unwrap();
    assert!(summary.gained == 0 && summary.torn.len() > 2, "{summary:?}");
    let wrote = sync_in_parts(&ours, stick, 50_000).wrote.unwrap();
    assert_eq!(wrote.entries, 20_000);
    assert_eq!(sync_in_parts(&late, stick, 50_000).gained, 20_000);
    assert_eq!(late.root(), ours.root());
    assert!(sync_in_parts(&ours, stick, 50_000).torn.is_empty());
}

#[test]
fn a_section_of_an_unknown_root_is_told() {
    let place = tempfile::tempdir().unwrap();
    let theirs = filled(3);
    let base = theirs.root();
    edit(&theirs, 1, 4);
    let file = place.path().join("new.osmb");
    theirs.write_bundle(&file, Some(base)).unwrap();
    let ours = filled(1);
    let before = ours.root();
    let summary = sync_with_problems(&ours, place.path());
    match summary.problems.as_slice() {
        [BundleError::Base { path, base: found }] => assert_eq!((path, *found), (&file, base)),
        other => panic!("{other:?}"),
    }
    assert_eq!(ours.root(), before);
    assert!(!summary.announced[0].is_united);
    // Once the first part comes, it is taken in.
    let late = place.path().join("before.osmb");
    let first = filled(3);
    first.write_bundle(&late, None).unwrap();
    assert_ne!(first.root(), base, "signed by another");
    let whole = place.path().join("whole.osmb");
    theirs.write_bundle(&whole, None).unwrap();
    assert!(sync(&ours, place.path()).gained >= 4);
    let error = theirs.write_bundle(&file, Some(ours.root())).unwrap_err();
    assert!(matches!(error, BundleError::Db(crate::Error::NotInReflog { .. })), "{error}");
}

#[track_caller]
fn sync_with_problems(db: &Memory, stick: &Path) -> Summary {
    let summary = db.sync_stick(stick, &Options::default()).unwrap();
    assert!(!summary.problems.is_empty());
    summary
}

#[test]
fn other_datasets_are_left_alone() {
    let stick = tempfile::tempdir().unwrap();
    let theirs = Db::in_memory("village").unwrap();
    edit(&theirs, 1, 1);
    sync(&theirs, stick.path());
    let before = only_file(stick.path());
    let ours = filled(5);
    let summary = sync_with_problems(&ours, stick.path());
    assert!(matches!(&summary.problems[..], [BundleError::OtherDataset { path }] if *path == before.0));
    assert_eq!((summary.gained, summary.wrote.unwrap().entries), (0, 5));
    assert!(files(stick.path()).contains(&before));
}

#[test]
fn two_copies_of_one_key_share_a_file() {
    let stick = tempfile::tempdir().unwrap();
    let ours = filled(20);
    let secret = *ours.key().unwrap().secret();
    let twin = empty();
    let note = (b"device-key".to_vec(), Some(secret.to_vec()));
    let commit = prolly::Commit { roots: Vec::new(), notes: vec![note] };
    prolly::PageStore::commit(twin.store(), &commit).unwrap();
    assert_eq!(twin.author().unwrap(), ours.author().unwrap());
    edit(&twin, 70, 5);
    sync(&ours, stick.path());
    let summary = sync(&twin, stick.path());
    assert_eq!((summary.gained, summary.wrote.unwrap().entries), (20, 1));
    assert_eq!(sync(&ours, stick.path()).gained, 1);
    assert_eq!(ours.root(), twin.root());
    only_file(stick.path());
}

#[test]
fn what_was_undone_does_not_come_back_from_the_own_file() {
    let stick = tempfile::tempdir().unwrap();
    let ours = filled(20);
    sync(&ours, stick.path());
    let before = ours.root();
    edit(&ours, 70, 5);
    sync(&ours, stick.path());
    ours.undo().unwrap();
    assert_eq!(ours.root(), before);
    sync(&ours, stick.path());
    assert_eq!(ours.root(), before);
    edit(&ours, 71, 6);
    let wrote = sync(&ours, stick.path()).wrote.unwrap();
    assert_eq!(wrote.root, ours.root());
    let late = empty();
    sync(&late, stick.path());
    assert!(!late.get(ElementId::node(71)).unwrap().is_empty());
}

#[test]
fn what_the_policy_refuses_stays_out_with_what_follows_it() {
    let stick = tempfile::tempdir().unwrap();
    let (ours, good, bad) = (empty(), filled(5), empty());
    edit(&bad, 50, 1);
    sync(&bad, stick.path());
    edit(&bad, 50, 2);
    sync(&bad, stick.path());
    sync(&good, stick.path());
    let policy = Arc::new(Authors([good.author().unwrap()].into()));
    let options = Options { policy, ..Options::default() };
    for _ in 0..2 {
        let summary = ours.sync_stick(stick.path(), &options).unwrap();
        assert!(!summary.refused.is_empty() && summary.problems.is_empty(), "{summary:?}");
        assert_eq!(ours.counts().entries, 5);
    }
    ours.verify().unwrap();
}

#[test]
fn forged_sections_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let theirs = filled(5);
    let file = place.path().join("theirs.osmb");
    theirs.write_bundle(&file, None).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    // Another says that it is theirs.
    let mallory = DeviceKey::generate().unwrap().author();
    let author = to(FILE_HEAD_BYTES) + 2 + 64;
    bytes[author..author + 32].copy_from_slice(mallory.as_bytes());
    fs::write(&file, &bytes).unwrap();
    let ours = empty();
    let summary = ours.take_bundles(&[&file], &Options::default()).unwrap();
    assert!(
        matches!(&summary.problems[..], [BundleError::Forged { author, at: 20, .. }] if *author == mallory),
        "{summary:?}"
    );
    assert_eq!(ours.root(), empty().root());
}

#[test]
fn a_root_that_the_entries_do_not_make_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let theirs = filled(5);
    let file = place.path().join("theirs.osmb");
    theirs.write_bundle(&file, None).unwrap();
    let scan = scan::Scan::read(&file, crate::sync::tag(theirs.snapshot().root())).unwrap();
    let section = scan.sections[0];
    let mut head = section.head;
    head.root = prolly::Cid::of(b"another");
    let mut bytes = fs::read(&file).unwrap();
    let start = to(FILE_HEAD_BYTES);
    bytes[start..start + HEAD_FRAME].copy_from_slice(&head.frame());
    let end = bytes.len() - END_FRAME;
    let digest = *blake3::hash(&bytes[start..end]).as_bytes();
    let signed = format::End::new(&theirs.key().unwrap(), &head, false, 5, (section.end.length, digest));
    bytes[end..].copy_from_slice(&signed.frame());
    fs::write(&file, &bytes).unwrap();
    let ours = filled(2);
    let before = ours.root();
    let summary = ours.take_bundles(&[&file], &Options::default()).unwrap();
    let is_root = |problem: &BundleError| matches!(problem, BundleError::Entries { source: SyncError::Root { announced, .. }, .. } if *announced == head.root);
    assert!(summary.problems.len() == 1 && is_root(&summary.problems[0]), "{summary:?}");
    assert_eq!(ours.root(), before);
    // And one that says less entries than there are.
    let signed = format::End::new(&theirs.key().unwrap(), &head, false, 4, (section.end.length, digest));
    bytes[end..].copy_from_slice(&signed.frame());
    fs::write(&file, &bytes).unwrap();
    let summary = ours.take_bundles(&[&file], &Options::default()).unwrap();
    assert!(matches!(
        &summary.problems[..],
        [BundleError::Entries {
            source: SyncError::Count { expected: 5, found: 5 } | SyncError::Count { .. },
            ..
        }]
    ));
}

#[test]
fn too_many_bytes_are_not_taken_in() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("theirs.osmb");
    filled(2_000).write_bundle(&file, None).unwrap();
    let ours = empty();
    let options = Options { most_bytes: 10_000, ..Options::default() };
    let summary = ours.take_bundles(&[&file], &options).unwrap();
    assert!(
        matches!(
            &summary.problems[..],
            [BundleError::Entries { source: SyncError::TooMuch { limit: 10_000 }, .. }]
        ),
        "{summary:?}"
    );
}

#[test]
fn a_liar_does_not_stand_in_the_way_of_others() {
    let stick = tempfile::tempdir().unwrap();
    let (honest, second) = (filled(30), empty());
    sync(&honest, stick.path());
    sync(&second, stick.path());
    edit(&second, 1, 77);
    sync(&second, stick.path());
    // Somebody else has other entries, and says that they make the same root; the file is read first.
    let mallory = filled(29);
    let file = stick.path().join("0.osmb");
    mallory.write_bundle(&file, None).unwrap();
    let bytes = fs::read(&file).unwrap();
    let scan = scan::Scan::read(&file, crate::sync::tag(honest.snapshot().root())).unwrap();
    let (start, end) = (to(FILE_HEAD_BYTES), bytes.len() - END_FRAME);
    let mut head = scan.sections[0].head;
    head.root = honest.root();
    let body = [&head.frame()[..], &bytes[start + HEAD_FRAME..end]].concat();
    let sum = (body.len() as u64, *blake3::hash(&body).as_bytes());
    let signed = format::End::new(&mallory.key().unwrap(), &head, false, 29, sum);
    let forged = [&bytes[..start], &body, &signed.frame()].concat();
    for name in ["0.osmb", "z.osmb"] {
        fs::remove_file(&file).unwrap_or_default();
        fs::write(stick.path().join(name), &forged).unwrap();
        let late = empty();
        let summary = late.sync_stick(stick.path(), &Options::default()).unwrap();
        assert_eq!(late.root(), second.root(), "{summary:?}");
        assert!(summary.problems.len() <= 1, "{summary:?}");
    }
}
