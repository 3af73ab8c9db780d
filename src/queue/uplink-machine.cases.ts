/** Every (state, input) pair of the uplink's machine: what follows. Times: now is 100 s, jitter 0, so delays are halves. */
import { LIMITS } from "../base/mod.ts";
import type { UplinkInput, UplinkState } from "./uplink-machine.ts";

export const NOW = 100_000;
const { keepAlive, acknowledgeTimeout } = LIMITS.edge;

export const STATES = {
  stopped: { name: "stopped" },
  waiting: { name: "waiting", until: NOW + 1000, attempt: 3 },
  "waiting, due": { name: "waiting", until: NOW, attempt: 3 },
  opening: { name: "opening", deadline: NOW + 1000, attempt: 3 },
  "opening, overdue": { name: "opening", deadline: NOW, attempt: 3 },
  greeting: { name: "greeting", deadline: NOW + 1000, attempt: 3 },
  "greeting, overdue": { name: "greeting", deadline: NOW, attempt: 3 },
  online: { name: "online", since: NOW - 60_000, attempt: 3, keepAlive, lastSent: NOW - 10, pingDeadline: null },
  "online, just now": {
    name: "online",
    since: NOW - 10,
    attempt: 3,
    keepAlive,
    lastSent: NOW - 10,
    pingDeadline: null,
  },
  "online, idle": { name: "online", since: NOW, attempt: 0, keepAlive, lastSent: NOW - keepAlive, pingDeadline: null },
  "online, no keep-alive": {
    name: "online",
    since: NOW,
    attempt: 0,
    keepAlive: 0,
    lastSent: NOW - keepAlive,
    pingDeadline: null,
  },
  "online, pinged": {
    name: "online",
    since: NOW - 60_000,
    attempt: 0,
    keepAlive,
    lastSent: NOW - 10,
    pingDeadline: NOW + 10,
  },
  "online, ping overdue": {
    name: "online",
    since: NOW - 60_000,
    attempt: 0,
    keepAlive,
    lastSent: NOW - 10,
    pingDeadline: NOW,
  },
  draining: { name: "draining", deadline: NOW + 1000 },
  "draining, overdue": { name: "draining", deadline: NOW },
} as const satisfies Record<string, UplinkState>;

const reset = { kind: "reset", detail: "ECONNRESET" } as const;

export const INPUTS = {
  start: { type: "start" },
  "stop, nothing on the way": { type: "stop", inflight: 0 },
  "stop, readings on the way": { type: "stop", inflight: 2 },
  opened: { type: "opened" },
  accepted: { type: "accepted", keepAlive },
  "refused, busy": { type: "refused", reasonCode: 0x89 },
  "refused, not authorized": { type: "refused", reasonCode: 0x87 },
  sent: { type: "sent" },
  pong: { type: "pong" },
  "dismissed, shutting down": { type: "dismissed", reasonCode: 0x8b },
  "dismissed, taken over": { type: "dismissed", reasonCode: 0x8e },
  fault: { type: "fault", reasonCode: 0x81, detail: "QoS 3" },
  closed: { type: "closed", cause: reset },
  "closed, certificate": { type: "closed", cause: { kind: "client-certificate", detail: "alert" } },
  settled: { type: "settled" },
  time: { type: "time", unacknowledgedSince: null },
  "time, one acknowledgement overdue": { type: "time", unacknowledgedSince: NOW - acknowledgeTimeout },
} as const satisfies Record<string, UplinkInput>;

/** Next state's name, then the effects in order, as words; a delay follows `lost`. */
type Outcome = string;

/** With attempt 3: 250 ms × 2³ halved. */
const GROWN = "lost 1000";
/** After a good connection the delays start again. */
const FRESH = "lost 125";
const PATIENT = "lost 15000";

const attemptFails = {
  "refused, busy": `waiting: drop, ${GROWN}`,
  "refused, not authorized": `waiting: drop, ${PATIENT}`,
  "dismissed, shutting down": `waiting: drop, ${GROWN}`,
  "dismissed, taken over": `waiting: drop, ${PATIENT}`,
  closed: `waiting: ${GROWN}`,
  "closed, certificate": `waiting: ${PATIENT}`,
  "stop, nothing on the way": "stopped: drop, stopped",
  "stop, readings on the way": "stopped: drop, stopped",
};

const online = {
  "stop, nothing on the way": "stopped: farewell 0, stopped",
  "stop, readings on the way": "draining",
  accepted: "online: serve",
  sent: "online",
  pong: "online",
  "dismissed, shutting down": `waiting: drop, ${FRESH}`,
  "dismissed, taken over": `waiting: drop, ${PATIENT}`,
  fault: `waiting: farewell 129, ${FRESH}`,
  closed: `waiting: ${FRESH}`,
  "closed, certificate": `waiting: ${PATIENT}`,
  "time, one acknowledgement overdue": `waiting: drop, ${FRESH}`,
};

const draining = {
  "dismissed, shutting down": "stopped: drop, stopped",
  "dismissed, taken over": "stopped: drop, stopped",
  fault: "stopped: drop, stopped",
  closed: "stopped: stopped",
  "closed, certificate": "stopped: stopped",
  settled: "stopped: farewell 0, stopped",
};

/** What is not named here changes nothing. */
export const OUTCOMES: Readonly<Record<keyof typeof STATES, Readonly<Partial<Record<keyof typeof INPUTS, Outcome>>>>> =
  {
    stopped: { start: "opening: open" },
    waiting: { "stop, nothing on the way": "stopped: stopped", "stop, readings on the way": "stopped: stopped" },
    "waiting, due": {
      "stop, nothing on the way": "stopped: stopped",
      "stop, readings on the way": "stopped: stopped",
      time: "opening: open",
      "time, one acknowledgement overdue": "opening: open",
    },
    opening: { ...attemptFails, opened: "greeting: greet", fault: `waiting: drop, ${GROWN}` },
    "opening, overdue": {
      ...attemptFails,
      opened: "greeting: greet",
      fault: `waiting: drop, ${GROWN}`,
      time: `waiting: drop, ${GROWN}`,
      "time, one acknowledgement overdue": `waiting: drop, ${GROWN}`,
    },
    greeting: { ...attemptFails, accepted: "online: serve", fault: `waiting: farewell 129, ${GROWN}` },
    "greeting, overdue": {
      ...attemptFails,
      accepted: "online: serve",
      fault: `waiting: farewell 129, ${GROWN}`,
      time: `waiting: drop, ${GROWN}`,
      "time, one acknowledgement overdue": `waiting: drop, ${GROWN}`,
    },
    online,
    "online, just now": {
      ...online,
      "dismissed, shutting down": `waiting: drop, ${GROWN}`,
      fault: `waiting: farewell 129, ${GROWN}`,
      closed: `waiting: ${GROWN}`,
      "time, one acknowledgement overdue": `waiting: drop, ${GROWN}`,
    },
    "online, idle": { ...online, time: "online: ping" },
    "online, no keep-alive": online,
    "online, pinged": online,
    "online, ping overdue": { ...online, time: `waiting: drop, ${FRESH}` },
    draining,
    "draining, overdue": {
      ...draining,
      time: "stopped: farewell 0, stopped",
      "time, one acknowledgement overdue": "stopped: farewell 0, stopped",
    },
  };
