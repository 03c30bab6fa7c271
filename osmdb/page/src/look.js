// How the map looks: from the properties of a tile's features to what is drawn.
import Fill from "ol/style/Fill.js";
import Stroke from "ol/style/Stroke.js";
import CircleStyle from "ol/style/Circle.js";
import Style from "ol/style/Style.js";
import Text from "ol/style/Text.js";

const FONT = "system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif";
const INK = "#333";
const HALO = "rgba(255, 255, 255, 0.85)";

const GROUND = {
  forest: "#bddab1", wood: "#bddab1", scrub: "#cfe0b8", heath: "#dde3b5", grassland: "#dcebc4", grass: "#d6ecc2",
  meadow: "#d9ebc0", farmland: "#f1ecd2", farmyard: "#eadcbc", orchard: "#c5dfa6", vineyard: "#c9dfb0",
  park: "#c8eec9", garden: "#cfeccb", pitch: "#a9dcc3", golf_course: "#cdeec4", playground: "#d3f0d6",
  nature_reserve: "#dcefd2", protected_area: "#e2f1d9", recreation_ground: "#d2eec9", village_green: "#cfecc7",
  residential: "#ebe7e3", commercial: "#f3e3e1", retail: "#f7dcd7", industrial: "#e8e0ea", construction: "#dfdccb",
  railway: "#e4dee5", quarry: "#ccc8c5", landfill: "#c6bfa8", military: "#f0d9d4", cemetery: "#b9d3bf",
  bare_rock: "#e3dfda", scree: "#eae5df", shingle: "#e9e4d9", rock: "#dfdbd5", sand: "#f2e8c6", beach: "#f7ecc0",
  glacier: "#e3f1f7", wetland: "#cfe3dc", fell: "#dfe5c3", cliff: "#d8d2ca",
  school: "#f5efd3", university: "#f5efd3", college: "#f5efd3", kindergarten: "#f5efd3", hospital: "#f8e2e2",
  parking: "#ecebe8", aerodrome: "#e6e5ea", apron: "#dcdbe1", winter_sports: "rgba(220, 232, 242, 0.35)",
};

const ROADS = {
  motorway: ["#e58a97", "#b8344b", 1.5], trunk: ["#f3a788", "#c0562f", 1.35], primary: ["#fbd19a", "#b98033", 1.2],
  secondary: ["#f7f3ae", "#9a9440", 1.05], tertiary: ["#fff", "#8a8a86", 0.95],
  motorway_link: ["#e58a97", "#b8344b", 0.8], trunk_link: ["#f3a788", "#c0562f", 0.8],
  primary_link: ["#fbd19a", "#b98033", 0.75], secondary_link: ["#f7f3ae", "#9a9440", 0.7],
  unclassified: ["#fff", "#a3a19c", 0.8], residential: ["#fff", "#a3a19c", 0.8], living_street: ["#f2f0f4", "#a3a19c", 0.75],
  pedestrian: ["#e9e6ee", "#a09ba6", 0.75], service: ["#fff", "#b3b0aa", 0.5], road: ["#ddd", "#999", 0.7],
};

const PATHS = {
  track: ["#8c6a2f", [8, 4], 1.2], path: ["#a4483a", [4, 3], 1.1], footway: ["#b4564a", [3, 3], 1.1],
  cycleway: ["#3f51b5", [4, 3], 1.1], bridleway: ["#4b7a39", [4, 3], 1.1], steps: ["#a4483a", [2, 2], 2.6],
  via_ferrata: ["#6a2a2a", [2, 4], 1.4],
};

const RAILS = new Set(["rail", "light_rail", "subway", "tram", "narrow_gauge", "funicular", "monorail", "disused", "abandoned"]);

/** How wide a road of width 1 is at a zoom. */
function roadWidth(zoom) {
  return Math.max(0.9, 1.6 * 1.45 ** (zoom - 11.5));
}

const styles = new Map();

/** Styles are made once for each way something looks. */
function once(key, make) {
  let found = styles.get(key);
  if (found === undefined) {
    found = make();
    styles.set(key, found);
  }
  return found;
}

function labelled(text, { size = 12, color = INK, weight = "normal", placement = "point", offsetY = 0, zIndex = 900 }) {
  return new Style({
    zIndex,
    text: new Text({
      text,
      font: `${weight} ${size}px ${FONT}`,
      fill: new Fill({ color }),
      stroke: new Stroke({ color: HALO, width: 3 }),
      placement,
      offsetY,
      maxAngle: 0.6,
      overflow: false,
    }),
  });
}

function fill(color, zIndex, stroke) {
  return once(`fill ${color} ${zIndex} ${stroke}`, () =>
    new Style({ zIndex, fill: new Fill({ color }), stroke: stroke ? new Stroke({ color: stroke, width: 0.8 }) : undefined }));
}

function line(color, width, zIndex, dash, cap = "round") {
  const rounded = Math.round(width * 4) / 4;
  return once(`line ${color} ${rounded} ${zIndex} ${dash} ${cap}`, () =>
    new Style({ zIndex, stroke: new Stroke({ color, width: rounded, lineDash: dash, lineCap: cap, lineJoin: "round" }) }));
}

function dot(color, radius, zIndex, ring = "#fff") {
  return once(`dot ${color} ${radius} ${zIndex} ${ring}`, () =>
    new Style({
      zIndex,
      image: new CircleStyle({ radius, fill: new Fill({ color }), stroke: new Stroke({ color: ring, width: 1.2 }), declutterMode: "none" }),
    }));
}

function isArea(feature) {
  return feature.getType().endsWith("Polygon");
}

function landuse(feature, zoom, out) {
  const kind = feature.get("class");
  out.push(fill(GROUND[kind] ?? "rgba(226, 224, 214, 0.5)", 1));
  const name = feature.get("name");
  if (name && zoom >= 14) out.push(labelled(name, { size: 11, color: "#43613a", zIndex: 810 }));
}

function water(feature, zoom, out) {
  const kind = feature.get("class");
  if (isArea(feature)) out.push(fill("#9cc8e4", 20));
  else if (kind === "coastline") out.push(line("#5f9dc4", 1, 21));
  else out.push(line("#86bbdd", kind === "river" ? Math.max(1, (zoom - 8) * 0.7) : Math.max(0.7, (zoom - 11) * 0.5), 21,
    feature.get("tunnel") ? [3, 3] : undefined));
  const name = feature.get("name");
  if (name && zoom >= (kind === "river" ? 12 : 14)) {
    out.push(labelled(name, { size: 11, color: "#27638c", placement: isArea(feature) ? "point" : "line", zIndex: 820 }));
  }
}

function building(feature, zoom, out) {
  out.push(fill("#d9cfc6", 30, zoom >= 15 ? "#b6a698" : undefined));
  const name = feature.get("name") ?? (zoom >= 17.5 ? feature.get("addr:housenumber") : undefined);
  if (name && zoom >= 16) out.push(labelled(name, { size: 10.5, color: "#5a4c42", zIndex: 830 }));
}

function road(feature, zoom, out) {
  const kind = feature.get("class");
  const level = 40 + 8 * Math.max(-2, Math.min(3, feature.get("layer") ?? 0));
  const width = roadWidth(zoom);
  const known = ROADS[kind];
  const name = feature.get("name");
  if (isArea(feature)) {
    out.push(fill("#ebe8ee", level - 1, "#bbb6bf"));
  } else if (RAILS.has(kind)) {
    out.push(line("#6b6b70", Math.max(1.2, width * 0.35), level + 3, feature.get("tunnel") ? [4, 4] : undefined));
    if (zoom >= 13) out.push(line("#fff", Math.max(0.6, width * 0.2), level + 4, [6, 6], "butt"));
  } else if (known) {
    const [inner, casing, scale] = known;
    const wide = width * scale * (zoom < 12 && scale >= 1 ? 1.25 : 1);
    const main = scale >= 1.05;
    if (zoom < 11) {
      out.push(line(main ? casing : "#b9b5ae", Math.max(0.8, wide * 0.9), level + (main ? 2 : 1)));
    } else {
      const dash = feature.get("tunnel") ? [5, 4] : undefined;
      out.push(line(casing, wide + 1.4, level, dash, dash ? "butt" : "round"));
      // The main road goes through where two meet; what is in a tunnel is pale.
      out.push(line(dash ? `${inner.length === 4 ? "#ffffff" : inner}aa` : inner, wide, level + 2 + 2 * scale));
    }
  } else if (PATHS[kind]) {
    const [color, dash, scale] = PATHS[kind];
    out.push(line(color, Math.max(0.9, scale * Math.min(2, (zoom - 10) * 0.3)), level + 2, dash, "butt"));
  } else if (kind === "cable_car" || kind === "gondola" || kind === "chair_lift" || kind === "drag_lift" || kind === "magic_carpet" || kind === "platter" || kind === "zip_line") {
    out.push(line("#5c5c66", 1.1, level + 5, [10, 3, 1, 3], "butt"));
  } else {
    out.push(line("#a09c94", 1, level + 1, [2, 3], "butt"));
  }
  const ref = feature.get("ref");
  if (ref && zoom >= 10 && zoom < 14 && known && known[2] >= 1.05) {
    out.push(labelled(ref, { size: 10, weight: "bold", color: known[1], zIndex: 860 }));
  } else if (name && zoom >= (known && known[2] >= 0.95 ? 14 : 15.5)) {
    out.push(labelled(name, { size: 11, placement: isArea(feature) ? "point" : "line", zIndex: 850 }));
  }
}

function border(feature, zoom, out) {
  const level = feature.get("level") ?? 99;
  const width = level <= 2 ? 2.2 : level <= 4 ? 1.7 : level <= 7 ? 1.3 : 1;
  out.push(line("rgba(137, 68, 140, 0.75)", width, 700, level <= 2 ? [10, 4, 2, 4] : [5, 4], "butt"));
}

const PLACES = {
  country: [17, "bold"], state: [14, "bold"], city: [17, "bold"], town: [15, "bold"], village: [13, "normal"],
  suburb: [12, "normal"], hamlet: [12, "normal"],
};

function place(feature, zoom, out) {
  const kind = feature.get("class");
  const name = feature.get("name");
  const [size, weight] = PLACES[kind] ?? [11, "normal"];
  if (!name) {
    out.push(dot("#666", 2.5, 880));
    return;
  }
  // Whoever is in a town knows the country.
  if ((kind === "country" && zoom > 9) || (kind === "state" && zoom > 10)) return;
  const grown = size + Math.max(0, Math.min(4, zoom - 11));
  out.push(labelled(name, { size: grown, weight, color: PLACES[kind] ? "#1e1e1e" : "#4a4a4a", zIndex: 950 }));
}

const QUIET = new Set(["node", "address", "tree", "crossing", "street_lamp", "bench", "waste_basket", "gate", "bollard",
  "lift_gate", "pole", "tower", "pylon", "turning_circle", "give_way", "stop", "traffic_signals", "block", "entrance",
  "bicycle_parking", "post_box", "recycling", "kerb", "rock", "stone", "level_crossing", "switch", "buffer_stop"]);

const POIS = {
  peak: ["#7a4a21", "▲"], volcano: ["#7a4a21", "▲"], saddle: ["#7a4a21", "⌣"], spring: ["#2f78a8", null],
  drinking_water: ["#2f78a8", null], hospital: ["#b5202b", null], clinic: ["#b5202b", null], doctors: ["#b5202b", null],
  pharmacy: ["#b5202b", null], alpine_hut: ["#6e4b2a", null], wilderness_hut: ["#6e4b2a", null], shelter: ["#6e4b2a", null],
  hotel: ["#1565a5", null], hostel: ["#1565a5", null], guest_house: ["#1565a5", null], camp_site: ["#2e7d32", null],
  viewpoint: ["#6e4b2a", null], station: ["#3b3b8f", null], bus_stop: ["#3b3b8f", null],
};

function poi(feature, zoom, out) {
  const kind = feature.get("class");
  const name = feature.get("name");
  const [color, sign] = POIS[kind] ?? ["#8a4f9e", null];
  const quiet = QUIET.has(kind);
  if (quiet && zoom < 17) {
    if (zoom >= 16) out.push(dot("#9b9b9b", 1.6, 870));
    return;
  }
  if (!name && zoom < 15.5 && !POIS[kind]) {
    out.push(dot(color, 1.8, 870));
    return;
  }
  if (sign) {
    // A sign and its name are there together, or not at all.
    const lines = [sign, name, zoom >= 13 ? feature.get("ele") : undefined].filter(Boolean);
    out.push(labelled(lines.join("\n"), { size: 11, color, zIndex: 871 }));
    return;
  }
  const small = zoom < 16 && !POIS[kind];
  out.push(dot(quiet ? "#8b8b8b" : color, quiet ? 2.2 : small ? 2.4 : 3.6, 871));
  if (name && zoom >= 15) out.push(labelled(name, { size: 11, color, offsetY: 13, zIndex: 890 }));
}

function other(feature, zoom, out) {
  const kind = feature.get("class");
  if (isArea(feature)) out.push(fill("rgba(190, 180, 170, 0.25)", 33, "#b5aca2"));
  else if (kind === "line" || kind === "minor_line") out.push(line("#8d8d93", 0.8, 60, [12, 3], "butt"));
  else if (kind === "runway" || kind === "taxiway") out.push(line("#c9c8d2", kind === "runway" ? 6 : 2.5, 35));
  else if (kind === "cliff") out.push(line("#8b837a", 1.1, 34, [4, 2], "butt"));
  else if (zoom >= 14) out.push(line("#a89f95", 0.8, 34, kind === "way" ? [2, 4] : undefined));
  const name = feature.get("name");
  if (name && zoom >= 16) out.push(labelled(name, { size: 10.5, color: "#555", placement: isArea(feature) ? "point" : "line", zIndex: 840 }));
}

const LAYERS = { landuse, water, buildings: building, roads: road, boundaries: border, places: place, pois: poi, others: other };

const FORKED = "#c2185b";

/** What marks something on the map: a wide line under it, and a ring around a point. */
function mark(feature, color, zIndex) {
  if (feature.getType().endsWith("Point")) {
    return once(`mark ${color}`, () => new Style({
      zIndex: 1000,
      image: new CircleStyle({
        radius: zIndex < 695 ? 8 : 12,
        stroke: new Stroke({ color, width: 3 }),
        fill: new Fill({ color: "rgba(255, 255, 255, 0.25)" }),
        declutterMode: "none",
      }),
    }));
  }
  const width = isArea(feature) ? 3.5 : 7;
  return once(`mark ${color} ${width} ${zIndex}`, () =>
    new Style({ zIndex, stroke: new Stroke({ color, width, lineCap: "round", lineJoin: "round" }) }));
}

/** Returns the function that says how features look; `selected` returns the name of the chosen element. */
export function look(zoomOf, selected) {
  return (feature, resolution) => {
    const out = [];
    const zoom = zoomOf(resolution);
    LAYERS[feature.get("layer of tile")]?.(feature, zoom, out);
    if (feature.get("forked")) out.push(mark(feature, FORKED, 690));
    if (feature.get("element") === selected()) out.push(mark(feature, "#0b57d0", 695));
    return out;
  };
}
