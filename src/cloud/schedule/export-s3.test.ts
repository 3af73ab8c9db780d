/** Exports on schedule into a bucket: a real server (s3rver), which checks signatures and fails as it is told. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { PrometheusMetrics } from "../../adapters/metrics.ts";
import { bytesOf, keysOf } from "../../adapters/objects/objects.contract.ts";
import type { ColdPlace } from "../../adapters/objects/mod.ts";
import { FaultyS3, refuse } from "../../adapters/objects/s3.fixture.ts";
import { systemScheduler } from "../../adapters/system.ts";
import { LIMITS, days, kib, mib, seconds } from "../../base/mod.ts";
import type { Scheduler } from "../../base/mod.ts";
import { exportTools } from "./export-tools.ts";
import { ScheduledExport, exportCounters } from "./export.ts";

/** Pauses between attempts a hundredth as long. */
const HASTY: Scheduler = { ...systemScheduler, after: (delay, task) => systemScheduler.after(delay / 100, task) };
const SMALL = Buffer.alloc(kib(100), "time,value\r\n");
/** More than one part. */
const LARGE = Buffer.alloc(mib(17), "time,value\r\n");
const SECRET = "hunter2hunter2";

let server: FaultyS3;
let folder = "";
let clock: SimClock;
let logger: SimLogger;
let running: ScheduledExport[] = [];
before(async () => {
  server = await FaultyS3.start();
});
after(() => server.stop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidewire-exports-"));
  clock = new SimClock();
  logger = new SimLogger();
  server.requests.length = 0;
});
afterEach(async () => {
  server.fault = () => "pass";
  for (const one of running) await one.close();
  running = [];
  rmSync(folder, { recursive: true });
});

interface Played {
  readonly bucket?: string;
  readonly secret?: string;
  readonly content?: Buffer;
}

async function open(name: string, played: Played = {}): Promise<ScheduledExport> {
  const { bucket = "archive", secret = "S3RVER", content = SMALL } = played;
  const credentials = join(folder, "credentials");
  writeFileSync(credentials, `[default]\naws_access_key_id = S3RVER\naws_secret_access_key = ${secret}\n`);
  const place = { endpoint: server.endpoint, region: "us-east-1", bucket, prefix: "plant/7", credentials, ca: null };
  const to: ColdPlace = { kind: "s3", ...place };
  const one = new ScheduledExport({
    plan: {
      name,
      of: "telemetry",
      format: "csv",
      every: days(1),
      lateness: 0,
      things: [],
      measurements: [],
      keep: 2,
      since: clock.now() - days(1),
    },
    tools: {
      ...(await exportTools({ folder, name, to }, { limits: LIMITS.archive, scheduler: HASTY, logger })),
      ask: async () => ({ stream: Readable.from([content]), incomplete: false }),
      durable: () => 0,
      stored: () => 0,
    },
    clock,
    scheduler: clock,
    logger,
    counters: exportCounters(new PrometheusMetrics()),
  });
  one.start();
  running.push(one);
  return one;
}

/** Simulated time goes on while the network is real. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let n = 0; n < 10_000; n++) {
    if (await holds()) return;
    await clock.run(seconds(1));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail("waited in vain");
}

const inBucket = (name: string): Promise<readonly string[]> => keysOf(server.objects(), name);

test("a range is one object, whole; old ones are removed there; the next start exports nothing twice", async () => {
  const one = await open("daily");
  await until(() => one.exportedTo !== null && one.exportedTo > clock.now() - days(1));
  const [key, ...others] = await inBucket("daily");
  assert.deepEqual(others, []);
  assert.ok(SMALL.equals(await bytesOf(server.objects().get(key!))));
  await one.close();
  server.requests.length = 0;
  const again = await open("daily");
  await clock.run(seconds(60));
  assert.deepEqual(server.requests, []);
  for (let day = 0; day < 3; day++) {
    clock.jump(days(1));
    await until(() => again.exportedTo! > clock.now() - days(1));
  }
  await until(async () => (await inBucket("daily")).length === 2);
  assert.ok(!(await inBucket("daily")).includes(key!), "the oldest has gone");
});

test("a bucket that is not there, and credentials that it refuses, are told at once, again and again, without a secret", async () => {
  const missing = await open("missing", { bucket: "nobodys" });
  await until(() => missing.problem !== null);
  assert.match(missing.problem!, /missing fails: s3:\/\/nobodys\/plant\/7 .*NoSuchBucket/);
  await missing.close();
  const denied = await open("denied", { secret: SECRET });
  await until(() => denied.problem !== null);
  assert.match(denied.problem!, /SignatureDoesNotMatch/);
  const told = JSON.stringify([logger.lines, missing.problem, denied.problem]);
  assert.doesNotMatch(told, new RegExp(SECRET));
  for (const file of readdirSync(folder).filter((name) => name !== "credentials"))
    assert.doesNotMatch(readFileSync(join(folder, file), "latin1"), new RegExp(SECRET));
  const attempts = server.requests.length;
  await clock.run(seconds(4));
  await server.objects().facts("other");
  assert.equal(server.requests.length, attempts + 1, "not in a loop");
  // The credentials file is put right: they are read for every request, and the next attempt takes them.
  writeFileSync(join(folder, "credentials"), "aws_access_key_id = S3RVER\naws_secret_access_key = S3RVER\n");
  await until(() => denied.problem === null);
  assert.ok((await inBucket("denied")).length > 0);
});

test("a server that goes away in the middle of an upload: no half object is ever there, and later the whole one", async () => {
  let parts = 0;
  server.fault = (request) => {
    if (request.method === "PUT") parts++;
    if (parts < 2) return "pass";
    request.socket.destroy();
    return "done";
  };
  const one = await open("cut", { content: LARGE });
  await until(() => one.problem !== null);
  assert.match(one.problem!, /cut fails: s3:\/\/archive\/plant\/7 at .* cannot be reached now/);
  assert.ok(parts >= 2, "it had begun");
  server.fault = () => "pass";
  assert.deepEqual(await inBucket("cut"), []);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith(".tmp")),
    [],
  );
  await until(() => one.problem === null);
  const [key] = await inBucket("cut");
  assert.ok(LARGE.equals(await bytesOf(server.objects().get(key!))));
});

test("refusals that pass, and bytes that change on the way, are tried again within one attempt", async () => {
  let left = 3;
  server.fault = (request, response) => {
    if (request.method !== "PUT" || left-- <= 0) return "pass";
    return left === 1 ? "damage-on-the-way" : refuse(response, 503, "SlowDown");
  };
  const one = await open("tried");
  await until(async () => (await inBucket("tried")).length === 1);
  await until(() => one.exportedTo! > clock.now() - days(1));
  assert.equal(one.problem, null);
  const [key] = await inBucket("tried");
  assert.ok(SMALL.equals(await bytesOf(server.objects().get(key!))));
});
