/** Endings of those who are never let in. */
import type { BrokerWorld } from "../../sim/broker.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { ConnectPacket } from "../wire/mqtt/mod.ts";
import { kept, will } from "./endings.fixture.ts";
import type { Ending } from "./endings.fixture.ts";

const connect =
  (packet: Partial<ConnectPacket>, before: (world: BrokerWorld) => unknown = () => {}): Ending["act"] =>
  async (world, version) => {
    await before(world);
    return world.connected("c1", { version, ...packet });
  };

export const NEVER_IN: readonly Ending[] = [
  {
    what: "no CONNECT in time",
    callers: ['sweep.ts "connect-timeout"'],
    act: async (world, version) => {
      const client = world.client({ version });
      await world.run(world.limits.connectTimeout + 1000);
      return client;
    },
    connack: [null, null],
    reason: "connect-timeout",
  },
  {
    what: "no CONNECT yet, while others wait",
    callers: ['core.ts "connect-timeout"'],
    options: { limits: { greetingsMax: 1 } },
    act: async (world, version) => {
      const client = world.client({ version });
      world.client({ version });
      return client;
    },
    connack: [null, null],
    reason: "connect-timeout",
  },
  {
    what: "one address connects too often",
    callers: ["connect.ts CONNECT_RATE.kind"],
    options: { limits: { connectionsPerAddressMax: 1, connectsPerSecondPerAddressMax: 1 } },
    act: connect({}, (world) => world.connected("first")),
    connack: [REASON.connectionRateExceeded, 3],
    reason: "connect-rate",
  },
  {
    what: "a CONNECT that is malformed (5.0; 3.1.1 is closed without a word)",
    callers: ["connection.ts kind"],
    act: async (world, version) => {
      const client = world.client({ version });
      const five = [5, 0x03, 0, 60, 0, 0, 1, 0x61];
      const body = [0, 4, 0x4d, 0x51, 0x54, 0x54, ...(version === 5 ? five : [4, 0x03, 0, 60, 0, 1, 0x61])];
      client.sendBytes(Uint8Array.of(0x10, body.length, ...body));
      return client;
    },
    connack: [REASON.malformedPacket, null],
    reason: "malformed-packet",
  },
  {
    what: "who may not connect",
    callers: ['welcome.ts "connect-refused"'],
    act: connect({}, (world) => {
      world.admit = () => ({ admitted: false, reasonCode: REASON.notAuthorized, reason: "no" });
    }),
    connack: [REASON.notAuthorized, 5],
    reason: "connect-refused",
  },
  {
    what: "an empty client id with a session to be kept (3.1.1)",
    callers: ["connect.ts refusal.kind"],
    act: (world) => world.connected("", { version: 4, cleanStart: false }),
    connack: [2, 2],
    reason: "client-id",
  },
  {
    what: "a will that its policy forbids",
    callers: ["welcome.ts refusal.kind"],
    act: connect({ will }, (world) => world.policy("c1").change({ publish: () => false })),
    connack: [REASON.notAuthorized, 5],
    reason: "will-refused",
  },
  {
    what: "one session more than are kept",
    callers: ["welcome.ts refusal.kind"],
    options: { limits: { sessionsMax: 1 } },
    act: connect({ ...kept }, (world) => world.connected("first", kept)),
    connack: [REASON.quotaExceeded, 3],
    reason: "sessions-full",
  },
  {
    what: "a method that we do not know",
    callers: ['authentication.ts "connect-refused"'],
    act: connect({ authenticationMethod: "X" }),
    connack: [REASON.badAuthenticationMethod, null],
    reason: "connect-refused",
    onlyFive: true,
  },
  {
    what: "an authentication that fails",
    callers: ["authentication.ts kind"],
    act: connect({ authenticationMethod: "X" }, (world) => {
      world.authenticate = () => ({
        step: () => ({ kind: "failed", reasonCode: REASON.badUserNameOrPassword, reason: "wrong" }),
      });
    }),
    connack: [REASON.badUserNameOrPassword, null],
    reason: "authentication-failed",
    onlyFive: true,
  },
  {
    what: "an authentication that is not finished",
    callers: ['authentication.ts "authentication-timeout"'],
    act: async (world, version) => {
      world.authenticate = () => ({ step: () => ({ kind: "continue", data: null }) });
      const client = await world.connected("c1", { version, authenticationMethod: "X" });
      await world.run(world.limits.connectTimeout + 1000);
      return client;
    },
    connack: [REASON.notAuthorized, null],
    reason: "authentication-timeout",
    onlyFive: true,
  },
  {
    what: "a gatekeeper that does not answer",
    callers: ['sweep.ts "gatekeeper-slow"'],
    act: async (world, version) => {
      world.admit = () => new Promise(() => {});
      const client = await world.connected("c1", { version });
      await world.run(world.limits.connectTimeout + 1000);
      return client;
    },
    connack: [REASON.serverBusy, 3],
    reason: "gatekeeper-slow",
  },
  {
    what: "a gatekeeper that fails",
    callers: ['connection.ts "internal"'],
    act: connect({}, (world) => {
      world.admit = () => Promise.reject(new Error("the registry is away"));
    }),
    connack: [REASON.unspecifiedError, 3],
    reason: "internal",
  },
];
