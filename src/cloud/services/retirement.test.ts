import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerWorld } from "../../../sim/broker.ts";
import { minutes } from "../../base/mod.ts";
import { apiWorld } from "../api/api.fixture.ts";
import type { ApiWorld } from "../api/api.fixture.ts";
import type { RetirementPorts } from "./retirement.ts";

const NOTHING = { connections: 0, sessions: 0, queued: 0, retained: 0 };

async function deviceOf(world: ApiWorld, ...things: readonly string[]): Promise<string> {
  const { certificatePem, facts } = await world.authority.createDeviceKeyAndCertificate(String(things[0]));
  const { certificateId } = world.registry.certificates.register(certificatePem, facts);
  for (const thing of things) {
    world.registry.things.create(thing);
    world.registry.things.attach(thing, certificateId);
  }
  return certificateId;
}

test("what failed in the middle goes on by itself, also with the next platform", async () => {
  await using world = await apiWorld();
  const { retirements } = world.provisioning;
  const certificateId = await deviceOf(world, "pump-7");
  let failures = 2;
  const erased: string[] = [];
  const ports: RetirementPorts = {
    broker: {
      forgetThing: () => (failures-- > 0 ? Promise.reject(new Error("the disk is full")) : Promise.resolve(NOTHING)),
    },
    eraseData: async (thing) => void erased.push(thing),
  };
  retirements.start(ports);
  const answer = await world.ask("POST", "/api/things/pump-7/retire", { eraseData: true });
  assert.equal(answer.status, 500);
  assert.equal(world.registry.certificates.describe(certificateId).status, "REVOKED", "the first step is done");
  retirements.start(ports); // the next platform; it fails once more, and tries again
  await world.clock.run(minutes(1));
  assert.deepEqual((await world.ask("GET", "/api/retirements")).json, { pending: [] });
  assert.deepEqual(erased, ["pump-7"]);
  assert.equal(world.registry.things.find("pump-7"), undefined);
});

test("a certificate that stands for another thing too is only let go", async () => {
  await using world = await apiWorld();
  const { retirements } = world.provisioning;
  retirements.start({ broker: { forgetThing: () => Promise.resolve(NOTHING) }, eraseData: null });
  const certificateId = await deviceOf(world, "a", "b");
  assert.equal((await retirements.retire("a", { eraseData: false, blockName: false })).certificatesRevoked, 0);
  assert.equal(world.registry.certificates.describe(certificateId).status, "ACTIVE");
  assert.deepEqual(
    world.registry.things.ofPrincipal(certificateId).map(({ thingName }) => thingName),
    ["b"],
  );
  const erase = await world.ask("POST", "/api/things/b/retire", { eraseData: true });
  assert.match(erase.text, /cannot erase data/);
  assert.notEqual(world.registry.things.find("b"), undefined, "nothing was begun");
});

test("sessions end without wills, with what they owe; retained messages of the thing go, others' stay", async () => {
  const world = await BrokerWorld.started();
  const will = {
    topic: "w",
    payload: new Uint8Array(1),
    qos: 0,
    retain: false,
    delaySeconds: 0,
    properties: null,
  } as const;
  const device = await world.connected("d", { will, sessionExpirySeconds: 600 });
  const watcher = (await world.connected("w")).subscribe("w");
  device.publish("telemetry/thing-d/x", "1", { retain: true, qos: 1, packetId: 1 });
  watcher.publish("other", "1", { retain: true, qos: 1, packetId: 1 });
  await world.run(5_000);
  const forgetting = world.broker.forgetThing("thing-d", (_offset, { thing }) => thing === "thing-d");
  await world.run(5_000);
  const done = await forgetting;
  assert.deepEqual([done.connections, done.sessions, done.retained], [1, 1, 1]);
  assert.equal(device.open, false);
  assert.deepEqual(watcher.publishes, []);
  const next = (await world.connected("n")).subscribe("#");
  await world.run();
  assert.deepEqual(next.take(), ["other=1"]);
  assert.equal(
    (await world.connected("d", { cleanStart: false, sessionExpirySeconds: 600 })).last("connack")?.sessionPresent,
    false,
  );
});
