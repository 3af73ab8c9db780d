import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { SimLogger } from "../../sim/world.ts";
import { isTidewireError } from "../base/mod.ts";
import { DATA_FORMAT, prepareUpgrade } from "./data-format.ts";

describe("a data folder's format", () => {
  let data: string;
  let logger: SimLogger;

  beforeEach(() => {
    data = mkdtempSync(join(tmpdir(), "tidewire-format-"));
    logger = new SimLogger();
  });
  afterEach(() => rmSync(data, { recursive: true, force: true }));

  function put(path: string, content: string): void {
    mkdirSync(join(data, path, ".."), { recursive: true });
    writeFileSync(join(data, path), content);
  }
  const inode = (path: string): number => statSync(join(data, path)).ino;
  const kept = (path: string): string => join("before-upgrade-from-1", path);

  test("a new folder gets the present one, and nothing is kept", () => {
    assert.equal(prepareUpgrade({ data, logger }), null);
    assert.equal(
      (JSON.parse(readFileSync(join(data, "format.json"), "utf8")) as { format: number }).format,
      DATA_FORMAT,
    );
    assert.equal(prepareUpgrade({ data, logger }), null, "nor at the next start");
  });

  test("an older folder is kept as it was: what never changes as links, what changes as copies", () => {
    put("registry.db", "things");
    put("telemetry.duckdb", "points");
    put("secrets/ca.key", "key");
    chmodSync(join(data, "secrets/ca.key"), 0o600);
    put("platform.log", "chatter");
    put("lock", "");
    for (const n of [0, 5, 9]) put(`log/${String(n).padStart(20, "0")}.seg`, `segment ${n}`);
    put("telemetry/a.parquet", "cold");
    assert.equal(prepareUpgrade({ data, logger }), join(data, "before-upgrade-from-1"));
    writeFileSync(join(data, "registry.db"), "changed by the upgrade");
    assert.equal(readFileSync(join(data, kept("registry.db")), "utf8"), "things");
    assert.equal(statSync(join(data, kept("secrets/ca.key"))).mode & 0o777, 0o600);
    for (const path of ["telemetry/a.parquet", "log/00000000000000000000.seg"])
      assert.equal(inode(path), inode(kept(path)), path);
    for (const n of [5, 9]) {
      const path = `log/${String(n).padStart(20, "0")}.seg`;
      assert.notEqual(inode(path), inode(kept(path)), "the log goes on writing to it");
    }
    for (const path of ["platform.log", "lock", "format.json"])
      assert.equal(existsSync(join(data, kept(path))), false, path);
    assert.match(logger.lines.map(({ message }) => message).join("\n"), /the folder as it was is kept/);
  });

  test("an upgrade that was interrupted keeps the folder as it was before the first attempt", () => {
    put("registry.db", "things");
    prepareUpgrade({ data, logger });
    rmSync(join(data, "format.json"));
    writeFileSync(join(data, "registry.db"), "half upgraded");
    prepareUpgrade({ data, logger });
    assert.equal(readFileSync(join(data, kept("registry.db")), "utf8"), "things");
  });

  test("a copy that was interrupted counts for nothing", () => {
    put("registry.db", "things");
    put("before-upgrade-from-1.tmp/registry.db", "th");
    prepareUpgrade({ data, logger });
    assert.equal(readFileSync(join(data, kept("registry.db")), "utf8"), "things");
    assert.equal(existsSync(join(data, "before-upgrade-from-1.tmp")), false);
  });

  test("a newer one is refused, with who wrote it and how to go back", () => {
    put("format.json", JSON.stringify({ format: DATA_FORMAT + 1, version: "9.9.9" }));
    assert.throws(
      () => prepareUpgrade({ data, logger }),
      (error) => isTidewireError(error) && error.code === "DATA_NEWER" && /9\.9\.9/.test(error.message),
    );
  });

  test("one that cannot be read is no reason to guess", () => {
    put("format.json", "{");
    assert.throws(() => prepareUpgrade({ data, logger }), { code: "DATA_FOLDER_UNUSABLE" });
  });
});
