import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { BulkFolder, rowId } from "./provision-folder.ts";
import type { WaitingKey } from "./provision-folder.ts";

let root: string;
let path: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tidewire-bulk-"));
  path = join(root, "devices");
});
afterEach(() => rmSync(root, { recursive: true }));

const ROW = rowId("pumps", { Serial: "1" });
const ENTRY = { line: 2, outcome: "done", row: ROW, thing: "pump-1", certificateId: "ab", folder: "pump-1" } as const;
const ABOUT = { thing: "pump-1", broker: "mqtts://here:8883", certificatePem: "CERTIFICATE", caPem: "CA" };

/** One run, which ends wherever `use` does. */
async function opened(use: (folder: BulkFolder) => Promise<void>): Promise<void> {
  const folder = new BulkFolder(path);
  try {
    await use(folder);
  } finally {
    folder.close();
  }
}

async function finish(folder: BulkFolder): Promise<WaitingKey> {
  const key = await folder.keyFor(ROW);
  folder.finish(ENTRY, { ...ABOUT, privateKeyPem: key.privateKeyPem });
  return key;
}

const keyOf = (): string => readFileSync(join(path, "pump-1", "private-key.pem"), "utf8");
const waiting = (): readonly string[] =>
  readdirSync(join(path, ".unfinished")).filter((name) => name.endsWith(".json"));

test("a row is what it asks for, not how it is written", () => {
  assert.equal(rowId("t", { a: "1", b: "2" }), rowId("t", { b: "2", a: "1" }));
  const others = [rowId("t", { a: "1" }), rowId("u", { a: "1", b: "2" }), rowId("t", { a: "2", b: "1" })];
  assert.ok(!others.includes(rowId("t", { a: "1", b: "2" })));
});

test("a key waits for its answer over a crash, for nobody else to read; then its folder has it", async () => {
  let first: WaitingKey | undefined;
  await opened(async (folder) => void (first = await folder.keyFor(ROW)));
  assert.equal(statSync(join(path, ".unfinished", `${ROW}.json`)).mode & 0o777, 0o600);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  await opened(async (folder) => {
    assert.deepEqual(await folder.keyFor(ROW), first);
    await finish(folder);
    assert.ok(folder.isDone(ROW));
  });
  assert.equal(keyOf(), first!.privateKeyPem);
  assert.deepEqual(waiting(), []);
  assert.deepEqual(JSON.parse(readFileSync(join(path, "report.ndjson"), "utf8")), ENTRY);
});

test("what is done stays done: also behind half a line, and when its folder was moved to its device", async () => {
  await opened(async (folder) => {
    await finish(folder);
    folder.failed(3, "because");
  });
  appendFileSync(join(path, "report.ndjson"), '{"line":4,"out');
  rmSync(join(path, "pump-1"), { recursive: true });
  await opened(async (folder) => assert.ok(folder.isDone(ROW)));
  assert.equal(
    readFileSync(join(path, "report.ndjson"), "utf8"),
    `${JSON.stringify(ENTRY)}\n`,
    "failures are told anew",
  );
});

test("a crash between folder and report, and one within the folder, are gone on from", async () => {
  let key: WaitingKey | undefined;
  await opened(async (folder) => void (key = await finish(folder)));
  const whole = join(path, "pump-1");
  const again = async (): Promise<void> => {
    rmSync(join(path, "report.ndjson"));
    writeFileSync(join(path, ".unfinished", `${ROW}.json`), JSON.stringify(key));
    await opened(async (folder) => void (await finish(folder)));
    assert.equal(keyOf(), key!.privateKeyPem);
    assert.ok(existsSync(join(whole, "agent.yaml")));
  };
  await again();
  rmSync(join(whole, "agent.yaml"));
  await again();
  for (const length of [0, 50]) {
    for (const name of ["agent.yaml", "ca.pem", "certificate.pem"]) rmSync(join(whole, name));
    writeFileSync(join(whole, "private-key.pem"), key!.privateKeyPem.slice(0, length));
    await again();
  }
});

test("another device's folder is never written over", async () => {
  await opened(async (folder) => void (await finish(folder)));
  const before = keyOf();
  rmSync(join(path, "report.ndjson"));
  for (const unfinished of [false, true]) {
    if (unfinished) rmSync(join(path, "pump-1", "agent.yaml"));
    await opened((folder) => assert.rejects(finish(folder), { code: "DEVICE_FOLDER_EXISTS" }));
    assert.equal(keyOf(), before);
  }
});

test("one run at a time; a folder that cannot be made is told", async () => {
  await opened(async () => {
    assert.throws(() => new BulkFolder(path), { code: "BULK_FOLDER_LOCKED", message: /is provisioning into/ });
  });
  writeFileSync(join(root, "file"), "");
  assert.throws(() => new BulkFolder(join(root, "file")), { code: "DATA_FOLDER_UNUSABLE" });
});
