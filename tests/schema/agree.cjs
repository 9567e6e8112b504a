// agree.cjs TOP CHILLBOXCTL: every file of tests/config/corpus before the schema and before `chillboxctl validate`, and the same file written as
// TOML. good/: both take it. bad/: both refuse it. beyond/: what a schema cannot say, refused by the agent alone.
"use strict";
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const Ajv = require("ajv/dist/2020");

const [top, ctl] = process.argv.slice(2);
const corpus = path.join(top, "tests/config/corpus");
const schema = JSON.parse(fs.readFileSync(path.join(top, "docs/site.schema.json"), "utf8"));
const valid = new Ajv({ strict: true, allErrors: true }).compile(schema);
const desk = fs.mkdtempSync(path.join(os.tmpdir(), "chillbox-agree-"));

function agent_takes(name, text) {
  const file = path.join(desk, name);
  fs.writeFileSync(file, text);
  const run = spawnSync(ctl, ["validate", file], { encoding: "utf8" });
  fs.unlinkSync(file);
  if (run.status === null || run.status > 2) throw new Error(`${ctl}: ${run.error || run.stderr}`);
  return run.status === 0;
}

// As inline values, which TOML has for all of JSON but null.
function toml(value) {
  if (typeof value === "string") return JSON.stringify(value).replace(/\x7f/g, "\\u007F");
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  if (value === null) throw new RangeError("null");
  if (typeof value !== "object") return String(value);
  return `{${Object.entries(value).map(([k, v]) => `${JSON.stringify(k)} = ${toml(v)}`).join(", ")}}`;
}

function as_toml(json) {
  try {
    return Object.entries(json).map(([k, v]) => `${JSON.stringify(k)} = ${toml(v)}\n`).join("");
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

let passed = 0;
const failures = [];
function expect(wanted, found, what) {
  if (wanted === found) passed += 1;
  else failures.push(`${what}: ${found ? "taken" : "refused"}`);
}

for (const folder of ["good", "bad", "beyond"])
  for (const name of fs.readdirSync(path.join(corpus, folder)).sort()) {
    const text = fs.readFileSync(path.join(corpus, folder, name), "utf8");
    const json = JSON.parse(text);
    const place = `${folder}/${name}`;
    expect(folder !== "bad", valid(json), `${place} by the schema`);
    expect(folder === "good", agent_takes("blog.site.json", text), `${place} by chillboxctl`);
    const same = folder === "beyond" || Array.isArray(json) ? null : as_toml(json);
    if (same !== null) expect(folder === "good", agent_takes("blog.site.toml", same), `${place} as TOML`);
  }
fs.rmSync(desk, { recursive: true });
for (const failure of failures) console.log(`not ok ${failure}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 && passed > 60 ? 0 : 1;
