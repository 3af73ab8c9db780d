import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SimLogger } from "../../sim/world.ts";
import { endedSessionsFile } from "./ended-sessions.ts";

function scenario(name: string, run: (path: string, logger: SimLogger) => void): void {
  test(name, () => {
    const folder = mkdtempSync(join(tmpdir(), "tidewire-ended-"));
    try {
      run(join(folder, "ended.json"), new SimLogger());
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

scenario(
  "what was saved is loaded again; a first start has nothing and says nothing; private to its owner",
  (path, logger) => {
    const file = endedSessionsFile(path, logger);
    assert.deepEqual(file.load(), []);
    file.save([
      ["a", 1],
      ["b", 2],
    ]);
    assert.deepEqual(endedSessionsFile(path, logger).load(), [
      ["a", 1],
      ["b", 2],
    ]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(logger.lines, []);
  },
);

scenario("a damaged file is told and holds up no start; the next logout makes a good one", (path, logger) => {
  for (const damage of ["", "{", '{"a":1}', '[["a"]]', '[["a","b"]]', "null"]) {
    writeFileSync(path, damage);
    assert.deepEqual(endedSessionsFile(path, logger).load(), [], damage);
    assert.equal(logger.lines.splice(0).at(0)?.level, "warn");
  }
  endedSessionsFile(path, logger).save([["a", 1]]);
  assert.equal(readFileSync(path, "utf8"), '[["a",1]]');
});

scenario("a disk that takes nothing keeps nobody from logging out", (path, logger) => {
  mkdirSync(`${path}.new`); // in the way of the new file
  endedSessionsFile(path, logger).save([["a", 1]]);
  assert.equal(logger.lines.at(0)?.level, "error");
});
