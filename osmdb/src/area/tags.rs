//! Which closed ways and which relations are areas, by their tags.

use crate::model::Tags;

/// Which values of a key make an area of a closed way.
enum Values {
    All,
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

/// The keys that make an area of a closed way, from
/// <https://wiki.openstreetmap.org/wiki/Overpass_turbo/Polygon_Features>.
const KEYS: [(&str, Values); 26] = [
    ("aeroway", Values::AllBut(&["taxiway"])),
    ("amenity", Values::All),
    ("area:highway", Values::All),
    ("barrier", Values::Only(&["city_wall", "ditch", "hedge", "retaining_wall", "spikes", "wall"])),
    ("boundary", Values::All),
    ("building", Values::All),
    ("building:part", Values::All),
    ("craft", Values::All),
    ("golf", Values::All),
    ("highway", Values::Only(&["elevator", "escape", "rest_area", "services"])),
    ("historic", Values::All),
    ("indoor", Values::All),
    ("landuse", Values::All),
    ("leisure", Values::All),
    ("man_made", Values::AllBut(&["cutline", "embankment", "pipeline"])),
    ("military", Values::All),
    ("natural", Values::AllBut(&["arete", "cliff", "coastline", "ridge", "tree_row"])),
    ("office", Values::All),
    ("place", Values::All),
    ("power", Values::Only(&["generator", "plant", "substation", "transformer"])),
    ("public_transport", Values::All),
    ("railway", Values::Only(&["platform", "roundhouse", "station", "turntable"])),
    ("ruins", Values::All),
    ("shop", Values::All),
    ("tourism", Values::All),
    ("waterway", Values::Only(&["boatyard", "dam", "dock", "riverbank"])),
];

/// Tells whether a way that ends where it begins is an area and not a line, by its tags: `area=yes` says
/// that it is, `area=no` that it is not; otherwise it is one if a key of the community's list says so, such as
/// `building`, `landuse` or `natural` (but not `natural=coastline`), and its value is not `no`. See
/// <https://wiki.openstreetmap.org/wiki/Key:area> and
/// <https://wiki.openstreetmap.org/wiki/Overpass_turbo/Polygon_Features>, which has the list.
///
/// ```
/// use osmdb::Tags;
/// use osmdb::area::is_area;
///
/// assert!(is_area(&Tags::from([("building", "yes")])));
/// assert!(!is_area(&Tags::from([("highway", "residential")])));
/// assert!(is_area(&Tags::from([("highway", "pedestrian"), ("area", "yes")])));
/// ```
#[must_use]
pub fn is_area(tags: &Tags) -> bool {
    match tags.get("area") {
        Some("no") => false,
        Some(_) => true,
        None => KEYS.iter().any(|(key, values)| tags.get(key).is_some_and(|value| values.hold(value))),
    }
}

/// Tells whether a relation's ways bound an area, by its tags: those of the types `multipolygon` and
/// `boundary` do.
///
/// ```
/// use osmdb::Tags;
/// use osmdb::area::is_area_relation;
///
/// assert!(is_area_relation(&Tags::from([("type", "multipolygon"), ("natural", "water")])));
/// assert!(!is_area_relation(&Tags::from([("type", "route")])));
/// ```
#[must_use]
pub fn is_area_relation(tags: &Tags) -> bool {
    matches!(tags.get("type"), Some("multipolygon" | "boundary"))
}

impl Values {
    fn hold(&self, value: &str) -> bool {
        value != "no"
            && match self {
                Self::All => true,
                Self::Only(values) => values.contains(&value),
                Self::AllBut(values) => !values.contains(&value),
            }
    }
}
