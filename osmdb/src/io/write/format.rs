//! What a file is to be, told from its name.

use std::fmt;
use std::path::Path;

use super::super::error::Compression;

/// A format that is written, told from the name of the file.
///
/// ```
/// use osmdb::io::{Compression, FileFormat};
///
/// assert_eq!(FileFormat::of("valley.osm.pbf"), Some(FileFormat::Pbf));
/// assert_eq!(FileFormat::of("maps/valley.OSM.GZ"), Some(FileFormat::Xml(Some(Compression::Gzip))));
/// assert_eq!(FileFormat::of("monday.osc"), Some(FileFormat::Change(None)));
/// assert_eq!(FileFormat::of("valley.shp"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// `.osm.pbf`, `.osh.pbf`, `.pbf`
    Pbf,
    /// `.osm`, `.osh`, and these with `.gz` or `.bz2`
    Xml(Option<Compression>),
    /// `.osc`, `.osc.gz`, `.osc.bz2`: what was created, modified, deleted
    Change(Option<Compression>),
}

/// The endings of names that tell a format. None is the end of another.
const ENDINGS: [(&str, FileFormat); 10] = [
    (".pbf", FileFormat::Pbf),
    (".osm", FileFormat::Xml(None)),
    (".osm.gz", FileFormat::Xml(Some(Compression::Gzip))),
    (".osm.bz2", FileFormat::Xml(Some(Compression::Bzip2))),
    (".osh", FileFormat::Xml(None)),
    (".osh.gz", FileFormat::Xml(Some(Compression::Gzip))),
    (".osh.bz2", FileFormat::Xml(Some(Compression::Bzip2))),
    (".osc", FileFormat::Change(None)),
    (".osc.gz", FileFormat::Change(Some(Compression::Gzip))),
    (".osc.bz2", FileFormat::Change(Some(Compression::Bzip2))),
];

/// The endings, as errors list them.
pub(super) const KNOWN: &str = ".osm.pbf, .osm, .osm.gz, .osm.bz2, .osc, .osc.gz or .osc.bz2 \
                                (.osh for .osm where it is a history)";

impl FileFormat {
    /// Returns the format that the end of a file's name stands for, in upper or lower case; `None` if it
    /// stands for none.
    #[must_use]
    pub fn of(path: impl AsRef<Path>) -> Option<Self> {
        let name = path.as_ref().file_name()?.to_string_lossy().to_ascii_lowercase();
        ENDINGS.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| format)
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, packed) = match self {
            Self::Pbf => ("OSM PBF", None),
            Self::Xml(packed) => ("OSM XML", *packed),
            Self::Change(packed) => ("an OSM change file", *packed),
        };
        f.write_str(name)?;
        packed.map_or(Ok(()), |compression| write!(f, " in {compression}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_name_counts() {
        for (ending, format) in ENDINGS {
            assert_eq!(FileFormat::of(format!("a/b.c{ending}")), Some(format));
        }
        for name in ["", "osm", "map.osm.zip", "map.gz", "map.osm/", "..", "map.osm.zst", "map"] {
            let expected = (name == "map.osm/").then_some(FileFormat::Xml(None));
            assert_eq!(FileFormat::of(name), expected, "{name}");
        }
    }
}
