//! What the elements of an XML file stand in.

/// The outermost tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io) enum Document {
    /// `<osm>`
    Osm,
    /// `<osm>` with all versions of each element, which say whether they are visible.
    History,
    /// `<osmChange>`, with sections `<create>`, `<modify>` and `<delete>` inside.
    Change,
}

impl Document {
    /// Returns the name of the tag.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Osm | Self::History => "osm",
            Self::Change => "osmChange",
        }
    }

    /// Returns the tag, to be shown.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::Osm | Self::History => "<osm>",
            Self::Change => "<osmChange>",
        }
    }
}
