import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { WorldOptions } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { AuthenticationExchange, AuthenticationStep } from "./ports.ts";

const text = (bytes: Uint8Array | null | undefined): string => new TextDecoder().decode(bytes ?? new Uint8Array(0));
const bytes = (words: string): Uint8Array => new TextEncoder().encode(words);
const METHOD = "RIDDLE";

/** The client names itself, is asked "riddle", must answer "answer", and is told "welcome". */
class Riddle implements AuthenticationExchange {
  readonly #world: BrokerWorld;
  readonly #clientId: string;
  readonly #later: boolean;
  #name: string | null = null;

  constructor(world: BrokerWorld, clientId: string, later: boolean) {
    this.#world = world;
    this.#clientId = clientId;
    this.#later = later;
  }

  step(data: Uint8Array | null): AuthenticationStep | Promise<AuthenticationStep> {
    const answer = this.#answer(text(data));
    if (!this.#later) return answer;
    return new Promise((resolve) => this.#world.clock.after(100, () => resolve(answer)));
  }

  #answer(words: string): AuthenticationStep {
    if (this.#name === null) {
      this.#name = words;
      return { kind: "continue", data: bytes("riddle") };
    }
    if (words === "more") return { kind: "continue", data: null };
    if (words !== "answer") return { kind: "failed", reasonCode: REASON.badUserNameOrPassword, reason: "wrong answer" };
    const admission = this.#world.admission(this.#clientId);
    return { kind: "authenticated", principal: this.#name, data: bytes("welcome"), admission };
  }
}

async function riddleWorld(later = false, options: WorldOptions = {}): Promise<BrokerWorld> {
  const world = await BrokerWorld.started(options);
  world.authenticate = (_peer, { authenticationMethod, clientId }) =>
    authenticationMethod === METHOD ? new Riddle(world, clientId, later) : null;
  return world;
}

const begin = (world: BrokerWorld, clientId = "c1", more: object = {}): SimClient =>
  world.client().connect({ clientId, authenticationMethod: METHOD, authenticationData: bytes("ada"), ...more });

function auth(client: SimClient, reasonCode: number, words: string, method: string | null = METHOD): SimClient {
  return client.send((w) => w.auth({ reasonCode, authenticationMethod: method, authenticationData: bytes(words) }));
}

const proceed = REASON.continueAuthentication;
const anew = REASON.reAuthenticate;

async function authenticated(world: BrokerWorld, more: object = {}): Promise<SimClient> {
  const client = begin(world, "c1", more);
  await world.run(200);
  auth(client, proceed, "answer");
  await world.run(200);
  assert.equal(client.last("connack")?.reasonCode, 0);
  return client;
}

for (const later of [false, true]) {
  describe(`enhanced authentication, answered ${later ? "later" : "at once"}`, () => {
    test("asks on with AUTH 0x18, without reason string or user properties [MQTT-3.15.2-2], [MQTT-3.15.2-3], [MQTT-4.12.0-2], [MQTT-4.12.0-3], and CONNACK names the method too [MQTT-4.12.0-5]", async () => {
      const world = await riddleWorld(later);
      const client = begin(world);
      await world.run(200);
      const asked = client.last("auth");
      assert.deepEqual(
        [asked?.reasonCode, asked?.authenticationMethod, text(asked?.authenticationData)],
        [0x18, METHOD, "riddle"],
      );
      assert.equal(client.last("connack"), undefined);
      assert.deepEqual([...world.broker.connections()], [], "it is not in yet");
      auth(client, proceed, "answer");
      await world.run(200);
      const connack = client.last("connack");
      assert.deepEqual(
        [connack?.reasonCode, connack?.authenticationMethod, text(connack?.authenticationData)],
        [0, METHOD, "welcome"],
      );
      client.subscribe("a").publish("a", "x", { qos: 1 });
      await world.run();
      assert.deepEqual(
        client.publishes.map((p) => p.payload),
        ["x"],
      );
    });

    test("a wrong answer is refused with CONNACK and the end [MQTT-4.12.0-4]", async () => {
      const world = await riddleWorld(later);
      const client = begin(world);
      await world.run(200);
      auth(client, proceed, "guess");
      await world.run(200);
      assert.equal(client.last("connack")?.reasonCode, REASON.badUserNameOrPassword);
      assert.equal(client.state, "ended");
      assert.deepEqual(world.presence, []);
    });

    test("anew on a live connection: old rights until it succeeds, then the new ones [MQTT-4.12.1-1]", async () => {
      const world = await riddleWorld(later);
      const client = await authenticated(world);
      world.policies.delete("c1");
      world.policy("c1").change({ publish: (topic) => topic === "new", subscribe: () => true });
      auth(client, anew, "ada");
      await world.run(200);
      client.publish("old", "during", { qos: 1, packetId: 1 });
      await world.run(200);
      assert.deepEqual([client.last("auth")?.reasonCode, client.last("puback")?.reasonCode], [0x18, 0]);
      auth(client, proceed, "answer");
      await world.run(200);
      assert.deepEqual(
        [client.last("auth")?.reasonCode, text(client.last("auth")?.authenticationData)],
        [0, "welcome"],
      );
      client.publish("old", "after", { qos: 1, packetId: 2 }).publish("new", "after", { qos: 1, packetId: 3 });
      await world.run(200);
      const codes = client.received.filter((p) => p.type === "puback").map((p) => p.reasonCode);
      assert.deepEqual(codes, [0, REASON.notAuthorized, 0]);
    });

    test("anew with a wrong answer, or as somebody else, is the end [MQTT-4.12.1-2]", async () => {
      for (const [name, answer] of [
        ["ada", "guess"],
        ["grace", "answer"],
      ] as const) {
        const world = await riddleWorld(later);
        const client = await authenticated(world);
        auth(client, anew, name);
        await world.run(200);
        auth(client, proceed, answer);
        await world.run(200);
        assert.equal(client.last("disconnect")?.reasonCode, REASON.notAuthorized);
        assert.equal(world.presence.at(-1)?.reason, "AUTH_ERROR");
        assert.equal(client.state, "ended");
      }
    });
  });
}

describe("enhanced authentication", () => {
  test("an unknown method is told so [MQTT-4.12.0-1]", async () => {
    const world = await riddleWorld();
    const client = await world.connected("c1", { authenticationMethod: "GUESS" });
    assert.equal(client.last("connack")?.reasonCode, REASON.badAuthenticationMethod);
    assert.equal(client.state, "ended");
  });

  test("before CONNACK nothing but AUTH and DISCONNECT is taken [MQTT-3.1.2-30]", async () => {
    const world = await riddleWorld();
    const client = begin(world).publish("a", "early", { qos: 1 });
    await world.run();
    assert.equal(client.last("connack")?.reasonCode, REASON.protocolError);
    assert.equal(client.state, "ended");
    assert.equal(world.journal.messages.length, 0);
    const polite = begin(world, "c2").disconnect();
    await world.run();
    assert.equal(polite.last("connack"), undefined);
    assert.equal(polite.state, "ended");
  });

  const wrong: readonly (readonly [string, (client: SimClient) => unknown])[] = [
    ["another method", (c) => auth(c, proceed, "answer", "OTHER")],
    ["success, which is ours to say", (c) => auth(c, REASON.success, "answer")],
    ["anew before it began", (c) => auth(c, anew, "ada")],
    ["no method at all", (c) => c.sendBytes(Uint8Array.of(0xf0, 0))],
    ["reserved flags [MQTT-3.15.1-1]", (c) => c.sendBytes(Uint8Array.of(0xf1, 0))],
    ["an unknown reason code [MQTT-3.15.2-1]", (c) => c.sendBytes(Uint8Array.of(0xf0, 2, 0x42, 0))],
  ];
  for (const [what, send] of wrong) {
    test(`AUTH with ${what} ends it before CONNACK [MQTT-4.12.0-3], [MQTT-4.12.0-5]`, async () => {
      const world = await riddleWorld();
      const client = begin(world);
      await world.run();
      send(client);
      await world.run();
      assert.ok([REASON.protocolError, REASON.malformedPacket].includes(client.last("connack")?.reasonCode as 0x81));
      assert.equal(client.state, "ended");
    });
  }

  for (const [what, send] of [
    ["0x18 that nobody asked for", (c: SimClient) => auth(c, proceed, "answer")],
    ["another method", (c: SimClient) => auth(c, anew, "ada", "OTHER")],
    ["0x19 in the middle of an exchange", (c: SimClient) => auth(auth(c, anew, "ada"), anew, "ada")],
  ] as const) {
    test(`AUTH with ${what} ends a live connection [MQTT-4.12.1-1]`, async () => {
      const world = await riddleWorld();
      const client = await authenticated(world);
      send(client);
      await world.run();
      assert.equal(client.last("disconnect")?.reasonCode, REASON.protocolError);
      assert.equal(world.presence.at(-1)?.reason, "CLIENT_ERROR");
    });
  }

  test("a client that named no method hears none, and may send no AUTH [MQTT-4.12.0-6], [MQTT-4.12.0-7]", async () => {
    const world = await riddleWorld();
    const client = await world.connected("c1");
    assert.equal(client.last("connack")?.authenticationMethod, undefined);
    auth(client, anew, "ada");
    await world.run();
    assert.equal(client.last("disconnect")?.reasonCode, REASON.protocolError);
    assert.equal(client.last("auth"), undefined);
  });

  test("an exchange has an end: in time, in steps and in bytes", async () => {
    const world = await riddleWorld();
    const silent = begin(world, "silent");
    const endless = begin(world, "endless");
    for (let i = 0; i < world.limits.authenticationStepsMax; i++) auth(endless, proceed, "more");
    const fat = begin(world, "fat");
    auth(fat, proceed, "x".repeat(60_000));
    const live = await authenticated(world);
    auth(live, anew, "ada");
    await world.run(world.limits.connectTimeout + 1000);
    assert.equal(endless.last("connack")?.reasonCode, REASON.quotaExceeded);
    assert.equal(silent.last("connack")?.reasonCode, REASON.notAuthorized);
    assert.equal(fat.last("connack")?.reasonCode, REASON.badUserNameOrPassword);
    assert.equal(live.last("disconnect")?.reasonCode, REASON.notAuthorized);
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "authentication-timeout" }), 2);
    const large = begin(world, "large");
    large.sendBytes(Uint8Array.of(0xf0, 0x80, 0x80, 0x08)); // announces 128 KB
    await world.run();
    assert.equal(large.last("connack")?.reasonCode, REASON.packetTooLarge);
  });

  test("who is admitted by its method may still be refused by its policy", async () => {
    const world = await riddleWorld();
    world.authenticate = () => ({
      step: () => ({
        kind: "authenticated",
        principal: "ada",
        data: null,
        admission: { admitted: false, reasonCode: REASON.notAuthorized, reason: "no iot:Connect" },
      }),
    });
    const client = begin(world);
    await world.run();
    assert.equal(client.last("connack")?.reasonCode, REASON.notAuthorized);
  });
});

describe("a gatekeeper that answers later", () => {
  const slow = (world: BrokerWorld, delay: number): void => {
    world.admit = (_peer, { clientId }) =>
      new Promise((resolve) => world.clock.after(delay, () => resolve(world.admission(clientId))));
  };

  test("what the client sends meanwhile is not lost, not served early, and not read without end", async () => {
    const world = await BrokerWorld.started();
    slow(world, 1000);
    const client = world.client().connect({ clientId: "c1" }).subscribe("a");
    client.publish("a", "1", { qos: 1, packetId: 1 });
    await world.run(500);
    assert.equal(client.received.length, 0);
    assert.equal(client.paused, true);
    client.publish("a", "2", { qos: 1, packetId: 2 }); // the transport had it already
    await world.run(1000);
    assert.deepEqual(client.received.map((p) => p.type).slice(0, 2), ["connack", "suback"]);
    assert.deepEqual(client.take(), ["a=1", "a=2"]);
    assert.equal(client.paused, false);
  });

  test("a flood meanwhile is cut off", async () => {
    const world = await BrokerWorld.started({ limits: { packetBytesMax: 70_000 } });
    slow(world, 1000);
    const client = world.client().connect({ clientId: "c1" });
    for (let i = 0; i < 250; i++) client.publish("a", "x".repeat(1000));
    await world.run(2000);
    assert.equal(client.last("connack")?.reasonCode, REASON.quotaExceeded);
    assert.equal(client.state, "ended");
  });

  test("one that fails, or never answers, refuses", async () => {
    const world = await BrokerWorld.started();
    world.admit = () => Promise.reject(new Error("the registry is away"));
    const failed = await world.connected("failed");
    assert.equal(failed.last("connack")?.reasonCode, REASON.unspecifiedError);
    world.admit = () => new Promise(() => {});
    const waiting = await world.connected("waiting");
    await world.run(world.limits.connectTimeout + 1000);
    assert.equal(waiting.last("connack")?.reasonCode, REASON.serverBusy);
    assert.deepEqual([failed.state, waiting.state], ["ended", "ended"]);
  });

  test("a client that is gone by then is not let in", async () => {
    const world = await BrokerWorld.started();
    slow(world, 1000);
    const client = world.client().connect({ clientId: "c1" });
    client.cut();
    await world.run(2000);
    assert.deepEqual(world.presence, []);
    assert.deepEqual([...world.broker.connections()], []);
  });

  test("the same client id twice: who is admitted last has it", async () => {
    const world = await BrokerWorld.started();
    slow(world, 1000);
    const first = world.client().connect({ clientId: "c1" });
    const second = world.client().connect({ clientId: "c1" });
    await world.run(2000);
    assert.equal(first.last("disconnect")?.reasonCode, REASON.sessionTakenOver);
    assert.equal(second.state, "open");
  });
});
