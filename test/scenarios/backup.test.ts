import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connectAsync } from "mqtt";
import { FaultyS3 } from "../../src/adapters/objects/s3.fixture.ts";
import { addDevice, connectDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

/** `tidewire backup` beside a platform in full traffic, and a platform started on what `tidewire restore` made. */
const folder = temporaryFolder();
const data = join(folder.path, "data");
const backups = join(folder.path, "backups");
let platform: PlatformProcess;
let device: Device;

before(async () => {
  mkdirSync(data);
  platform = await PlatformProcess.start(data);
  device = await addDevice(platform, folder.path, "meter-1");
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

interface Taken {
  readonly backup: string;
  readonly files: number;
  readonly bytes: number;
  readonly added: number;
  readonly removed: readonly string[];
}

async function backup(...more: readonly string[]): Promise<Taken> {
  const { code, stdout, stderr } = await runCli(
    ["backup", "--to", backups, "--data", data, "--json", ...more],
    folder.path,
  );
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Taken;
}

async function numbersOf(at: PlatformProcess): Promise<readonly number[]> {
  const path = "/api/series?thing=meter-1&measurement=m&fields=n&from=1790000000000&to=1790009000000";
  const { series } = await at.api<{ series: { values: number[] }[] }>("GET", path);
  return series[0]?.values ?? [];
}

/** Publishes until it is stopped; says how many were acknowledged at any time. */
async function publisher(from: number): Promise<{ acknowledged(): number; stop(): Promise<void> }> {
  const client = await connectDevice(platform, device);
  let next = from;
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const payload = JSON.stringify({ ts: 1_790_000_000_000 + next * 1000, n: next });
      await client.publishAsync("telemetry/meter-1/m", payload, { qos: 1, retain: true });
      next++;
    }
  };
  const running = run();
  return {
    acknowledged: () => next,
    stop: async () => {
      stopping.abort();
      await running;
      await client.endAsync();
    },
  };
}

/** The retained reading, as anybody gets it who subscribes. */
async function retained(url: string): Promise<{ readonly n: number }> {
  const client = await connectAsync(url, { reconnectPeriod: 0 });
  try {
    const message = new Promise<Buffer>((resolve) => {
      client.once("message", (_topic, bytes) => resolve(bytes));
    });
    await client.subscribeAsync("telemetry/meter-1/m");
    const payload = await message;
    return JSON.parse(payload.toString()) as { n: number };
  } finally {
    await client.endAsync();
  }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe("tidewire backup", () => {
  test("of a platform that runs, in full traffic: what was acknowledged before it began is in it, readings, things and keys", async () => {
    const traffic = await publisher(0);
    await until("some traffic", async () => traffic.acknowledged() > 50);
    const acknowledged = traffic.acknowledged();
    mkdirSync(join(data, "archive", "cache"), { recursive: true });
    writeFileSync(join(data, "archive", "cache", "fetched.parquet"), "what the cold tier has");
    const taken = await backup();
    await traffic.stop();
    assert.ok(taken.added > 0 && taken.files > 5);

    const restored = join(folder.path, "restored");
    const { code, stdout } = await runCli(["restore", "--from", backups, "--data", restored], folder.path);
    assert.equal(code, 0);
    assert.match(stdout, /Start it: tidewire up --data/);
    assert.equal(statSync(join(restored, "secrets", "ca.key")).mode & 0o777, 0o600);
    for (const left of ["archive/cache", "asking", "telemetry.duckdb"]) {
      assert.equal(existsSync(join(restored, left)), false, left);
    }
    const again = await PlatformProcess.start(restored, ["--listen", "mqtt://127.0.0.1:0?auth=none"]);
    try {
      await until("the readings", async () => (await numbersOf(again)).length >= acknowledged);
      const numbers = await numbersOf(again);
      assert.deepEqual(numbers, upTo(numbers.length), "from the first one on, each once, without a hole");
      assert.equal((await again.api<{ thingName: string }>("GET", "/things/meter-1")).thingName, "meter-1");
      await (await connectDevice(again, device)).endAsync(); // its certificate still opens the door
      assert.ok((await retained(again.ready.listen[0]!)).n >= acknowledged - 1);
    } finally {
      await again.stop();
    }
  });

  test("once more writes only what has changed; --keep removes the old ones and what only they had", async () => {
    const first = await backup();
    const second = await backup();
    assert.ok(second.added < first.bytes / 2, `${second.added} of ${first.bytes} bytes`);
    const third = await backup("--keep", "1");
    assert.ok(third.removed.includes(first.backup) && third.removed.includes(second.backup));
    const { stdout } = await runCli(["backup", "list", "--in", backups, "--json"], folder.path);
    assert.deepEqual(
      stdout
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as Taken).backup),
      [third.backup],
    );
    const { code, stdout: said } = await runCli(["backup", "verify", "--in", backups], folder.path);
    assert.deepEqual([code, said.trim()], [0, `${third.backup}: whole`]);
  });

  test("into a bucket and back: of a running platform, incremental, with the old ones removed", async () => {
    const server = await FaultyS3.start();
    const credentials = join(folder.path, "credentials");
    writeFileSync(credentials, "[default]\naws_access_key_id = S3RVER\naws_secret_access_key = S3RVER\n");
    const bucket = ["s3://archive/backups", "--endpoint", server.endpoint, "--credentials", credentials];
    const cli = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await runCli(args, folder.path);
      assert.equal(code, 0, stderr);
      return stdout.trim();
    };
    try {
      const first = JSON.parse(await cli("backup", "--to", ...bucket, "--data", data, "--json")) as Taken;
      const second = JSON.parse(
        await cli("backup", "--to", ...bucket, "--data", data, "--keep", "1", "--json"),
      ) as Taken;
      assert.ok(second.added < first.bytes / 2, `${second.added} of ${first.bytes} bytes`);
      assert.deepEqual(second.removed, [first.backup]);
      assert.equal(await cli("backup", "verify", "--in", ...bucket), `${second.backup}: whole`);
      const restored = join(folder.path, "restored-from-bucket");
      await cli("restore", "--from", ...bucket, "--data", restored);
      assert.deepEqual(
        readFileSync(join(restored, "secrets", "ca.key")),
        readFileSync(join(data, "secrets", "ca.key")),
      );
      const again = await PlatformProcess.start(restored);
      assert.equal((await again.api<{ thingName: string }>("GET", "/things/meter-1")).thingName, "meter-1");
      await again.stop();
    } finally {
      await server.stop();
    }
  });

  test("that is damaged is found by verify, and never restored: not even in part", async () => {
    const { backup: name } = await backup();
    const object = largestObject();
    const bytes = readFileSync(object);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(object, bytes);
    const { code, stdout } = await runCli(["backup", "verify", name, "--in", backups], folder.path);
    assert.equal(code, 6);
    assert.match(stdout, new RegExp(`^${name}: DAMAGED `, "m"));
    const target = join(folder.path, "never");
    const restore = await runCli(["restore", "--from", backups, "--data", target], folder.path);
    assert.equal(restore.code, 6);
    assert.match(restore.stderr, /BACKUP_DAMAGED/);
    assert.equal(existsSync(target), false);
    assert.deepEqual(
      readdirSync(folder.path).filter((entry) => entry.includes("restoring")),
      [],
    );
  });

  test("a list of files that was changed by hand is refused", async () => {
    const { backup: name } = await backup();
    const path = join(backups, "snapshots", `${name}.json`);
    writeFileSync(path, readFileSync(path, "utf8").replace('"registry.db"', '"registry.dc"'));
    const { code, stderr } = await runCli(["restore", "--from", backups, "--backup", name, "--data", "x"], folder.path);
    assert.equal(code, 6);
    assert.match(stderr, /does not match its checksum/);
  });

  test("refuses what cannot be meant, and says what to do", async () => {
    await backup();
    const foreign = join(folder.path, "foreign");
    mkdirSync(foreign);
    writeFileSync(join(foreign, "photo.jpg"), "x");
    const refusals: readonly (readonly [args: readonly string[], said: RegExp])[] = [
      [["backup", "--data", data], /'--to': it names the folder/],
      [["backup", "--to", foreign, "--data", data], /holds other files and no backup/],
      [["backup", "--to", join(folder.path, "b2"), "--data", foreign], /holds no platform's data/],
      [["backup", "--to", backups, "--data", data, "--keep", "0"], /whole number from 1 on/],
      [["restore", "--from", foreign, "--data", "x"], /there is no backup in it/],
      [["restore", "--from", backups, "--backup", "yesterday", "--data", "x"], /it has no backup 'yesterday'/],
      [["restore", "--from", backups, "--data", data], /a restore never replaces any/],
    ];
    for (const [args, said] of refusals) {
      const { code, stderr } = await runCli(args, folder.path);
      assert.notEqual(code, 0, args.join(" "));
      assert.match(stderr, said);
    }
  });
});

function largestObject(): string {
  const objects = readdirSync(join(backups, "objects"), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return objects.toSorted((a, b) => statSync(b).size - statSync(a).size)[0]!;
}
