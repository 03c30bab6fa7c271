// What is in the database, and with whom it is shared.
import { bytes, el, facts, number, problem, short, time } from "./dom.js";

export async function showDatabase(app) {
  if (app.now === null) return el("p", {}, "…");
  const { root, counts, author, fingerprint } = app.now;
  const { peers } = await app.api.peers();
  return [
    el("h2", {}, "Database"),
    facts([
      ["Root", short(root)],
      ["Nodes", number(counts.nodes)],
      ["Ways", number(counts.ways)],
      ["Relations", number(counts.relations)],
      ["Versions", number(counts.entries)],
      ["Forks", counts.forks === 0 ? "none" : el("button", { type: "button", class: "link", onclick: () => app.open("forks") }, number(counts.forks))],
      ["This device", el("code", { title: author }, fingerprint)],
    ]),
    el("h2", {}, "Sync"),
    form(app),
    progress(app),
    el("h2", {}, "Peers"),
    peers.length === 0 ? el("p", {}, "None yet.") : el("ul", { class: "rows" }, peers.map((peer) => row(app, peer))),
  ];
}

function row(app, peer) {
  const name = peer.name ?? peer.fingerprint ?? peer.address;
  const same = peer.root === app.now.root;
  return el("li", {},
    el("strong", {}, name), " ",
    peer.synced ? `synced ${time(peer.synced)}${same ? ", the same root as here" : ""}` : "not synced yet",
    peer.address ? el("button", { type: "button", onclick: () => begin(app, peer.address), "aria-label": `Sync with ${name}` }, "Sync") : null);
}

/** The address stays while the view is drawn anew. */
let typed = "";

function form(app) {
  const field = el("input", {
    id: "address", required: true, autocomplete: "off", spellcheck: "false", placeholder: "ws://192.168.1.7:5000/sync",
    value: typed, oninput: () => { typed = field.value; },
  });
  return el("form", {
    class: "line", onsubmit: (event) => { event.preventDefault(); begin(app, field.value.trim()); },
  },
    el("label", { for: "address" }, "Address of a peer"), field,
    el("button", { id: "sync", disabled: app.sync?.state === "running" }, "Sync"));
}

async function begin(app, address, accept = null) {
  try {
    app.sync = { state: "running", address };
    app.redraw("database");
    await app.api.sync(address, accept);
  } catch (error) {
    app.sync = { state: "failed", address, message: error.message };
    app.redraw("database");
  }
}

function versions(count) {
  return `${number(count)} ${count === 1 ? "version" : "versions"}`;
}

function progress(app) {
  const { sync } = app;
  if (sync === null) return null;
  if (sync.state === "failed" || sync.state === "unknown") {
    return el("div", { id: "progress", class: "box", "data-state": sync.state },
      sync.state === "failed" ? problem(sync.message) : [
        el("p", { role: "alert" }, `The peer at ${sync.address} is not known yet. Compare with whoever is there:`),
        facts([["Its fingerprint", el("code", {}, sync.fingerprint)], ["This device", el("code", {}, app.now.fingerprint)]]),
        el("button", { id: "accept", type: "button", onclick: () => begin(app, sync.address, sync.fingerprint) }, "It is the one: sync"),
      ]);
  }
  const done = sync.state === "done";
  const numbers = facts([
    ["Received", `${versions(sync.received ?? 0)}, ${bytes(sync.bytes_in ?? 0)}`],
    ["Sent", `${versions(sync.sent ?? 0)}, ${bytes(sync.bytes_out ?? 0)}`],
    ...(done ? [["Gained", number(sync.gained)], ["Forks found", number(sync.forked)], ["Took", sync.seconds < 1 ? `${(sync.seconds * 1000).toFixed(0)} ms` : `${sync.seconds.toFixed(1)} s`]] : []),
  ]);
  return el("div", { id: "progress", class: "box", role: "status", "data-state": sync.state },
    el("p", {}, done ? `Synced with ${sync.address}.` : `Syncing with ${sync.address} …`),
    done ? null : el("progress", { "aria-label": "Syncing" }),
    numbers);
}
