import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import { Rasteriser } from "./rasteriser.ts";

const SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20" fill="#ffffff"/><text x="2" y="15" font-size="12">Ag</text></svg>';

let rasteriser: Rasteriser;

describe("bitmaps of drawings", () => {
  afterEach(() => rasteriser.close());

  test("a PNG of twice the size, with its letters; the next one too", async () => {
    rasteriser = new Rasteriser();
    for (const svg of [SVG, SVG]) {
      const png = Buffer.from(await rasteriser.png(svg));
      assert.equal(png.subarray(0, 8).toString("hex"), "89504e470d0a1a0a");
      assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [80, 40]);
      const blank = await rasteriser.png(SVG.replace("Ag", ""));
      assert.ok(png.length > blank.length * 1.5, "letters were drawn");
    }
  });

  test("what is no drawing is refused, and the next one is made", async () => {
    rasteriser = new Rasteriser();
    await assert.rejects(rasteriser.png("<svg"), Error);
    await assert.rejects(rasteriser.png("x".repeat(300_000)), /too large/);
    assert.ok((await rasteriser.png(SVG)).length > 100);
  });

  test("one that never ends is given up with its thread; a thread that dies fails what it had, and another one takes over", async () => {
    const scripts = ["setInterval(() => {}, 1000)", "process.exit(1)"];
    rasteriser = new Rasteriser({
      timeout: 300,
      spawn: () => {
        const script = scripts.shift();
        if (script !== undefined) return new Worker(script, { eval: true });
        return new Worker(new URL("rasteriser-thread.ts", import.meta.url), { execArgv: [] });
      },
    });
    await assert.rejects(rasteriser.png(SVG), /took too long/);
    await assert.rejects(rasteriser.png(SVG), /ended/);
    await rasteriser.close();
    rasteriser = new Rasteriser();
    assert.ok((await rasteriser.png(SVG)).length > 100);
  });

  for (const library of ["@resvg/resvg-wasm", "dejavu-fonts-ttf"]) {
    test(`without ${library}: what was asked is told so, and so is what is asked later`, async () => {
      const hook = `import { registerHooks } from "node:module";
        registerHooks({ resolve(name, context, next) {
          if (!name.startsWith(${JSON.stringify(library)})) return next(name, context);
          throw Object.assign(new Error("Cannot find package " + name), { code: "ERR_MODULE_NOT_FOUND" });
        } });`;
      const execArgv = ["--import", `data:text/javascript,${encodeURIComponent(hook)}`];
      rasteriser = new Rasteriser({
        spawn: () => new Worker(new URL("rasteriser-thread.ts", import.meta.url), { execArgv }),
      });
      for (let i = 0; i < 2; i++) await assert.rejects(rasteriser.png(SVG), /Cannot find/);
    });
  }

  test("too many at once are refused, the others are made", async () => {
    rasteriser = new Rasteriser();
    const all = await Promise.allSettled(Array.from({ length: 12 }, () => rasteriser.png(SVG)));
    assert.deepEqual(
      all.map(({ status }) => status),
      [...Array<string>(8).fill("fulfilled"), ...Array<string>(4).fill("rejected")],
    );
  });
});
