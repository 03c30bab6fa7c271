//! Works on a database until it is done or killed, and prints each root after the call returned.
//!
//! `worker DB STEP…` with the steps `import:FILE`, `merge:DB`, `edit:ID` (a batch of 20 nodes from that id on),
//! `undo`, `gc:ROOTS`, `repair`, and `hold`, which waits for the end of the standard input. Times go to
//! stderr.

use std::error::Error;
use std::io::Read;
use std::time::Instant;

use osmdb::{Coord, Db, ElementId, Keep, Payload, Tags};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut db = Db::create_or_open(arguments.next().ok_or("usage: worker DB STEP…")?)?;
    println!("{}", db.root());
    for step in arguments {
        let start = Instant::now();
        match step.split_once(':') {
            Some(("import", file)) => drop(db.import(&[file], |_, _| {})?),
            Some(("merge", other)) => drop(db.merge(&Db::open(other)?.snapshot())?),
            Some(("edit", first)) => edit(&db, first.parse()?)?,
            Some(("gc", newest)) => drop(db.gc(Keep { newest: newest.parse()?, since: None })?),
            _ if step == "undo" => drop(db.undo()?),
            _ if step == "repair" => drop(db.repair()?),
            _ if step == "hold" => drop(std::io::stdin().read_to_end(&mut Vec::new())?),
            _ => return Err(format!("there is no step `{step}`").into()),
        }
        println!("{}", db.root());
        if std::env::var_os("WORKER_TIMES").is_some() {
            eprintln!("{step}: {} ms", start.elapsed().as_millis());
        }
    }
    Ok(())
}

fn edit(db: &Db, first: u64) -> Result<(), Box<dyn Error>> {
    let mut batch = db.batch();
    for id in first..first + 20 {
        let coord = Coord::new(i64::try_from(id)?, 0)?;
        batch.put(ElementId::node(id), Payload::Node { coord, tags: Tags::from([("natural", "tree")]) });
    }
    batch.commit()?;
    Ok(())
}
