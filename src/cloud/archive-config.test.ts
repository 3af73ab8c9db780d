import assert from "node:assert/strict";
import { test } from "node:test";
import { days, gib, isTidewireError, minutes } from "../base/mod.ts";
import { ArchiveConfigSchema, archiveOrderOf } from "./archive-config.ts";

function order(config: object): ReturnType<typeof archiveOrderOf> {
  return archiveOrderOf(ArchiveConfigSchema.parse(config), "/data");
}

test("without a word there is an archive: a year, 8 GiB, no cold tier", () => {
  assert.deepEqual(order({}), {
    folder: "/data/archive",
    settings: { every: minutes(15), keep: days(365), bytesMax: gib(8), warm: days(30), cacheBytesMax: gib(1) },
    cold: null,
  });
  assert.equal(order({ enabled: false }), null);
});

test("for ever, without limit, in a bucket", () => {
  const s3 = { endpoint: "https://minio.example:9000", bucket: "events", prefix: "plant/7", ca: "/etc/ca.pem" };
  const chosen = order({ keep: "forever", size: "unlimited", warm: "2w", s3 });
  assert.deepEqual([chosen?.settings.keep, chosen?.settings.bytesMax, chosen?.settings.warm], [null, null, days(14)]);
  assert.deepEqual(chosen?.cold, { kind: "s3", region: "us-east-1", credentials: null, ...s3 });
});

test("what contradicts or means nothing is refused with its key", () => {
  const s3 = { endpoint: "https://minio.example", bucket: "events" };
  const contradictions: readonly (readonly [object, string])[] = [
    [{ folder: "/a", s3 }, "archive"],
    [{ folder: "relative" }, "archive.folder"],
    [{ folder: "/a", keep: "10d", warm: "30d" }, "archive.keep"],
  ];
  for (const [config, key] of contradictions) {
    assert.throws(
      () => order(config),
      (error) => isTidewireError(error) && error.code === "CONFIG_VALUE_INVALID" && error.details["key"] === key,
      key,
    );
  }
  for (const wrong of [
    { keep: "long" },
    { size: "8" },
    { every: "0s" },
    { every: "5 parsecs" },
    { unknown: 1 },
    { s3: { ...s3, bucket: "No" } },
    { s3: { ...s3, prefix: "/a/" } },
  ]) {
    assert.equal(ArchiveConfigSchema.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
});
