//! Asks for one valley of a dataset that is somewhere else, and says what that took.
//!
//! `cargo run --release --example sparse_query -- /srv/www/andorra 1.51,42.50,1.53,42.52`; without arguments, a
//! land of 40,000 wells that it makes and publishes itself.

use std::error::Error;

use osmdb::{BBox, BlockingRemote, Coord, Db, Folder, PackOrigin, Payload, Tags};

/// Publishes a land, and returns how many bytes that is.
fn publish(to: &str) -> Result<u64, Box<dyn Error>> {
    let db = Db::in_memory("osm")?;
    let mut batch = db.batch();
    for number in 0..40_000 {
        let coord = Coord::new(425_000_000 + number / 200 * 9_000, 15_000_000 + number % 200 * 9_000)?;
        let tags = Tags::from([("amenity", "drinking_water".to_owned()), ("ref", number.to_string())]);
        batch.create(Payload::Node { coord, tags })?;
    }
    batch.commit()?;
    Ok(db.publish_to(to)?.bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let mut arguments = std::env::args().skip(1);
    let place = match arguments.next() {
        Some(place) => place,
        None => {
            let place = scratch.path().to_string_lossy().into_owned();
            println!("published {} bytes", publish(&place)?);
            place
        }
    };
    let valley: BBox = arguments.next().as_deref().unwrap_or("1.505,42.505,1.515,42.515").parse()?;

    let remote = BlockingRemote::open(PackOrigin::new(Folder::open(&place)?))?;
    println!("{} nodes at root {}", remote.counts().nodes, remote.root());
    let mut found = 0;
    for feature in remote.query(valley) {
        feature?;
        found += 1;
    }
    let traffic = remote.traffic();
    println!(
        "{found} features in {valley}: {} bytes in {} requests, {} of them one after another",
        traffic.bytes, traffic.requests, traffic.rounds
    );
    Ok(())
}
