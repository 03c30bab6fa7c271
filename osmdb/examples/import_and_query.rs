//! Imports a file and asks what is in a box.
//!
//! `cargo run --release --example import_and_query -- andorra.osm.pbf 1.50,42.50,1.55,42.52`; without a file,
//! a few elements of its own.

use std::error::Error;
use std::path::PathBuf;

use osmdb::{BBox, Db, Filter};

const TOWN: &str = r#"<osm version="0.6">
  <node id="1" version="1" lat="42.506" lon="1.521"/>
  <node id="2" version="1" lat="42.508" lon="1.524"/>
  <node id="3" version="4" lat="42.507" lon="1.522"><tag k="amenity" v="pharmacy"/><tag k="name" v="Central"/></node>
  <way id="1" version="2"><nd ref="1"/><nd ref="2"/><tag k="highway" v="residential"/><tag k="name" v="Long Lane"/></way>
</osm>"#;

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let mut arguments = std::env::args().skip(1);
    let file = match arguments.next() {
        Some(file) => PathBuf::from(file),
        None => {
            let file = scratch.path().join("town.osm");
            std::fs::write(&file, TOWN)?;
            file
        }
    };
    let bbox: BBox = arguments.next().as_deref().unwrap_or("1.50,42.50,1.55,42.52").parse()?;

    // Everything is in one directory. What `import` has returned survives a crash.
    let db = Db::create_or_open(scratch.path().join("osm.db"))?;
    let imported = db.import(&[&file], |_read, _total| {})?;
    println!("{} versions, root {}", imported.gained, db.root());

    // A snapshot does not change, whatever is written meanwhile.
    let snapshot = db.snapshot();
    println!("{} elements touch {bbox}", snapshot.query(bbox).count_elements()?);
    let named: Filter = "name".parse()?;
    for feature in snapshot.query(bbox).filter(&named).take(10) {
        let feature = feature?;
        println!("{}: {}", feature.element, feature.tags.get("name").unwrap_or_default());
    }
    Ok(())
}
