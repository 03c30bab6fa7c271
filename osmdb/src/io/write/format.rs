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
    /// `.osm`, `.osh`, and these with `.gz`, `.bz2` or `.zst`
    Xml(Option<Compression>),
    /// `.osc`, `.osc.gz`, `.osc.bz2`, `.osc.zst`: what was created, modified, deleted
    Change(Option<Compression>),
}

/// The endings of names that tell a format. None is the end of another.
const ENDINGS: [(&str, FileFormat); 13] = [
    (".pbf", FileFormat::Pbf),
    (".osm", FileFormat::Xml(None)),
    (".osm.gz", FileFormat::Xml(Some(Compression::Gzip))),
    (".osm.bz2", FileFormat::Xml(Some(Compression::Bzip2))),
    (".osm.zst", FileFormat::Xml(Some(Compression::Zstd))),
    (".osh", FileFormat::Xml(None)),
    (".osh.gz", FileFormat::Xml(Some(Compression::Gzip))),
    (".osh.bz2", FileFormat::Xml(Some(Compression::Bzip2))),
    (".osh.zst", FileFormat::Xml(Some(Compression::Zstd))),
    (".osc", FileFormat::Change(None)),
    (".osc.gz", FileFormat::Change(Some(Compression::Gzip))),
    (".osc.bz2", FileFormat::Change(Some(Compression::Bzip2))),
    (".osc.zst", FileFormat::Change(Some(Compression::Zstd))),
];

/// The endings, as errors list them.
pub(super) const KNOWN: &str = ".osm.pbf, .osm, .osm.gz, .osm.bz2, .osm.zst, .osc, .osc.gz, .osc.bz2 or .osc.zst \
                                (.osh for .osm where it is a history)";

impl FileFormat {
    /// Returns the format that the end of a file's name stands for, in upper or lower case; `None` if it
    /// stands for none.
    ///
    /// ```
    /// use osmdb::io::{Compression, FileFormat};
    /// assert_eq!(FileFormat::of("monday.osc.gz"), Some(FileFormat::Change(Some(Compression::Gzip))));
    /// assert_eq!(FileFormat::of("monday.gz"), None);
    /// ```
    #[must_use]
    pub fn of(path: impl AsRef<Path>) -> Option<Self> {
        let name = path.as_ref().file_name()?.to_string_lossy().to_ascii_lowercase();
        ENDINGS.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| format)
    }

    /// Tells whether the name of a file says that it is a history, which has all versions of each element:
    /// `.osh.pbf`, `.osh`, and the latter packed.
    ///
    /// ```
    /// use osmdb::io::FileFormat;
    ///
    /// assert!(FileFormat::is_history("valley.osh.pbf") && FileFormat::is_history("valley.osh"));
    /// assert!(!FileFormat::is_history("valley.osm.pbf") && !FileFormat::is_history("osh"));
    /// ```
    #[must_use]
    pub fn is_history(path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
        let (Some(name), Some(_)) = (name, Self::of(path)) else { return false };
        let name =
            [".pbf", ".gz", ".bz2", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        name.ends_with(".osh")
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
        for name in ["", "osm", "map.osm.zip", "map.gz", "map.osm/", "..", "map.zst", "map.osm.xz", "map"] {
            let expected = (name == "map.osm/").then_some(FileFormat::Xml(None));
            assert_eq!(FileFormat::of(name), expected, "{name}");
        }
    }
}
