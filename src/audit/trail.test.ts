import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { SimClock, SimLogger, SimMetrics } from "../../sim/world.ts";
import { openAuditFolder, readAuditFolder } from "../adapters/files/audit-log.ts";
import type { AuditFolder } from "../adapters/files/audit-log.ts";
import { LIMITS, isTidewireError } from "../base/mod.ts";
import type { AuditEvent } from "./entry.ts";
import { parseAnchor } from "./ports.ts";
import { searchAudit } from "./search.ts";
import { AuditTrail } from "./trail.ts";
import type { AuditTrailOptions } from "./trail.ts";
import { verifyAudit } from "./verify.ts";
import type { AuditVerdict } from "./verify.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

let folder: string;
let clock: SimClock;
let metrics: SimMetrics;
let logger: SimLogger;
let anchor: { text: string | null };
let checkpointNote: { text: string | null };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidewire-audit-"));
  clock = new SimClock();
  metrics = new SimMetrics();
  logger = new SimLogger();
  anchor = { text: null };
  checkpointNote = { text: null };
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Open {
  readonly trail: AuditTrail;
  readonly files: AuditFolder;
}

function open(limits: Partial<AuditTrailOptions["limits"]> = {}): Open {
  const files = openAuditFolder(folder);
  metrics = new SimMetrics();
  const trail = new AuditTrail({
    files,
    anchor: { read: () => anchor.text, write: (text) => (anchor.text = text) },
    checkpointNote: { read: () => checkpointNote.text, write: (text) => (checkpointNote.text = text) },
    sha256,
    clock,
    scheduler: clock,
    logger,
    metrics,
    limits: { ...LIMITS.audit, ...limits },
  });
  return { trail, files };
}

const event = (n: number | string, more: Partial<AuditEvent> = {}): AuditEvent => ({
  actor: { kind: "user", user: "anna" },
  address: "192.0.2.1",
  action: "thing.add",
  target: `thing-${n}`,
  outcome: "ok",
  ...more,
});

function verify(anchors = [parseAnchor(anchor.text)].filter((one) => one !== null)): Promise<AuditVerdict> {
  return verifyAudit(readAuditFolder(folder), anchors, sha256);
}

/** A commit needs the end of this turn of simulated time, and the disk. */
async function commit(trail: AuditTrail, one: AuditEvent): Promise<void> {
  const done = trail.commit(one);
  done.catch(() => {});
  clock.advance(0);
  await done;
}

async function written(...events: readonly AuditEvent[]): Promise<void> {
  const { trail } = open();
  for (const one of events) await commit(trail, one);
  await trail.close();
}

const path = (): string =>
  join(
    folder,
    readdirSync(folder)
      .filter((name) => name.endsWith(".jsonl"))
      .sort()
      .at(-1)!,
  );
const lines = (): string[] =>
  readFileSync(path(), "utf8")
    .split("\n")
    .filter((line) => line !== "");

describe("the chain", () => {
  test("what is written verifies, over several files and starts; each line is JSON", async () => {
    for (let start = 0; start < 3; start++) {
      const { trail } = open({ fileBytesMax: 600 });
      for (let n = 0; n < 5; n++) await commit(trail, event(`${start}-${n}`));
      await trail.close();
    }
    const verdict = await verify();
    assert.equal(verdict.fault, null);
    assert.ok(verdict.files > 3);
    assert.equal(verdict.entries, 15 + verdict.files, "and one at the beginning of each file");
    for (const line of lines()) assert.equal(typeof JSON.parse(line).entry.action, "string");
  });

  test("every byte that is changed anywhere is found, and the place named", async () => {
    await written(event(1), event(2), event(3));
    const whole = readFileSync(path());
    for (let at = 0; at < whole.length; at++) {
      const altered = Buffer.from(whole);
      altered[at] = altered[at]! ^ 1;
      writeFileSync(path(), altered);
      const { fault, unfinished } = await verify();
      assert.ok(fault !== null || unfinished, `byte ${at}`);
      if (fault !== null) assert.match(fault, /file 1|the end is missing/);
    }
  });

  for (const [title, harm, says] of [
    ["an entry taken out", (all: string[]) => all.toSpliced(2, 1), /line 3: entry 3 is missing/],
    ["two in another order", (all: string[]) => [all[0]!, all[2]!, all[1]!, all[3]!], /line 2: entry 2 is missing/],
    ["one twice", (all: string[]) => [...all.slice(0, 2), all[1]!, ...all.slice(2)], /line 3/],
    ["the end cut off", (all: string[]) => all.slice(0, 3), /the end is missing: it goes to entry 3, and went to 4/],
    ["everything gone", () => [], /the end is missing/],
    ["the beginning cut off", (all: string[]) => all.slice(1), /does not begin as file 1 did/],
    [
      "made anew from one entry on, with right hashes",
      (all: string[]) => {
        let previous = JSON.parse(all[1]!).hash as string;
        return all.map((line, index) => {
          if (index < 2) return line;
          const entry = line.slice(line.indexOf('"entry":') + 8, -1).replace("anna", "otto");
          previous = sha256(previous + entry);
          return `{"hash":"${previous}","entry":${entry}}`;
        });
      },
      /entry 4 is not the one whose hash was noted elsewhere/,
    ],
  ] as const) {
    test(title, async () => {
      await written(event(1), event(2), event(3));
      writeFileSync(
        path(),
        harm(lines())
          .map((line) => `${line}\n`)
          .join(""),
      );
      assert.match((await verify()).fault ?? "fine", says);
    });
  }

  test("a file that is missing between two is found; the oldest ones that retention removed are not missed", async () => {
    const { trail } = open({ fileBytesMax: 400, retention: 5_000 });
    for (let n = 0; n < 12; n++) {
      await commit(trail, event(n));
      clock.advance(1000);
    }
    await trail.close();
    const names = readdirSync(folder).sort();
    assert.ok(!names.includes("00000001.jsonl"), "the first one was older than it is kept");
    const verdict = await verify();
    assert.equal(verdict.fault, null);
    assert.ok(verdict.first! > 1);
    const told = await searchAudit(readAuditFolder(folder), { action: "audit.retire", limit: 10 });
    assert.ok(told.entries.length > 0);
    rmSync(join(folder, names[1]!));
    assert.match((await verify()).fault ?? "fine", /file \d+ is missing/);
  });
});

describe("a crash", () => {
  test("half an entry at the end is put aside at the next start, told, and the chain goes on", async () => {
    await written(event(1));
    const half = '{"hash":"0123';
    appendFileSync(path(), half);
    const running = await verify();
    assert.deepEqual([running.fault, running.unfinished], [null, true]);
    await written(event(2));
    assert.equal((await verify()).fault, null);
    const { entries } = await searchAudit(readAuditFolder(folder), { action: "audit.torn", limit: 10 });
    assert.equal(entries.length, 1);
    const { keptAs, bytes } = entries[0]!.details as { keptAs: string; bytes: number };
    assert.deepEqual([readFileSync(join(folder, keptAs), "utf8"), bytes], [half, half.length]);
  });

  test("at every length of what was being written, the next start goes on with what was whole", async () => {
    await written(event(1), event(2));
    const whole = readFileSync(path());
    const second = whole.lastIndexOf(0x0a, whole.length - 2) + 1;
    for (let length = 1; length <= whole.length; length += 7) {
      for (const name of readdirSync(folder)) rmSync(join(folder, name));
      anchor.text = null;
      writeFileSync(join(folder, "00000001.jsonl"), whole.subarray(0, length));
      await written(event(3));
      const verdict = await verify();
      assert.equal(verdict.fault, null, `${length} bytes`);
      assert.equal(verdict.unfinished, false);
      const found = await searchAudit(readAuditFolder(folder), { target: "thing-", limit: 10 });
      assert.equal(found.entries[0]!.target, "thing-3");
      if (length >= second) assert.equal(found.entries.at(-1)!.target, "thing-1");
    }
  });

  test("an end that was cut is told at the next start, and stays told", async () => {
    await written(event(1), event(2));
    truncateSync(path(), readFileSync(path(), "utf8").lastIndexOf('{"hash"'));
    await written(event(3));
    assert.ok(
      logger.lines.some(({ level, message }) => level === "error" && /END OF THE AUDIT LOG IS MISSING/.test(message)),
    );
    const { entries } = await searchAudit(readAuditFolder(folder), { action: "audit.truncated", limit: 10 });
    assert.partialDeepStrictEqual(entries[0]?.details, { found: 2, expected: 3 });
  });
});

describe("waiting", () => {
  test("changes that come together are one write; devices wait for nothing and are written all the same", async () => {
    const { trail, files } = open();
    let writes = 0;
    const [append, begin] = [files.append.bind(files), files.begin.bind(files)];
    files.append = (text) => (writes++, append(text));
    files.begin = (text) => (writes++, begin(text));
    await commit(trail, event("first"));
    writes = 0;
    for (let n = 0; n < 400; n++)
      trail.note(event(n, { actor: { kind: "device", thing: `t${n}` }, action: "device.connect" }));
    const all = Array.from({ length: 50 }, (_, n) => trail.commit(event(`change-${n}`)));
    clock.advance(0);
    await Promise.all(all);
    assert.equal(writes, 1);
    assert.equal(metrics.value("tidewire_audit_entries_total"), 452);
    await trail.close();
    assert.equal((await verify()).fault, null);
  });

  test("a disk that refuses: the change is refused with a sentence, devices go on; when it takes again nothing is missing", async () => {
    const { trail, files } = open();
    await commit(trail, event(0));
    const append = files.append.bind(files);
    files.append = () => Promise.reject(new Error("ENOSPC: no space left on device"));
    await assert.rejects(
      commit(trail, event(1)),
      (error) => isTidewireError(error) && error.code === "AUDIT_UNAVAILABLE" && /no space left/.test(error.message),
    );
    assert.match(trail.unavailable ?? "", /no space left/);
    assert.equal(metrics.value("tidewire_audit_available"), 0);
    for (let n = 0; n < 10; n++) trail.note(event(`device-${n}`));
    files.append = append;
    await clock.run(1000);
    while (trail.unavailable !== null) await new Promise((resolve) => setImmediate(resolve));
    await trail.close();
    assert.equal((await verify()).fault, null);
    const { entries } = await searchAudit(files, { target: "thing-", limit: 100 });
    assert.equal(entries.length, 12, "also the change that was refused: it may have happened");
  });

  test("devices that would fill the memory are counted, and the number is written", async () => {
    const { trail } = open({ pendingMax: 100 });
    for (let n = 0; n < 150; n++) trail.note(event(n));
    assert.equal(metrics.value("tidewire_audit_lost_total"), 50);
    await trail.close();
    const { entries } = await searchAudit(readAuditFolder(folder), { action: "audit.lost", limit: 10 });
    assert.deepEqual(entries[0]?.details, { entries: 50 });
    assert.equal((await verify()).fault, null);
  });

  test("a flood of refusals of one source is a few entries and a number; another source's are all there", async () => {
    const { trail } = open();
    const refused = (source: string): AuditEvent => event(source, { action: "device.refuse", outcome: "refused" });
    for (let n = 0; n < 100; n++) trail.refused("192.0.2.1", refused("flood"));
    trail.refused("192.0.2.2", refused("lonely"));
    await clock.run(60_000);
    await trail.close();
    const find = async (target: string): Promise<number> =>
      (await searchAudit(readAuditFolder(folder), { action: "device.refuse", target, limit: 200 })).entries.length;
    assert.deepEqual([await find("flood"), await find("lonely")], [LIMITS.audit.refusalsPerMinuteMax, 1]);
    const { entries } = await searchAudit(readAuditFolder(folder), { action: "refusals.left-out", limit: 10 });
    assert.deepEqual(
      [entries[0]?.target, entries[0]?.details],
      ["192.0.2.1", { count: 100 - LIMITS.audit.refusalsPerMinuteMax }],
    );
  });
});

describe("looking for entries", () => {
  test("by actor, action, target, outcome and time; newest first, in pages, over all files", async () => {
    const { trail, files } = open({ fileBytesMax: 700 });
    const start = clock.now();
    for (let n = 0; n < 20; n++) {
      const actor =
        n % 2 === 0 ? { kind: "user", user: "anna" } : { kind: "api-key", key: "k1", name: "reports", owner: "bert" };
      await commit(
        trail,
        event(n, { actor, action: n < 10 ? "thing.add" : "thing.remove", outcome: n === 5 ? "failed" : "ok" }),
      );
      clock.advance(1000);
    }
    const targets = async (query: Partial<Parameters<typeof searchAudit>[1]>): Promise<readonly (string | null)[]> =>
      (await searchAudit(files, { limit: 100, target: "thing-", ...query })).entries.map(({ target }) => target);
    assert.deepEqual((await targets({})).slice(0, 2), ["thing-19", "thing-18"]);
    assert.equal((await targets({ actor: "bert" })).length, 10);
    assert.equal((await targets({ action: "thing.remove" })).length, 10);
    assert.equal((await targets({ action: "thing.*" })).length, 20);
    assert.deepEqual(await targets({ outcome: "failed" }), ["thing-5"]);
    assert.deepEqual(await targets({ target: "thing-1", since: start + 10_000, until: start + 12_000 }), [
      "thing-11",
      "thing-10",
    ]);
    const seen: (string | null)[] = [];
    for (let before: number | null | undefined; before !== null;) {
      const page: Awaited<ReturnType<typeof searchAudit>> = await searchAudit(files, {
        limit: 3,
        target: "thing-",
        ...(before === undefined ? {} : { before }),
      });
      seen.push(...page.entries.map(({ target }) => target));
      before = page.before;
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 20 }, (_, n) => `thing-${19 - n}`),
    );
    await trail.close();
  });

  test("an entry that is far too long is cut, and says so", async () => {
    await written(event("x".repeat(20_000), { details: { body: "y".repeat(20_000) } }));
    const { entries } = await searchAudit(readAuditFolder(folder), { target: "xxx", limit: 1 });
    assert.equal(entries[0]!.target!.length, 512);
    assert.ok((entries[0]!.details as { tooLong: number }).tooLong > 40_000);
    assert.equal((await verify()).fault, null);
  });
});
