/** Backups on schedule into a bucket: the real program, and a real server (s3rver) that fails as it is told. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { PrometheusMetrics } from "../../adapters/metrics.ts";
import { keysOf } from "../../adapters/objects/objects.contract.ts";
import type { ColdPlace } from "../../adapters/objects/mod.ts";
import { FaultyS3, refuse } from "../../adapters/objects/s3.fixture.ts";
import type { Fault } from "../../adapters/objects/s3.fixture.ts";
import { openRegistry } from "../../adapters/sqlite/registry-store.ts";
import { systemClock, systemScheduler } from "../../adapters/system.ts";
import { hours, minutes } from "../../base/mod.ts";
import { backupProcess } from "./backup-process.ts";
import { ScheduledBackup, addressOf } from "./backup.ts";
import { runProgram } from "./program.ts";

let server: FaultyS3;
let folder = "";
let data = "";
let to: Extract<ColdPlace, { kind: "s3" }>;
let logger: SimLogger;
let metrics: PrometheusMetrics;
let running: ScheduledBackup[] = [];

before(async () => {
  server = await FaultyS3.start();
});
after(() => server.stop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidewire-backups-"));
  data = join(folder, "data");
  mkdirSync(join(data, "archive"), { recursive: true });
  openRegistry(join(data, "registry.db"), new SimLogger()).close();
  for (const name of ["a", "b", "c"]) put(name);
  const credentials = join(folder, "credentials");
  writeFileSync(credentials, "[default]\naws_access_key_id = S3RVER\naws_secret_access_key = S3RVER\n", {
    mode: 0o600,
  });
  const prefix = `plant/${folder.split("-").at(-1)}`;
  to = { kind: "s3", endpoint: server.endpoint, region: "us-east-1", bucket: "archive", prefix, credentials, ca: null };
  logger = new SimLogger();
});
afterEach(async () => {
  server.fault = () => "pass";
  for (const one of running) await one.close();
  running = [];
  rmSync(folder, { recursive: true });
});

function put(name: string): void {
  writeFileSync(join(data, "archive", `${name}.parquet`), name.repeat(10_000));
}

function files(of: string): Readonly<Record<string, string>> {
  const names = readdirSync(join(of, "archive"));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(of, "archive", name), "utf8")]));
}

/** A platform that takes one every six hours, begun now; two stay. */
async function begin(): Promise<{ readonly clock: SimClock; readonly backup: ScheduledBackup }> {
  const clock = new SimClock(systemClock.now());
  metrics = new PrometheusMetrics();
  const plan = { times: { kind: "every", period: hours(6) }, to, keep: 2, verify: true } as const;
  const tool = await backupProcess(data, { clock: systemClock, scheduler: systemScheduler, logger });
  const backup = new ScheduledBackup({ plan, tool, clock, scheduler: clock, logger, metrics });
  running.push(backup);
  backup.start();
  return { clock, backup };
}

async function metric(name: string): Promise<number> {
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(await metrics.render())?.[1]);
}

/** The programs are real, and take their time. */
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((resolve) => systemScheduler.after(20, () => resolve(undefined)));
}

const taken = (count: number) => async (): Promise<boolean> => (await metric("tidewire_backups_total")) === count;
const failed = (count: number) => async (): Promise<boolean> =>
  (await metric("tidewire_backup_failures_total")) === count;
const snapshots = (): Promise<readonly string[]> => keysOf(server.objects({ prefix: to.prefix }), "snapshots/");
const told = (): string[] => logger.lines.filter(({ level }) => level === "error").map(({ message }) => message);

async function restored(name: string): Promise<Readonly<Record<string, string>>> {
  const target = join(folder, name);
  const { endpoint, credentials } = to;
  const bucket = ["--endpoint", endpoint, "--credentials", credentials!];
  await runProgram(["restore", "--from", addressOf(to), ...bucket, "--data", target], new AbortController().signal);
  return files(target);
}

const nobody: Fault = (_request, response) => refuse(response, 403, "AccessDenied");

/** A platform that stops while its first request for a content by this method has no answer; from then on all have one. */
async function stoppedIn(method: "GET" | "PUT"): Promise<void> {
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
  server.fault = (request) => {
    if (request.method !== method || !request.url!.includes("/objects/")) return "pass";
    reach();
    return "done"; // and no answer ever comes
  };
  const { backup } = await begin();
  await reached;
  await backup.close();
  server.fault = () => "pass";
}

test("a bucket that refuses is told once and makes health red; when it is back the backup is taken, verified, and can be restored", async () => {
  server.fault = nobody;
  const { clock, backup } = await begin();
  await until(failed(1));
  assert.match(backup.problem ?? "", /^the backup to s3:\/\/archive\/plant\/\S+ fails: .*refuses the request/);
  await clock.run(minutes(1));
  await until(failed(2));
  assert.deepEqual(told(), ["The backup on schedule failed; it is tried again"]);
  assert.doesNotMatch(JSON.stringify(logger.lines), /S3RVER/, "no key in the log");
  server.fault = () => "pass";
  assert.deepEqual(await snapshots(), []);

  await clock.run(minutes(3));
  await until(taken(1));
  assert.equal(backup.problem, null);
  assert.equal((await snapshots()).length, 1);
  assert.ok((await metric("tidewire_backup_last_success_timestamp_seconds")) > 0);
  assert.deepEqual(await restored("again"), files(data));
});

test("one that breaks off leaves the last one whole; the next goes on where it was; a platform that starts anew knows when the newest was taken", async () => {
  const { clock, backup } = await begin();
  await until(taken(1));
  const before = files(data);
  for (const name of ["d", "e", "f", "g"]) put(name);
  let objects = 0;
  server.fault = (request, response) =>
    request.method === "PUT" && request.url!.includes("/objects/") && ++objects > 2
      ? refuse(response, 403, "AccessDenied")
      : "pass";
  await clock.run(hours(6));
  await until(failed(1));
  assert.match(backup.problem ?? "", /AccessDenied/);
  server.fault = () => "pass";
  assert.deepEqual(await restored("before"), before);

  server.requests.length = 0;
  await clock.run(minutes(2));
  await until(taken(2));
  assert.equal(backup.problem, null);
  const sent = server.requests.filter((one) => one.startsWith("PUT") && one.includes("/objects/"));
  assert.ok(sent.length >= 2 && sent.length <= 4, `${sent.length} objects: what had gone out is not sent again`);
  assert.deepEqual(await restored("after"), files(data));
  await backup.close();

  const next = await begin();
  await until(async () => (await metric("tidewire_backup_last_success_timestamp_seconds")) > 0);
  await next.clock.run(hours(1));
  assert.equal((await snapshots()).length, 2, "none is due yet");
  assert.equal(next.backup.problem, null);
});

test("what the bucket has damaged is found when it is read back, and told; the next one is whole", async () => {
  server.fault = (request) =>
    request.method === "PUT" && request.url!.includes("/objects/") ? "damage-at-rest" : "pass";
  const { clock, backup } = await begin();
  await until(failed(1));
  assert.match(backup.problem ?? "", /DAMAGED/);
  assert.equal(await metric("tidewire_backups_total"), 0);
  server.fault = () => "pass";
  await clock.run(minutes(1));
  await until(taken(1));
  assert.equal(backup.problem, null);
  assert.deepEqual(await restored("again"), files(data));
});

test("what was found damaged is written again also by a platform that was started meanwhile, at once", async () => {
  server.fault = (request) =>
    request.method === "PUT" && request.url!.includes("/objects/") ? "damage-at-rest" : "pass";
  const { backup } = await begin();
  await until(failed(1));
  await backup.close();
  server.fault = () => "pass";
  server.requests.length = 0;
  const next = await begin();
  await until(taken(1));
  assert.equal(next.backup.problem, null);
  assert.ok(
    server.requests.filter((one) => one.startsWith("PUT") && one.includes("/objects/")).length >= 4,
    "all of it",
  );
  assert.deepEqual(await restored("again"), files(data));
  await next.backup.close();

  server.requests.length = 0;
  const last = await begin();
  await until(async () => (await metric("tidewire_backup_last_success_timestamp_seconds")) > 0);
  await last.clock.run(hours(1));
  assert.deepEqual(
    server.requests.filter((one) => one.startsWith("PUT")),
    [],
    "and not again at every start",
  );
});

test("one that was not read back to its end is no backup yet: the next start takes another and reads that", async () => {
  await stoppedIn("GET");
  assert.equal((await snapshots()).length, 1);
  server.requests.length = 0;
  const next = await begin();
  await until(taken(1));
  assert.equal(next.backup.problem, null);
  assert.ok(
    server.requests.some((one) => one.startsWith("GET") && one.includes("/objects/")),
    "read back",
  );
});

test("a platform that stops in the middle ends the program, and is not told as a failure; the next start takes it", async () => {
  await stoppedIn("PUT");
  assert.deepEqual(told(), []);
  assert.deepEqual(await snapshots(), []);
  await begin();
  await until(taken(1));
  assert.deepEqual(await restored("again"), files(data));
});
