import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runRule } from "./rules-run.ts";

interface Ran {
  readonly status: number;
  readonly lines: readonly unknown[];
  readonly notes: readonly string[];
}

async function run(
  sql: string,
  input: readonly string[],
  more: { topic?: string; values?: boolean; config?: string; data?: string } = {},
): Promise<Ran> {
  const notes: string[] = [];
  const sink = new PassThrough();
  const output = { result() {}, note: (text: string) => void notes.push(text) };
  const texts: Buffer[] = [];
  sink.on("data", (bytes: Buffer) => texts.push(bytes));
  const status = await runRule(sql, more, {
    input: Readable.from(input.map((text) => Buffer.from(text))),
    sink,
    output,
  });
  const text = Buffer.concat(texts).toString();
  return {
    status,
    notes,
    lines: text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as unknown),
  };
}

const SQL = "SELECT v FROM 'line/+' WHERE v > 5";

function message(second: number, v: number, thing = "a"): string {
  const time = new Date(1_767_225_600_000 + second * 1000).toISOString();
  return `${JSON.stringify({ topic: `line/${thing}`, payload: { v }, thing, time })}\n`;
}

describe("rules run", () => {
  test("prints what the rule makes of the lines that match, as lines that it can read again", async () => {
    const { status, lines } = await run(SQL, [
      message(0, 7),
      message(1, 1),
      message(2, 9, "b"),
      message(3, 9).replace("line", "other"),
    ]);
    assert.equal(status, 0);
    assert.deepEqual(lines, [
      { topic: "line/a", payload: { v: 7 }, thing: "a", time: "2026-01-01T00:00:00.000Z" },
      { topic: "line/b", payload: { v: 9 }, thing: "b", time: "2026-01-01T00:00:02.000Z" },
    ]);
    const again = await run(
      SQL,
      lines.map((line) => `${JSON.stringify(line)}\n`),
    );
    assert.deepEqual(again.lines, lines);
  });

  test("closes its windows by the lines' time, and the last ones when the input ends", async () => {
    const sql = "SELECT sum(v) AS s, window_start() AS at FROM 'line/+' GROUP BY TUMBLE('10 s')";
    const { lines } = await run(sql, [message(0, 1), message(5, 2), message(12, 4)], { values: true });
    assert.deepEqual(lines, [
      { s: 3, at: 1_767_225_600_000 },
      { s: 4, at: 1_767_225_610_000 },
    ]);
  });

  test("does not take the end of the input for silence", async () => {
    const { lines } = await run("SELECT topic() AS t FROM 'line/+' ABSENT FOR '10 s'", [message(0, 1), message(5, 1)]);
    assert.deepEqual(lines, []);
  });

  test("takes bare payloads of a topic, lines in pieces, CRLF, and one without an end", async () => {
    const { lines, status } = await run(SQL, ['{"v":', ' 7}\r\n\n{"v":8}\n{"', 'v":9}'], {
      topic: "line/x",
      values: true,
    });
    assert.deepEqual([lines, status], [[{ v: 7 }, { v: 8 }, { v: 9 }], 0]);
  });

  test("reads what `log export` writes: base64, and notes that are no messages", async () => {
    const exported = {
      topic: "line/a",
      payload: Buffer.from('{"v":6}').toString("base64"),
      encoding: "base64",
      client: "c",
      thing: null,
    };
    const note = { kind: "note", client: "c" };
    const { lines, status } = await run(
      SQL,
      [exported, note].map((line) => `${JSON.stringify(line)}\n`),
      { values: true },
    );
    assert.deepEqual([lines, status], [[{ v: 6 }], 0]);
  });

  test("leaves out lines that it cannot read, says which, and exits with 1", async () => {
    const bad = [
      "nonsense\n",
      "[1]\n",
      '{"payload":1}\n',
      '{"topic":"line/a","payload":1,"time":"soon"}\n',
      message(0, 7),
    ];
    const { status, lines, notes } = await run(SQL, bad);
    assert.equal(status, 1);
    assert.equal(lines.length, 1);
    assert.deepEqual(
      notes.map((text) => /Line (\d)/.exec(text)?.[1]),
      ["1", "2", "3", "4"],
    );
  });

  test("asks the tables, functions and secrets of a configuration, in the order of the lines", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidewire-run-"));
    try {
      const program = `#!${process.execPath}
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, input } = JSON.parse(line);
  console.log(JSON.stringify({ id, output: input * 10 }));
});
`;
      mkdirSync(join(folder, "programs"));
      writeFileSync(join(folder, "programs", "tens"), program, { mode: 0o755 });
      writeFileSync(join(folder, "limits.csv"), "thing,max\na,5\nb,8\n");
      const config = join(folder, "tidewire.yaml");
      const tables = `tables: { limits: { file: ${join(folder, "limits.csv")}, key: thing } }`;
      writeFileSync(config, `${tables}\nfunctions: { tens: { program: tens } }\n`);
      const sql =
        "SELECT function('tens', v) AS t, get_thing_shadow(thing(), 'r').x AS x FROM 'line/+' WHERE v > lookup('limits', thing(), 'max')";
      const lines = [message(0, 6, "a"), message(1, 6, "b"), message(2, 9, "b"), message(3, 9, "c")];
      const ran = await run(sql, lines, { values: true, config, data: folder });
      assert.deepEqual(ran.lines, [{ t: 60 }, { t: 90 }]);
      assert.equal(ran.status, 0);
      assert.deepEqual(ran.notes, [
        "get_thing_shadow cannot be asked here: Undefined",
        "1 times there was no answer; first: lookup(): there is no answer",
      ]);
      const without = await run(sql, lines, { values: true });
      assert.deepEqual(without.lines, []);
      assert.match(without.notes[0]!, /^lookup, function, get_thing_shadow cannot be asked here/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("waits for a slow reader, and ends in peace when it goes away", async () => {
    let taken = 0;
    let asked = 0;
    const sink = new Writable({
      highWaterMark: 64,
      write(_, __, done) {
        taken++;
        if (taken === 5) sink.destroy();
        setImmediate(done);
      },
    });
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        asked++;
        yield Buffer.from(message(0, 7));
      }
    }
    const output = { result() {}, note() {} };
    assert.equal(await runRule(SQL, {}, { input: Readable.from(endless(), { highWaterMark: 1 }), sink, output }), 0);
    assert.ok(asked < 50, `${asked} lines were read for ${taken}`);
  });

  test("ends in peace as a process whose reader goes away while lines still come", async () => {
    const main = fileURLToPath(new URL("../main.ts", import.meta.url));
    const child = spawn(process.execPath, [main, "rules", "run", SQL], { stdio: ["pipe", "pipe", "inherit"] });
    try {
      child.stdin.on("error", () => {}); // it is closed when the process ends
      const feed = (): void => {
        while (child.stdin.writable && child.stdin.write(message(0, 7)));
      };
      child.stdin.on("drain", feed);
      feed();
      await once(child.stdout, "data");
      child.stdout.destroy();
      assert.deepEqual(await once(child, "exit"), [0, null]);
    } finally {
      child.kill("SIGKILL");
    }
  });
});
