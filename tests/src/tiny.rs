//! Random elements on a grid of 7 × 7 places, with so few ids that everything meets everything.

use osmdb::{BBox, Coord, ElementId, Entry, Kind, Member, Origin, OsmMeta, Payload, Tags};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// How far the places of the grid lie apart, in 10⁻⁷ degree of latitude; twice as far in longitude.
/// The widest grid reaches from pole to pole and around the globe.
pub fn spacing() -> impl Strategy<Value = i64> {
    select(vec![1_i64, 2_500, 40_000, 9_000_000, 300_000_000])
}

fn coord(spacing: i64) -> impl Strategy<Value = Coord> {
    (-3_i64..=3, -3_i64..=3).prop_map(move |(lat, lon)| {
        Coord::new(lat * spacing, 2 * lon * spacing).expect("the grid is on the globe")
    })
}

fn tags() -> impl Strategy<Value = Tags> {
    let long = "a value that is long enough to live out of line where pages are small, with its <&\">\n";
    prop_oneof![
        4 => Just(Tags::new()),
        2 => Just(Tags::from([("natural", "tree")])),
        1 => Just(Tags::from([("note", long), ("note", "twice")])),
    ]
}

/// Returns elements, of every kind that a file has.
pub fn element() -> impl Strategy<Value = ElementId> {
    prop_oneof![
        4 => (1_u64..=7).prop_map(ElementId::node),
        3 => (1_u64..=4).prop_map(ElementId::way),
        2 => (1_u64..=3).prop_map(ElementId::relation),
    ]
}

/// Returns content for elements of a kind.
pub fn payload(kind: Kind, spacing: i64) -> BoxedStrategy<Payload> {
    match kind {
        Kind::Node => {
            (coord(spacing), tags()).prop_map(|(coord, tags)| Payload::Node { coord, tags }).boxed()
        }
        // Nodes 8 and 9 are nowhere.
        Kind::Way => {
            (vec(1_u64..=9, 0..5), tags()).prop_map(|(refs, tags)| Payload::Way { refs, tags }).boxed()
        }
        Kind::Relation | Kind::Changeset => {
            let member = (element(), select(vec!["", "outer"]))
                .prop_map(|(element, role)| Member { element, role: role.to_owned() });
            (vec(member, 0..4), tags())
                .prop_map(|(members, tags)| Payload::Relation { members, tags })
                .boxed()
        }
    }
}

/// Returns an element with content, or with none.
pub fn content(spacing: i64) -> impl Strategy<Value = (ElementId, Payload)> {
    element().prop_flat_map(move |element| (Just(element), payload(element.kind, spacing)))
}

/// Returns what an edit may hold: content within the limits of OSM.
pub fn edited(spacing: i64) -> impl Strategy<Value = (ElementId, Payload)> {
    content(spacing).prop_filter("within the limits", |(_, payload)| payload.check_limits().is_ok())
}

fn meta() -> impl Strategy<Value = OsmMeta> {
    let user = option::of(select(vec!["ana", "b&b"])).prop_map(|user| user.map(str::to_owned));
    let timestamp = option::of(select(vec![1_500_000_000_i64, 1_500_000_001, 4_000_000_000]));
    (option::weighted(0.9, 1_u64..=3), timestamp, option::of(1_u64..=2), option::of(1_u64..=2), user)
        .prop_map(|(version, timestamp, changeset, uid, user)| OsmMeta {
            version,
            timestamp,
            changeset,
            uid,
            user,
        })
}

/// Returns what a file may hold: a few versions of a few elements, some deleted.
pub fn file(spacing: i64) -> impl Strategy<Value = Vec<Entry>> {
    let entry = (content(spacing), prop::bool::weighted(0.85), meta()).prop_map(
        |((element, payload), live, meta)| Entry {
            element,
            payload: live.then_some(payload),
            origin: Origin::Imported(meta),
        },
    );
    vec(entry, 0..24)
}

/// Returns boxes: their sides pass through places, or just beside them; some cross the antimeridian.
pub fn bbox(spacing: i64) -> impl Strategy<Value = BBox> {
    let side = move |stretch: i64| {
        let limit = 300_000_000 * 3 * stretch;
        (-4_i64..=4, -1_i64..=1)
            .prop_map(move |(step, beside)| (step * spacing * stretch + beside).clamp(-limit, limit))
    };
    (side(1), side(1), side(2), side(2)).prop_map(|(a, b, west, east)| {
        let corner = |lat: i64, lon: i64| Coord::new(lat, lon).expect("the sides are on the globe");
        BBox::new(corner(a.min(b), west), corner(a.max(b), east)).expect("south is not above north")
    })
}
