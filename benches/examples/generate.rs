//! Writes a file of made-up elements, the same for the same number: `generate COUNT FILE`.

use osmdb::io::Writer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(count), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: generate COUNT FILE, such as generate 10000000 large.osm.pbf".into());
    };
    let mut writer = Writer::create(path)?;
    for entry in benches::generated(count.parse()?) {
        writer.write(&entry)?;
    }
    Ok(writer.finish()?)
}
