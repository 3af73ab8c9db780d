import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { ForgottenThings, LIMITS } from "../../base/mod.ts";
import type { Message } from "../../base/mod.ts";
import { SequenceBook, SeriesBook } from "../../telemetry/mod.ts";
import {
  messageRecordBytes,
  propertiesAt,
  readRecord,
  recordTopics,
  senderOf,
  writeMessageRecord,
  writtenAt,
} from "../../wire/record/mod.ts";
import { CompiledRules } from "./compiled-rules.ts";
import { MessageSink } from "./message-sink.ts";
import type { StoreRule } from "./protocol.ts";
import { message } from "./store.scenario.ts";

const EVERYTHING: StoreRule = { ruleName: "all", sql: "SELECT * FROM 'telemetry/#'", fromOffset: 0 };

/** One that uses what it learns of topics, or one that takes every message the long way. */
function sinkOf(rules: readonly StoreRule[], learning: boolean): { readonly sink: MessageSink; decoded: number } {
  const counting = {
    decoded: 0,
    sink: new MessageSink({
      forgotten: new ForgottenThings(),
      records: {
        topics: recordTopics,
        decode: (bytes) => {
          counting.decoded++;
          return readRecord(bytes);
        },
        senderOf,
        propertiesAt: learning ? propertiesAt : () => -1,
        writtenAt,
      },
      series: new SeriesBook({ ...LIMITS.telemetry, seriesPerThingMax: 12 }),
      sequences: new SequenceBook(LIMITS.telemetry),
      limits: LIMITS,
      clock: new SimClock(),
      logger: new SimLogger(),
    }),
  };
  counting.sink.setRules(new CompiledRules(rules, (_, error) => assert.fail(String(error))));
  return counting;
}

function feed({ sink }: { readonly sink: MessageSink }, messages: readonly Message[]): void {
  for (const [offset, one] of messages.entries()) {
    const bytes = new Uint8Array(messageRecordBytes(one) + 7).fill(0x31);
    writeMessageRecord(bytes, 3, one);
    sink.take(offset, bytes, 3, bytes.length - 4);
  }
}

function stored({ sink }: { readonly sink: MessageSink }): unknown {
  const { batch, counters } = sink;
  const { count } = batch;
  return {
    points: Array.from({ length: count }, (_, i) => [batch.series[i], batch.times[i], batch.values[i]]),
    texts: [batch.textSeries, batch.textTimes, batch.texts],
    counters,
  };
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

test("Basic Ingest is stored by the rule that it names, as if it had come to the rest of its topic", () => {
  const rules: readonly StoreRule[] = [
    { ruleName: "named", sql: "SELECT * FROM 'elsewhere'", fromOffset: 0 },
    { ruleName: "other", sql: "SELECT * FROM '#'", fromOffset: 0 },
  ];
  const payload = { v: 1 };
  for (const learning of [true, false]) {
    const direct = sinkOf([EVERYTHING], learning);
    feed(
      direct,
      Array.from({ length: 3 }, () => message(payload, { receivedAt: 7, topic: "telemetry/pump/engine" })),
    );
    const ingested = sinkOf(rules, learning);
    feed(
      ingested,
      Array.from({ length: 3 }, () =>
        message(payload, { receivedAt: 7, topic: "$aws/rules/named/telemetry/pump/engine" }),
      ),
    );
    assert.deepEqual(stored(ingested), stored(direct));
    assert.equal(ingested.sink.counters.points, 3);
  }
});

describe("messages that are like the one before", () => {
  test("are stored without being decoded, until another sender or another rule has a say", () => {
    const counting = sinkOf([EVERYTHING, { ...EVERYTHING, ruleName: "later", fromOffset: 500 }], true);
    const alone = sinkOf([EVERYTHING], true);
    const messages = Array.from({ length: 300 }, (_, n) => message({ temperature: n / 10, on: n % 2 === 0 }, {}));
    feed(counting, messages);
    feed(alone, messages);
    assert.deepEqual([alone.decoded, alone.sink.counters.points], [1, 600]);
    assert.equal(counting.decoded, 300, "a rule that begins later is not passed over");
    const other = { ...messages[0]!, clientId: "another", thing: null };
    feed(alone, [other]);
    assert.deepEqual([alone.decoded, alone.sink.counters.points], [2, 602]);
  });

  test("a rule that selects or tests sees every message", () => {
    for (const sql of ["SELECT temperature FROM 'telemetry/#'", "SELECT * FROM 'telemetry/#' WHERE temperature > 5"]) {
      const counting = sinkOf([{ ...EVERYTHING, sql }], true);
      feed(
        counting,
        Array.from({ length: 20 }, (_, n) => message({ temperature: n, humidity: 1 }, {})),
      );
      assert.equal(counting.decoded, 20, sql);
    }
  });

  test("leave the same points, texts, series and counters as the long way, whatever comes in between", () => {
    const payload = fc.oneof(
      {
        weight: 4,
        arbitrary: fc
          .tuple(fc.integer({ min: -50, max: 50 }), fc.boolean())
          .map(([a, b]) => `{"a":${a / 10},"b":${b}}`),
      },
      fc.integer({ min: 0, max: 3e12 }).map((ts) => `{"ts":${ts},"a":1}`),
      fc.constantFrom(
        '{"a":"text","b":true}',
        "{",
        "",
        '{"a":1e400}',
        '{"a":null,"b":false}',
        '{"z":{"y":[1,2,3,4,5,6,7,8,9,10,11,12,13]}}',
      ),
      fc.double().map((a) => `{"a":${a},"b":true}`),
    );
    const messages = fc.array(
      fc.record({
        payload,
        topic: fc.constantFrom("telemetry/pump/state", "telemetry/pump", "telemetry/valve/state", "other/pump"),
        clientId: fc.constantFrom("one", "two"),
        thing: fc.constantFrom("pump", null),
        sequence: fc.option(fc.integer({ min: 1, max: 6 })),
        retain: fc.boolean(),
        qos: fc.constantFrom(0 as const, 1 as const),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(messages, (sent) => {
        const all = sent.map(({ payload: text, sequence, ...rest }, n): Message => {
          const userProperties = [["tw-outbox", "box"] as const, ["tw-seq", String(sequence)] as const];
          const properties = sequence === null ? null : { userProperties };
          return { ...rest, payload: bytesOf(text), receivedAt: Date.UTC(2026, 0, 1) + n, properties };
        });
        const [quick, slow] = [sinkOf([EVERYTHING], true), sinkOf([EVERYTHING], false)];
        feed(quick, all);
        feed(slow, all);
        assert.deepEqual(stored(quick), stored(slow));
      }),
      { numRuns: 1_000, seed: 3 },
    );
  });
});
