import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { FolderObjects } from "./folder.ts";
import { bytesOf, hasCode, keysOf, objectsContract, sourceOf } from "./objects.contract.ts";

let root = "";
before(() => {
  root = mkdtempSync(join(tmpdir(), "tidewire-objects-"));
});
after(() => rmSync(root, { recursive: true, force: true }));

describe("a folder of objects", () => {
  objectsContract(() => new FolderObjects(root));

  test("a folder that is not there, as a share that is not mounted, is not made: it is unavailable", async () => {
    const objects = new FolderObjects(join(root, "not-mounted"));
    await assert.rejects(objects.put("a", sourceOf(Buffer.from("x"))), hasCode("OBJECTS_UNAVAILABLE"));
    await assert.rejects(objects.facts("a"), hasCode("OBJECTS_UNAVAILABLE"));
    await assert.rejects(bytesOf(objects.get("a")), hasCode("OBJECTS_UNAVAILABLE"));
    await assert.rejects(objects.remove("a"), hasCode("OBJECTS_UNAVAILABLE"));
  });

  test("what a crash left half written is no object", async () => {
    mkdirSync(join(root, "crash"));
    writeFileSync(join(root, "crash", "half.0123456789abcdef.tmp"), "ha");
    const objects = new FolderObjects(root);
    await objects.put("crash/whole", sourceOf(Buffer.from("whole")));
    assert.deepEqual(await keysOf(objects, "crash/"), ["crash/whole"]);
    assert.deepEqual(readdirSync(join(root, "crash")).sort(), ["half.0123456789abcdef.tmp", "whole"]);
  });
});
