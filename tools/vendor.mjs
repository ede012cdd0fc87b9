// Makes the vendored JavaScript of the console. Maintainers run it; nobody else needs node:
//
//     node tools/vendor.mjs
//
// Writes sttgate/console/static/vendor/: preact, signals and htm in one ES module, the licence texts,
// and LOCK.json, which says what is inside and has the SHA-256 of every file.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ESBUILD = "0.28.2";
const CONSOLE = { preact: "11.2.0", "@preact/signals-core": "1.14.5", "@preact/signals": "2.11.4", htm: "3.1.1" };
const LICENCES = new Set(["MIT", "Apache-2.0"]);

const ENTRY = `
import { createElement } from "preact";
import htm from "htm";
export * from "preact";
export * from "preact/hooks";
export * from "@preact/signals";
export const html = htm.bind(createElement);
`;

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const work = mkdtempSync(join(tmpdir(), "sttgate-vendor-"));

function sha256(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

function npm(...args) {
  return execFileSync("npm", args, { cwd: work, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

function fresh(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "licenses"), { recursive: true });
}

/** Copies the licence of a package and returns its row of LOCK.json. */
function record(name, version, folder) {
  const installed = join(work, "node_modules", name);
  const about = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  if (about.version !== version) throw new Error(`${name}: wanted ${version}, npm installed ${about.version}`);
  if (!LICENCES.has(about.license)) throw new Error(`${name}: its licence ${about.license} is not one of ours`);
  const licence = `licenses/${name.replace("@", "").replace("/", "-")}.txt`;
  copyFileSync(join(installed, "LICENSE"), join(folder, licence));
  const tarball = JSON.parse(npm("pack", "--json", `${name}@${version}`))[0].filename;
  return { name, version, license: about.license, license_file: licence, sha256: sha256(join(work, tarball)) };
}

function lock(folder, packages, files) {
  const names = [...files, ...packages.map((row) => row.license_file)];
  const hashes = Object.fromEntries(names.map((name) => [name, sha256(join(folder, name))]));
  writeFileSync(join(folder, "LOCK.json"), JSON.stringify({ packages, files: hashes }, null, 2) + "\n");
}

try {
  const wanted = Object.entries({ ...CONSOLE, esbuild: ESBUILD }).map(([name, v]) => `${name}@${v}`);
  writeFileSync(join(work, "package.json"), '{"private":true}');
  npm("install", "--ignore-scripts", "--no-audit", "--no-fund", "--save-exact", ...wanted);

  const web = join(root, "sttgate/console/static/vendor");
  fresh(web);
  const { buildSync } = createRequire(join(work, "package.json"))("esbuild");
  const packages = Object.entries(CONSOLE).map(([name, version]) => record(name, version, web));
  const names = packages.map((row) => `${row.name} ${row.version} (${row.license})`).join(", ");
  buildSync({
    stdin: { contents: ENTRY, resolveDir: work },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    banner: { js: `/* ${names}; see licenses/. Made by tools/vendor.mjs. */` },
    outfile: join(web, "preact.js"),
  });
  lock(web, packages, ["preact.js"]);
} finally {
  rmSync(work, { recursive: true, force: true });
}
