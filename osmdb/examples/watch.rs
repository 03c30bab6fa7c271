//! Follows a box while another thread edits: what is there, and what changes.

use std::error::Error;
use std::time::Duration;

use osmdb::{Coord, Db, Payload, Tags, WatchScope};

fn well(lat: i64) -> Result<Payload, osmdb::CoordError> {
    let tags = Tags::from([("man_made", "water_well")]);
    Ok(Payload::Node { coord: Coord::new(lat, 10_000_000)?, tags })
}

fn main() -> Result<(), Box<dyn Error>> {
    let db = Db::in_memory("osm")?;
    db.create(well(5_000_000)?)?;
    // A watch keeps a root, not a queue: whoever is late is told the difference, and memory does not grow.
    let mut watch = db.watch(WatchScope::Box("0,0,2,2".parse()?))?.with_present()?;
    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let edits = scope.spawn(|| -> Result<(), Box<dyn Error + Send + Sync>> {
            let node = db.create(well(7_000_000)?)?;
            db.put(node, well(15_000_000)?)?;
            // Out of the box again.
            db.put(node, well(900_000_000)?)?;
            Ok(())
        });
        while let Some(update) = watch.next_within(Duration::from_millis(500))? {
            println!("{:?} {}, {} head", update.what, update.element, update.heads.len());
        }
        edits.join().map_err(|_| "the edits stopped")?.map_err(|error| error.to_string())?;
        Ok(())
    })
}
