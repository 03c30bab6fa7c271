// The page: a map, and beside it views of what is in the database.
import { api, listen } from "./api.js";
import { announce, el, problem } from "./dom.js";
import { DatabaseMap } from "./map.js";
import { showDatabase } from "./database.js";
import { showElement } from "./element.js";
import { showForks } from "./forks.js";
import { showResults } from "./search.js";
import { showTime } from "./time.js";
import { showTrees } from "./trees.js";

const VIEWS = [
  ["database", "Database", showDatabase],
  ["element", "Element", showElement],
  ["results", "Search", showResults],
  ["forks", "Forks", showForks],
  ["time", "Time", showTime],
  ["trees", "Trees", showTrees],
];

/** What the views share. */
const app = {
  api,
  map: null,
  /** The database as it is now. */
  now: null,
  /** The root that is looked at; null: the present one. */
  at: null,
  /** What is chosen: an element, and what else was at the place of the click. */
  chosen: null,
  filter: "",
  /** The last that was heard of a sync. */
  sync: null,
  open,
  choose,
  lookAt,
  redraw,
};

const tabs = new Map();

function build() {
  const list = document.querySelector("[role=tablist]");
  const views = document.getElementById("views");
  for (const [name, title, show] of VIEWS) {
    const panel = el("section", { id: `view-${name}`, role: "tabpanel", "aria-labelledby": `tab-${name}`, tabindex: 0, hidden: true });
    const tab = el("button", {
      id: `tab-${name}`, role: "tab", type: "button", "aria-controls": `view-${name}`, "aria-selected": "false",
      tabindex: -1, onclick: () => open(name),
    }, title);
    tabs.set(name, { tab, panel, show, stale: true });
    list.append(tab);
    views.append(panel);
  }
  list.addEventListener("keydown", (event) => {
    const names = [...tabs.keys()];
    const place = names.findIndex((name) => tabs.get(name).tab === document.activeElement);
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -place, End: names.length - 1 - place }[event.key];
    if (place < 0 || step === undefined) return;
    event.preventDefault();
    const name = names[(place + step + names.length) % names.length];
    open(name);
    tabs.get(name).tab.focus();
  });
}

let openView = null;

/** Opens a view, which is drawn anew if what it shows may have changed. */
function open(name) {
  openView = name;
  for (const [other, { tab, panel }] of tabs) {
    const isOpen = other === name;
    tab.setAttribute("aria-selected", String(isOpen));
    tab.tabIndex = isOpen ? 0 : -1;
    panel.hidden = !isOpen;
  }
  draw(name);
}

async function draw(name) {
  const view = tabs.get(name);
  if (!view.stale) return;
  view.stale = false;
  const turn = (view.turn ?? 0) + 1;
  view.turn = turn;
  let content;
  try {
    content = await view.show(app);
  } catch (error) {
    content = [problem(error)];
  }
  // Something newer may be on its way.
  if (view.turn === turn) view.panel.replaceChildren(...[content].flat(Infinity).filter(Boolean));
}

/** Says that views may show what is no longer so; all of them, or those named. */
function redraw(...names) {
  for (const [name, view] of tabs) {
    if (names.length === 0 || names.includes(name)) view.stale = true;
  }
  if (openView !== null) draw(openView);
}

/** Chooses an element, and shows what is known of it. */
function choose(element, others = [], bounds = null) {
  app.chosen = element === null ? null : { element, others };
  app.map.select(element);
  if (bounds) app.map.show(bounds);
  tabs.get("element").stale = true;
  open("element");
}

/** Looks at another root; null: at the present one. */
function lookAt(record) {
  app.at = record?.root ?? null;
  app.map.at(app.at);
  const then = document.getElementById("then");
  then.hidden = record === null;
  then.replaceChildren(...(record === null ? [] : [
    `The database as it was: number ${record.number}, ${record.what}. `,
    el("button", { type: "button", onclick: () => { lookAt(null); redraw(); } }, "Back to now"),
  ]));
  redraw("element", "results", "forks", "trees");
}

/** Leads to the editor, if there is one, at the place that is looked at. */
function offerEditor() {
  const link = document.getElementById("edit");
  link.hidden = !app.now.editor;
  link.addEventListener("click", () => { link.href = `edit/#map=${location.hash.slice(1)}`; });
}

function title() {
  document.getElementById("dataset").textContent = app.now.name === "osm" ? "" : app.now.name;
  const { tab } = tabs.get("forks");
  const { forks } = app.now.counts;
  tab.textContent = forks > 0 ? `Forks (${forks})` : "Forks";
}

async function begin() {
  build();
  app.map = new DatabaseMap(document.getElementById("map"), (found) => {
    if (found.length > 0) choose(found[0].element, found);
  });
  globalThis.osmdb = { map: app.map };
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    app.filter = document.getElementById("filter").value.trim();
    tabs.get("results").stale = true;
    open("results");
  });
  open("database");
  try {
    app.now = await api.database();
    title();
    offerEditor();
    app.map.begin(app.now.bounds);
  } catch (error) {
    document.getElementById("then").hidden = false;
    document.getElementById("then").replaceChildren(problem(error));
  }
  redraw();
  listen({
    async root({ root }) {
      if (root === app.now?.root) return;
      const wasEmpty = !app.now?.bounds;
      app.now = await api.database();
      title();
      app.map.refresh();
      if (wasEmpty) app.map.begin(app.now.bounds);
      announce("The database has changed.");
      redraw();
    },
    sync(sync) {
      app.sync = sync;
      redraw("database");
    },
  });
}

begin();
