//! Plain storage: ordered tables on disk without any hashes.

use std::hint::black_box;

use benches::Pair;
use redb::{ReadableDatabase, TableDefinition};

use crate::system::{Failure, Key, System, Timed, dir_bytes, expect, timed};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pairs");

#[derive(Default)]
pub struct Redb(Option<(redb::Database, tempfile::TempDir)>);

impl Redb {
    fn database(&self) -> Result<&redb::Database, Failure> {
        self.0.as_ref().map(|(database, _)| database).ok_or_else(|| "nothing is built".into())
    }
}

fn insert(database: &redb::Database, pairs: &[Pair], keep: bool) -> Result<(), Failure> {
    let write = database.begin_write()?;
    {
        let mut table = write.open_table(TABLE)?;
        for (key, value) in pairs {
            table.insert(&key[..], &value[..])?;
        }
    }
    if keep {
        write.commit()?;
    } else {
        write.abort()?;
    }
    Ok(())
}

fn redb_gets(database: &redb::Database, keys: &[Key]) -> Timed {
    let table = database.begin_read()?.open_table(TABLE)?;
    let (found, time) =
        timed(|| keys.iter().filter(|key| matches!(table.get(&key[..]), Ok(Some(_)))).count());
    expect(found, keys.len())?;
    Ok(Some(time))
}

impl System for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn build(&mut self, sorted: &[Pair]) -> Timed {
        let dir = tempfile::tempdir()?;
        let database = redb::Database::create(dir.path().join("redb"))?;
        let (done, time) = timed(|| insert(&database, sorted, true));
        done?;
        self.0 = Some((database, dir));
        Ok(Some(time))
    }

    fn build_random(&mut self, pairs: &[Pair]) -> Timed {
        Self::default().build(pairs)
    }

    fn get(&mut self, keys: &[Key]) -> Timed {
        redb_gets(self.database()?, keys)
    }

    fn cold_get(&mut self, keys: &[Key]) -> Timed {
        let (database, dir) = self.0.take().ok_or("nothing is built")?;
        drop(database);
        let database = redb::Database::open(dir.path().join("redb"))?;
        let time = redb_gets(&database, keys);
        self.0 = Some((database, dir));
        time
    }

    fn scan(&mut self, from: &Key, most: usize) -> Timed {
        let table = self.database()?.begin_read()?.open_table(TABLE)?;
        let (found, time) =
            timed(|| Ok::<_, Failure>(table.range(&from[..]..)?.take(most).filter(Result::is_ok).count()));
        expect(found?, most)?;
        Ok(Some(time))
    }

    fn visit(&mut self, count: usize) -> Timed {
        let table = self.database()?.begin_read()?.open_table(TABLE)?;
        let (found, time) = timed(|| {
            let mut found = 0;
            for pair in table.range::<&[u8]>(..)? {
                let (key, value) = pair?;
                found += usize::from(value.value().len() == 100);
                black_box(key.value());
            }
            Ok::<_, Failure>(found)
        });
        expect(found?, count)?;
        Ok(Some(time))
    }

    fn batch(&mut self, batch: &[Pair]) -> Timed {
        let database = self.database()?;
        let (done, time) = timed(|| insert(database, batch, false));
        done?;
        Ok(Some(time))
    }

    fn bytes(&self) -> Result<Option<u64>, Failure> {
        let (_, dir) = self.0.as_ref().ok_or("nothing is built")?;
        dir_bytes(dir.path()).map(Some)
    }
}

#[derive(Default)]
pub struct Fjall(Option<(fjall::Database, fjall::Keyspace, tempfile::TempDir)>);

impl Fjall {
    fn pairs(&self) -> Result<&fjall::Keyspace, Failure> {
        self.0.as_ref().map(|(_, pairs, _)| pairs).ok_or_else(|| "nothing is built".into())
    }
}

fn open(dir: &std::path::Path) -> Result<(fjall::Database, fjall::Keyspace), Failure> {
    let db = fjall::Database::builder(dir).worker_threads(1).open()?;
    let pairs = db.keyspace("pairs", fjall::KeyspaceCreateOptions::default)?;
    Ok((db, pairs))
}

fn fjall_gets(table: &fjall::Keyspace, keys: &[Key]) -> Timed {
    let (found, time) = timed(|| keys.iter().filter(|key| matches!(table.get(key), Ok(Some(_)))).count());
    expect(found, keys.len())?;
    Ok(Some(time))
}

impl System for Fjall {
    fn name(&self) -> &'static str {
        "fjall"
    }

    fn build(&mut self, sorted: &[Pair]) -> Timed {
        let dir = tempfile::tempdir()?;
        let (db, pairs) = open(dir.path())?;
        let (done, time) = timed(|| {
            sorted.iter().try_for_each(|(key, value)| pairs.insert(key, value))?;
            db.persist(fjall::PersistMode::SyncAll)
        });
        done?;
        pairs.rotate_memtable_and_wait()?;
        self.0 = Some((db, pairs, dir));
        Ok(Some(time))
    }

    fn build_random(&mut self, pairs: &[Pair]) -> Timed {
        Self::default().build(pairs)
    }

    fn get(&mut self, keys: &[Key]) -> Timed {
        fjall_gets(self.pairs()?, keys)
    }

    fn cold_get(&mut self, keys: &[Key]) -> Timed {
        let (db, pairs, dir) = self.0.take().ok_or("nothing is built")?;
        drop((pairs, db));
        let (db, pairs) = open(dir.path())?;
        let time = fjall_gets(&pairs, keys);
        self.0 = Some((db, pairs, dir));
        time
    }

    fn scan(&mut self, from: &Key, most: usize) -> Timed {
        let pairs = self.pairs()?;
        let (found, time) = timed(|| {
            pairs.range(from.as_slice()..).take(most).filter_map(|pair| pair.into_inner().ok()).count()
        });
        expect(found, most)?;
        Ok(Some(time))
    }

    fn visit(&mut self, count: usize) -> Timed {
        let pairs = self.pairs()?;
        let (found, time) = timed(|| {
            let whole = |pair: fjall::Guard| pair.into_inner().ok().filter(|(_, value)| value.len() == 100);
            pairs.iter().filter_map(whole).count()
        });
        expect(found, count)?;
        Ok(Some(time))
    }

    /// Into a table of its own beside the pairs: this system has no way back.
    fn batch(&mut self, batch: &[Pair]) -> Timed {
        let (db, _, _) = self.0.as_ref().ok_or("nothing is built")?;
        let other = db.keyspace("batches", fjall::KeyspaceCreateOptions::default)?;
        let (done, time) = timed(|| {
            let mut write = db.batch();
            batch.iter().for_each(|(key, value)| write.insert(&other, key.as_slice(), value.as_slice()));
            write.commit()
        });
        done?;
        Ok(Some(time))
    }

    fn bytes(&self) -> Result<Option<u64>, Failure> {
        let (_, _, dir) = self.0.as_ref().ok_or("nothing is built")?;
        dir_bytes(dir.path()).map(Some)
    }
}
