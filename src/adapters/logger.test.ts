import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SimClock } from "../../sim/world.ts";
import { lineLogger, openLogger } from "./logger.ts";

test("one JSON object per line, from the asked level on, with the child's fields and without secrets", () => {
  const lines: string[] = [];
  const logger = lineLogger({ level: "info", clock: new SimClock(), write: (line) => lines.push(line) });
  logger.debug("not asked for");
  logger.child({ thing: "a" }).warn("two\nlines", { n: 1, inner: { token: "t0p" }, error: new Error("why"), big: 7n });
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^[^\n]+\n$/);
  assert.deepEqual(JSON.parse(lines[0]!), {
    level: "warn",
    time: "2026-01-01T00:00:00.000Z",
    message: "two\nlines",
    thing: "a",
    n: 1,
    inner: { token: "[redacted]" },
    error: "why",
    big: "7",
  });
});

test("the file rotates by size, keeps as many as asked, and is private", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-"));
  try {
    const path = join(folder, "logs", "x.log");
    const logger = openLogger({ level: "info", file: path, terminal: false, fileBytesMax: 200, filesMax: 2 });
    for (let n = 0; n < 20; n++) logger.info("a line of some length, so that a few fill the file", { n });
    logger.close();
    const files = readdirSync(join(folder, "logs")).sort();
    assert.deepEqual(files, ["x.log", "x.log.1", "x.log.2"]);
    const last = readFileSync(path, "utf8").trimEnd().split("\n").at(-1)!;
    assert.equal((JSON.parse(last) as { n: number }).n, 19);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const again = openLogger({ level: "info", file: path, terminal: false });
    again.info("more");
    again.close();
    assert.match(readFileSync(path, "utf8"), /"n":19[\s\S]*"more"/, "a second start appends");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
