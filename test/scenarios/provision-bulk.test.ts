/** Two hundred devices out of a file, by an operator whose machine is killed again and again. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { X509Certificate, createPrivateKey } from "node:crypto";
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { PlatformProcess, ROOT, runCli, temporaryFolder, until } from "./support/platform-process.ts";

const DEVICES = 200;
const folder = temporaryFolder();
const work = temporaryFolder();
const file = join(work.path, "pumps.csv");
const out = join(work.path, "pumps");
let platform: PlatformProcess;

before(async () => {
  platform = await PlatformProcess.start(folder.path);
  const templateBody = JSON.stringify({
    Parameters: { Serial: { Type: "String" }, Site: { Type: "String", Default: "north" } },
    Resources: {
      thing: {
        Type: "AWS::IoT::Thing",
        Properties: { ThingName: { "Fn::Sub": "pump-${Serial}" }, AttributePayload: { site: { Ref: "Site" } } },
      },
      certificate: {
        Type: "AWS::IoT::Certificate",
        Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" } },
      },
      policy: { Type: "AWS::IoT::Policy", Properties: { PolicyName: "tidewire-default" } },
    },
    DeviceConfiguration: { site: { Ref: "Site" } },
  });
  await platform.api("POST", "/provisioning-templates", { templateName: "pumps", templateBody, enabled: true });
});

after(async () => {
  await platform.stop();
  folder.remove();
  work.remove();
});

function commandFor(csv: string, ...more: readonly string[]): readonly string[] {
  return ["provision", "bulk", csv, "--template", "pumps", "--data", folder.path, ...more];
}

interface Entry {
  readonly line: number;
  readonly outcome: "done" | "failed";
  readonly thing: string;
  readonly certificateId: string;
  readonly reason: string;
}

function report(of = out): readonly Entry[] {
  const path = join(of, "report.ndjson");
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.slice(0, -1).map((line) => JSON.parse(line) as Entry);
}

async function countThings(): Promise<number> {
  let count = 0;
  let nextToken: string | undefined;
  do {
    const query: string = nextToken === undefined ? "" : `&nextToken=${encodeURIComponent(nextToken)}`;
    const page = await platform.api<{ things: object[]; nextToken?: string }>("GET", `/things?maxResults=100${query}`);
    count += page.things.length;
    nextToken = page.nextToken;
  } while (nextToken !== undefined && nextToken !== null);
  return count;
}

/** Runs the command and kills it once `when` holds; false where it had ended before. */
async function killedWhen(when: () => boolean): Promise<boolean> {
  const child = spawn(process.execPath, [join(ROOT, "src/main.ts"), ...commandFor(file, "--out", out)], {
    stdio: "ignore",
  });
  const ended = once(child, "exit");
  while (child.exitCode === null && !when()) await setTimeout(2);
  child.kill("SIGKILL");
  await ended;
  return child.signalCode === "SIGKILL";
}

test("what is wrong with the file is told before anything is made", async () => {
  const attempt = async (name: string, text: string, ...more: readonly string[]) => {
    const path = join(work.path, name);
    writeFileSync(path, text);
    return runCli(commandFor(path, ...more), work.path);
  };
  const missing = await attempt("a.csv", "Site\nnorth\n", "--out", out);
  assert.deepEqual([missing.code, existsSync(out)], [2, false]);
  assert.match(missing.stderr, /column 'Serial' is missing[\s\S]*BULK_FILE_INVALID/);
  const misspelt = await attempt("b.csv", "Seriall,Site\n1,north\n", "--dry-run");
  assert.match(misspelt.stderr, /did you mean 'Serial'/);
  const hostile = ["Serial,Site", "../x,a", "#,b", "1,c", "1,d", '"1', `${"y".repeat(1_000_000)},e`, "2"].join("\r\n");
  const checked = await attempt("c.csv", `\uFEFF${hostile}\r\n`, "--dry-run", "--json");
  assert.equal(checked.code, 1, checked.stderr);
  assert.deepEqual(JSON.parse(checked.stdout), {
    lines: 6,
    done: 1,
    before: 0,
    failed: 5,
    stopped: false,
    report: null,
  });
  for (const says of [
    /line 2: .*no thing name: '.' at position 6/,
    /line 3: .*'#' at position 6/,
    /line 5: .*'pump-1' exists/,
    /line 6: it has more than/,
    /line 8: it has 1 cells, the first line has 2/,
    /5 of 6 lines failed[\s\S]*BULK_INCOMPLETE/,
  ])
    assert.match(checked.stderr, says);
  assert.equal(await countThings(), 0);
  for (const [args, says] of [
    [["provision", "bulk", file, "--template", "pumps", "--data", folder.path], /--out.*needed without --dry-run/],
    [commandFor(file, "--out", out, "--broker", "iot.example"), /must look like mqtts/],
    [commandFor("devices.txt", "--out", out), /add --format/],
    [commandFor("nowhere.csv", "--out", out), /nowhere.csv cannot be used/],
    [
      ["provision", "bulk", file, "--template", "none", "--out", out, "--data", folder.path],
      /provisioning template.*none/,
    ],
  ] as const) {
    const { code, stderr } = await runCli(args, work.path);
    assert.notEqual(code, 0);
    assert.match(stderr, says);
  }
});

test("killed again and again, and gone on with: every device once, with the key that is in its folder", async () => {
  const lines = Array.from({ length: DEVICES }, (_, i) => `${String(i + 1).padStart(3, "0")},${i % 2 ? "" : "south"}`);
  writeFileSync(file, `Serial,Site\n${lines.join("\n")}\n`);
  const unfinished = (): number =>
    existsSync(join(out, ".unfinished"))
      ? readdirSync(join(out, ".unfinished")).filter((name) => name.endsWith(".json")).length
      : 0;
  assert.ok(await killedWhen(() => unfinished() >= 20), "while keys were made");
  assert.ok(await killedWhen(() => report().length >= 10), "while folders were written");
  const before = report().length;
  // Half a line, as a power cut leaves it.
  writeFileSync(join(out, "report.ndjson"), '{"line":7,"outco', { flag: "a" });
  assert.ok(await killedWhen(() => report().length >= before + 60), "later");
  const last = await runCli(commandFor(file, "--out", out, "--json"), work.path);
  assert.equal(last.code, 0, last.stderr);
  const { done, before: earlier, failed } = JSON.parse(last.stdout) as Record<string, number>;
  assert.deepEqual([done! + earlier!, failed], [DEVICES, 0]);
  assert.ok(earlier! >= before + 60);

  const entries = report();
  assert.equal(entries.length, DEVICES);
  assert.equal(new Set(entries.map(({ thing }) => thing)).size, DEVICES);
  assert.equal(await countThings(), DEVICES);
  for (const { thing, certificateId, line, outcome } of entries) {
    assert.deepEqual([outcome, thing], ["done", `pump-${String(line - 1).padStart(3, "0")}`]);
    const of = join(out, thing);
    const key = join(of, "private-key.pem");
    assert.equal(statSync(key).mode & 0o777, 0o600);
    const certificate = new X509Certificate(readFileSync(join(of, "certificate.pem")));
    assert.ok(certificate.checkPrivateKey(createPrivateKey(readFileSync(key))));
    assert.equal(certificate.fingerprint256.replaceAll(":", "").toLowerCase(), certificateId);
    const { principals } = await platform.api<{ principals: string[] }>("GET", `/things/${thing}/principals`);
    assert.deepEqual(
      principals.map((arn) => arn.split("/")[1]),
      [certificateId],
      "no double",
    );
    const site = line % 2 === 0 ? "south" : "north";
    assert.deepEqual(JSON.parse(readFileSync(join(of, "device-configuration.json"), "utf8")), { site });
  }
  assert.equal(unfinished(), 0, "no key is left behind");
  const log = readFileSync(join(folder.path, "platform.log"), "utf8");
  assert.ok(!log.includes("PRIVATE KEY"));
});

test("a device of it connects with what is in its folder", async () => {
  const config = join(out, "pump-007", "agent.yaml");
  const agent = spawn(process.execPath, [join(ROOT, "src/main.ts"), "agent", "--config", config], { stdio: "ignore" });
  try {
    await until("the device is online", async () => {
      const { presence } = await platform.api<{ presence: { state: string } }>("GET", "/api/things/pump-007");
      return presence.state === "online";
    });
  } finally {
    agent.kill();
    await once(agent, "exit");
  }
});

test("the same file again changes nothing; into another folder, it is refused by line", async () => {
  const again = await runCli(commandFor(file, "--out", out), work.path);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout, /0 devices provisioned, 200 were done before/);
  const elsewhere = join(work.path, "elsewhere");
  const refused = await runCli(commandFor(file, "--out", elsewhere), work.path);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /'pump-001' exists already[\s\S]*200 of 200 lines failed/);
  assert.equal(report(elsewhere).filter(({ reason }) => /exists already/.test(reason)).length, DEVICES);
  rmSync(elsewhere, { recursive: true });
});

test("what failed is tried again when the file is corrected", async () => {
  const path = join(work.path, "more.ndjson");
  const more = join(work.path, "more");
  const line = (Serial: string): string => `${JSON.stringify({ Serial })}\n`;
  writeFileSync(path, line("a b") + line("x1") + line("x1"));
  const first = await runCli(commandFor(path, "--out", more), work.path);
  assert.equal(first.code, 1);
  const outcomes = new Map(report(more).map(({ line: at, outcome }) => [at, outcome]));
  assert.deepEqual(
    [1, 2, 3].map((at) => outcomes.get(at)),
    ["failed", "done", "failed"],
  );
  writeFileSync(path, line("a-b") + line("x1"));
  const second = await runCli(commandFor(path, "--out", more), work.path);
  assert.equal(second.code, 0, second.stderr);
  assert.deepEqual(
    report(more).map(({ thing }) => thing),
    ["pump-x1", "pump-a-b"],
  );
});

function many(name: string, count: number): { readonly path: string; readonly folder: string } {
  const path = join(work.path, `${name}.ndjson`);
  const lines = Array.from({ length: count }, (_, i) => `${JSON.stringify({ Serial: `${name}-${i}` })}\n`);
  writeFileSync(path, lines.join(""));
  return { path, folder: join(work.path, name) };
}

function begin(path: string, into: string) {
  const child = spawn(process.execPath, [join(ROOT, "src/main.ts"), ...commandFor(path, "--out", into)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  return { child, ended: once(child, "close"), stderr: () => stderr };
}

test("Ctrl-C ends it in good order, and the next run does the rest", async () => {
  const { path, folder: into } = many("c", 300);
  const run = begin(path, into);
  await until("some are done", async () => report(into).length > 0);
  run.child.kill("SIGINT");
  await run.ended;
  assert.equal(run.child.exitCode, 130, run.stderr());
  assert.match(run.stderr(), /Run the same command again/);
  const before = report(into).length;
  assert.ok(before < 300);
  const rest = await runCli(commandFor(path, "--out", into, "--json"), work.path);
  assert.equal(rest.code, 0, rest.stderr);
  assert.deepEqual(JSON.parse(rest.stdout)["before"], before);
  assert.equal(new Set(report(into).map(({ thing }) => thing)).size, 300);
});

test("a platform that is killed and comes back is waited for, and makes no doubles", async () => {
  const { path, folder: into } = many("k", 200);
  const things = await countThings();
  const run = begin(path, into);
  await until("some are done", async () => report(into).length > 0);
  const ports = platform.samePorts();
  await platform.kill();
  platform = await PlatformProcess.start(folder.path, ports);
  await run.ended;
  assert.equal(run.child.exitCode, 0, run.stderr());
  assert.equal(await countThings(), things + 200);
  for (const { thing, certificateId } of report(into)) {
    const { principals } = await platform.api<{ principals: string[] }>("GET", `/things/${thing}/principals`);
    assert.deepEqual(
      principals.map((arn) => arn.split("/")[1]),
      [certificateId],
    );
  }
});
