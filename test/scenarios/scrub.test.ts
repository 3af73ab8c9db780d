/** A real platform whose disk lets bits rot while it runs: health turns red and names each file and place; put right, it is green again. */
import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readWal } from "../../src/adapters/sqlite/wal-file.ts";
import type { ScrubReport } from "../../src/adapters/scrub/mod.ts";
import { addDevice, connectDevice } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

const PAGE = 4096;
const folder = temporaryFolder();
const data = join(folder.path, "data");
const config = join(folder.path, "platform.yaml");
let platform: PlatformProcess;

before(async () => {
  writeFileSync(config, "scrubEvery: 3s\n");
  mkdirSync(data);
  platform = await PlatformProcess.start(data, ["--config", config]);
  const client = await connectDevice(platform, await addDevice(platform, folder.path, "meter-1"));
  for (let n = 0; n < 200; n++) await client.publishAsync("telemetry/meter-1/m", JSON.stringify({ n }), { qos: 1 });
  await client.endAsync();
  // What is in write-ahead logs comes into the files.
  await platform.stop();
  platform = await PlatformProcess.start(data, ["--config", config]);
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

interface Health {
  readonly state: string;
  readonly parts: readonly { readonly name: string; readonly state: string; readonly detail: string }[];
}

const health = (): Promise<Health> => platform.api<Health>("GET", "/api/health");

/** In place, as a disk does it. */
function flip(name: string, position: number): void {
  const byte = readFileSync(join(data, name))[position]!;
  const file = openSync(join(data, name), "r+");
  writeSync(file, Buffer.of(byte ^ 1), 0, 1, position);
  closeSync(file);
}

/** The last page that is read from the file and not from the write-ahead log. */
function pageOf(name: string): number {
  const wal = join(data, `${name}-wal`);
  const held = new Set(existsSync(wal) ? readWal(readFileSync(wal)).frames.map(({ page }) => page) : []);
  for (let page = readFileSync(join(data, name)).length / PAGE; page > 0; page--) if (!held.has(page)) return page;
  throw new Error(`all pages of ${name} are in its write-ahead log`);
}

test("a flipped bit in each kind of state file of a running platform is found, and when it is put right nothing is", async () => {
  await until("a first scrub", async () => (await platform.metric("tidewire_scrubs_total")) > 0);
  assert.equal(await platform.metric("tidewire_scrub_findings"), 0);
  assert.ok(!(await health()).parts.some(({ name }) => name === "state files"));

  const outbox = readdirSync(data, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith("outbox.db"));
  const databases = [...readdirSync(data).filter((name) => name.endsWith(".db")), ...outbox];
  for (const name of ["registry", "people", "provisioning", "rules", "shadows", "broker", "renewals", "search"])
    assert.ok(databases.includes(`${name}.db`), `there is ${name}.db`);
  const segment = `log/${
    readdirSync(join(data, "log"))
      .filter((name) => name.endsWith(".seg"))
      .sort()[0]!
  }`;
  const harm = [
    ...databases.map((name) => [name, (pageOf(name) - 1) * PAGE + 777] as const),
    ["secrets/admin-token", 9] as const,
    ["secrets/ca.key", 40] as const,
    [segment, 1_000] as const,
    ["audit/00000001.jsonl", 50] as const,
    ["format.json", 0] as const,
  ];
  for (const [name, position] of harm) flip(name, position);
  const expected = harm.map(([name]) => (name.startsWith("audit") ? "audit" : name)).sort();
  const found = await until("all of them", async () => {
    const { stdout, code } = await runCli(["scrub", "--data", data, "--fast", "--json"], folder.path);
    assert.equal(code, 6);
    const { findings } = JSON.parse(stdout) as ScrubReport;
    return findings.length >= expected.length && findings;
  });
  assert.deepEqual(found.map(({ file }) => file).sort(), expected);
  for (const { file, place } of found) if (file.endsWith(".db")) assert.match(place, /^page \d+$/, file);
  const red = await until("red", async () => {
    const { state, parts } = await health();
    return state === "failed" && parts.find(({ name, state: its }) => name === "state files" && its === "failed");
  });
  assert.match(
    red.detail,
    /\.db, page \d+: not as written \(and \d+ more; `tidewire scrub` names them\)\. (?:Stop|Start) the platform/,
  );
  assert.ok((await platform.metric("tidewire_scrub_findings")) >= expected.length);

  for (const [name, position] of harm) flip(name, position);
  await until("green", async () => (await health()).parts.every(({ name }) => name !== "state files"));
});
