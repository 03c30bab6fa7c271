//! What a change file does with an element.

use std::fmt;

/// What a change file does with an element: the section in which it stands. See
/// <https://wiki.openstreetmap.org/wiki/OsmChange>. [`Writer::write_change`](super::Writer::write_change) takes
/// one.
///
/// ```
/// use osmdb::io::{Action, Writer};
/// use osmdb::{ElementId, Entry, Origin, OsmMeta};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("gone.osc");
/// let origin = Origin::Imported(OsmMeta { version: Some(4), ..OsmMeta::default() });
/// let mut writer = Writer::create(&path)?;
/// writer.write_change(Action::Delete, &Entry { element: ElementId::node(7), payload: None, origin })?;
/// writer.finish()?;
/// assert!(std::fs::read_to_string(&path)?.contains("<delete>"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It was not on the map.
    Create,
    /// It was on the map, or had been, and is another now.
    Modify,
    /// It is not on the map any more.
    Delete,
}

impl Action {
    /// Returns the name of the section.
    ///
    /// ```
    /// assert_eq!(osmdb::io::Action::Modify.name(), "modify");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Modify => "modify",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
