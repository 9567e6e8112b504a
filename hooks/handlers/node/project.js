// What package.json and its lock file say, in the current folder, for a host's Node.js and for the laptop's: project.js problems|start|scripts.
// problems: what would go wrong, one per line. start: the arguments of node, one per line, with files below CHILLBOX_BUILD_DIR. scripts: packages
// that want to run something when they are installed. CHILLBOX_APP names the file to start, and with CHILLBOX_RUN_CMD there is none. Nothing of the application is run.
"use strict";
const fs = require("fs");
const path = require("path");

const LOCKS = ["npm-shrinkwrap.json", "package-lock.json"]; // npm's own order
const OTHERS = ["yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb"];

function read(name) {
  const text = fs.readFileSync(name, "utf8").replace(/^\uFEFF/, "");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${name}: ${error.message.split("\n")[0]}`);
  }
}

// These take a file as a word of its own: "node -r ./tracing.js server.js".
const WITH_FILE = ["-r", "--require", "--import", "--loader", "--experimental-loader", "--env-file", "--env-file-if-exists"];
// And these something else.
const WITH_VALUE = [
  "-C", "--conditions", "--disable-warning", "--dns-result-order", "--icu-data-dir", "--max-http-header-size", "--max-old-space-size", "--max-semi-space-size",
  "--openssl-config", "--redirect-warnings", "--stack-size", "--title", "--trace-event-categories", "--unhandled-rejections",
];

// "node FILE", with options before it and arguments after it, of scripts.start, else main, else what npm and node themselves take.
// words: all up to FILE; rest: its arguments.
function start(project) {
  if (process.env.CHILLBOX_APP) return { words: [process.env.CHILLBOX_APP], rest: [] };
  const script = (project.scripts || {}).start;
  if (script) {
    const words = script.trim().split(/\s+/);
    if (words[0] !== "node" || words.length < 2 || /["'`$&|;<>*?\\()]/.test(script)) {
      throw new Error(`package.json: scripts.start is '${script}', which is more than node and a file: name the file with "app", or a command with "run-cmd"`);
    }
    words.shift();
    const file = words.findIndex((word, i) => !word.startsWith("-") && ![...WITH_FILE, ...WITH_VALUE].includes(words[i - 1]));
    return { words: words.splice(0, file === -1 ? words.length : file + 1), rest: words };
  }
  const found = [project.main, "server.js", "index.js"].find((name) => name && is_file(name));
  if (!found) throw new Error('package.json: neither scripts.start nor main says what is started: name the file with "app"');
  return { words: [found], rest: [] };
}

// The file that word i of them names, and the part of the word before it, such as "--import=". undefined: none.
function file_in(words, i) {
  const [, option, name] = /^(--[a-z-]+)=(.+)$/.exec(words[i]) || [];
  if (WITH_FILE.includes(option)) return { before: `${option}=`, name };
  return words[i].startsWith("-") || WITH_VALUE.includes(words[i - 1]) ? undefined : { before: "", name: words[i] };
}

// A service does not run in the folder of its build: the files are named in full.
function argv(project) {
  const { words, rest } = start(project);
  const full = (word, i) => {
    const file = file_in(words, i);
    return file ? file.before + path.join(process.env.CHILLBOX_BUILD_DIR, "app", file.name) : word;
  };
  return words.map(full).concat(rest);
}

// What node itself finds by such a name; a folder says by its own package.json.
function is_file(name, follow = true) {
  if ([name, `${name}.js`, `${name}/index.js`].some((one) => fs.existsSync(one) && fs.statSync(one).isFile())) return true;
  const own = `${name}/package.json`;
  const main = follow && fs.existsSync(own) && read(own).main;
  return typeof main === "string" && is_file(path.join(name, main), false);
}

// What is wrong with these words; undefined: nothing.
function word_problem(words) {
  if (words.length === 0) return "package.json starts '', which is not in the service's folder";
  for (let i = 0; i < words.length; ++i) {
    const file = file_in(words, i);
    if (!file || is_file(file.name) || /^--env-file-if-exists/.test(file.before || words[i - 1])) continue;
    const option = file.before.slice(0, -1) || (WITH_FILE.includes(words[i - 1]) && words[i - 1]);
    if (option && !option.startsWith("--env-file") && !/^[./]/.test(file.name)) {
      return `package.json starts node with ${option} ${file.name}, a package: name a file that imports it, or a command with "run-cmd"`;
    }
    return `package.json starts '${file.name}', which is not in the service's folder`;
  }
  return undefined;
}

function numbers(text) {
  return text.split(".").map((part) => (/^\d+$/.test(part) ? Number(part) : undefined));
}

function compare(a, b) {
  for (let i = 0; i < 3; ++i) if ((a[i] || 0) !== (b[i] || 0)) return (a[i] || 0) - (b[i] || 0);
  return 0;
}

// One comparator of a range, as npm has them: ">=18", "^20.1", "~20.1.2", "18.x", "20", "*".
function meets(version, text) {
  const [, operator, rest] = /^([<>]=?|=|\^|~)?\s*v?(.*)$/.exec(text);
  const wanted = numbers(rest.split(/[-+]/)[0]).slice(0, 3);
  const fixed = wanted.findIndex((n) => n === undefined) === -1 ? wanted.length : wanted.findIndex((n) => n === undefined);
  if (fixed === 0) return true; // "*"
  const order = compare(version, wanted);
  const same = (count) => wanted.slice(0, count).every((n, i) => version[i] === n);
  switch (operator) {
    case ">=": return order >= 0;
    case ">": return order > 0 && !same(fixed === 3 ? 3 : fixed);
    case "<": return order < 0;
    case "<=": return order <= 0 || same(fixed);
    case "^": return order >= 0 && same(wanted[0] > 0 || fixed === 1 ? 1 : wanted[1] > 0 || fixed === 2 ? 2 : 3);
    case "~": return order >= 0 && same(Math.min(fixed, 2));
    default: return same(fixed);
  }
}

function in_range(version, range) {
  return range.split("||").some((all) => {
    const between = /^\s*(\S+)\s+-\s+(\S+)\s*$/.exec(all);
    const comparators = between ? [`>=${between[1]}`, `<=${between[2]}`] : all.trim().replace(/([<>=^~])\s+/g, "$1").split(/\s+/);
    return comparators.every((one) => meets(numbers(version), one));
  });
}

function problems() {
  if (!is_file("package.json")) return ["no package.json in the service's folder"];
  const project = read("package.json");
  const found = [];
  const say = (text) => found.push(text);
  if (project.workspaces) say("package.json is the root of workspaces: make the folder of one package the service, with a lock file of its own");
  const lock = LOCKS.find((name) => fs.existsSync(name));
  const needed = Object.keys(project.dependencies || {}).length + Object.keys(project.optionalDependencies || {}).length > 0;
  if (!lock && needed) {
    const other = OTHERS.find((name) => fs.existsSync(name));
    say(`no package-lock.json${other ? `, and ${other} is another tool's` : ""}: \`npm install --package-lock-only\` makes it`);
  } else if (lock && !(read(lock).lockfileVersion >= 2)) {
    say(`${lock} is of npm 6 or older: \`npm install --package-lock-only\` writes a new one`);
  }
  if (!process.env.CHILLBOX_RUN_CMD) {
    try {
      const problem = word_problem(start(project).words);
      if (problem) say(problem);
    } catch (error) {
      say(error.message);
    }
  }
  const range = (project.engines || {}).node;
  if (process.argv[3] === "host" && typeof range === "string" && !in_range(process.versions.node, range)) {
    say(`package.json wants Node.js ${range} (engines.node), and this host has ${process.versions.node}`);
  }
  return found;
}

function scripts() {
  const lock = LOCKS.find((name) => fs.existsSync(name));
  const packages = Object.entries((lock && read(lock).packages) || {});
  return packages.filter(([name, one]) => name && one.hasInstallScript && !one.dev && !one.optional).map(([name]) => name.split("node_modules/").pop());
}

function run(what) {
  try {
    return { problems, scripts, start: () => argv(read("package.json")) }[what]();
  } catch (error) {
    if (what === "problems") return [error.message];
    process.stderr.write(`command: ${error.message}\n`);
    process.exit(1);
  }
}

for (const line of run(process.argv[2])) process.stdout.write(`${line}\n`);
