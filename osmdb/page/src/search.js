// What passes a filter, listed.
import { announce, el, more } from "./dom.js";

export async function showResults(app) {
  const heading = el("h2", {}, "Search");
  if (app.filter === "") {
    return [heading, el("p", {}, "Write conditions on tags with the word “and” between them:"),
      el("ul", {}, ["amenity=hospital", "node and natural=peak", "highway and name~=rue", "building and !name"].map((example) =>
        el("li", {}, el("button", {
          type: "button", class: "link", onclick: () => {
            const field = document.getElementById("filter");
            field.value = example;
            field.form.requestSubmit();
          },
        }, example))))];
  }
  const { filter, at } = app;
  const ask = async (cursor) => {
    const found = await app.api.search(filter, { at, cursor });
    return [found.features, found.cursor];
  };
  const [features, cursor] = await ask();
  announce(features.length === 0 ? "Nothing found." : `${features.length}${cursor ? " or more" : ""} found.`);
  if (features.length === 0) return [heading, el("p", {}, "Nothing has these tags.")];
  const bounds = together(features);
  const line = (feature) => row(app, feature);
  const list = el("ul", { class: "rows" }, features.map(line));
  return [heading,
    el("p", {}, `${features.length}${cursor ? " or more" : ""} found. `,
      bounds ? el("button", { type: "button", class: "link", onclick: () => app.map.show(bounds) }, "Show them all") : null),
    list, cursor ? more(list, cursor, ask, line) : null];
}

function row(app, feature) {
  const { element, name, title, bounds } = feature;
  return el("li", {}, el("button", { type: "button", class: "link", onclick: () => app.choose(element, [], bounds) },
    name ?? title ?? element), " ", el("span", { class: "quiet" }, [name ? title : null, element].filter(Boolean).join(", ")));
}

function together(features) {
  const boxes = features.map((feature) => feature.bounds).filter(Boolean);
  if (boxes.length === 0) return null;
  return [0, 1, 2, 3].map((side) => boxes.map((box) => box[side]).reduce((a, b) => (side < 2 ? Math.min(a, b) : Math.max(a, b))));
}
