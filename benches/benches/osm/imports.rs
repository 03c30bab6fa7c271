//! Importing into an empty database, onto an earlier one, and a large one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osmdb::Db;
use osmdb::io::{Reader, Writer};

use crate::child::{Imported, start};
use crate::table::{Unit, nanoseconds, percentile};
use crate::{Failure, Run, make_up};

/// The systems that import.
const SYSTEMS: &[&str] = if cfg!(feature = "peers") { &["ours", "sqlite"] } else { &["ours"] };

impl Run {
    pub fn imports(&mut self) -> Result<(), Failure> {
        let mut all: Vec<Vec<Imported>> = vec![Vec::new(); SYSTEMS.len()];
        for round in 0..self.rounds {
            for (system, imported) in SYSTEMS.iter().zip(&mut all) {
                let dir = self.scratch.path().join(format!("{system}-{round}"));
                imported.push(start(system, &self.file, &dir)?);
                std::fs::remove_dir_all(dir)?;
            }
        }
        let file = std::fs::metadata(&self.file)?.len() as f64;
        let median = |system: usize, value: fn(&Imported) -> f64| {
            let mut values: Vec<f64> = all.get(system)?.iter().map(value).collect();
            values.sort_unstable_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let mut row = |name: &str, unit, value: fn(&Imported) -> f64| {
            self.table.add(name, unit, median(0, value).unwrap_or_default(), median(1, value));
        };
        row("import, durable", Unit::Nanoseconds, |import| nanoseconds(import.time));
        row("import, elements", Unit::PerSecond, |import| import.elements as f64 / import.time.as_secs_f64());
        row("import, peak memory", Unit::Bytes, |import| import.peak_bytes as f64);
        row("on disk after the import", Unit::Bytes, |import| import.disk_bytes as f64);
        let times = |system| median(system, |import| import.disk_bytes as f64).map(|bytes| bytes / file);
        self.table.add("on disk ÷ the file", Unit::Ratio, times(0).unwrap_or_default(), times(1));
        Ok(())
    }

    /// The later extract onto the earlier one, beside importing only what differs.
    pub fn updates(&mut self) -> Result<(), Failure> {
        let Some(earlier) = self.earlier.clone() else {
            println!("andorra-2023: no such extract at hand, so there is nothing to update");
            return Ok(());
        };
        let base = self.scratch.path().join("earlier");
        let differs = self.scratch.path().join("differs.osm.pbf");
        let mut versions: u64 = 0;
        {
            let db = Db::create_or_open(&base)?;
            db.import(&[&earlier], |_, _| {})?;
            let snapshot = db.snapshot();
            let mut writer = Writer::create(&differs)?;
            for entry in Reader::open(&self.file)? {
                let entry = entry?;
                let version = entry.version();
                if snapshot.get(entry.element)?.iter().all(|head| head.version != version) {
                    writer.write(&entry)?;
                    versions += 1;
                }
            }
            writer.finish()?;
        }
        let (mut whole, mut part) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            let (time, root) = self.onto(&base, &self.file, &format!("whole-{round}"))?;
            whole.push(time);
            let (time, same) = self.onto(&base, &differs, &format!("part-{round}"))?;
            part.push(time);
            if root != same {
                return Err("the same entries made another root".into());
            }
        }
        let (whole, part) = (percentile(&mut whole, 50), percentile(&mut part, 50));
        let (whole, part) = (whole.map_or(0.0, nanoseconds), part.map_or(1.0, nanoseconds));
        let name = format!("importing only what differs ({versions} versions)");
        self.table.add("andorra-2025 onto andorra-2023", Unit::Nanoseconds, whole, None);
        self.table.add(name, Unit::Nanoseconds, part, None);
        self.table.add("the first ÷ the second", Unit::Ratio, whole / part, None);
        Ok(())
    }

    fn onto(&self, base: &Path, file: &PathBuf, name: &str) -> Result<(Duration, prolly::Cid), Failure> {
        let dir = self.scratch.path().join(name);
        copy(base, &dir)?;
        let db = Db::open(&dir)?;
        let start = Instant::now();
        db.import(&[file], |_, _| {})?;
        let measured = (start.elapsed(), db.root());
        drop(db);
        std::fs::remove_dir_all(dir)?;
        Ok(measured)
    }

    pub fn ten_million(&mut self) -> Result<(), Failure> {
        let file = self.scratch.path().join("ten-million.osm.pbf");
        make_up(10_000_000, &file)?;
        let bytes = std::fs::metadata(&file)?.len() as f64;
        let import = start("ours", &file, &self.scratch.path().join("ten-million"))?;
        let table = &mut self.table;
        table.add("10 M made-up elements: import", Unit::Nanoseconds, nanoseconds(import.time), None);
        let rate = import.elements as f64 / import.time.as_secs_f64();
        table.add("10 M made-up elements: elements", Unit::PerSecond, rate, None);
        table.add("10 M made-up elements: peak memory", Unit::Bytes, import.peak_bytes as f64, None);
        let ratio = import.disk_bytes as f64 / bytes;
        table.add("10 M made-up elements: on disk ÷ the file", Unit::Ratio, ratio, None);
        Ok(())
    }
}

/// Copies a directory.
pub fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (path, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            std::fs::copy(path, target)?;
        }
    }
    Ok(())
}
