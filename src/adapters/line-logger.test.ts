import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "../../sim/world.ts";
import { lineLogger } from "./line-logger.ts";

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
