/** What every `LogDirectory` must do, real or simulated. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { isMissing } from "./ports.ts";
import type { LogDirectory } from "./ports.ts";

type Make = (context: TestContext) => Promise<LogDirectory>;

const NAME = "00000000000000000000.seg";
const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);

function withCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Error && "code" in error && error.code === code;
}

export function logDirectoryContract(kind: string, make: Make): void {
  test(`${kind}: what is written is read back, at any position, by any handle`, async (context) => {
    const directory = await make(context);
    const file = await directory.open(NAME, "create");
    await file.write(bytes(1, 2, 3, 4), 0);
    await file.write(bytes(9, 9), 3);
    await file.sync();
    assert.equal(await file.size(), 5);
    const other = await directory.open(NAME, "read");
    const into = new Uint8Array(10);
    assert.equal(await other.read(into, 1), 4);
    assert.deepEqual(into.subarray(0, 5), bytes(2, 3, 9, 9, 0));
    assert.equal(await other.read(into, 5), 0, "nothing behind the end");
    await file.write(bytes(7), 6);
    assert.equal(await other.read(into, 3), 4, "a file that grew is read to its new end");
    assert.deepEqual(into.subarray(0, 4), bytes(9, 9, 0, 7), "a hole is zeros");
    await file.truncate(2);
    assert.equal(await other.size(), 2);
    await Promise.all([file.close(), other.close()]);
    const again = await directory.open(NAME, "append");
    await again.write(bytes(5), 2);
    assert.equal(await again.size(), 3);
    await again.close();
  });

  test(`${kind}: several parts are written one behind the other, and are durable`, async (context) => {
    const directory = await make(context);
    const file = await directory.open(NAME, "create");
    await file.write(bytes(9, 9, 9), 0);
    await file.writeDurably([bytes(1, 2), bytes(), new Uint8Array(70_000).fill(7), bytes(3)], 1);
    await file.close();
    const again = await directory.open(NAME, "append");
    const into = new Uint8Array(80_000);
    assert.equal(await again.read(into, 0), 70_004);
    assert.deepEqual(into.subarray(0, 4), bytes(9, 1, 2, 7));
    assert.deepEqual(into.subarray(70_001, 70_004), bytes(7, 7, 3));
    await again.writeDurably([bytes(4), bytes(5)], 70_004);
    await again.close();
    const last = await directory.open(NAME, "read");
    assert.equal(await last.size(), 70_006, "padding goes when the file is closed");
    await last.close();
  });

  test(`${kind}: create makes no file twice, open none at all`, async (context) => {
    const directory = await make(context);
    await assert.rejects(directory.open(NAME, "read"), isMissing);
    await assert.rejects(directory.open(NAME, "append"), isMissing);
    await (await directory.open(NAME, "create")).close();
    await assert.rejects(directory.open(NAME, "create"), withCode("EEXIST"));
  });

  test(`${kind}: quarantine is listed with its prefix, and a rename replaces nothing`, async (context) => {
    const directory = await make(context);
    for (const name of [NAME, "quarantine/a.cut", "other"]) await (await directory.open(name, "create")).close();
    await directory.sync();
    assert.deepEqual([...(await directory.list())].sort(), [NAME, "other", "quarantine/a.cut"]);
    await assert.rejects(directory.rename(NAME, "quarantine/a.cut"), withCode("EEXIST"));
    await directory.rename(NAME, "quarantine/b.seg");
    await assert.rejects(directory.rename(NAME, "quarantine/c.seg"), isMissing);
    await directory.remove("other");
    await assert.rejects(directory.remove("other"), isMissing);
    assert.deepEqual([...(await directory.list())].sort(), ["quarantine/a.cut", "quarantine/b.seg"]);
  });

  test(`${kind}: a file that was removed stays readable for who has it open`, async (context) => {
    const directory = await make(context);
    const file = await directory.open(NAME, "create");
    await file.write(bytes(1, 2, 3), 0);
    await directory.remove(NAME);
    const into = new Uint8Array(3);
    assert.equal(await file.read(into, 0), 3);
    await file.close();
    assert.deepEqual(await directory.list(), []);
  });

  test(`${kind}: free space is a number of bytes`, async (context) => {
    const free = await (await make(context)).freeBytes();
    assert.ok(Number.isSafeInteger(free) && free >= 0);
  });
}
