// One element: its tags, its heads if there are several, its history, and what names it.
import { announce, el, problem, short, time } from "./dom.js";

export async function showElement(app) {
  if (app.chosen === null) return el("p", {}, "Click on something on the map, or search for it.");
  const { element, others } = app.chosen;
  const found = await app.api.element(element, app.at);
  const rest = others.filter((other) => other.element !== element);
  return [
    el("h2", { class: "element" }, found.name ?? title(element)),
    el("p", { class: "quiet" }, title(element),
      found.bounds ? el("button", { type: "button", class: "link", onclick: () => app.map.show(found.bounds) }, "show on the map") : null),
    found.heads.length > 1 ? sideBySide(app, element, found.heads) : one(found.heads[0]),
    el("h3", {}, "History"),
    el("ol", { class: "history", reversed: true }, [...found.history].reverse().map((version) => versionRow(version))),
    found.more_history ? el("p", { class: "quiet" }, `${found.more_history} more versions are not shown.`) : null,
    links(app, "Used by", found.refs, found.more_refs),
    links(app, "Uses", found.uses, found.more_uses),
    rest.length > 0 ? [el("h3", {}, "Also here"), el("ul", { class: "rows" }, rest.slice(0, 12).map((other) =>
      el("li", {}, el("button", { type: "button", class: "link", onclick: () => app.choose(other.element, others) },
        [other.class, other.name].filter(Boolean).join(": ") || other.element))))] : null,
  ];
}

function title(element) {
  return element.replace("/", " ");
}

function one(head) {
  if (head === undefined) return el("p", {}, "It is not in the database.");
  return head.deleted ? el("p", {}, "It was deleted.") : tagTable(head.tags);
}

function tagTable(tags, others = []) {
  const differs = (key, value) => others.some((tags) => tags?.[key] !== value);
  const all = Object.entries(tags ?? {});
  // What differs comes first.
  const entries = [...all.filter((tag) => differs(...tag)), ...all.filter((tag) => !differs(...tag))];
  if (entries.length === 0) return el("p", { class: "quiet" }, "It has no tags.");
  return el("table", { class: "tags" },
    el("caption", { class: "hidden" }, "Tags"),
    el("tbody", {}, entries.map(([key, value]) =>
      el("tr", { class: differs(key, value) ? "differs" : null }, el("th", { scope: "row" }, key), el("td", {}, value)))));
}

/** The heads of a fork, each with what only it has, and a way to end the fork. */
export function sideBySide(app, element, heads) {
  const present = app.at === null;
  return el("div", { class: "fork" },
    el("p", { role: "note" }, `${heads.length} versions of it were made independently of each other.`,
      present ? "" : " This is how it was; go back to now to choose one."),
    el("div", { class: "heads" }, heads.map((head) => el("article", { class: head.shown ? "head shown" : "head", "aria-label": `Version ${head.version.slice(-10)}` },
      el("p", {}, who(head), el("br"), el("span", { class: "quiet" }, time(when(head)))),
      head.shown ? el("p", { class: "quiet" }, "the map shows this one") : null,
      head.deleted ? el("p", { class: "differs" }, "It was deleted.") : tagTable(head.tags, heads.filter((other) => other !== head).map((other) => other.tags)),
      place(head),
      present ? el("button", {
        type: "button", class: "keep", onclick: (event) => keep(app, element, head.version, event.target),
      }, head.deleted ? "Keep it deleted" : "Keep this one") : null))));
}

function place(head) {
  if (head.deleted) return null;
  if (head.lat !== undefined) return el("p", { class: "quiet" }, `${head.lat}, ${head.lon}`);
  if (head.nodes !== undefined) return el("p", { class: "quiet" }, `${head.nodes} nodes`);
  return el("p", { class: "quiet" }, `${head.members ?? 0} members`);
}

async function keep(app, element, version, button) {
  button.disabled = true;
  try {
    await app.api.resolve(element, version);
    announce("The fork is resolved.");
    // The server tells of the new root, too.
    app.redraw("element", "forks");
  } catch (error) {
    button.disabled = false;
    button.after(problem(error));
  }
}

function who(head) {
  return head.author_name ?? head.user ?? (head.author ? `author ${head.author.slice(0, 10)}…` : "unknown author");
}

function when(head) {
  return head.timestamp ?? null;
}

function versionRow(version) {
  const number = version.osm_version ? `version ${version.osm_version}` : "edit";
  const tags = version.deleted ? "deleted" : `${Object.keys(version.tags ?? {}).length} tags`;
  return el("li", { class: version.head ? "is-head" : null },
    el("details", {},
      el("summary", {}, `${number} by ${who(version)}, ${time(when(version))}, ${tags}`, version.head ? el("span", { class: "badge" }, "head") : null),
      el("p", { class: "quiet" }, "Version ", short(version.version), version.changeset ? ` in changeset ${version.changeset}` : ""),
      version.deleted ? null : tagTable(version.tags)));
}

function links(app, heading, elements, more) {
  if (!elements || elements.length === 0) return null;
  return [
    el("h3", {}, heading),
    el("ul", { class: "links" }, elements.map((element) =>
      el("li", {}, el("button", { type: "button", class: "link", onclick: () => app.choose(element) }, title(element))))),
    more ? el("p", { class: "quiet" }, `and ${more} more`) : null,
  ];
}
