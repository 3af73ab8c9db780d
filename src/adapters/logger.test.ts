import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, closeSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openLogger } from "./logger.ts";
import type { LoggerHandle, LoggerOptions } from "./logger.ts";

type Line = Record<string, unknown>;

function scenario(
  name: string,
  run: (folder: string, open: (options?: Partial<LoggerOptions>) => LoggerHandle) => void,
): void {
  test(name, () => {
    const folder = mkdtempSync(join(tmpdir(), "tidewire-logger-"));
    const opened: LoggerHandle[] = [];
    try {
      run(folder, (options = {}) => {
        const logger = openLogger({ level: "info", file: join(folder, "a.log"), terminal: false, ...options });
        opened.push(logger);
        return logger;
      });
    } finally {
      for (const logger of opened) logger.close();
      rmSync(folder, { recursive: true });
    }
  });
}

function linesOf(path: string): Line[] {
  return readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

scenario(
  "one JSON object per line: time, level, message, fields; below the level nothing; private to its owner",
  (folder, open) => {
    const logger = open();
    logger.debug("unheard");
    logger.info("A first.", { n: 1 });
    logger.child({ part: "x" }).warn("A second.");
    const [first, second, ...rest] = linesOf(join(folder, "a.log"));
    assert.deepEqual({ ...first, time: "" }, { level: "info", time: "", n: 1, message: "A first." });
    assert.match(String(first!["time"]), /^\d{4}-\d\d-\d\dT.*Z$/);
    assert.deepEqual([second!["part"], second!["level"], rest], ["x", "warn", []]);
    assert.equal(statSync(join(folder, "a.log")).mode & 0o777, 0o600);
  },
);

scenario("secrets are blotted out at any depth, in children, lists and causes of errors", (folder, open) => {
  const logger = open();
  const error = Object.assign(new Error("failed", { cause: { password: "hush-5" } }), { code: "E" });
  logger.info("m", {
    adminToken: "hush-1",
    a: { b: { c: [{ privateKeyPem: "hush-2" }] } },
    headers: { Authorization: "hush-3", "set-cookie": "hush-4" },
    error,
  });
  logger.child({ sessionKey: "hush-6" }).info("n");
  const text = readFileSync(join(folder, "a.log"), "utf8");
  assert.doesNotMatch(text, /hush/);
  assert.equal(text.match(/\[redacted\]/g)?.length, 6);
});

scenario("an error keeps its name, code and stack; odd values end no log", (folder, open) => {
  const logger = open();
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  logger.error("m", {
    error: Object.assign(new TypeError("no"), { code: "E_X" }),
    big: 10n,
    bytes: new Uint8Array(5),
    circle,
    none: undefined,
  });
  const [line] = linesOf(join(folder, "a.log"));
  const { name, message, code, stack } = line!["error"] as Line;
  assert.deepEqual([name, message, code, typeof stack], ["TypeError", "no", "E_X", "string"]);
  assert.deepEqual([line!["big"], line!["bytes"]], ["10", "[5 bytes]"]);
});

scenario(
  "rotation: the newest lines are in the live file, the oldest file goes, no line is torn or lost between",
  (folder, open) => {
    const logger = open({ fileBytesMax: 2000, filesMax: 2 });
    for (let n = 0; n < 100; n++) logger.info("a line", { n });
    const names = ["a.log", "a.log.1", "a.log.2"];
    const kept = names.toReversed().flatMap((name) => linesOf(join(folder, name)).map((line) => line["n"] as number));
    assert.equal(existsSync(join(folder, "a.log.3")), false);
    assert.equal(kept.at(-1), 99);
    assert.deepEqual(
      kept,
      Array.from({ length: kept.length }, (_, i) => 100 - kept.length + i),
    );
  },
);

scenario("a later start goes on in the same file", (folder, open) => {
  const first = open();
  first.info("one");
  first.close();
  open().info("two");
  assert.deepEqual(
    linesOf(join(folder, "a.log")).map((line) => line["message"]),
    ["one", "two"],
  );
});

scenario("a line after closing harms nobody: the descriptor may be another file's by then", (folder, open) => {
  const logger = open();
  logger.close();
  const other = openSync(join(folder, "database"), "w");
  logger.error("too late");
  logger.close();
  closeSync(other);
  assert.equal(readFileSync(join(folder, "database"), "utf8"), "");
});

scenario("where a rotation is impossible, the old file is written on, and nobody is disturbed", (folder, open) => {
  const logger = open({ fileBytesMax: 100, filesMax: 1 });
  mkdirSync(join(folder, "a.log.1", "in the way"), { recursive: true });
  for (let n = 0; n < 20; n++) logger.info("a line", { n });
  assert.deepEqual(
    linesOf(join(folder, "a.log")).map((line) => line["n"]),
    Array.from({ length: 20 }, (_, n) => n),
  );
});

test("a full disk disturbs nobody", { skip: existsSync("/dev/full") ? false : "no /dev/full on this machine" }, () => {
  const logger = openLogger({ level: "info", file: "/dev/full", terminal: false });
  logger.error("a line that no disk takes");
  logger.close();
});
