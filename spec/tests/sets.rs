//! Merges and CAR files of the reference against those of `prolly`.

mod support;

use std::collections::BTreeMap;

use prolly::ipld::Foreign;
use prolly::{MemoryStore, Resolution, Tree};
use proptest::prelude::*;
use spec::reference::{self, Conflicts, Pairs};
use support::{batch, configs, model, theirs};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn both_merge_alike(
        config in configs(),
        base in model(150),
        edits in (batch(30), batch(30)),
    ) {
        let fits = |key: &[u8]| key.len() <= config.key_max as usize;
        let base: Pairs = base.into_iter().filter(|(key, _)| fits(key)).collect();
        let [left, right] = [edits.0, edits.1].map(|edits| {
            let mut side = base.clone();
            let edits: Vec<_> = edits.into_iter().filter(|(key, _)| fits(key)).collect();
            reference::check_edits(&config, &edits).unwrap();
            reference::edit(&mut side, &edits);
            side
        });
        let store = MemoryStore::new();
        let trees = [&base, &left, &right].map(|side| Tree::build(&store, theirs(&config), side).unwrap());
        let mut found = Conflicts::new();
        let merged = trees[1].merge(&trees[0], &trees[2], &store, &store, |key, both| {
            let sides = [both.base, both.left, both.right].map(|side| side.map(|value| value.to_vec()));
            found.insert(key.to_vec(), sides);
            Resolution::Remove
        });
        let (expected, conflicts) = reference::merge(&base, &left, &right);
        prop_assert_eq!(found, conflicts);
        let merged = merged.unwrap();
        prop_assert_eq!(merged.root.as_bytes(), &reference::build(&config, &expected).unwrap().0);
    }

    #[test]
    fn both_write_the_same_car_files_and_decide_alike_about_others(
        config in configs(),
        model in model(150),
        place in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let fits = |key: &[u8]| key.len() <= config.key_max as usize;
        let model: Pairs = model.into_iter().filter(|(key, _)| fits(key)).collect();
        let (root, pages) = reference::build(&config, &model).unwrap();
        let car = reference::car::write(&root, &pages).unwrap();
        let store = MemoryStore::new();
        let mut written = Vec::new();
        Tree::build(&store, theirs(&config), &model).unwrap().export_car(&store, &mut written).unwrap();
        prop_assert_eq!(&car, &written);
        let read = |car: &[u8]| -> Result<BTreeMap<_, _>, String> {
            let (root, pages) = reference::car::read(car)?;
            reference::read_canonical(&config, &root, &pages)
        };
        prop_assert_eq!(read(&car), Ok(model));
        // The header may be another in ways that only `prolly` takes; the blocks may not.
        let header = 1 + usize::from(car[0]);
        let mut other = car.clone();
        other[header + place.index(car.len() - header)] ^= 1 << bit;
        let theirs = Tree::import_car(&other[..], &MemoryStore::new(), theirs(&config), Foreign::Refuse);
        prop_assert!(read(&other).is_err() && theirs.is_err());
    }
}
