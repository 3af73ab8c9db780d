import assert from "node:assert/strict";
import { test } from "node:test";
import type { Message } from "../../base/mod.ts";
import { recordFilter, topicPrefixFilter } from "./filter.ts";
import { recordTopic } from "./read.ts";
import { messageRecordBytes, writeMessageRecord } from "./write.ts";

/** The record in the middle of other bytes, as it lies in a batch. */
function recordOf(topic: string): { readonly bytes: Uint8Array; readonly from: number; readonly to: number } {
  const payload = new Uint8Array([1, 2, 3]);
  const message: Message = {
    topic,
    payload,
    qos: 0,
    retain: false,
    clientId: "c",
    thing: null,
    receivedAt: 1,
    properties: {},
  };
  const length = messageRecordBytes(message);
  const bytes = new Uint8Array(length + 10).fill(0xff);
  writeMessageRecord(bytes, 5, message);
  return { bytes, from: 5, to: 5 + length };
}

test("a filter says of every record what is wanted of its topic, and asks once per topic", () => {
  const asked: string[] = [];
  const filter = recordFilter((topic) => {
    asked.push(topic);
    return topic.startsWith("telemetry/");
  });
  for (const topic of ["telemetry/pump", "bench/1", "telemetry/ü", "b", "bench/1", "telemetry/pump", "bench/2"]) {
    const { bytes, from, to } = recordOf(topic);
    assert.equal(filter(bytes, from, to), topic.startsWith("telemetry/"), topic);
  }
  assert.deepEqual(asked, ["telemetry/pump", "bench/1", "telemetry/ü", "b", "bench/2"]);
});

test("more topics than the table has places are all answered rightly", () => {
  const filter = recordFilter((topic) => topic.endsWith("7"));
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 40_000; i++) {
      const { bytes, from, to } = recordOf(`t/${i}`);
      assert.equal(filter(bytes, from, to), i % 10 === 7);
    }
  }
});

test("a record that cannot be read is wanted, so that its reader tells why", () => {
  const filter = recordFilter(() => false);
  const { bytes, from, to } = recordOf("a/b");
  assert.equal(filter(bytes, from, to), false);
  assert.equal(recordTopic(bytes.subarray(from, to)), "a/b");
  for (let cut = from; cut < from + 9 + 3; cut++) assert.equal(filter(bytes, from, cut), true, `${cut - from} bytes`);
  const newer = Uint8Array.from(bytes);
  newer[from] = 0x40;
  assert.equal(filter(newer, from, to), true);
});

test("a filter by prefixes wants the topics that begin with one of them, and what it cannot read", () => {
  const filter = topicPrefixFilter(["$aws/things/", "$ü/"]);
  for (const [topic, wanted] of [
    ["$aws/things/a/shadow/get", true],
    ["$aws/things/", true],
    ["$ü/x", true],
    ["$aws/things", false],
    ["$aws/thingsX", false],
    ["a/$aws/things/", false],
    ["$", false],
  ] as const) {
    const { bytes, from, to } = recordOf(topic);
    assert.equal(filter(bytes, from, to), wanted, topic);
    assert.equal(filter(bytes, from, from + 3), true, "its reader is to tell why it cannot be read");
  }
});
