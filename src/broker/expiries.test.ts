import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { days, seconds } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";

/** Clients whose admissions end at a time of their own; undefined: never. */
async function worldWith(ends: Readonly<Record<string, number | undefined>>): Promise<BrokerWorld> {
  const world = await BrokerWorld.started({ limits: { keepAliveSecondsMax: 65_535 } });
  const start = world.clock.now();
  world.admit = (_peer, { clientId }) => {
    const end = ends[clientId];
    const admission = world.admission(clientId);
    assert.ok(admission.admitted);
    return end === undefined ? admission : { ...admission, principal: `jwt/${clientId}`, expiresAt: start + end };
  };
  return world;
}

const connected = async (world: BrokerWorld, ...names: readonly string[]): Promise<SimClient[]> => {
  const clients = names.map((clientId) => world.client().connect({ clientId, keepAliveSeconds: 65_535 }));
  await world.run();
  return clients;
};
const openOf = (clients: readonly SimClient[]): readonly boolean[] => clients.map((client) => client.open);

describe("connections whose credential ends", () => {
  test("each is ended within a second of its time, told why, and counted; the others go on", async () => {
    const world = await worldWith({ soon: seconds(10), later: seconds(40), never: undefined });
    const clients = await connected(world, "later", "soon", "never");
    await world.run(seconds(9));
    assert.deepEqual(openOf(clients), [true, true, true]);
    await world.run(seconds(2));
    assert.deepEqual(openOf(clients), [true, false, true]);
    const told = clients[1]!.last("disconnect");
    assert.equal(told?.reasonCode, REASON.notAuthorized);
    assert.match(told.reasonString ?? "", /expired/);
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "credential-expired" }), 1);
    assert.equal(world.presence.at(-1)?.principal, "jwt/soon");
    await world.run(seconds(60));
    assert.deepEqual(openOf(clients), [false, false, true]);
  });

  test("where the clock leaps ahead, whoever has expired by it goes at once; where it leaps back, nobody goes early", async () => {
    const world = await worldWith({ day: seconds(10), week: days(7) });
    const clients = await connected(world, "day", "week");
    world.clock.jump(-3650 * days(1));
    await world.run(seconds(60));
    assert.deepEqual(openOf(clients), [true, true]);
    world.clock.jump(days(3650));
    await world.run(seconds(1));
    assert.deepEqual(openOf(clients), [false, true]);
    world.clock.jump(days(3650));
    await world.run(seconds(1));
    assert.deepEqual(openOf(clients), [false, false]);
  });

  test("a thousand that expire together go in several turns; those that have left by themselves leave nothing behind", async () => {
    const names = Array.from({ length: 1_000 }, (_, n) => `c${n}`);
    const world = await worldWith(Object.fromEntries(names.map((name) => [name, seconds(30)])));
    const clients = await connected(world, ...names);
    for (const client of clients.slice(0, 500)) client.cut();
    await world.run(seconds(31));
    assert.ok(clients.every((client) => !client.open));
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "credential-expired" }), 500);
  });
});
