//! Building a tree (8) by rules of which one is wrong.

use crate::reference::{
    Address, Config, MAX_LEVEL, MAX_VALUE_BYTES, Pages, Pairs, Value, address, branch, bytes, key_hash, leaf,
    links,
};

/// What can be wrong.
pub(crate) struct Rules {
    /// Of places with equal hashes the last is taken (7.3).
    pub(crate) last_of_a_tie: bool,
    /// The level is part of the hash (7.2).
    pub(crate) level_in_hash: bool,
    /// A page may have the least size (7.3).
    pub(crate) least: bool,
    /// A page may have the greatest size (7.3).
    pub(crate) greatest: bool,
    /// A branch may get a single child (7.3).
    pub(crate) lone_child: bool,
    /// A value of `inline_max` bytes is inline (6.1).
    pub(crate) inline: bool,
    /// A last group of one value page is that page, not an array (6.4).
    pub(crate) bare_page: bool,
}

/// Nothing is.
pub(crate) const RIGHT: Rules = Rules {
    last_of_a_tie: false,
    level_in_hash: true,
    least: true,
    greatest: true,
    lone_child: false,
    inline: true,
    bare_page: false,
};

/// A tree that was built.
pub(crate) struct Built {
    pub(crate) root: Address,
    pub(crate) level: u64,
    pub(crate) pages: Pages,
    last: Vec<u8>,
    count: u64,
}

impl Built {
    /// A branch whose one child is the root.
    pub(crate) fn with_a_branch_above(&self) -> Address {
        address(&branch(self.level + 1, &[(self.last.clone(), self.root, self.count)]))
    }
}

/// What a level is made of: a key and its size, and a value, or a child and its count.
struct Item {
    key: Vec<u8>,
    size: usize,
    value: Value,
    count: u64,
}

pub(crate) fn build(config: &Config, pairs: &Pairs, rules: &Rules) -> Result<Built, String> {
    if !config.is_valid() {
        return Err("an invalid configuration".to_owned());
    }
    let mut pages = Pages::new();
    let mut row = Vec::new();
    for (key, value) in pairs {
        if key.len() > config.key_max as usize || value.len() as u64 > MAX_VALUE_BYTES {
            return Err("a pair beyond the limits".to_owned());
        }
        let value = place(value, config.inline_max as usize, rules, &mut pages);
        let empty = leaf(&[]).len();
        let size = leaf(&[(key.clone(), value.clone())]).len() - empty;
        row.push(Item { key: key.clone(), size, value, count: 1 });
    }
    for level in 0..=MAX_LEVEL {
        let cut = cut(config, level, &row, rules);
        let mut next = Vec::new();
        for items in cut {
            let page = encode(level, items);
            let to = address(&page);
            pages.insert(to, page);
            let key = items.last().map(|item| item.key.clone()).unwrap_or_default();
            let size = bytes(&key).len() + 50;
            let count = items.iter().map(|item| item.count).sum();
            next.push(Item { key, size, value: Value::Linked(0, to), count });
        }
        if let [Item { key, value: Value::Linked(_, root), count, .. }] = next.as_slice() {
            return Ok(Built { root: *root, level, pages, last: key.clone(), count: *count });
        }
        row = next;
    }
    Err("more levels than there are".to_owned())
}

fn encode(level: u64, items: &[Item]) -> Vec<u8> {
    if level == 0 {
        return leaf(&items.iter().map(|item| (item.key.clone(), item.value.clone())).collect::<Vec<_>>());
    }
    let child = |item: &Item| match item.value {
        Value::Linked(_, to) => Some((item.key.clone(), to, item.count)),
        Value::Inline(_) => None,
    };
    branch(level, &items.iter().filter_map(child).collect::<Vec<_>>())
}

fn place(value: &[u8], inline_max: usize, rules: &Rules, pages: &mut Pages) -> Value {
    if value.len() < inline_max || value.len() == inline_max && rules.inline {
        return Value::Inline(value.to_vec());
    }
    let mut put = |page: Vec<u8>| {
        let to = address(&page);
        pages.insert(to, page);
        to
    };
    let mut row: Vec<Address> = value.chunks(8192).map(|part| put(bytes(part))).collect();
    if row.is_empty() {
        row.push(put(bytes(&[])));
    }
    while row.len() > 1 {
        let group = |group: &[Address]| match group {
            [one] if rules.bare_page => *one,
            group => put(links(group)),
        };
        row = row.chunks(128).map(group).collect();
    }
    Value::Linked(value.len() as u64, row[0])
}

fn cut<'a>(config: &Config, level: u64, row: &'a [Item], rules: &Rules) -> Vec<&'a [Item]> {
    let [min, max] = if level == 0 { config.leaf } else { config.branch };
    let (min, max) = (min as usize + usize::from(!rules.least), max as usize - usize::from(!rules.greatest));
    let mut left = row;
    let mut pages = Vec::new();
    while !left.is_empty() {
        let (mut size, mut least, mut end) = (0, None, left.len());
        for (n, item) in (1..).zip(left) {
            size += item.size;
            if size > max {
                end = least.map_or(n, |(_, n)| n);
                break;
            }
            let level_hashed = if rules.level_in_hash { u8::try_from(level).unwrap_or(0) } else { 0 };
            let lone = level > 0 && !rules.lone_child && n + 1 == left.len();
            if size >= min && !lone {
                let hash = key_hash(level_hashed, &item.key);
                if least.is_none_or(|(other, _)| hash < other || hash == other && rules.last_of_a_tie) {
                    least = Some((hash, n));
                }
            }
        }
        let (page, rest) = left.split_at(end);
        pages.push(page);
        left = rest;
    }
    if pages.is_empty() { vec![&[]] } else { pages }
}
