use proptest::collection::vec;
use proptest::prelude::*;

use super::super::error::SyncError;
use super::super::limits::*;
use super::super::message::ENTRIES;
use super::reader::Rest;
use super::writer::{put_difference, put_number};
use super::*;
use crate::entry::tests::entry;
use crate::entry::{Entry, Known, Origin, OsmMeta};
use crate::model::{Coord, ElementId, Payload, Tags};

fn read(message: &[u8]) -> Result<Vec<(ElementId, Vec<u8>)>, SyncError> {
    let (mut reader, mut found) = (EntryReader::new(message), Vec::new());
    while let Some((element, body)) = reader.next()? {
        found.push((element, body.to_vec()));
    }
    Ok(found)
}

/// An imported node; what differs from one to the next is numbered.
fn imported(id: u64, changeset: u64, user: &str) -> Known {
    let coord = Coord::new(425_000_000 + i64::try_from(id).unwrap(), 15_000_000).unwrap();
    let payload = Some(Payload::Node { coord, tags: Tags::new() });
    let user = Some(user.to_owned());
    let meta =
        OsmMeta { version: Some(1), timestamp: Some(7), changeset: Some(changeset), uid: Some(5), user };
    Known::new(Entry { element: ElementId::node(id), payload, origin: Origin::Imported(meta) })
}

proptest! {
    #[test]
    fn entries_read_as_they_were_written(
        entries in vec((entry(), 0_u64..4, 0_u64..3, any::<[bool; 3]>(), vec(any::<u8>(), 0..9)), 1..60),
    ) {
        let (mut writer, mut expected) = (EntryWriter::default(), Vec::new());
        for (mut entry, few, fewer, [known, shared, raw], bytes) in entries {
            // Changesets and uids that come again, mostly with the same user.
            if let (Origin::Imported(meta), true) = (&mut entry.origin, known) {
                (meta.changeset, meta.uid) = (Some(few), (fewer > 0).then_some(fewer));
                meta.user = if shared { Some("somebody".to_owned()) } else { meta.user.take() };
            }
            let known = Known::new(entry);
            let element = known.entry.element;
            if raw {
                writer.push_body(element, &bytes);
                expected.push((element, bytes));
            } else {
                writer.push(&known);
                expected.push((element, known.body));
            }
        }
        let message = writer.finish().to_vec();
        prop_assert_eq!(read(&message).unwrap(), expected);
        let cuts = long_columns(&message);
        prop_assert!(cuts.is_sorted_by(|a, b| a < b) && cuts.iter().all(|cut| (1..=message.len()).contains(cut)));
        prop_assert!(writer.finish().is_empty(), "nothing is left for the next message");
    }

    #[test]
    fn any_bytes_are_entries_or_an_error(
        bytes in vec(any::<u8>(), 0..300),
        entries in vec(entry(), 1..20),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let _ = read(&bytes);
        let mut writer = EntryWriter::default();
        entries.into_iter().for_each(|entry| writer.push(&Known::new(entry)));
        let mut message = writer.finish().to_vec();
        let place = place.index(message.len());
        message[place] = byte;
        let mut reader = EntryReader::new(&message);
        while let Ok(Some(_)) = reader.next_known() {}
    }

    #[test]
    fn numbers_have_one_form(number in any::<u64>(), from in any::<i64>(), to in any::<i64>()) {
        let mut bytes = Vec::new();
        put_number(&mut bytes, number);
        put_difference(&mut bytes, to, from);
        let mut rest = Rest(&bytes);
        prop_assert_eq!((rest.number(), rest.difference(from)), (Some(number), Some(to)));
        prop_assert!(rest.0.is_empty());
        prop_assert_eq!(Rest(&[0x80 | 1, 0]).number(), None);
        prop_assert_eq!(Rest(&[0xff; 11]).number(), None);
    }
}

#[test]
fn what_an_import_repeats_is_said_once() {
    let mut writer = EntryWriter::default();
    (1..=1_000).for_each(|id| writer.push(&imported(id, 9_000_000 + id % 4, "somebody")));
    // Kind, form, id, two coordinates, no tags, version, changeset, time.
    let len = writer.finish().len();
    assert!((9_000..9_200).contains(&len), "{len} bytes");
}

#[test]
fn a_name_said_once_does_not_fill_memory() {
    let mut writer = EntryWriter::default();
    let name = "n".repeat(FRAME_BYTES / 2);
    (1..=2_000).for_each(|id| writer.push(&imported(id, 3, &name)));
    assert!(writer.is_full());
    let message = writer.finish().to_vec();
    assert!(message.len() < 40_000, "{} bytes", message.len());
    assert!(matches!(read(&message), Err(SyncError::Message { kind: ENTRIES })));
    assert!(matches!(read(&[]), Err(SyncError::Message { .. })), "no columns");
    let nothing = [0x40; COLUMNS];
    assert!(matches!(read(&nothing), Err(SyncError::Message { .. })), "no entries");
}
