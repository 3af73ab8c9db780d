/** The broker's journal on a real log in a temporary folder. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { LIMITS, encodeUtf8, isTidewireError } from "../base/mod.ts";
import type { Message } from "../base/mod.ts";
import { fileCrc32, openLogDirectory } from "../adapters/files/mod.ts";
import type { Journal } from "../broker/ports.ts";
import { Log } from "../log/mod.ts";
import { PacketReader, PacketWriter } from "../wire/mqtt/mod.ts";
import type { PacketHandler, PublishView } from "../wire/mqtt/mod.ts";
import { encodePublisher } from "../wire/record/mod.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { LogJournal } from "./journal.ts";

class Scene {
  readonly clock = new SimClock();
  readonly logger = new SimLogger();
  readonly metrics = new SimMetrics();
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  static async make(context: TestContext): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), "tidewire-journal-"));
    context.after(() => rm(folder, { recursive: true, force: true }));
    return new Scene(folder);
  }

  async open(): Promise<{ readonly log: Log; readonly journal: LogJournal }> {
    const { clock, logger, metrics } = this;
    const directory = await openLogDirectory(this.folder);
    const scheduler = {
      after: () => () => {},
      every: () => () => {},
      defer: (task: () => void) => void setImmediate(task),
    };
    const ports = { directory, crc32: fileCrc32, clock, scheduler, random: new SimRandom(1), logger, metrics };
    const log = await Log.open({ ...ports, limits: LIMITS.log });
    return { log, journal: new LogJournal({ log, clock, logger, metrics }) };
  }
}

/** Hands `use` the view of a PUBLISH as the broker gets it. */
function publish(
  packet: { readonly topic: string; readonly payload: string; readonly properties?: Message["properties"] },
  use: (view: PublishView) => void,
): void {
  const { topic, payload, properties = null } = packet;
  const writer = new PacketWriter(5);
  writer.connack({ sessionPresent: false, reasonCode: 0 });
  writer.publish({ topic, payload: encodeUtf8(payload), qos: 1, retain: true, dup: false, packetId: 7, properties });
  const ignore = (): void => {};
  const handler = new Proxy({} as PacketHandler, { get: (_target, packet) => (packet === "publish" ? use : ignore) });
  new PacketReader(handler, { role: "client", version: 5, limits: LIMITS.mqtt }).push(writer.take());
}

const TOPIC = "telemetry/press-1/tempé";
const NOW = 1_700_000_000_000;
const PUBLISHER = { clientId: "press-1-client", thing: "press-1" };
const PROPERTIES = { contentType: "application/json", userProperties: [["tw-seq", "5"]] } as const;

test("a PUBLISH becomes the message that every consumer reads, durable when the log says so", async (context) => {
  const scene = await Scene.make(context);
  const { log, journal } = await scene.open();
  const port: Journal = journal; // what the broker asks for
  const durable: number[] = [];
  port.onDurable((below) => durable.push(below));
  publish({ topic: "telemetry/press-1/tempé", payload: "21.5", properties: PROPERTIES }, (view) => {
    assert.equal(port.append(TOPIC, view, PUBLISHER, NOW, false), 0);
  });
  assert.equal(port.durable, 0);
  await log.flush();
  assert.deepEqual([port.durable, durable], [1, [1]]);
  const message = await port.read(0);
  assert.deepEqual(message && { ...message, payload: Buffer.from(message.payload).toString() }, {
    topic: "telemetry/press-1/tempé",
    payload: "21.5",
    qos: 1,
    retain: true,
    ...PUBLISHER,
    receivedAt: NOW,
    properties: PROPERTIES,
  });
  assert.equal(await port.read(1), null);
  await log.close();
});

test("a caller that has its publisher as bytes saves the encoding, and gets the same record", async (context) => {
  const { log, journal } = await (await Scene.make(context)).open();
  const topic = "a/ü";
  publish({ topic, payload: "x" }, (view) => {
    journal.append(topic, view, PUBLISHER, NOW, false);
    journal.append(topic, view, { ...PUBLISHER, encoded: encodePublisher(PUBLISHER) }, NOW, false);
  });
  assert.deepEqual(await log.read(1), await log.read(0));
  await log.close();
});

test("messages without a packet, and the replay of everything after a restart", async (context) => {
  const scene = await Scene.make(context);
  const { log, journal } = await scene.open();
  const will: Message = {
    topic: "state/press-1",
    payload: encodeUtf8("offline"),
    qos: 1,
    retain: true,
    clientId: "press-1",
    thing: null,
    receivedAt: scene.clock.now(),
    properties: null,
  };
  for (let i = 0; i < 5_000; i++) journal.appendMessage({ ...will, payload: encodeUtf8(`offline ${i}`) });
  await log.close();

  const again = await scene.open();
  const kept: { readonly offset: number; readonly message: Message }[] = [];
  for await (const entry of again.journal.replay(3)) {
    if (entry.kind === "message") kept.push(entry); // beyond its batch: must not change
  }
  assert.equal(kept.length, 4_997);
  for (const [i, { offset, message }] of kept.entries()) {
    assert.equal(offset, i + 3);
    assert.deepEqual(
      { ...message, payload: Buffer.from(message.payload).toString() },
      { ...will, payload: `offline ${offset}` },
    );
  }
  await again.log.close();
});

test("notes and packet identifiers are replayed in their places, and nobody who reads messages meets them", async (context) => {
  const scene = await Scene.make(context);
  const { log, journal } = await scene.open();
  const note = { clientId: "press-1-client", released: [7], received: [], sent: [40_000, 0, 0] };
  publish({ topic: "a", payload: "1" }, (view) => {
    assert.equal(journal.append("a", view, PUBLISHER, NOW, true), 0);
    assert.equal(journal.appendNote(note), 1);
    assert.equal(journal.append("a", view, PUBLISHER, NOW, false), 2);
  });
  assert.equal(journal.appendNote({ ...note, released: [8], sent: [] }), 3);
  await log.flush();
  const replayed: unknown[] = [];
  for await (const entry of journal.replay(0)) replayed.push(entry.kind === "note" ? entry.note : entry.packetId);
  assert.deepEqual(replayed, [7, note, 0, { ...note, released: [8], sent: [] }]);
  assert.deepEqual([await journal.read(1), (await journal.read(2))?.topic], [null, "a"]);
  assert.equal(await journal.newestAt(), scene.clock.now(), "a note tells the time as well");
  assert.equal(scene.metrics.value("tidewire_log_unreadable_records_total"), 0);
  await log.close();
});

test("a record that is no message is skipped, logged and counted; the others are replayed", async (context) => {
  const scene = await Scene.make(context);
  const { log, journal } = await scene.open();
  publish({ topic: "a", payload: "1" }, (view) => void journal.append("a", view, PUBLISHER, NOW, false));
  log.append(Uint8Array.of(0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9)); // of a version that nobody knows
  publish({ topic: "b", payload: "2" }, (view) => void journal.append("b", view, PUBLISHER, NOW, false));
  await log.flush();
  const topics: string[] = [];
  for await (const entry of journal.replay(0)) topics.push(entry.kind === "message" ? entry.message.topic : "a note");
  assert.deepEqual(topics, ["a", "b"]);
  assert.equal(await journal.read(1), null);
  assert.equal(scene.metrics.value("tidewire_log_unreadable_records_total"), 2);
  await log.close();
});

test("what the log cannot take, the journal refuses with the log's code", async (context) => {
  const { log, journal } = await (await Scene.make(context)).open();
  await log.close();
  publish({ topic: "a", payload: "1" }, (view) => {
    assert.throws(
      () => journal.append("a", view, PUBLISHER, NOW, false),
      (error: unknown) => isTidewireError(error) && error.code === "LOG_FAILED",
    );
  });
});
