// Makes what the program carries: the page's own files and the libraries it uses in one script, and their licences.
// Everything is compressed, as it is served. `node bundle.mjs DIR` writes to DIR, by default `dist`.
import { build } from "esbuild";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "dist");

const { metafile, outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.js", style: "src/style.css" },
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  legalComments: "none",
  metafile: true,
  write: false,
  outdir: out,
  logLevel: "warning",
});

/** The names of the packages of which something is in the bundle. */
function bundled() {
  const names = new Set();
  for (const output of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
      if (name && bytesInOutput > 0) names.add(name);
    }
  }
  return [...names].sort();
}

/** The licence of a package, as it brings it along. */
async function licence(name) {
  const dir = join(here, "node_modules", name);
  const { version, license, homepage } = JSON.parse(await readFile(join(dir, "package.json"), "utf8"));
  const files = (await readdir(dir)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file)).sort();
  if (files.length === 0) throw new Error(`${name} brings no licence along`);
  const texts = await Promise.all(files.map((file) => readFile(join(dir, file), "utf8")));
  return [`${name} ${version}`, license, homepage, "", ...texts].filter((part) => part !== undefined).join("\n");
}

const line = `\n${"-".repeat(80)}\n\n`;
const licences = await Promise.all(bundled().map(licence));
const files = {
  "index.html": await readFile(join(here, "index.html")),
  "licences.txt": Buffer.from(`The map on the page is drawn with the help of:\n${line}${licences.join(line)}`),
};
for (const { path, contents } of outputFiles) files[path.slice(out.length + 1)] = Buffer.from(contents);

await mkdir(out, { recursive: true });
for (const [name, contents] of Object.entries(files)) {
  await writeFile(join(out, `${name}.gz`), gzipSync(contents, { level: 9 }));
}
