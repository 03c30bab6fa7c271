//! Reads the map as it was, sees what changed since, and goes back.

use std::error::Error;

use osmdb::{Coord, Db, Payload, Tags};

fn bridge(state: &str) -> Result<Payload, osmdb::CoordError> {
    let coord = Coord::new(425_000_000, 15_000_000)?;
    Ok(Payload::Node { coord, tags: Tags::from([("bridge", "yes"), ("condition", state)]) })
}

fn main() -> Result<(), Box<dyn Error>> {
    let db = Db::in_memory("osm")?;
    let node = db.create(bridge("good")?)?;
    db.put(node, bridge("after the flood")?)?;
    db.put(node, bridge("closed")?)?;

    // Every root that the database had can be read, from the pages it shares with those of now.
    for entry in db.reflog()? {
        let then = db.at(entry.root)?;
        let heads = then.get(node)?;
        let payload = heads.first().and_then(|head| head.entry.payload.as_ref());
        let state = payload.and_then(|payload| payload.tags().get("condition")).unwrap_or("not there");
        println!("{} {}: the bridge is {state}", entry.number, entry.what);
    }

    // The history of one element needs no old root: all versions are in every later one.
    for revision in db.snapshot().history(node)? {
        println!(
            "{} replaces {} and is {}a head",
            revision.version,
            revision.replaces.len(),
            if revision.is_head { "" } else { "not " }
        );
    }

    let undone = db.undo()?;
    println!("undid {}: root {} again", undone.what, undone.to);
    Ok(())
}
