/** `tidewire log tail` and `export`, beside a platform that runs, after it has stopped, and where the log is damaged. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { addDevice, connectDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, ROOT, runCli, temporaryFolder } from "./support/platform-process.ts";
import type { Exit } from "./support/platform-process.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;
let device: Device;

interface Line {
  readonly offset: number;
  readonly time: string;
  readonly kind: string;
  readonly topic: string;
  readonly payload: string;
  readonly encoding: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly client: string;
  readonly thing: string;
  readonly properties: Record<string, unknown> | null;
}

before(async () => {
  platform = await PlatformProcess.start(folder.path);
  device = await addDevice(platform, folder.path, "meter-1");
  const client = await connectDevice(platform, device);
  for (let n = 0; n < 30; n++) await client.publishAsync("telemetry/meter-1/m", JSON.stringify({ n }), { qos: 1 });
  await client.publishAsync("telemetry/meter-1/blob", Buffer.from([0xff, 0x00, 0xfe]), {
    qos: 1,
    retain: true,
    properties: { contentType: "x/y", userProperties: { a: "b" }, correlationData: Buffer.from([1, 2]) },
  });
  await client.endAsync();
  const kept = await connectDevice(platform, device, { clean: false, properties: { sessionExpiryInterval: 60 } });
  await kept.publishAsync("telemetry/meter-1/words", "red \u001b[31m\n\u0000", { qos: 2 });
  await kept.endAsync();
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

function log(...args: readonly string[]): Promise<Exit> {
  return runCli(["log", ...args, "--data", folder.path], folder.path);
}

function linesOf({ code, stdout, stderr }: Exit): readonly Line[] {
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
}

test("export beside the running platform: every message as it was published, byte for byte", async () => {
  const lines = linesOf(await log("export", "--client", "meter-1"));
  const numbers = lines.filter(({ topic }) => topic === "telemetry/meter-1/m").map(({ payload }) => payload);
  assert.deepEqual(
    numbers,
    Array.from({ length: 30 }, (_, n) => JSON.stringify({ n })),
  );
  const { offset, time, ...blob } = lines.find(({ topic }) => topic === "telemetry/meter-1/blob")!;
  assert.ok(offset > 0 && Date.parse(time) > 0);
  assert.deepEqual(
    { ...blob, receivedAt: 0, client: "" },
    {
      receivedAt: 0,
      kind: "message",
      topic: "telemetry/meter-1/blob",
      payload: "/wD+",
      encoding: "base64",
      qos: 1,
      retain: true,
      client: "",
      thing: "meter-1",
      properties: { contentType: "x/y", userProperties: [["a", "b"]], correlationDataBase64: "AQI=" },
    },
  );
  assert.equal(lines.find(({ qos }) => qos === 2)!.payload, "red \u001b[31m\n\u0000");
  assert.ok(lines.every(({ kind }) => kind === "message"));
  const all = linesOf(await log("export", "--all"));
  assert.ok(
    all.some(({ kind }) => kind === "note"),
    "QoS 2 left a note",
  );
});

test("export: from and to, by offset and by time, and a file that appears when it is complete", async () => {
  const all = linesOf(await log("export"));
  const [first, last] = [all[5]!, all[15]!];
  const part = linesOf(await log("export", "--from", String(first.offset), "--to", String(last.offset)));
  assert.deepEqual(part, all.slice(5, 15));
  const timed = linesOf(await log("export", "--from", first.time, "--to", last.time));
  assert.deepEqual(
    timed,
    all.filter(({ time }) => time >= first.time && time < last.time),
  );
  assert.deepEqual(linesOf(await log("export", "--to", "1h")), []);
  const path = join(folder.path, "part.ndjson");
  const done = await log("export", "--topic", "telemetry/+/m", "--output", path);
  assert.deepEqual([done.code, done.stdout], [0, ""]);
  assert.match(done.stderr, /30 records in /);
  assert.equal(readFileSync(path, "utf8").split("\n").length, 31);
  const nowhere = await log("export", "--output", join(folder.path, "no-such-folder", "x"));
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stderr, /EXPORT_FAILED/);
});

test("tail: the last ones, those since a time, only some, and nothing that a device wrote moves the cursor", async () => {
  const { code, stdout } = await log("tail", "--topic", "telemetry/meter-1/#");
  const shown = stdout.split("\n").slice(0, -1);
  assert.deepEqual([code, shown.length], [0, 20]);
  assert.match(shown.at(-1)!, /meter-1 {2}telemetry\/meter-1\/words {2}red \\u001b\[31m\\n\\u0000$/);
  assert.match(shown.at(-2)!, /\(retained\) \(3 bytes, not text: [0-9a-f ]+\)$/);
  const few = linesOf(await log("tail", "-n", "3", "--json", "--topic", "telemetry/+/m"));
  assert.deepEqual(
    few.map(({ payload }) => JSON.parse(payload) as unknown),
    [{ n: 27 }, { n: 28 }, { n: 29 }],
  );
  const since = linesOf(await log("tail", "--since", "1h", "--json", "--client", "meter-1"));
  assert.equal(since.length, 32);
  assert.deepEqual(linesOf(await log("tail", "--json", "--client", "nobody")), []);
});

test("tail --follow prints what comes while it comes, and ends with 0 when it is asked to", async () => {
  const args = ["log", "tail", "--follow", "-n", "0", "--json", "--topic", "telemetry/#", "--data", folder.path];
  const child = spawn(process.execPath, [join(ROOT, "src/main.ts"), ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const client = await connectDevice(platform, device);
  const next = lines.next();
  const seen = { line: false };
  void next.then(() => (seen.line = true));
  // It may not be there yet when the first ones are published.
  for (let n = 100; !seen.line; n++)
    await client.publishAsync("telemetry/meter-1/m", JSON.stringify({ n }), { qos: 1 });
  const first = JSON.parse((await next).value as string) as Line;
  const second = JSON.parse((await lines.next()).value as string) as Line;
  assert.equal((JSON.parse(second.payload) as { n: number }).n, (JSON.parse(first.payload) as { n: number }).n + 1);
  await client.endAsync();
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("wrong options are explained, with status 2; a folder without a log with 3", async () => {
  for (const args of [
    ["tail", "--since", "yesterday"],
    ["tail", "--topic", "a/#/b"],
    ["tail", "-n", "many"],
    ["export", "--format", "csv"],
  ])
    assert.deepEqual((await log(...args)).code, 2, args.join(" "));
  const none = await runCli(["log", "tail", "--data", join(folder.path, "none")], folder.path);
  assert.equal(none.code, 3);
  assert.match(none.stderr, /it holds no log/);
  assert.equal(existsSync(join(folder.path, "none")), false);
});

test("a reader that goes away is no error", async () => {
  const command = `"${process.execPath}" "${join(ROOT, "src/main.ts")}" log export --data "${folder.path}" | head -1`;
  const child = spawn("bash", ["-o", "pipefail", "-c", command], { stdio: ["ignore", "pipe", "pipe"] });
  let complaints = "";
  child.stderr.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
  child.stdout.resume();
  const [code] = (await once(child, "close")) as [number];
  assert.deepEqual([code, complaints], [0, ""]);
});

test("of a stopped platform, damaged: the rest is printed, the damage told on standard error, status 1", async () => {
  const whole = linesOf(await log("export"));
  await platform.stop();
  assert.deepEqual(linesOf(await log("export")).slice(0, whole.length), whole, "stopped or running is the same");
  const name = readdirSync(join(folder.path, "log")).find((file) => file.endsWith(".seg"))!;
  const path = join(folder.path, "log", name);
  const bytes = readFileSync(path);
  bytes[bytes.indexOf('{"n":7}') + 5]! ^= 1;
  writeFileSync(path, bytes);
  const { code, stdout, stderr } = await log(
    "export",
    "--topic",
    "telemetry/+/m",
    "--to",
    String(whole.at(-1)!.offset),
  );
  assert.equal(code, 1);
  assert.match(stderr, /^Offsets \d+ to \d+ are left out: 0+\.seg is damaged at byte \d+ \(records damaged\)\.$/m);
  assert.ok(stdout.includes('{\\"n\\":8}') && !stdout.includes('{\\"n\\":7}') && !stdout.includes('{\\"n\\":6}"}'));
  const tail = await log("tail", "--since", "0", "-n", "1000");
  assert.equal(tail.code, 1);
  const verify = await log("verify");
  assert.equal(verify.code, 6);
  assert.match(verify.stdout, /^Kept: \d+ records, offsets 0 to \d+, since 20\S+Z, until 20\S+Z, \d+ bytes$/m);
});
