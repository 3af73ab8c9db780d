import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS } from "../base/mod.ts";
import { INPUTS, NOW, OUTCOMES, STATES } from "./uplink-machine.cases.ts";
import type { UplinkContext, UplinkEffect, UplinkState } from "./uplink-machine.ts";
import { deadlineOf, reconnectDelay, step } from "./uplink-machine.ts";

const CONTEXT: UplinkContext = { now: NOW, jitter: 0, limits: LIMITS.edge };

function word(effect: UplinkEffect): string {
  if (effect.type === "lost") return `lost ${effect.delay}`;
  if (effect.type === "farewell") return `farewell ${effect.reasonCode}`;
  return effect.type;
}

for (const [stateName, state] of Object.entries(STATES)) {
  for (const [inputName, input] of Object.entries(INPUTS)) {
    const expected = OUTCOMES[stateName as keyof typeof STATES][inputName as keyof typeof INPUTS];
    test(`${stateName} + ${inputName}: ${expected ?? "nothing changes"}`, () => {
      const next = step(state, input, CONTEXT);
      if (expected === undefined) {
        assert.deepEqual(next, { state, effects: [] });
        return;
      }
      const words = next.effects.map(word).join(", ");
      assert.equal(words === "" ? next.state.name : `${next.state.name}: ${words}`, expected);
    });
  }
}

test("a state that waits for something always has a deadline, and time at the deadline moves it on", () => {
  for (const [name, state] of Object.entries(STATES) as [string, UplinkState][]) {
    const deadline = deadlineOf(state, null, LIMITS.edge);
    if (state.name === "stopped" || name === "online, no keep-alive") assert.equal(deadline, null, name);
    else {
      assert.ok(deadline !== null, name);
      const late = { ...CONTEXT, now: Math.max(NOW, deadline) };
      assert.notDeepEqual(step(state, { type: "time", unacknowledgedSince: null }, late).state, state, name);
    }
  }
});

test("an unacknowledged reading brings its own deadline, also where no keep-alive was agreed", () => {
  const state = STATES["online, no keep-alive"];
  assert.equal(deadlineOf(state, NOW - 5, LIMITS.edge), NOW - 5 + LIMITS.edge.acknowledgeTimeout);
});

test("a ping leaves early enough to arrive within the keep-alive [MQTT-3.1.2-20]", () => {
  const deadline = deadlineOf(STATES.online, null, LIMITS.edge)!;
  assert.ok(deadline > NOW);
  assert.ok(deadline < STATES.online.lastSent + LIMITS.edge.keepAlive);
});

test("delays double up to the longest, and jitter spreads them over their upper half", () => {
  const loss = { kind: "timeout", of: "opening" } as const;
  const { reconnectDelayMin, reconnectDelayMax } = LIMITS.edge;
  const spread = [0, 1, 2, 3, 20, 1000].map((attempt) => [
    reconnectDelay(attempt, loss, CONTEXT),
    reconnectDelay(attempt, loss, { ...CONTEXT, jitter: 1 }),
  ]);
  assert.deepEqual(spread[0], [reconnectDelayMin / 2, reconnectDelayMin]);
  assert.deepEqual(spread[3], [4 * reconnectDelayMin, 8 * reconnectDelayMin]);
  assert.deepEqual(spread[5], [reconnectDelayMax / 2, reconnectDelayMax]);
});

test("attempts are counted through a failed one, and a good connection starts anew", () => {
  const failed = step(STATES.opening, INPUTS.closed, CONTEXT).state;
  assert.equal(failed.name === "waiting" && failed.attempt, 4);
  const good = step(STATES.online, INPUTS.closed, CONTEXT).state;
  assert.equal(good.name === "waiting" && good.attempt, 1);
});
