//! Two villages edit apart, merge, and settle what they do not agree on.

use std::error::Error;

use osmdb::{Coord, Db, Payload, Tags};

fn spring(water: &str) -> Result<Payload, Box<dyn Error>> {
    let coord = Coord::new(425_121_500, 15_029_000)?;
    let tags = Tags::from([("natural", "spring"), ("drinking_water", water)]);
    Ok(Payload::Node { coord, tags })
}

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let hilltop = Db::create_or_open(scratch.path().join("hilltop"))?;
    let riverside = Db::create_or_open(scratch.path().join("riverside"))?;
    hilltop.name_author(hilltop.author()?, "Hilltop")?;
    hilltop.name_author(riverside.author()?, "Riverside")?;

    let node = hilltop.create(spring("unknown")?)?;
    riverside.merge(&hilltop.snapshot())?;
    println!("both know {node}, root {}", riverside.root());

    // Neither knows what the other one writes.
    hilltop.put(node, spring("yes")?)?;
    riverside.put(node, spring("no")?)?;

    // They meet. A merge reads only what differs, and the order makes no difference.
    let merged = hilltop.merge(&riverside.snapshot())?;
    riverside.merge(&hilltop.snapshot())?;
    assert_eq!(hilltop.root(), riverside.root());
    println!("one root again, {} fork", merged.forked.len());

    // Nothing is lost and nobody is overruled: the spring has two heads, each signed.
    let heads = hilltop.get(node)?;
    let authors = hilltop.authors()?;
    for head in &heads {
        let author = head.entry.check_signature()?;
        let name = authors.iter().find(|info| Some(info.author) == author).and_then(|info| info.name.clone());
        let water = head.entry.payload.as_ref().and_then(|payload| payload.tags().get("drinking_water"));
        println!("{} says {}", name.unwrap_or_default(), water.unwrap_or_default());
    }

    // Somebody tastes the water, and decides.
    let no = heads.iter().find(|head| {
        head.entry.payload.as_ref().is_some_and(|payload| payload.tags().get("drinking_water") == Some("no"))
    });
    hilltop.resolve(node, no.ok_or("a head is missing")?.version)?;
    riverside.merge(&hilltop.snapshot())?;
    assert_eq!(riverside.get(node)?.len(), 1);
    println!("settled, and known to both");
    Ok(())
}
