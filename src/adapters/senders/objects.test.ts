import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import type { Objects } from "../../base/mod.ts";
import type { Verdict } from "../../rules/mod.ts";
import { FolderObjects } from "../objects/folder.ts";
import { FaultyS3, refuse } from "../objects/s3.fixture.ts";
import { LIMITS } from "../../base/mod.ts";
import { objectsSender } from "./objects.ts";
import { TIMEOUT, numbered, rendered } from "./sender.contract.ts";

describe("objects by the s3 action", () => {
  let s3: FaultyS3;
  let root = "";
  let heard: Record<string, unknown>[] = [];
  before(async () => {
    s3 = await FaultyS3.start();
    root = mkdtempSync(join(tmpdir(), "tidewire-bucket-"));
  });
  beforeEach(() => {
    heard = [];
    s3.fault = ({ headers }) => {
      heard.push(headers);
      return "pass";
    };
  });
  after(async () => {
    await s3.stop();
    rmSync(root, { recursive: true });
  });

  const buckets = (name: string): Promise<Objects> | null => {
    if (name === "plant") return Promise.resolve(new FolderObjects(root));
    const limits = { ...LIMITS.archive, objectAttemptsMax: 1 };
    return name === "archive" ? Promise.resolve(s3.objects({ prefix: "", limits })) : null;
  };

  async function send(
    body: object,
    values: readonly object[],
    timeout = TIMEOUT,
  ): Promise<{ readonly verdicts: readonly Verdict[]; readonly keys: readonly string[] }> {
    const { receiver, parcels } = rendered({ s3: body }, values);
    const sender = objectsSender(receiver, buckets);
    const verdicts = await sender.send(parcels, timeout);
    await sender.close();
    return { verdicts, keys: parcels.map(({ fields }) => fields["key"]!) };
  }

  const textOf = async (objects: Objects, key: string): Promise<string> => {
    const parts: Uint8Array[] = [];
    for await (const part of objects.get(key)) parts.push(part);
    return Buffer.concat(parts).toString();
  };

  test("AWS's action as it stands in its documentation: an object per match, with type and ACL", async () => {
    const action = {
      roleArn: "arn:aws:iam::123456789012:role/aws_iot_s3",
      bucketName: "archive",
      key: "${topic()}/${n}.json",
      cannedAcl: "bucket-owner-full-control",
    };
    const { verdicts } = await send(action, numbered(100));
    assert.deepEqual(new Set(verdicts.map(({ type }) => type)), new Set(["done"]));
    const objects = s3.objects({ prefix: "" });
    assert.equal(await textOf(objects, "plant/line/42.json"), '{"n":42}');
    let count = 0;
    for await (const key of objects.list("plant/line/")) count += Number(key.endsWith(".json"));
    assert.equal(count, 100);
    assert.equal(heard[0]!["x-amz-acl"], "bucket-owner-full-control");
    assert.equal(heard[0]!["content-type"], "application/json");
  });

  test("a folder is a bucket, too; under one key the last match stays", async () => {
    await send({ bucketName: "plant", key: "latest/${topic(2)}.json" }, numbered(64));
    assert.equal(readFileSync(join(root, "latest/line.json"), "utf8"), '{"n":63}');
  });

  test("what messages bring into a key neither climbs nor meets another; a / parts it", async () => {
    const values = ["../../etc/passwd", ".", "a b", "a=20b", "ä", "a//b", "/root", "x/./y", "line\n2", "a\0b"];
    const { keys, verdicts } = await send(
      { bucketName: "plant", key: "day=1/${v}" },
      values.map((v) => ({ v })),
    );
    assert.deepEqual(new Set(verdicts.map(({ type }) => type)), new Set(["done"]));
    assert.equal(new Set(keys).size, values.length);
    assert.deepEqual(keys.slice(0, 5), [
      "day=1/==2E=2E/==2E=2E/etc/passwd",
      "day=1/==2E",
      "day=1/a=20b",
      "day=1/a=3D20b",
      "day=1/=C3=A4",
    ]);
    assert.deepEqual(readdirSync(root).sort(), ["day=1", "latest"]);
  });

  test("a key that is too long is final for what it is of, and for nothing else", async () => {
    const { verdicts } = await send({ bucketName: "plant", key: "${v}" }, [{ v: "x".repeat(513) }, { v: "y" }]);
    assert.deepEqual(
      verdicts.map(({ type }) => type),
      ["dead", "done"],
    );
  });

  test("a bucket that nobody has configured is tried again, and says where it belongs", async () => {
    const { verdicts } = await send({ bucketName: "nowhere", key: "k" }, [{}]);
    assert.match(JSON.stringify(verdicts), /"scope":"target".*no bucket 'nowhere': name it under buckets/);
  });

  test("a server that is busy, says no, or hangs: tried again", async () => {
    s3.fault = (_, response) => refuse(response, 503, "SlowDown");
    assert.match(
      JSON.stringify(await send({ bucketName: "archive", key: "k" }, [{}])),
      /"retry","scope":"target".*503|SlowDown/,
    );
    s3.fault = (_, response) => refuse(response, 403, "AccessDenied");
    assert.match(JSON.stringify(await send({ bucketName: "archive", key: "k" }, [{}])), /"retry".*AccessDenied/);
    s3.fault = () => "done";
    assert.match(JSON.stringify(await send({ bucketName: "archive", key: "k" }, [{}], 200)), /no answer within 0.2 s/);
    s3.fault = () => "pass";
    assert.deepEqual((await send({ bucketName: "archive", key: "k" }, [{}])).verdicts, [{ type: "done" }]);
  });
});
