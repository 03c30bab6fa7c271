// The prolly trees: their levels and pages, and which of them another root has too.
import { bytes, el, facts, number, problem, short } from "./dom.js";

const CELL = 7;
const COLORS = { own: "#c2570c", shared: "#8fa3b8" };

let chosen = "spatial";
let other = null;

export async function showTrees(app) {
  const at = app.at ?? app.now?.root;
  if (at === undefined) return el("p", {}, "…");
  const [{ records }, { trees }] = await Promise.all([app.api.reflog(), app.api.trees(at)]);
  const roots = [...new Map(records.filter((record) => record.root !== at && !record.gone).map((record) => [record.root, record])).values()].reverse();
  if (!roots.some((record) => record.root === other)) other = roots[0]?.root ?? null;
  const drawing = el("div", { id: "tree" });
  const draw = async () => {
    drawing.replaceChildren(el("p", {}, "…"));
    try {
      const [left, right] = await Promise.all([app.api.tree(chosen, at, other), other ? app.api.tree(chosen, other, at) : null]);
      drawing.replaceChildren(side(app, left, "This root", at), ...(right ? [side(app, right, "The other root", other)] : []));
    } catch (error) {
      drawing.replaceChildren(problem(error));
    }
  };
  draw();
  return [
    el("h2", {}, "Trees"),
    el("div", { class: "line" },
      el("label", { for: "tree-name" }, "Tree"),
      el("select", { id: "tree-name", onchange: (event) => { chosen = event.target.value; draw(); } },
        trees.map((tree) => el("option", { value: tree.name, selected: tree.name === chosen }, `${tree.name}: ${number(tree.pairs)} pairs`)))),
    roots.length === 0 ? el("p", { class: "quiet" }, "There is no other root to compare with yet.") : el("div", { class: "line" },
      el("label", { for: "tree-other" }, "Compared with"),
      el("select", { id: "tree-other", onchange: (event) => { other = event.target.value; draw(); } },
        roots.map((record) => el("option", { value: record.root, selected: record.root === other }, `number ${record.number}: ${record.what}`)))),
    el("p", { class: "legend" }, swatch(COLORS.shared), " a page that both have ", swatch(COLORS.own), " a page that only this one has"),
    drawing,
  ];
}

function swatch(color) {
  const mark = el("span", { class: "swatch", "aria-hidden": "true" });
  mark.style.background = color;
  return mark;
}

function side(app, tree, heading, root) {
  const details = el("div", { class: "page" });
  return el("section", { class: "tree", "aria-label": heading },
    el("h3", {}, heading, " ", short(root)),
    el("table", { class: "levels" },
      el("thead", {}, el("tr", {}, ["Level", "Pages", "Shared", "Pairs below"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, tree.levels.map((level) => el("tr", {},
        el("th", { scope: "row" }, level.level === 0 ? "leaves" : level.level),
        el("td", {}, number(level.pages)), el("td", {}, tree.compared ? number(level.shared) : "–"), el("td", {}, number(tree.pairs)))))),
    tree.levels.map((level) => level.cells ? cells(app, tree.name, root, level, details) : el("p", { class: "quiet" }, "Too many pages to draw.")),
    details);
}

/** One square for each page of a level. */
function cells(app, name, root, level, details) {
  const width = 280;
  const columns = Math.floor(width / CELL);
  const canvas = el("canvas", {
    class: "cells", role: "img",
    "aria-label": `Level ${level.level}: ${level.pages} pages, ${level.shared} of them shared`,
  });
  const rows = Math.ceil(level.cells.length / columns);
  const scale = Math.min(3, globalThis.devicePixelRatio ?? 1);
  canvas.width = width * scale;
  canvas.height = rows * CELL * scale;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${rows * CELL}px`;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  [...level.cells].forEach((shared, place) => {
    context.fillStyle = shared === "1" ? COLORS.shared : COLORS.own;
    context.fillRect((place % columns) * CELL, Math.floor(place / columns) * CELL, CELL - 1, CELL - 1);
  });
  canvas.addEventListener("click", async (event) => {
    const box = canvas.getBoundingClientRect();
    const place = Math.floor((event.clientY - box.top) / CELL) * columns + Math.floor((event.clientX - box.left) / CELL);
    const cell = level.cells[place];
    if (cell === undefined) return;
    try {
      const page = await app.api.page(name, root, level.level, place);
      details.replaceChildren(facts([
        ["Page", short(page.cid)], ["Level", page.level === 0 ? "leaf" : page.level], ["Size", bytes(page.bytes)],
        [page.level === 0 ? "Pairs" : "Children", number(page.items)], ["Shared", cell === "1" ? "yes" : "no"],
        ["First key", el("code", {}, page.first)], ["Last key", el("code", {}, page.last)],
      ]));
    } catch (error) {
      details.replaceChildren(problem(error));
    }
  });
  return canvas;
}
