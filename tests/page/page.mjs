// Looks at the page of `osmdb serve` with a browser: two villages begin with the same map, both change the same place,
// one syncs with the other from the page, and ends the fork that comes of it.
//
// node page.mjs PROGRAM DIR [EXTRACT] writes screenshots to DIR. CHROMIUM names the browser.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const [program, pictures, extract = join(here, "village.osm")] = process.argv.slice(2).map((path) => resolve(path));
const isReal = !extract.endsWith("village.osm");
const scratch = mkdtempSync(join(tmpdir(), "osmdb-page-"));
const servers = [];
mkdirSync(pictures, { recursive: true });

function osmdb(db, ...args) {
  const input = typeof args.at(-1) === "object" ? args.pop().input : undefined;
  return execFileSync(program, ["--db", join(scratch, db), ...args], { input, encoding: "utf8", maxBuffer: 1 << 28 });
}

const get = (db, element) => JSON.parse(osmdb(db, "get", element).split("\n")[0]);

/** Starts a server, and waits for the line that says where it listens. */
function serve(db, ...args) {
  const server = spawn(program, ["--db", join(scratch, db), "serve", ...args], { stdio: ["ignore", "pipe", "ignore"] });
  servers.push(server);
  return new Promise((done, failed) => {
    server.once("exit", (code) => failed(new Error(`the server ended with ${code}`)));
    server.stdout.once("data", (line) => done(String(line).trim()));
  });
}

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

/** Gives an element other tags. */
function edit(db, element, tags) {
  const head = get(db, element);
  osmdb(db, "put", { input: JSON.stringify({ ...head, tags: { ...head.tags, ...tags } }) });
}

const step = (text) => console.log(`page: ${text}`);

async function main() {
  step(`two villages import ${isReal ? extract : "a made-up village"}`);
  for (const db of ["hilltop", "riverside"]) osmdb(db, "import", extract);
  const place = JSON.parse(osmdb("hilltop", "query", "--format", "geojsonseq", "--filter", isReal ? "node and place=town and name=Encamp" : "node and place=village").split("\n")[0].replace(/^\x1e/, ""));
  const town = place.id;
  const [lon, lat] = place.geometry.coordinates;
  const [hospital] = osmdb("hilltop", "query", "--format", "ids", "--filter", "amenity=hospital").split("\n");
  edit("hilltop", hospital, { website: "<b>up</b><img src=x onerror=alert(1)>" });
  edit("hilltop", town, { "name:fr": "Le village d'en haut", population: "180" });
  edit("riverside", town, { "name:fr": "Le village d'en bas" });

  const port = await freePort();
  const peer = `ws://127.0.0.1:${await freePort()}/sync`;
  await serve("riverside", "--port", new URL(peer).port);
  await serve("hilltop", "--port", String(port));
  const base = `http://127.0.0.1:${port}`;

  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1 });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => { if (message.type() === "error") wrong.push(`console: ${message.text()}`); });
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.host !== `127.0.0.1:${port}`) wrong.push(`a request to ${request.url()}`);
  });
  page.on("response", (response) => { if (response.status() >= 400) wrong.push(`${response.status()} for ${response.url()}`); });
  page.setDefaultTimeout(60_000);
  const picture = (name) => page.screenshot({ path: join(pictures, `${name}.png`) });
  /** Waits until the map has drawn all that it asked for. */
  const drawn = async () => {
    await page.waitForFunction(() => document.getElementById("map").dataset.drawn > 0);
    await page.evaluate(() => { document.getElementById("map").dataset.drawn = "0"; });
    await page.waitForTimeout(400);
    await page.waitForFunction(() => document.getElementById("map").dataset.drawn > 0, null, { timeout: 3_000 }).catch(() => {});
  };

  step("the map shows roads");
  const answer = await page.goto(`${base}/`);
  assert.match(answer.headers()["content-security-policy"], /default-src 'none'/);
  await page.waitForFunction(() => document.getElementById("map").dataset.drawn > 0);
  await drawn();
  await picture("overview");
  await page.goto(`${base}/#${isReal ? 14.2 : 16}/${lat}/${lon}`);
  await page.reload();
  await drawn();
  await picture("town");
  const colors = await page.evaluate(() => {
    const counts = {};
    for (const canvas of document.querySelectorAll("#map canvas")) {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let at = 0; at < data.length; at += 4) {
        const color = `${data[at]},${data[at + 1]},${data[at + 2]}`;
        counts[color] = (counts[color] ?? 0) + 1;
      }
    }
    return counts;
  });
  // Main roads are orange or yellow, and others white.
  const roads = ["251,209,154", "247,243,174", "255,255,255"].map((color) => colors[color] ?? 0);
  assert.ok(roads[0] + roads[1] > 300 && roads[2] > 300, `roads: ${roads}`);

  step("a click shows tags");
  const road = isReal ? null : "way/2";
  const at = await page.evaluate(([lon, lat]) => globalThis.osmdb.map.pixel(lon, lat), isReal ? [lon, lat] : [1.51788, 42.50575]);
  const box = await page.locator("#map").boundingBox();
  await page.mouse.click(box.x + at[0], box.y + at[1]);
  await page.waitForSelector("#view-element table.tags");
  const tags = await page.locator("#view-element table.tags").first().innerText();
  assert.ok(road === null ? tags.length > 3 : /Carrer Major/.test(tags), tags);
  assert.ok(await page.locator("#view-element ol.history li").count() >= 1);
  await picture("element");

  step("a search lists and zooms");
  await page.fill("#filter", "amenity=hospital");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#view-results ul.rows li");
  await page.locator("#view-results ul.rows li", { hasText: new RegExp(`${hospital}$`) }).locator("button").click();
  await page.waitForSelector("#view-element table.tags");
  const found = await page.locator("#view-element table.tags").first().innerText();
  assert.ok(found.includes("hospital") && found.includes("<img src=x"), `tags are shown as text: ${found}`);
  await drawn();
  await picture("search");

  step("a sync begins, asks whether the peer is the one, and finishes");
  await page.click("#tab-database");
  await page.fill("#address", peer);
  await page.click("#sync");
  await page.waitForSelector("#progress[data-state=unknown]");
  await picture("unknown-peer");
  await page.click("#accept");
  await page.waitForSelector("#progress[data-state=done]");
  assert.match(await page.locator("#progress").innerText(), /Forks found\s+1/);
  await page.waitForFunction(() => document.getElementById("tab-forks").textContent.includes("(1)"));
  await page.waitForSelector("#view-database ul.rows li");
  await picture("synced");

  step("the fork is shown and resolved");
  await page.click("#tab-forks");
  await page.locator("#view-forks ul.rows li button").first().click();
  await page.waitForSelector(".fork .head");
  assert.equal(await page.locator(".fork .head").count(), 2);
  const fork = await page.locator(".fork").innerText();
  assert.ok(fork.includes("Le village d'en haut") && fork.includes("Le village d'en bas"), fork);
  await drawn();
  await picture("fork");
  await page.locator(".fork .head", { hasText: "en bas" }).locator(".keep").click();
  await page.waitForSelector(".fork", { state: "detached" });
  await page.waitForFunction(() => document.getElementById("tab-forks").textContent === "Forks");
  assert.match(await page.locator("#view-element table.tags").first().innerText(), /en bas/);

  step("the map goes back in time");
  await page.click("#tab-time");
  await page.focus("#moment-slider");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  await page.waitForSelector("#then:not([hidden])");
  await drawn();
  await picture("time");
  await page.click("#then button");
  await page.waitForSelector("#then", { state: "hidden" });

  step("the trees of two roots are compared");
  await page.click("#tab-trees");
  await page.waitForSelector("canvas.cells");
  assert.equal(await page.locator("#tree section").count(), 2);
  await page.locator("canvas.cells").last().click({ position: { x: 3, y: 3 } });
  await page.waitForSelector(".page .facts");
  await picture("trees");

  step("it fits a phone");
  await page.setViewportSize({ width: 390, height: 780 });
  await page.click("#tab-element");
  await drawn();
  await picture("phone");
  const wide = await page.evaluate(() => [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest("[role=tablist], .heads, #map"))
    .map((e) => e.outerHTML.slice(0, 90)));
  assert.deepEqual(wide, [], "it is wider than a phone");
  for (const button of await page.locator("button:visible, input:visible, select:visible").all()) {
    const name = await button.evaluate((e) => e.textContent || e.getAttribute("aria-label") || e.title || e.labels?.[0]?.textContent);
    assert.ok(name, `without a name: ${await button.evaluate((e) => e.outerHTML)}`);
  }

  await browser.close();
  assert.deepEqual(wrong, []);
  step("no error, and no request to anybody else");
}

let failed = false;
try {
  await main();
} catch (error) {
  console.error(error);
  failed = true;
}
for (const server of servers) {
  server.removeAllListeners("exit");
  const ended = new Promise((done) => server.once("exit", done));
  server.kill("SIGTERM");
  const late = setTimeout(() => server.kill("SIGKILL"), 10_000);
  await ended;
  clearTimeout(late);
}
rmSync(scratch, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
