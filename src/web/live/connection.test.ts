import assert from "node:assert/strict";
import { test } from "node:test";
import { CONNECTION, retryDelay, step } from "./connection.ts";
import type { ConnectionInput, ConnectionState } from "./connection.ts";

const NOW = 1_000_000;

const STATES: Readonly<Record<string, ConnectionState>> = {
  stopped: { kind: "stopped" },
  connecting: { kind: "connecting", attempt: 2, since: NOW - 1000 },
  connectingLong: { kind: "connecting", attempt: 2, since: NOW - CONNECTION.connectTimeout - 1 },
  open: { kind: "open", attempt: 2, since: NOW - 1000, heardAt: NOW - 500, pingedAt: null },
  openLong: { kind: "open", attempt: 2, since: NOW - 60_000, heardAt: NOW - 500, pingedAt: null },
  silent: { kind: "open", attempt: 0, since: NOW - 60_000, heardAt: NOW - CONNECTION.silenceMax - 1, pingedAt: null },
  pinged: { kind: "open", attempt: 0, since: NOW - 60_000, heardAt: NOW - 20_000, pingedAt: NOW - 1000 },
  dead: {
    kind: "open",
    attempt: 0,
    since: NOW - 60_000,
    heardAt: NOW - 60_000,
    pingedAt: NOW - CONNECTION.answerTimeout - 1,
  },
  waiting: { kind: "waiting", attempt: 3, retryAt: NOW + 1 },
  waitingDue: { kind: "waiting", attempt: 3, retryAt: NOW },
  offline: { kind: "offline", attempt: 0 },
};

/** For each input: state → "next state: effects". What is not listed stays as it is, without effects. */
const TABLE: Readonly<Record<ConnectionInput["type"], Readonly<Record<string, string>>>> = {
  start: { stopped: "connecting 0: connect" },
  stop: Object.fromEntries(
    Object.keys(STATES)
      .filter((name) => name !== "stopped")
      .map((name) => [name, "stopped: close"]),
  ),
  opened: { connecting: "open 2:", connectingLong: "open 2:" },
  heard: {},
  lost: {
    connecting: "waiting 3: check-session",
    connectingLong: "waiting 3: check-session",
    open: "waiting 3: check-session",
    openLong: "waiting 1: check-session",
    silent: "waiting 1: check-session",
    pinged: "waiting 1: check-session",
    dead: "waiting 1: check-session",
  },
  tick: {
    connectingLong: "waiting 3: close,check-session",
    silent: "open 0: ping",
    dead: "waiting 1: close,check-session",
    waitingDue: "connecting 3: connect",
  },
  "retry-now": {
    waiting: "connecting 3: connect",
    waitingDue: "connecting 3: connect",
    offline: "connecting 0: connect",
  },
  "network-up": {
    waiting: "connecting 0: connect",
    waitingDue: "connecting 0: connect",
    offline: "connecting 0: connect",
  },
  "network-down": Object.fromEntries(
    Object.keys(STATES)
      .filter((name) => name !== "stopped" && name !== "offline")
      .map((name) => [name, "offline 0: close"]),
  ),
};

function told(state: ConnectionState): string {
  return state.kind === "stopped" ? "stopped" : `${state.kind} ${state.attempt}`;
}

for (const [type, changes] of Object.entries(TABLE)) {
  test(`every state on "${type}"`, () => {
    for (const [name, state] of Object.entries(STATES)) {
      const next = step(state, { type } as ConnectionInput, NOW, 0.5);
      const effects = next.effects.map((effect) => effect.type).join(",");
      assert.equal(`${told(next.state)}: ${effects}`.trim(), changes[name] ?? `${told(state)}:`, `${name} on ${type}`);
    }
  });
}

test("anything heard is a sign of life and answers a ping", () => {
  const { state } = step(STATES["dead"]!, { type: "heard" }, NOW, 0);
  assert.deepEqual(state, { ...STATES["dead"], heardAt: NOW, pingedAt: null });
  assert.deepEqual(step(state, { type: "tick" }, NOW + 1, 0).effects, []);
});

test("retries wait longer and longer, up to a limit, and never all browsers at once", () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7, 50].map((n) => retryDelay(n, 1)),
    [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
  );
  assert.equal(retryDelay(3, 0), 2000);
});

test("a server that accepts and drops at once is not hammered", () => {
  let state: ConnectionState = { kind: "stopped" };
  let now = NOW;
  let connects = 0;
  const input = (type: ConnectionInput["type"]): void => {
    const next = step(state, { type }, now, 0.5);
    state = next.state;
    for (const effect of next.effects) {
      if (effect.type !== "connect") continue;
      connects++;
      state = step(step(state, { type: "opened" }, now, 0.5).state, { type: "lost" }, now, 0.5).state;
    }
  };
  input("start");
  for (; now < NOW + 120_000; now += 250) input("tick");
  assert.ok(connects >= 5 && connects <= 12, `${connects} connects in two minutes`);
});
