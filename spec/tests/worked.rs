//! The worked examples in `prolly.md`: every byte, address and hash in them is computed anew.

use spec::reference::{self, Config, Pairs};

const TEXT: &str = include_str!("../prolly.md");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text without white space, so that long rows of digits may be broken.
fn says(what: &str) {
    let text: String = TEXT.split_whitespace().collect();
    assert!(text.contains(&what.replace(' ', "")), "prolly.md does not say {what}");
}

#[test]
fn the_worked_examples_are_as_computed() {
    let config = Config { leaf: [54, 160], branch: [53, 157], key_max: 1, inline_max: 48 };
    assert!(config.is_valid());
    says(&hex(&config.record()));
    says(&hex(&reference::address(&config.record())));

    let (root, pages) = reference::build(&config, &Pairs::new()).expect("the empty tree");
    says(&hex(&pages[&root]));
    says(&hex(&root));
    says(&reference::cid_text(&root));

    let mut model: Pairs = (b'a'..=b'd').map(|key| (vec![key], vec![key; 40])).collect();
    model.insert(b"e".to_vec(), vec![b'e'; 49]);
    for key in model.keys().take(4) {
        says(&format!("{:016x}", reference::key_hash(0, key)));
    }
    let (root, pages) = reference::build(&config, &model).expect("a small tree");
    assert_eq!(pages.len(), 4);
    for (address, page) in &pages {
        says(&hex(page));
        says(&hex(address));
    }
    says(&reference::cid_text(&root));
    assert_eq!(prolly_root(&config, &model), root);
}

/// What the other implementation says.
fn prolly_root(config: &Config, model: &Pairs) -> [u8; 32] {
    let config = prolly::Config::decode(&config.record()).expect("a valid configuration");
    let tree =
        prolly::Tree::build(&prolly::MemoryStore::new(), config, model).expect("pairs within the limits");
    *tree.root.as_bytes()
}
