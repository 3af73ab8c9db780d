/** What every object store does. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { isTidewireError, mib } from "../../base/mod.ts";
import type { ObjectSource, Objects } from "../../base/mod.ts";

export function sourceOf(bytes: Uint8Array): ObjectSource {
  return {
    bytes: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    read: async (from, below) => bytes.subarray(from, below),
  };
}

export async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of content) parts.push(part);
  return Buffer.concat(parts);
}

export async function keysOf(objects: Objects, prefix: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const key of objects.list(prefix)) keys.push(key);
  return keys;
}

export function hasCode(code: string): (error: unknown) => boolean {
  return (error) => isTidewireError(error) && error.code === code;
}

export function objectsContract(open: () => Objects): void {
  test("what was put is there, whole, under its key and no other", async () => {
    const objects = open();
    for (const bytes of [Buffer.alloc(0), Buffer.from("small"), randomBytes(mib(3))]) {
      const key = `day=2026-11-22/${bytes.length}-1.parquet`;
      await objects.put(key, sourceOf(bytes));
      assert.ok(bytes.equals(await bytesOf(objects.get(key))));
      const facts = await objects.facts(key);
      assert.equal(facts?.bytes, bytes.length);
      assert.ok(facts?.sha256 === null || facts?.sha256 === sourceOf(bytes).sha256);
    }
    assert.equal(await objects.facts("day=2026-11-22/other.parquet"), null);
  });

  test("a large one, in parts", async () => {
    const objects = open();
    const bytes = randomBytes(mib(13) + 17);
    await objects.put("large.bin", sourceOf(bytes));
    assert.equal((await objects.facts("large.bin"))?.bytes, bytes.length);
    assert.ok(bytes.equals(await bytesOf(objects.get("large.bin"))));
  });

  test("put again, it is replaced", async () => {
    const objects = open();
    await objects.put("again", sourceOf(Buffer.from("one")));
    await objects.put("again", sourceOf(Buffer.from("another")));
    assert.equal((await bytesOf(objects.get("again"))).toString(), "another");
  });

  test("one that is not there is NOT_FOUND to read, null to ask for, and removed already", async () => {
    const objects = open();
    await assert.rejects(bytesOf(objects.get("nothing/here")), hasCode("NOT_FOUND"));
    assert.equal(await objects.facts("nothing/here"), null);
    await objects.remove("nothing/here");
    await objects.put("gone", sourceOf(Buffer.from("x")));
    await objects.remove("gone");
    assert.equal(await objects.facts("gone"), null);
  });

  test("keys are listed by prefix and in order", async () => {
    const objects = open();
    for (const key of ["list/b", "list/a=1/x", "list/c", "other/d"]) await objects.put(key, sourceOf(Buffer.from(key)));
    assert.deepEqual(await keysOf(objects, "list/"), ["list/a=1/x", "list/b", "list/c"]);
    assert.deepEqual(await keysOf(objects, "none/"), []);
  });

  test("a source that is not what it says is refused, and nothing becomes visible", async () => {
    const objects = open();
    for (const bytes of [Buffer.from("short"), randomBytes(mib(11))]) {
      const lying = { ...sourceOf(bytes), sha256: "0".repeat(64) };
      await assert.rejects(objects.put("lie", lying), hasCode("OBJECT_DAMAGED"));
      assert.equal(await objects.facts("lie"), null);
    }
  });

  test("a key that climbs out is refused", async () => {
    const objects = open();
    for (const key of ["../up", "/root", "a/../b", "a//b", "", "ä", "a b"]) {
      await assert.rejects(objects.put(key, sourceOf(Buffer.from("x"))), hasCode("OBJECTS_REFUSED"), key);
    }
  });

  test("a signal ends it", async () => {
    const objects = open();
    const aborted = AbortSignal.abort();
    await assert.rejects(objects.put("aborted", sourceOf(randomBytes(mib(11))), aborted));
    assert.equal(await objects.facts("aborted"), null);
  });
}
