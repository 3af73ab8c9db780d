/** What `npm publish` would send, installed as npm would install it: beside the packages that its manifest names, and no others. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { makePackage } from "../../tools/package.ts";
import { PlatformProcess, ROOT, temporaryFolder, until } from "./support/platform-process.ts";

interface Manifest {
  readonly version: string;
  readonly dependencies: Record<string, string>;
  readonly optionalDependencies: Record<string, string>;
}

const folder = temporaryFolder();
const modules = join(folder.path, "node_modules");
const installed = join(modules, "tidewire");
const data = join(folder.path, "data");
let manifest: Manifest;
let platform: PlatformProcess;

before(async () => {
  makePackage(installed);
  manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as Manifest;
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  }
  mkdirSync(data);
  platform = await PlatformProcess.start(data, ["--first-device"], [], join(installed, "src/main.js"));
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

function tidewire(...args: readonly string[]): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const env = { ...process.env, TIDEWIRE_URL: platform.ready.http, TIDEWIRE_TOKEN: platform.ready.adminToken };
  const program = [join(installed, "bin/tidewire.mjs"), ...args];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, program, { cwd: folder.path, env }, (error, stdout, stderr) =>
      error === null ? resolve({ stdout, stderr }) : reject(new Error(stderr, { cause: error })),
    );
  });
}

test("it holds JavaScript, the dashboard and what a reader wants to know: no test, no fixture, no tool", () => {
  const files = globSync("**/*", { cwd: installed, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(installed.length + 1));
  assert.deepEqual(
    paths.filter((path) => /\.ts$|\.test\.|\.fixture\.|\.bench\./.test(path)),
    [],
  );
  const beside = ["CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "package.json"];
  assert.deepEqual(new Set(paths.map((path) => path.split("/")[0])), new Set([...beside, "bin", "dist", "src"]));
  assert.deepEqual(
    Object.keys(manifest).filter((key) => /scripts|dev/i.test(key)),
    [],
  );
});

test("the first device reports, by the packages of the manifest alone", async () => {
  const { stdout } = await tidewire("--version");
  assert.equal(stdout.trim(), manifest.version);
  await until("the first readings", async () => {
    const query = "SELECT count(*) AS n FROM telemetry"; // by the asking process
    return (JSON.parse((await tidewire("query", query, "--format", "ndjson")).stdout) as { n: number }).n > 0;
  });
  const page = await (await fetch(platform.ready.http)).text();
  assert.match(page, /<script type="module"[^>]+src="\.\/assets\//);
});

test("threads and processes start: search, a rule on the past, a backup, an alert's picture", async () => {
  const found = await platform.api<{ things: unknown[] }>("POST", "/indices/search", { queryString: "thingName:*" });
  assert.equal(found.things.length, 1);

  const rule = { sql: "SELECT * FROM 'telemetry/+/system'", actions: [{ alert: { severity: "info", summary: "x" } }] };
  const file = join(folder.path, "always.json");
  writeFileSync(file, JSON.stringify(rule));
  const { stdout } = await tidewire("rules", "test", file, "--since", "5m", "--data", data);
  assert.match(stdout, /fired [1-9]/);

  await tidewire("backup", "--data", data, "--to", join(folder.path, "backups"));

  await tidewire("rules", "put", "always", file);
  let id = "";
  await until("the alert", async () => {
    const { alerts } = await platform.api<{ alerts: { id: string }[] }>("GET", "/api/alerts");
    id = alerts[0]?.id ?? "";
    return id !== "";
  });
  const picture = await fetch(`${platform.ready.http}/api/alerts/${id}/picture.png`, {
    headers: { authorization: `Bearer ${platform.ready.adminToken}` },
  });
  assert.equal(Buffer.from(await picture.arrayBuffer()).toString("latin1", 1, 4), "PNG");
});
