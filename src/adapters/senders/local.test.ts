import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { programSender } from "./program.ts";
import { TIMEOUT, numbered, rendered } from "./sender.contract.ts";
import { spoolSender } from "./spool.ts";

let folder: string;

describe("spool folder", () => {
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "tidewire-spool-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  test("a batch is one file of JSON lines, there as a whole; the same batch again is the same file", async () => {
    const { receiver, parcels } = rendered({ spool: { folder: "out" } }, numbered(100));
    const sender = spoolSender(receiver, folder);
    for (let i = 0; i < 2; i++) assert.equal((await sender.send(parcels, TIMEOUT)).length, 100);
    const names = readdirSync(join(folder, "out"));
    assert.equal(names.length, 1);
    assert.match(names[0]!, /^1700000000000-[0-9a-f]{16}\.jsonl$/);
    const lines = readFileSync(join(folder, "out", names[0]!), "utf8")
      .trimEnd()
      .split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as unknown),
      numbered(100),
    );
  });

  test("one file per message, that sort by time", async () => {
    const { receiver, parcels } = rendered({ spool: { folder: "out", format: "message" } }, numbered(3));
    await spoolSender(receiver, folder).send(parcels, TIMEOUT);
    const names = readdirSync(join(folder, "out")).sort();
    assert.deepEqual(
      names.map((name) => JSON.parse(readFileSync(join(folder, "out", name), "utf8")) as unknown),
      numbered(3),
    );
  });

  test("a folder that cannot be written is tried again, and leaves nothing half-done", async () => {
    writeFileSync(join(folder, "out"), "a file stands where the folder should be");
    const { receiver, parcels } = rendered({ spool: { folder: "out" } }, numbered(1));
    assert.equal((await spoolSender(receiver, folder).send(parcels, TIMEOUT))[0]!.type, "retry");
    assert.deepEqual(readdirSync(folder), ["out"]);
  });

  for (const name of ["../x", "a/b", "", ".", "a b"]) {
    test(`a rule cannot leave the folder: '${name}'`, () => {
      assert.throws(() => rendered({ spool: { folder: name } }, []), { code: "RULE_INVALID" });
      assert.throws(() => rendered({ program: { name } }, []), { code: "RULE_INVALID" });
    });
  }
});

describe("program", () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tidewire-programs-"));
    mkdirSync(join(folder, "seen"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** `js`: handles `line`, with `say` and `note` at hand. */
  function put(js: string): void {
    const path = join(folder, "worker");
    const head = `#!${process.execPath}
const { appendFileSync } = require("node:fs");
const note = (text) => appendFileSync(${JSON.stringify(join(folder, "seen", "notes"))}, text + "\\n");
const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\\n");
note("started " + process.argv.slice(2).join(" "));
require("node:readline").createInterface({ input: process.stdin }).on("line", (text) => { const line = JSON.parse(text);`;
    writeFileSync(path, `${head}\n${js}\n});\n`);
    chmodSync(path, 0o700);
  }

  const notes = (): string[] =>
    readFileSync(join(folder, "seen", "notes"), "utf8")
      .trimEnd()
      .split("\n");

  test("gets lines, answers each; runs on between batches; its own talk and secrets of ours do no harm", async () => {
    put(`note(line.topic + " " + JSON.stringify(line.data) + " " + (process.env.HOME ?? "no home"));
      process.stdout.write("hello\\n{not json\\n"); process.stderr.write("x".repeat(200000));
      if (line.data.n === 1) say({ id: line.id, error: "not now" });
      else if (line.data.n === 2) say({ id: line.id, error: "never", final: true });
      else say({ id: line.id });`);
    const { receiver, parcels } = rendered({ program: { name: "worker", arguments: ["--fast"] } }, numbered(4));
    const sender = programSender(receiver, folder);
    const verdicts = [
      ...(await sender.send(parcels.slice(0, 2), TIMEOUT)),
      ...(await sender.send(parcels.slice(2), TIMEOUT)),
    ];
    await sender.close();
    assert.deepEqual(
      verdicts.map((verdict) => (verdict.type === "done" ? "done" : `${verdict.type}: ${verdict.reason}`)),
      ["done", "retry: not now", "dead: never", "done"],
    );
    assert.deepEqual(notes(), ["started --fast", ...[0, 1, 2, 3].map((n) => `plant/line {"n":${n}} no home`)]);
  });

  test("one that ends, hangs or is not there is tried again; a new one is started", async () => {
    put(`if (line.data.n === 0) process.exit(3); if (line.data.n === 1) return; say({ id: line.id });`);
    const { receiver, parcels } = rendered({ program: { name: "worker" } }, numbered(3));
    const sender = programSender(receiver, folder);
    const [ended] = await sender.send(parcels.slice(0, 1), TIMEOUT);
    assert.match(JSON.stringify(ended), /"target".*ended with status 3/);
    assert.match(JSON.stringify(await sender.send(parcels.slice(1, 2), 700)), /no answer within 0.7 s/);
    assert.deepEqual(await sender.send(parcels.slice(2), TIMEOUT), [{ type: "done" }]);
    await sender.close();
    assert.equal(notes().length, 3);
    const gone = rendered({ program: { name: "elsewhere" } }, numbered(1));
    const missing = programSender(gone.receiver, folder);
    assert.match(JSON.stringify(await missing.send(gone.parcels, TIMEOUT)), /"retry".*ENOENT/);
  });
});
