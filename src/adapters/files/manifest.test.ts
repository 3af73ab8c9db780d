import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SimLogger } from "../../../sim/world.ts";
import { isTidewireError } from "../../base/mod.ts";
import { ManifestFile } from "./manifest.ts";
import type { ManifestOptions } from "./manifest.ts";

interface Content {
  readonly files: readonly string[];
}

function validate(content: unknown): Content {
  const { files } = content as { files: unknown };
  if (!Array.isArray(files) || !files.every((name) => typeof name === "string")) throw new Error("no list of names");
  return { files };
}

async function inFolder(
  work: (
    path: string,
    open: (more?: Partial<ManifestOptions<Content>>) => Promise<ManifestFile<Content>>,
    logger: SimLogger,
  ) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tidewire-manifest-"));
  const path = join(folder, "below", "manifest.json");
  const logger = new SimLogger();
  try {
    await work(
      path,
      (more = {}) => ManifestFile.open({ path, format: "test", version: 2, validate, logger, ...more }),
      logger,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("what was written last is read, and the one before it beside it; numbers grow", () =>
  inFolder(async (_, open) => {
    const first = await open();
    assert.deepEqual([first.state, first.current, first.previous, first.number], ["empty", null, null, 0]);
    await first.write({ files: ["a"] });
    await first.write({ files: ["a", "b"] });
    for (const manifest of [first, await open()]) {
      assert.deepEqual(manifest.current, { files: ["a", "b"] });
      assert.deepEqual(manifest.previous, { files: ["a"] });
      assert.equal(manifest.number, 2);
    }
  }));

test("any flipped bit and any truncation of the newest: it is moved aside, and the one before it counts", () =>
  inFolder(async (path, open, logger) => {
    const writer = await open();
    await writer.write({ files: ["a"] });
    await writer.write({ files: ["b"] });
    const [whole, before] = [await readFile(path), await readFile(`${path}.previous`)];
    const damages = [
      ...Array.from({ length: whole.length }, (_, at) => {
        const flipped = Buffer.from(whole);
        flipped[at]! ^= 1 << (at % 8);
        return flipped;
      }),
      ...Array.from({ length: whole.length }, (_, end) => whole.subarray(0, end)),
      Buffer.concat([whole, Buffer.from("\n")]),
    ];
    for (const bytes of damages) {
      await writeFile(path, bytes);
      await writeFile(`${path}.previous`, before);
      const manifest = await open();
      assert.deepEqual([manifest.state, manifest.current, manifest.previous], ["fell-back", { files: ["a"] }, null]);
      await rm(`${path}.damaged-1`);
    }
    assert.ok(logger.lines.every(({ message }) => /damaged|no sense/.test(message)));
  }));

test("a damaged one before takes nothing from the newest; where both are, it says that they are lost", () =>
  inFolder(async (path, open) => {
    const writer = await open();
    await writer.write({ files: ["a"] });
    await writer.write({ files: ["b"] });
    await writeFile(`${path}.previous`, "rubbish");
    const manifest = await open();
    assert.deepEqual([manifest.state, manifest.current, manifest.previous], ["whole", { files: ["b"] }, null]);
    await writeFile(path, "rubbish");
    assert.deepEqual([(await open()).state, (await open()).state], ["lost", "empty"]);
    const aside = (await readdir(join(path, ".."))).sort();
    assert.deepEqual(aside, ["manifest.json.damaged-1", "manifest.json.previous.damaged-1"]);
  }));

test("killed before any step, the next start has the old content or the new, and can write", () =>
  inFolder(async (path, open) => {
    for (const step of ["write", "keep-previous", "replace", "sync-folder"]) {
      await rm(join(path, ".."), { recursive: true, force: true });
      await (await open()).write({ files: ["old"] });
      const dying = await open({
        onStep: async (at) => {
          if (at !== step) return;
          // What a killed process leaves: its temporary file stays.
          if (at === "replace") await writeFile(`${path}.2.tmp`, "half");
          throw new Error("killed");
        },
      });
      await assert.rejects(dying.write({ files: ["new"] }), /killed/);
      const next = await open();
      assert.equal(next.state, "whole", step);
      assert.deepEqual(next.current, { files: [step === "sync-folder" ? "new" : "old"] }, step);
      await next.write({ files: ["newer"] });
      assert.deepEqual((await open()).current, { files: ["newer"] });
      assert.deepEqual(
        (await readdir(join(path, ".."))).filter((name) => name.endsWith(".tmp")),
        [],
      );
    }
  }));

test("one of a newer version, or of another kind, is not read; what the content means is its owner's to judge", () =>
  inFolder(async (path, open) => {
    await (await open({ version: 3 })).write({ files: ["a"] });
    await assert.rejects(open(), (error) => isTidewireError(error) && error.code === "MANIFEST_NEWER");
    assert.equal((await open({ version: 3, format: "other" })).state, "lost");
    await rename(`${path}.damaged-1`, path);
    const refused = await open({
      version: 4,
      validate: () => {
        throw new Error("no");
      },
    });
    assert.equal(refused.state, "lost");
  }));

test("a failed write leaves the content as it was, here and on disk, and no temporary file", () =>
  inFolder(async (path, open) => {
    const broken = { disk: false };
    const manifest = await open({
      onStep: (step) => {
        if (broken.disk && step === "keep-previous") throw new Error("ENOSPC");
      },
    });
    await manifest.write({ files: ["a"] });
    broken.disk = true;
    await assert.rejects(manifest.write({ files: ["b"] }), /ENOSPC/);
    assert.deepEqual(manifest.current, { files: ["a"] });
    assert.deepEqual(await readdir(join(path, "..")), ["manifest.json"]);
    broken.disk = false;
    await Promise.all([manifest.write({ files: ["c"] }), manifest.write({ files: ["d"] })]);
    assert.deepEqual([(await open()).current, (await open()).previous], [{ files: ["d"] }, { files: ["c"] }]);
  }));
