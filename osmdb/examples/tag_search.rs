//! Finds elements by their tags: everywhere, page by page, in a box, and the nearest to a place.
//!
//! `cargo run --release --example tag_search -- andorra.osm.pbf amenity=pharmacy 42.507,1.522`; without a file,
//! wells that it makes itself.

use std::error::Error;

use osmdb::{BBox, Coord, Db, Filter, Payload, Tags};

/// How many results a page has.
const PAGE: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let db = Db::in_memory("osm")?;
    match arguments.next() {
        Some(file) => drop(db.import(&[file], |_, _| {})?),
        None => {
            let mut batch = db.batch();
            for number in 0..10 {
                let coord = Coord::new(425_000_000 + number * 20_000, 15_000_000)?;
                let tags =
                    Tags::from([("amenity", "drinking_water".to_owned()), ("ref", number.to_string())]);
                batch.create(Payload::Node { coord, tags })?;
            }
            batch.commit()?;
        }
    }
    let filter: Filter = arguments.next().as_deref().unwrap_or("amenity=drinking_water").parse()?;
    let from: Coord = arguments.next().as_deref().unwrap_or("42.507,1.5").parse()?;
    let corner = |by: i64| Coord::new(i64::from(from.lat()) + by, i64::from(from.lon()) + by);
    let around = BBox::new(corner(-200_000)?, corner(200_000)?)?;

    // The tags tree leads to what few have, wherever it is. A cursor says where a page of results ended: the
    // next one costs no more than the first.
    let snapshot = db.snapshot();
    println!("{} match {filter}", snapshot.find(&filter).count_elements()?);
    let mut cursor = None;
    for page in 1..=2 {
        let mut query = snapshot.find(&filter);
        if let Some(cursor) = &cursor {
            query = query.after(cursor)?;
        }
        let found: Vec<_> = query.by_ref().take(PAGE).collect::<Result<_, _>>()?;
        cursor = Some(query.save());
        let names: Vec<String> = found.iter().map(|feature| feature.element.to_string()).collect();
        println!("page {page}: {}", names.join(" "));
    }
    println!("{} around {from}", snapshot.query(around).filter(&filter).count_elements()?);

    for neighbour in snapshot.nearest(from, &filter).take(PAGE) {
        let neighbour = neighbour?;
        println!("{} m: {}", neighbour.metres.round(), neighbour.feature.element);
    }
    Ok(())
}
