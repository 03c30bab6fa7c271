//! What is local to this database: numbers for clients that know only small ones.
//!
//! Clients read changeset ids and user ids as integers of 32 bits; here a changeset has an id beyond 2⁶², and an
//! author is a key. So each gets a number when it is first spoken of, for good. The tables are notes of the store:
//! they are durable with it, and no other database learns of them.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::db::Db;
use crate::entry::Author;
use crate::error::Error;

/// Numbers that are given here begin behind this, so that they are not taken for those of OpenStreetMap, where fewer
/// than 200 million changesets were opened in twenty years.
pub(crate) const FIRST_NUMBER: u64 = 1 << 30;

/// The greatest number that a client reads.
const LAST_NUMBER: u64 = (1 << 31) - 1;

const CHANGESETS: &[u8] = b"http/changeset/";
const USERS: &[u8] = b"http/user/";
const NAMES: &[u8] = b"author/";

/// The numbers that were given.
#[derive(Debug)]
pub(crate) struct Local {
    db: Arc<Db>,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    changesets: Table<u64>,
    users: Table<Author>,
    names: HashMap<Author, String>,
}

/// Numbers of one kind.
#[derive(Debug)]
struct Table<T> {
    numbers: HashMap<T, u64>,
    meant: BTreeMap<u64, T>,
    /// Those that are not in the store yet.
    new: Vec<u64>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), meant: BTreeMap::new(), new: Vec::new() }
    }
}

impl<T: Copy + Eq + Hash> Table<T> {
    fn insert(&mut self, number: u64, meant: T) {
        self.numbers.insert(meant, number);
        self.meant.insert(number, meant);
    }

    /// Returns the number of something, which gets one if it has none.
    fn number(&mut self, meant: T) -> u64 {
        if let Some(number) = self.numbers.get(&meant) {
            return *number;
        }
        let last = self.meant.last_key_value().map_or(FIRST_NUMBER, |(number, _)| *number);
        let number = last + 1;
        // When all are given, which takes a thousand million changesets, the last one stands for the rest.
        if number > LAST_NUMBER {
            return LAST_NUMBER;
        }
        self.insert(number, meant);
        self.new.push(number);
        number
    }
}

impl Local {
    /// Reads the tables.
    pub(crate) fn new(db: Arc<Db>) -> Result<Self, Error> {
        let mut tables = Tables::default();
        for (key, record) in db.notes(CHANGESETS)? {
            if let (Some(number), Ok(id)) = (number_of(&key, CHANGESETS), record.try_into()) {
                tables.changesets.insert(number, u64::from_be_bytes(id));
            }
        }
        for (key, record) in db.notes(USERS)? {
            if let (Some(number), Ok(key)) = (number_of(&key, USERS), record.try_into()) {
                tables.users.insert(number, Author::new(key));
            }
        }
        for (key, name) in db.notes(NAMES)? {
            let author = key.strip_prefix(NAMES).and_then(|key| key.try_into().ok()).map(Author::new);
            if let (Some(author), Ok(name)) = (author, String::from_utf8(name)) {
                tables.names.insert(author, name);
            }
        }
        let tables = Mutex::new(tables);
        Ok(Self { db, tables })
    }

    /// Returns the number that clients know a changeset by. One of OpenStreetMap has it already.
    pub(crate) fn changeset_number(&self, id: u64) -> u64 {
        if id <= FIRST_NUMBER { id } else { self.tables().changesets.number(id) }
    }

    /// Returns the id of the changeset that a client means.
    pub(crate) fn changeset_id(&self, number: u64) -> Option<u64> {
        if number <= FIRST_NUMBER {
            return Some(number);
        }
        self.tables().changesets.meant.get(&number).copied()
    }

    /// Returns the number that clients know an author by.
    pub(crate) fn user_number(&self, author: Author) -> u64 {
        self.tables().users.number(author)
    }

    /// Returns the author that a client means.
    pub(crate) fn user(&self, number: u64) -> Option<Author> {
        self.tables().users.meant.get(&number).copied()
    }

    /// Returns the name of an author: the one that it was given here, else how its key begins.
    pub(crate) fn user_name(&self, author: Author) -> String {
        let given = self.tables().names.get(&author).cloned();
        given.unwrap_or_else(|| author.to_string().chars().take(8).collect())
    }

    /// Returns the author whom clients know by this name.
    pub(crate) fn user_named(&self, name: &str) -> Option<Author> {
        let users: Vec<Author> = self.tables().users.meant.values().copied().collect();
        users.into_iter().find(|author| self.user_name(*author) == name)
    }

    /// Makes the numbers durable that were given since the last time.
    pub(crate) fn save(&self) -> Result<(), Error> {
        let mut tables = self.tables();
        if tables.changesets.new.is_empty() && tables.users.new.is_empty() {
            return Ok(());
        }
        let Tables { changesets, users, .. } = &mut *tables;
        let key = |prefix: &[u8], number: u64| [prefix, &number.to_be_bytes()[..]].concat();
        let ids = changesets.new.iter().filter_map(|number| {
            let id = changesets.meant.get(number)?;
            Some((key(CHANGESETS, *number), Some(id.to_be_bytes().to_vec())))
        });
        let authors = users.new.iter().filter_map(|number| {
            let author = users.meant.get(number)?;
            Some((key(USERS, *number), Some(author.as_bytes().to_vec())))
        });
        self.db.note(ids.chain(authors).collect())?;
        changesets.new.clear();
        users.new.clear();
        Ok(())
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number_of(key: &[u8], prefix: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(prefix)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_small_and_stay() {
        let dir = tempfile::tempdir().unwrap();
        let db = Arc::new(Db::create_or_open(dir.path().join("osm.db")).unwrap());
        let local = Local::new(Arc::clone(&db)).unwrap();
        let ids = [1 << 62, (1 << 62) + 7, 5_000_000_000];
        let numbers = ids.map(|id| local.changeset_number(id));
        assert_eq!(numbers, [1, 2, 3].map(|n| FIRST_NUMBER + n));
        assert_eq!(local.changeset_number(7), 7, "one of OpenStreetMap");
        let author = db.author().unwrap();
        let user = local.user_number(author);
        local.save().unwrap();
        drop(local);
        let local = Local::new(db).unwrap();
        for (id, number) in ids.into_iter().zip(numbers) {
            assert_eq!((local.changeset_number(id), local.changeset_id(number)), (number, Some(id)));
        }
        assert_eq!((local.user_number(author), local.user(user)), (user, Some(author)));
        assert_eq!(local.changeset_id(FIRST_NUMBER + 4), None);
        assert_eq!(local.changeset_number(1 << 61), FIRST_NUMBER + 4);
    }
}
