import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemScheduler } from "../adapters/system.ts";
import { LIMITS } from "../base/mod.ts";
import { openBuckets } from "./buckets.ts";
import { PlatformConfigSchema } from "./config.ts";

test("a bucket is a folder or one of S3; a rule's name for it is enough, and there are no others", async () => {
  const root = mkdtempSync(join(tmpdir(), "tidewire-buckets-"));
  const { buckets } = PlatformConfigSchema.parse({
    buckets: {
      plant: { folder: root },
      events: { endpoint: "http://127.0.0.1:9000" },
      other: { endpoint: "http://127.0.0.1:9000", bucket: "named-otherwise", prefix: "a/b" },
    },
  });
  const open = openBuckets(buckets, LIMITS, { scheduler: systemScheduler });
  const bytes = new TextEncoder().encode("{}");
  const sha256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
  await (await open("plant")!).put("a/b.json", { bytes: 2, sha256, read: async () => bytes });
  assert.equal(readFileSync(join(root, "a/b.json"), "utf8"), "{}");
  assert.equal((await open("events")!).name, "s3://events at http://127.0.0.1:9000");
  assert.equal((await open("other")!).name, "s3://named-otherwise/a/b at http://127.0.0.1:9000");
  assert.equal(open("plant"), open("plant"));
  for (const name of ["nowhere", "constructor", "__proto__"]) assert.equal(open(name), null);
  rmSync(root, { recursive: true });
});

for (const [what, buckets] of [
  ["a relative folder", { plant: { folder: "here" } }],
  ["no name of a bucket", { Plant: { folder: "/tmp" } }],
  ["neither folder nor endpoint", { plant: {} }],
  ["both", { plant: { folder: "/tmp", endpoint: "http://127.0.0.1:9000" } }],
] as const) {
  test(`a bucket is refused: ${what}`, () => {
    assert.throws(() => PlatformConfigSchema.parse({ buckets }));
  });
}
