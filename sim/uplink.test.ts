/** Outbox → uplink → network → broker under seeded faults: every accepted reading arrives, once after de-duplication. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AgentWorld } from "./agent-world.ts";

const SEEDS = Number(process.env["TIDEWIRE_SIM_SEEDS"] ?? 600);
const FIRST_SEED = Number(process.env["TIDEWIRE_SIM_FIRST_SEED"] ?? 1);

type FaultName = keyof typeof FAULTS;

const FAULTS = {
  cut: (world: AgentWorld) => world.broker.cut(),
  stall: (world: AgentWorld) => (world.broker.mode = "silent"),
  refuse: (world: AgentWorld) => {
    world.broker.mode = "refusing";
    world.broker.cut();
  },
  recover: (world: AgentWorld) => (world.broker.mode = "open"),
  kill: (world: AgentWorld) => world.kill(),
  "shut down": (world: AgentWorld) => world.broker.kick(0x8b),
  "take over": (world: AgentWorld) => world.broker.kick(0x8e),
  "disk full": (world: AgentWorld) => (world.store.fault = () => "full"),
  "disk fails": (world: AgentWorld) => (world.store.fault = () => "failed"),
  "disk recovers": (world: AgentWorld) => (world.store.fault = () => null),
  "no acknowledgements": (world: AgentWorld) => (world.broker.behaviour.puback = () => null),
  acknowledgements: (world: AgentWorld) => (world.broker.behaviour.puback = () => 0),
  "slow acknowledgements": (world: AgentWorld) => (world.broker.behaviour.pubackDelay = () => world.random.below(3000)),
};

function scenario(seed: number, faults: readonly FaultName[]): AgentWorld {
  const world = new AgentWorld(seed);
  const { random, broker } = world;
  broker.behaviour.connack = () => ({ reasonCode: 0, receiveMaximum: random.pick([1, 3, 10, 1000]) });
  let text = 0;
  for (let i = 0; i < 80; i++) {
    for (let burst = random.chance(0.1) ? random.below(40) : 1; burst > 0; burst--)
      world.put(`reading ${seed}/${++text}`);
    if (random.chance(0.15)) FAULTS[random.pick(faults)](world);
    world.run(random.chance(0.1) ? random.below(60_000) : 1 + random.below(1500));
  }
  for (const repair of ["recover", "disk recovers", "acknowledgements"] as const) FAULTS[repair](world);
  broker.behaviour.pubackDelay = () => 0;
  for (let i = 0; i < 100 && (world.agent.outbox.statistics().waiting > 0 || i === 0); i++) world.run(10_000);
  return world;
}

function check(world: AgentWorld): void {
  const { stored } = world.broker;
  const { waiting, dropped } = world.agent.outbox.statistics();
  assert.equal(waiting, 0, "the outbox is empty in the end");
  assert.equal(dropped, 0);
  const found = new Map(stored.map(({ sequence, payload }) => [sequence, payload]));
  assert.equal(found.size, stored.length, "one outbox, each number once");
  for (const [sequence, text] of world.accepted) {
    assert.equal(found.get(sequence), text, `reading ${sequence} arrived as it was accepted`);
  }
  assert.equal(found.size, world.accepted.size, "nothing arrived that was not accepted");
  assert.ok(world.broker.mostUnacknowledged <= 100);
}

test(`${SEEDS} seeds: cuts, stalls, kills, dead disks: every accepted reading arrives, in order`, () => {
  const faults = Object.keys(FAULTS) as FaultName[];
  let doubles = 0;
  let kills = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      const world = scenario(seed, faults);
      check(world);
      const order = world.broker.stored.map(({ sequence }) => sequence);
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
        "in order",
      );
      doubles += world.broker.arrivals.length - world.broker.stored.length;
      kills += world.store.commits > 0 ? 1 : 0;
    } catch (error) {
      throw new Error(`seed ${seed} (TIDEWIRE_SIM_FIRST_SEED=${seed} TIDEWIRE_SIM_SEEDS=1 replays it)`, {
        cause: error,
      });
    }
  }
  assert.ok(doubles > SEEDS, `the faults must make doubles, else this tests nothing (${doubles})`);
  assert.ok(kills > 0);
});

test(`${SEEDS / 2} seeds with a platform that refuses for the moment: every accepted reading arrives all the same`, () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS / 2; seed++) {
    try {
      const world = new AgentWorld(seed);
      const { random, broker } = world;
      let refusing = true;
      broker.behaviour.puback = () => (refusing && random.chance(0.2) ? random.pick([0x97, 0x80, 0x83, 0x91]) : 0);
      for (let i = 0; i < 60; i++) {
        world.put(`reading ${seed}/${i}`);
        if (random.chance(0.05)) broker.cut();
        if (random.chance(0.05)) world.kill();
        world.run(1 + random.below(1500));
      }
      refusing = false;
      for (let i = 0; i < 100 && (world.agent.outbox.statistics().waiting > 0 || i === 0); i++) world.run(10_000);
      check(world);
      assert.equal(world.agent.outbox.statistics().refused, 0);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
