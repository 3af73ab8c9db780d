/** Signed checkpoints: what somebody who holds the disk, and not the key, can do without it being seen. */
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { SimClock, SimLogger, SimMetrics } from "../../sim/world.ts";
import { openAuditFolder, readAuditFolder } from "../adapters/files/audit-log.ts";
import { checkpointVerifier } from "../adapters/pki/mod.ts";
import { LIMITS, hours } from "../base/mod.ts";
import { chainLine, parseLine } from "./chain.ts";
import { checkpointJson, checkpointText, parseCheckpoint } from "./checkpoint.ts";
import type { Checkpoint, CheckpointSigner } from "./checkpoint.ts";
import { parseEntry } from "./entry.ts";
import { AuditTrail } from "./trail.ts";
import { verifyAudit } from "./verify.ts";
import type { AuditVerdict } from "./verify.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

function newSigner(isNew = true): CheckpointSigner {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    key: createHash("sha256")
      .update(publicKey.export({ type: "spki", format: "der" }))
      .digest("hex"),
    publicKey: String(publicKey.export({ type: "spki", format: "pem" })),
    isNew,
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString("base64"),
  };
}

const OURS = newSigner();
const OTHERS = newSigner();
const AGAIN = { ...OURS, isNew: false };

let folder: string;
let clock: SimClock;
let logger: SimLogger;
let note: string | null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidewire-checkpoints-"));
  clock = new SimClock();
  logger = new SimLogger();
  note = null;
});
afterEach(() => rmSync(folder, { recursive: true }));

function open(fileBytesMax: number = LIMITS.audit.fileBytesMax): AuditTrail {
  return new AuditTrail({
    files: openAuditFolder(folder),
    anchor: { read: () => null, write: () => {} },
    checkpointNote: { read: () => note, write: (text) => (note = text) },
    sha256,
    clock,
    scheduler: clock,
    logger,
    metrics: new SimMetrics(),
    limits: { ...LIMITS.audit, fileBytesMax },
  });
}

async function commit(trail: AuditTrail, target: string): Promise<void> {
  const actor = { kind: "user", user: "anna" };
  const done = trail.commit({ actor, address: null, action: "thing.add", target, outcome: "ok" });
  done.catch(() => {});
  clock.advance(0);
  await done;
}

/** An hour goes by; the disk's time is real. */
async function signed(trail: AuditTrail, number: number): Promise<void> {
  await clock.run(hours(1));
  clock.advance(LIMITS.audit.commitDelay);
  while (trail.checkpoint?.number !== number) await new Promise((resolve) => setImmediate(resolve));
}

/** One run of the platform: a few entries, an hour, a few more, and an orderly end. */
async function run(signer: CheckpointSigner | null, name = "t", fileBytesMax?: number): Promise<void> {
  const trail = open(fileBytesMax);
  if (signer !== null) await trail.signWith(signer);
  for (let n = 0; n < 3; n++) await commit(trail, `${name}-${n}`);
  await clock.run(hours(1));
  for (let n = 3; n < 6; n++) await commit(trail, `${name}-${n}`);
  await trail.close();
}

interface Given {
  readonly keys?: readonly CheckpointSigner[];
  readonly checkpoints?: readonly Checkpoint[];
}

function verify({ keys = [OURS], checkpoints = [] }: Given = {}): Promise<AuditVerdict> {
  const pems = keys.map(({ publicKey: pem }) => ({ name: "a key", pem }));
  return verifyAudit(readAuditFolder(folder), [], sha256, { verify: checkpointVerifier(pems), checkpoints });
}

const paths = (): string[] =>
  readdirSync(folder)
    .sort()
    .map((name) => join(folder, name));
const linesOf = (path: string): string[] => readFileSync(path, "utf8").trimEnd().split("\n");
const newest = (): Checkpoint => parseCheckpoint(JSON.parse(note!))!;

/** As somebody would make the chain anew who can compute hashes, and has no key. */
function rewrite(change: (entry: string) => string | null): void {
  let head = "0".repeat(64);
  let sequence = 0;
  for (const path of paths()) {
    let text = "";
    const first = head;
    for (const line of linesOf(path)) {
      const made = change(parseLine(line)!.entry);
      if (made === null) continue;
      const entry = { ...(JSON.parse(made) as Record<string, unknown>), sequence: ++sequence };
      if (entry["action" as never] === "audit.file") Object.assign(entry["details" as never], { previous: first });
      const chained = chainLine(head, JSON.stringify(entry), sha256);
      head = chained.hash;
      text += chained.line;
    }
    writeFileSync(path, text);
  }
}

test("it is signed at the start, each hour and at the end; all of it is proven by the public key alone", async () => {
  await run(OURS);
  await run(AGAIN, "u");
  const { fault, proven, unprovenSince, head } = await verify();
  assert.deepEqual([fault, unprovenSince], [null, null]);
  assert.deepEqual([proven?.number, proven?.entry], [5, head.sequence - 1]);
  assert.deepEqual(newest(), proven);
});

test("both ends of every file are signed", async () => {
  await run(OURS, "t", 1_500);
  const files = paths();
  assert.ok(files.length > 2);
  for (const path of files) {
    const actions = linesOf(path).map((line) => parseEntry(parseLine(line)!.entry)!.action);
    assert.deepEqual([actions[0], actions[1], actions.at(-1)], ["audit.file", "audit.checkpoint", "audit.checkpoint"]);
  }
  assert.equal((await verify()).fault, null);
});

test("nothing is signed twice: an hour in which nothing was done has no checkpoint", async () => {
  const trail = open();
  await trail.signWith(OURS);
  const told: number[] = [];
  trail.onCheckpoint(({ number }) => told.push(number));
  await commit(trail, "t");
  await signed(trail, 2);
  await clock.run(hours(5));
  await commit(trail, "u");
  await signed(trail, 3);
  await clock.run(hours(2));
  await trail.close();
  assert.deepEqual([told, trail.checkpoint?.number], [[2, 3], 3]);
});

test("what came after the newest checkpoint is said to be unproven", async () => {
  const trail = open();
  await trail.signWith(OURS);
  await commit(trail, "t");
  await signed(trail, 2);
  await commit(trail, "killed before the next one");
  const at = clock.now();
  const { fault, proven, unprovenSince } = await verify();
  assert.deepEqual([fault, unprovenSince, proven?.number], [null, at, 2]);
  await trail.close();
});

describe("whoever holds the disk and not the key is found out when he", () => {
  for (const [title, harm, says] of [
    [
      "makes the chain anew with another word in it",
      () => rewrite((entry) => entry.replace('"t-1"', '"t-x"')),
      /checkpoint \d of .* is of another place, or of another chain/,
    ],
    [
      "makes it anew without an entry",
      () => rewrite((entry) => (entry.includes('"t-4"') ? null : entry)),
      /is of another place, or of another chain/,
    ],
    [
      "makes it anew without any checkpoint",
      () => rewrite((entry) => (entry.includes("audit.checkpoint") ? null : entry.replace("t-1", "t-x"))),
      /none of its \d+ entries is signed with this key/,
    ],
    [
      "makes it anew without one checkpoint",
      () => rewrite((entry) => (entry.includes('"number":2') ? null : entry)),
      /is of another place, or of another chain|does not follow/,
    ],
    [
      "alters a checkpoint",
      () => rewrite((entry) => entry.replace('"number":2', '"number":9')),
      /does not follow|wrong signature|another chain/,
    ],
    [
      "swaps a file for that of another platform",
      () => {
        const [, second] = paths();
        writeFileSync(second!, readFileSync(second!, "utf8").replaceAll("anna", "otto"));
      },
      /file 2, line \d+: entry \d+ .* was altered/,
    ],
    ["takes a file out", () => rmSync(paths()[1]!), /file 2 is missing/],
    ["swaps two files", () => swap(), /does not begin as file 2 did/],
  ] as const) {
    test(title, async () => {
      await run(OURS, "t", 1_500);
      assert.equal((await verify()).fault, null);
      harm();
      assert.match((await verify()).fault ?? "fine", says);
    });
  }

  function swap(): void {
    const [, second, third] = paths() as [string, string, string];
    const text = readFileSync(second);
    writeFileSync(second, readFileSync(third));
    writeFileSync(third, text);
  }

  test("cuts the end off, where a checkpoint was kept elsewhere", async () => {
    await run(OURS);
    const kept = newest();
    const [path] = paths() as [string];
    const lines = linesOf(path);
    const end = lines.findLastIndex((line, at) => line.includes("audit.checkpoint") && at < lines.length - 1);
    writeFileSync(path, `${lines.slice(0, end + 1).join("\n")}\n`);
    assert.equal((await verify()).fault, null, "nothing in it says so");
    assert.match(
      (await verify({ checkpoints: [kept] })).fault ?? "fine",
      /the end is missing: it goes to entry \d+, and went to \d+, checkpoint 3 of /,
    );
  });

  test("signs with a key of his own", async () => {
    await run(OTHERS);
    assert.equal((await verify({ keys: [OTHERS] })).fault, null);
    assert.match((await verify()).fault ?? "fine", /none of its \d+ entries is signed with this key/);
    rmSync(folder, { recursive: true });
    note = null;
    await run(OURS);
    const kept = newest();
    rmSync(folder, { recursive: true });
    note = null;
    await run(OTHERS);
    assert.match((await verify({ keys: [OTHERS], checkpoints: [kept] })).fault ?? "fine", /signed with another key/);
    assert.match(
      (await verify({ keys: [OTHERS, OURS], checkpoints: [kept] })).fault ?? "fine",
      /that checkpoint 3 of .* signed/,
    );
  });

  test("has another version of the log go on: the platform says so, and what it signs then does not verify", async () => {
    await run(OURS);
    const early = `${folder}-early`;
    cpSync(folder, early, { recursive: true });
    await run(AGAIN, "u");
    rmSync(folder, { recursive: true });
    cpSync(early, folder, { recursive: true });
    rmSync(early, { recursive: true });
    await run(AGAIN, "v");
    assert.ok(
      logger.lines.some(({ level, message }) => level === "error" && /NOT THE ONE THAT WAS SIGNED/.test(message)),
    );
    assert.match((await verify()).fault ?? "fine", /checkpoint 6 of .* does not follow checkpoint 3 of/);
  });

  test("takes the note of the last checkpoint away: the platform says so", async () => {
    await run(OURS);
    note = null;
    await run(AGAIN, "u");
    assert.ok(logger.lines.some(({ fields }) => /the note .* is gone/.test(String(fields?.["reason"]))));
    assert.equal((await verify()).fault, null, "the chain itself is whole");
  });
});

test("a log of before there was a key: it is proven from its first checkpoint on, for all that is there", async () => {
  await run(null);
  assert.match((await verify()).fault ?? "fine", /none of its/);
  await run(OURS, "u");
  const { fault, unprovenSince } = await verify();
  assert.deepEqual([fault, unprovenSince], [null, null]);
});

test("a new key goes on with the numbers; both keys prove it, the old one alone says which is missing", async () => {
  await run(OURS);
  await run(OTHERS, "u");
  assert.equal((await verify({ keys: [OURS, OTHERS] })).fault, null);
  assert.equal((await verify({ keys: [OTHERS] })).fault, null, "the newer one stands for all before");
  const { fault } = await verify();
  assert.ok(fault?.includes(`signed with a key that was not given: ${OTHERS.key}`), fault ?? "fine");
});

test("a crash between the chain and the note is none that matters", async () => {
  await run(OURS);
  const before = note;
  await run(AGAIN, "u");
  note = before;
  await run(AGAIN, "v");
  assert.equal((await verify()).fault, null);
  assert.ok(!logger.lines.some(({ level }) => level === "error"));
});

test("what is signed is a text of a version; another version, or anything else, is no checkpoint", async () => {
  await run(OURS);
  const checkpoint = newest();
  assert.equal(
    checkpointText(checkpoint),
    `tidewire audit checkpoint 1\nnumber 3\nentry ${checkpoint.entry}\nhash ${checkpoint.hash}\ntime ${new Date(checkpoint.time).toISOString()}\nprevious ${checkpoint.previous}\nkey ${OURS.key}\n`,
  );
  const json = checkpointJson(checkpoint);
  assert.deepEqual(parseCheckpoint(json), checkpoint);
  for (const wrong of [
    null,
    7,
    "x",
    {},
    { ...json, version: 2 },
    { ...json, number: 0 },
    { ...json, number: 1.5 },
    { ...json, hash: "abc" },
    { ...json, time: "yesterday" },
    { ...json, previous: 7 },
    { ...json, signature: "x".repeat(201) },
  ])
    assert.equal(parseCheckpoint(wrong), null, JSON.stringify(wrong));
});
