//! What is shown of an element: in which layer, as what, and from which zoom on.
//!
//! The lists follow what maps of OpenStreetMap commonly show, by <https://wiki.openstreetmap.org/wiki/Map_features>.

use super::grid::MAX_ZOOM;
use crate::model::Tags;

/// The layers, in the order in which they are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    Landuse,
    Water,
    Buildings,
    Others,
    Roads,
    Boundaries,
    Pois,
    Places,
}

impl Layer {
    pub(super) const ALL: [Self; 8] = [
        Self::Landuse,
        Self::Water,
        Self::Buildings,
        Self::Others,
        Self::Roads,
        Self::Boundaries,
        Self::Pois,
        Self::Places,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Landuse => "landuse",
            Self::Water => "water",
            Self::Buildings => "buildings",
            Self::Others => "others",
            Self::Roads => "roads",
            Self::Boundaries => "boundaries",
            Self::Pois => "pois",
            Self::Places => "places",
        }
    }
}

/// What sort of geometry an element has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Point,
    Line,
    Area,
}

/// What is shown of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class<'a> {
    pub(super) layer: Layer,
    pub(super) class: &'a str,
    /// The least zoom that shows it.
    pub(super) zoom: u8,
    /// What goes first if a tile is full: the least.
    pub(super) rank: u8,
}

/// Roads that are found by their tags below [`BY_TAG_BELOW`], because most of their pieces are too short to be found
/// by size, and the zooms that show them.
pub(super) const MAIN_ROADS: [(&str, u8); 4] =
    [("motorway", 5), ("trunk", 5), ("primary", 7), ("secondary", 9)];

/// Below this zoom, roads are found by their tags, and only what is longer than a pixel by its place.
pub(super) const BY_TAG_BELOW: u8 = 10;

/// Below this zoom, nodes are found by their tags.
pub(super) const NODES_BELOW: u8 = 12;

/// Keys whose value says what a node or a piece of ground is, the more telling ones first.
const TELLING: [&str; 22] = [
    "amenity",
    "shop",
    "tourism",
    "healthcare",
    "leisure",
    "historic",
    "aeroway",
    "railway",
    "public_transport",
    "aerialway",
    "emergency",
    "office",
    "craft",
    "natural",
    "man_made",
    "highway",
    "barrier",
    "power",
    "landuse",
    "waterway",
    "advertising",
    "information",
];

pub(super) fn classify(shape: Shape, tags: &Tags) -> Class<'_> {
    match shape {
        Shape::Point => point(tags),
        Shape::Line => line(tags),
        Shape::Area => area(tags),
    }
}

/// Says what else an area is than its class.
pub(super) fn poi<'a>(tags: &'a Tags, class: &Class<'_>) -> Option<&'a str> {
    let keys = ["amenity", "shop", "tourism", "healthcare", "historic", "leisure", "office", "craft"];
    keys.into_iter().find_map(|key| tags.get(key)).filter(|value| *value != class.class && *value != "no")
}

fn point(tags: &Tags) -> Class<'_> {
    if let Some(place) = tags.get("place") {
        let zoom = match place {
            "continent" | "country" => 2,
            "state" | "region" | "province" => 5,
            "city" => 4,
            "town" => 7,
            "village" => 9,
            "suburb" | "borough" | "hamlet" | "island" => 11,
            _ => 13,
        };
        return Class { layer: Layer::Places, class: place, zoom, rank: 0 };
    }
    let class = TELLING.iter().find_map(|key| tags.get(key));
    let zoom = match class {
        Some("peak" | "volcano" | "saddle") if tags.get("name").is_some() => 11,
        Some("peak" | "alpine_hut" | "hospital" | "aerodrome" | "station" | "halt" | "wilderness_hut") => 12,
        Some("spring" | "drinking_water" | "shelter" | "viewpoint" | "school" | "clinic" | "pharmacy") => 13,
        _ => MAX_ZOOM,
    };
    let class = class.unwrap_or(if tags.get("addr:housenumber").is_some() { "address" } else { "node" });
    let rank = if tags.get("name").is_some() { 7 } else { 9 };
    Class { layer: Layer::Pois, class, zoom, rank }
}

fn line(tags: &Tags) -> Class<'_> {
    let at = |layer, class, zoom, rank| Class { layer, class, zoom, rank };
    if let Some(road) = tags.get("highway") {
        let (zoom, rank) = match road {
            "motorway" | "trunk" => (5, 2),
            "primary" => (7, 2),
            "secondary" => (9, 2),
            "tertiary" | "motorway_link" | "trunk_link" | "primary_link" => (10, 3),
            "unclassified" | "residential" | "living_street" | "secondary_link" | "tertiary_link" => (11, 5),
            "pedestrian" | "service" | "track" | "road" => (12, 6),
            _ => (13, 7),
        };
        return at(Layer::Roads, road, zoom, rank);
    }
    if let Some(railway) = tags.get("railway") {
        let zoom = if railway == "rail" && tags.get("service").is_none() { 8 } else { 13 };
        return at(Layer::Roads, railway, zoom, 3);
    }
    if let Some(aerialway) = tags.get("aerialway") {
        return at(Layer::Roads, aerialway, 12, 6);
    }
    if tags.get("boundary").is_some_and(|boundary| boundary == "administrative") {
        return at(Layer::Boundaries, "administrative", zoom_of_level(level(tags)), 1);
    }
    if let Some(waterway) = tags.get("waterway") {
        let zoom = match waterway {
            "river" => 8,
            "canal" => 10,
            "stream" => 12,
            _ => 13,
        };
        return at(Layer::Water, waterway, zoom, 4);
    }
    match tags.get("natural") {
        Some("coastline") => return at(Layer::Water, "coastline", 0, 1),
        Some(natural) => return at(Layer::Others, natural, 13, 8),
        None => {}
    }
    let others = ["aeroway", "power", "barrier", "man_made", "leisure", "boundary", "landuse", "piste:type"];
    let class = others.into_iter().find_map(|key| tags.get(key)).or_else(|| other(tags));
    let zoom = match class {
        Some("runway") => 11,
        Some("line" | "taxiway" | "pier" | "cutline" | "pipeline") => 13,
        _ => MAX_ZOOM,
    };
    at(Layer::Others, class.unwrap_or("way"), zoom, 8)
}

fn area(tags: &Tags) -> Class<'_> {
    let at = |layer, class, zoom, rank| Class { layer, class, zoom, rank };
    if let Some(building) = tags.get("building").filter(|building| *building != "no") {
        return at(Layer::Buildings, building, 13, 6);
    }
    let water = match (tags.get("natural"), tags.get("waterway"), tags.get("landuse")) {
        (Some(water @ ("water" | "bay" | "strait")), _, _) => Some(water),
        (_, Some(water @ ("riverbank" | "dock")), _) => Some(water),
        (_, _, Some(water @ ("reservoir" | "basin"))) => Some(water),
        _ => None,
    };
    if let Some(water) = water {
        return at(Layer::Water, water, 5, 3);
    }
    if tags.get("highway").is_some() || tags.get("railway").is_some_and(|railway| railway == "platform") {
        let class = tags.get("highway").unwrap_or("platform");
        return at(Layer::Roads, class, 13, 6);
    }
    if tags.get("boundary").is_some_and(|boundary| boundary == "administrative") {
        return at(Layer::Boundaries, "administrative", zoom_of_level(level(tags)), 1);
    }
    let ground = ["landuse", "natural"].into_iter().find_map(|key| tags.get(key));
    if let Some(ground) = ground {
        return at(Layer::Landuse, ground, 7, 4);
    }
    let grounds = ["leisure", "amenity", "aeroway", "tourism", "boundary"];
    if let Some(ground) = grounds.into_iter().find_map(|key| tags.get(key)) {
        return at(Layer::Landuse, ground, 10, 5);
    }
    let class = TELLING.iter().find_map(|key| tags.get(key)).or_else(|| other(tags));
    at(Layer::Others, class.unwrap_or("area"), MAX_ZOOM, 8)
}

fn other(tags: &Tags) -> Option<&str> {
    let keys = ["building:part", "place", "indoor", "golf", "route", "attraction"];
    keys.into_iter().find_map(|key| tags.get(key))
}

/// Returns the level of a border; the least important one if it has none.
pub(super) fn level(tags: &Tags) -> u8 {
    tags.get("admin_level").and_then(|level| level.parse().ok()).unwrap_or(u8::MAX)
}

/// Returns the least zoom that shows borders of a level.
pub(super) const fn zoom_of_level(level: u8) -> u8 {
    match level {
        0..=2 => 0,
        3..=4 => 5,
        5..=6 => 7,
        7 => 9,
        8 => 10,
        _ => 12,
    }
}
