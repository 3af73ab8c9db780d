// Runs before `npm start` and `npm test`, on whatever Node the machine has (Node 18 or newer): installs what package-lock.json names,
// Node 24 among it, and builds the dashboard. Says what it does; does nothing when all is in place.
// Plain JavaScript on purpose: it is the only file that an old Node must be able to run.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const purpose = process.argv[2] ?? "start";
const NODE_MAJOR_MIN = 24;

const say = (line) => process.stdout.write(`${line}\n`);

function fail(what, next) {
  process.stderr.write(`\ntidewire: ${what}\n  ${next}\n`);
  process.exit(1);
}

function hashOf(paths) {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(path).update(readFileSync(join(root, path)));
  return hash.digest("hex");
}

function filesBelow(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesBelow(path) : [path];
    })
    .sort();
}

function readIfThere(path) {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return "";
  }
}

/** Runs a program, showing one line that counts seconds, and all of its output if it fails. */
function run(label, command, args) {
  return new Promise((resolve) => {
    const started = Date.now();
    const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
    const live = process.stdout.isTTY === true;
    if (live) process.stdout.write(`${label} …`);
    else say(`${label} …`);
    const ticker = setInterval(() => live && process.stdout.write(`\r${label} … ${seconds()}`), 1000);
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => (output += String(error)));
    child.on("close", (code) => {
      clearInterval(ticker);
      if (live) process.stdout.write(`\r${label} … ${code === 0 ? "done" : "failed"}, ${seconds()}\n`);
      resolve({ ok: code === 0, output });
    });
  });
}

function pinnedNodeWorks() {
  const path = join(root, "node_modules/.bin/node");
  if (!existsSync(path)) return false;
  const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
  return Number(/^v(\d+)/.exec(stdout ?? "")?.[1] ?? 0) >= NODE_MAJOR_MIN;
}

async function install() {
  const wanted = hashOf(["package-lock.json"]);
  const stamp = "node_modules/.tidewire-installed";
  if (readIfThere(stamp) === wanted && pinnedNodeWorks()) return;
  const { ok, output } = await run("Installing packages and Node 24 (about 420 MB, once)", "npm", [
    "ci",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ]);
  if (!ok) fail(`npm ci failed:\n${output}`, "Check the network and the free disk space, then try again.");
  if (!pinnedNodeWorks()) {
    fail(
      "the package `node` was installed, but its program was not (npm did not run its install script).",
      "Run `npm rebuild node --foreground-scripts`, or install Node 24 yourself, then try again.",
    );
  }
  writeFileSync(join(root, stamp), wanted);
}

async function buildDashboard() {
  if (!existsSync(join(root, "src/web/vite.config.ts"))) return; // an installed package ships dist/web ready
  const wanted = hashOf([
    "package-lock.json",
    "src/cloud/api/contract.ts",
    ...filesBelow("src/web"),
    ...filesBelow("src/base"),
  ]);
  const stamp = "dist/web/.source-hash";
  if (readIfThere(stamp) === wanted) return;
  const node = join(root, "node_modules/.bin/node");
  const vite = join(root, "node_modules/vite/bin/vite.js");
  const { ok, output } = await run("Building the dashboard", node, [vite, "build", "src/web", "--logLevel", "warn"]);
  if (!ok) fail(`the dashboard could not be built:\n${output}`, "This is a bug in Tidewire; please report it.");
  mkdirSync(join(root, "dist/web"), { recursive: true });
  writeFileSync(join(root, stamp), wanted);
}

/** Real servers and a real browser for the tests, from Debian's packages, where this user may install them. */
async function installTestPrograms() {
  const wanted = {
    chromium: "chromium",
    mosquitto: "mosquitto",
    mosquitto_pub: "mosquitto-clients",
    initdb: "postgresql",
    "nats-server": "nats-server",
    "redis-server": "redis-server",
    "rabbitmq-server": "rabbitmq-server",
    aws: "awscli",
  };
  const onPath = (name) => spawnSync("sh", ["-c", `command -v ${name} || command -v /usr/sbin/${name}`]).status === 0;
  // Debian keeps the server's programs off the path, by version.
  const there = (name) => onPath(name) || spawnSync("sh", ["-c", `ls /usr/lib/postgresql/*/bin/${name}`]).status === 0;
  const missing = Object.entries(wanted)
    .filter(([program]) => !there(program))
    .map(([, debianPackage]) => debianPackage);
  if (missing.length === 0) return;
  const mayInstall = process.getuid?.() === 0 && onPath("apt-get");
  if (!mayInstall) {
    say(
      `Not on this machine, and this user cannot install them: ${missing.join(", ")}. The tests that need them will say so.`,
    );
    return;
  }
  await run("Reading Debian's package lists", "apt-get", ["update", "-qq"]);
  const { ok, output } = await run(`Installing ${missing.join(", ")} for the tests`, "apt-get", [
    "install",
    "-y",
    "-qq",
    "--no-install-recommends",
    ...missing,
  ]);
  if (!ok) say(`That failed, so the tests that need them will say so:\n${output}`);
}

/** Compiles everything once, so that the first start is as quick as the next (why it pays: src/main.ts). */
async function warmUp() {
  const wanted = hashOf([
    "package-lock.json",
    ...filesBelow("src").filter((path) => path.endsWith(".ts") && !path.startsWith("src/web/")),
  ]);
  const stamp = ".cache/compiled";
  if (readIfThere(stamp) === wanted) return;
  const rooms = [
    "src/cli/mod.ts",
    "src/cloud/mod.ts",
    "src/edge/mod.ts",
    "src/cloud/store/server.ts",
    "src/adapters/logger.ts",
  ];
  const code = `import m from "node:module"; m.enableCompileCache(".cache/compile"); for (const f of ${JSON.stringify(rooms)}) await import(process.cwd() + "/" + f);`;
  const { ok, output } = await run("Compiling", join(root, "node_modules/.bin/node"), [
    "--input-type=module",
    "-e",
    code,
  ]);
  if (!ok) fail(`the sources could not be compiled:\n${output}`, "This is a bug in Tidewire; please report it.");
  mkdirSync(join(root, ".cache"), { recursive: true });
  writeFileSync(join(root, stamp), wanted);
}

await install();
await Promise.all([buildDashboard(), warmUp()]);
if (purpose === "test") await installTestPrograms();
