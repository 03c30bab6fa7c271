// The map: tiles of the database, drawn by OpenLayers.
import Map from "ol/Map.js";
import View from "ol/View.js";
import VectorTileLayer from "ol/layer/VectorTile.js";
import VectorTileSource from "ol/source/VectorTile.js";
import MVT from "ol/format/MVT.js";
import ScaleLine from "ol/control/ScaleLine.js";
import { defaults as controls } from "ol/control/defaults.js";
import { fromLonLat, toLonLat, transformExtent } from "ol/proj.js";
import { look } from "./look.js";

/** Tiles are made up to this zoom; beyond it they are enlarged. */
const TILE_ZOOM = 14;

export class DatabaseMap {
  #map;
  #layer;
  #source;
  #selected = null;
  #root = null;
  #begun = false;

  /** `chosen` is told the elements at the place of a click, the likeliest first. */
  constructor(target, chosen) {
    this.#source = new VectorTileSource({
      format: new MVT({ layerName: "layer of tile" }),
      url: this.#url(),
      maxZoom: TILE_ZOOM,
      cacheSize: 256,
    });
    const view = new View({ center: [0, 0], zoom: 1, maxZoom: 20, constrainResolution: false });
    this.#layer = new VectorTileLayer({
      source: this.#source,
      declutter: true,
      renderMode: "hybrid",
      background: "#f6f4ef",
      style: look((resolution) => view.getZoomForResolution(resolution), () => this.#selected),
    });
    this.#map = new Map({
      target,
      layers: [this.#layer],
      view,
      controls: controls({ attribution: false, rotate: false }).extend([new ScaleLine()]),
    });
    this.#map.on("singleclick", (event) => chosen(this.#at(event.pixel)));
    this.#map.on("pointermove", (event) => {
      if (!event.dragging) target.style.cursor = this.#at(event.pixel, 3).length > 0 ? "pointer" : "";
    });
    this.#map.on("moveend", () => {
      // Until then, the address names where to begin.
      if (!this.#begun) return;
      const [lon, lat] = toLonLat(view.getCenter());
      history.replaceState(null, "", `#${view.getZoom().toFixed(2)}/${lat.toFixed(5)}/${lon.toFixed(5)}`);
    });
    // How often all of the map was drawn: for whoever waits for it.
    this.#map.on("rendercomplete", () => {
      if (this.#begun) target.dataset.drawn = String(Number(target.dataset.drawn ?? 0) + 1);
    });
  }

  #url() {
    return `tiles/{z}/{x}/{y}.mvt${this.#root === null ? "" : `?at=${this.#root}`}`;
  }

  /** The elements at a pixel: points before lines before areas, small areas before large ones. */
  #at(pixel, tolerance = 6) {
    const found = new globalThis.Map();
    this.#map.forEachFeatureAtPixel(
      pixel,
      (feature) => {
        const element = feature.get("element");
        const type = feature.getType();
        const [west, south, east, north] = feature.getExtent();
        const rank = type.endsWith("Point") ? 0 : type.endsWith("LineString") ? 1 : 1 + Math.hypot(east - west, north - south);
        if (element && (found.get(element)?.rank ?? Infinity) > rank) {
          found.set(element, { element, rank, name: feature.get("name"), class: feature.get("class") });
        }
      },
      { hitTolerance: tolerance },
    );
    return [...found.values()].sort((a, b) => a.rank - b.rank);
  }

  /** Shows the place that the address names, or this box. */
  begin(bounds) {
    this.#begun = true;
    const [zoom, lat, lon] = location.hash.slice(1).split("/").map(Number);
    if ([zoom, lat, lon].every(Number.isFinite) && location.hash.length > 1) {
      this.#map.getView().setCenter(fromLonLat([lon, lat]));
      this.#map.getView().setZoom(zoom);
    } else if (bounds) {
      this.show(bounds, { duration: 0, maxZoom: 16 });
    }
  }

  /** Moves to a box of degrees: west, south, east, north. */
  show(bounds, { duration = 300, maxZoom = 18 } = {}) {
    const extent = transformExtent(bounds, "EPSG:4326", "EPSG:3857");
    const size = this.#map.getSize();
    if (size === undefined || size[0] === 0) return;
    this.#map.getView().fit(extent, { padding: [40, 40, 40, 40], maxZoom, duration });
  }

  /** Marks an element; null: none. */
  select(element) {
    this.#selected = element;
    this.#layer.changed();
  }

  /** Shows the database as it was at a root; null: as it is. */
  at(root) {
    if (root === this.#root) return;
    this.#root = root;
    this.#source.setUrl(this.#url());
  }

  /** Asks for the tiles again: the database has changed. */
  refresh() {
    if (this.#root === null) this.#source.refresh();
  }

  /** The place on the screen of a place on the globe. */
  pixel(lon, lat) {
    return this.#map.getPixelFromCoordinate(fromLonLat([lon, lat]));
  }

  updateSize() {
    this.#map.updateSize();
  }
}
