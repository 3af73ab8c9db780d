import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerWorld } from "../../../sim/broker.ts";
import { SimLogger } from "../../../sim/world.ts";
import { parseCheckpoint } from "../../audit/mod.ts";
import type { Checkpoint } from "../../audit/mod.ts";
import { publishAuditCheckpoints } from "./audit-checkpoints.ts";

const CHECKPOINT: Checkpoint = {
  version: 1,
  number: 7,
  entry: 812,
  hash: "a".repeat(64),
  time: Date.parse("2026-01-31T12:00:00Z"),
  previous: "b".repeat(64),
  key: "c".repeat(64),
  signature: "c2lnbmF0dXJl",
};

test("a checkpoint is a retained message: who comes later gets it too", async () => {
  const world = await BrokerWorld.started();
  let tell: (checkpoint: Checkpoint) => void = () => assert.fail("nobody listens");
  const audit = { onCheckpoint: (listener: typeof tell) => ((tell = listener), () => {}) };
  publishAuditCheckpoints({ audit, broker: world.broker, logger: new SimLogger() });
  tell(CHECKPOINT);
  const client = world.client().connect({ clientId: "collector" });
  await world.run();
  client.subscribe("$aws/events/tidewire/audit-checkpoint");
  await world.run();
  const [message] = client.publishes;
  assert.deepEqual(parseCheckpoint(JSON.parse(message!.payload)), CHECKPOINT);
  assert.equal(message!.retain, true);
});

test("a log that does not take it is told of, and nothing else happens", () => {
  const logger = new SimLogger();
  let tell: (checkpoint: Checkpoint) => void = () => assert.fail("nobody listens");
  const broker = {
    publishLocal: (): never => {
      throw new Error("the disk is full");
    },
  };
  publishAuditCheckpoints({ audit: { onCheckpoint: (listener) => ((tell = listener), () => {}) }, broker, logger });
  tell(CHECKPOINT);
  assert.ok(logger.lines.some(({ level, message }) => level === "warn" && /not published/.test(message)));
});
