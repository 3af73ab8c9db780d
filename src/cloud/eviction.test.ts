/** Who may not stay any more is sent away: as soon as it changes, and nobody else. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { arnOf } from "../base/mod.ts";
import type { Cancel } from "../base/mod.ts";
import type { Authorizer, Gatekeeper } from "../broker/ports.ts";
import { DEFAULT_POLICY_DOCUMENT, DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import { anonymousGatekeeper, evictOnChange } from "./gatekeeper.ts";
import type { Rights } from "./admission.ts";
import type { EvictionOptions } from "./gatekeeper.ts";
import { GatekeeperWorld, idOf, packetOf } from "./gatekeeper.fixture.ts";

type ConnectPacket = Parameters<Gatekeeper["admit"]>[1];

let world: GatekeeperWorld;

beforeEach(() => {
  world = new GatekeeperWorld();
});
afterEach(() => world.close());

describe("eviction", () => {
  interface Open {
    readonly principal: string | null;
    readonly clientId: string;
    readonly authorizer: Authorizer;
  }
  let open: Open[];
  let looks: number;
  let stop: Cancel;

  const enter = (certificateId: string | null, clientId: string, change: Partial<ConnectPacket> = {}): Open => {
    const admission =
      certificateId === null ? anonymousGatekeeper.admit() : world.connectAs(certificateId, clientId, change);
    assert.ok(admission.admitted, clientId);
    return { principal: certificateId, clientId, authorizer: admission.authorizer };
  };
  const endUnauthorized: EvictionOptions["endUnauthorized"] = (isChosen, ended) => {
    looks++;
    const count = open.length;
    open = open.filter(({ principal, authorizer }) => !isChosen(principal) || authorizer.mayStay?.() !== false);
    ended(count - open.length);
  };
  const evict = (): Cancel => {
    const { registry, clock, logger } = world;
    return evictOnChange({ registry, scheduler: clock, endUnauthorized, logger });
  };

  beforeEach(() => {
    looks = 0;
    for (const n of [1, 2, 3]) world.provision(n);
    open = [1, 2, 3].map((n) => enter(idOf(n), `thing-${n}`));
    open.push(enter(null, "bench"));
    stop = evict();
  });
  afterEach(() => stop());
  const names = (): readonly string[] => open.map((connection) => connection.clientId);

  test("a revoked certificate's connection ends in the same turn, the others stay", () => {
    world.registry.certificates.updateStatus(idOf(2), "REVOKED");
    world.clock.advance(0);
    assert.deepEqual(names(), ["thing-1", "thing-3", "bench"]);
  });

  test("many changes in one turn cost one look at the connections, new certificates none", () => {
    for (let n = 10; n < 60; n++) world.registry.certificates.register("PEM", world.factsOf(n));
    world.clock.advance(0);
    assert.equal(looks, 0);
    for (const n of [1, 2]) {
      world.registry.certificates.updateStatus(idOf(n), "INACTIVE");
      world.registry.certificates.updateStatus(idOf(n), "REVOKED");
    }
    world.clock.advance(0);
    assert.deepEqual([looks, names()], [1, ["thing-3", "bench"]]);
    world.registry.certificates.updateStatus(idOf(3), "REVOKED");
    world.clock.advance(0);
    assert.deepEqual([looks, names()], [2, ["bench"]]);
  });

  test("a policy that no longer allows to connect ends the connections of all that have it", () => {
    world.registry.policies.put(
      DEFAULT_POLICY_NAME,
      JSON.stringify({
        Version: "2012-10-17",
        Statement: { Effect: "Allow", Action: "iot:Connect", Resource: "arn:aws:iot:local:0:client/thing-2" },
      }),
    );
    world.clock.advance(0);
    assert.deepEqual(names(), ["thing-2", "bench"]);
  });

  const deny = JSON.stringify({
    Version: "2012-10-17",
    Statement: { Effect: "Deny", Action: "iot:Connect", Resource: "*" },
  });

  test("a policy on a group above ends the connections of all things below, and of no other", () => {
    world.registry.groups.create("plant");
    world.registry.groups.create("line", { parentGroupName: "plant" });
    for (const n of [1, 3]) world.registry.groups.add("line", `thing-${n}`);
    world.registry.policies.put("locked", deny);
    world.clock.advance(0);
    assert.equal(names().length, 4);
    world.registry.policies.attach("locked", arnOf.group("plant"));
    world.clock.advance(0);
    assert.deepEqual(names(), ["thing-2", "bench"]);
    world.registry.groups.add("plant", "thing-2");
    world.clock.advance(0);
    assert.deepEqual(names(), ["bench"]);
  });

  test("where a change concerns more certificates than can be named, all connections are looked at", () => {
    stop();
    world.gatekeeper.close();
    world.open({ principalsNamedMax: 1 });
    open = [1, 2, 3].map((n) => enter(idOf(n), `thing-${n}`));
    open.push(enter(null, "bench"));
    stop = evict();
    const told: unknown[] = [];
    world.registry.onChange(({ principals }) => told.push(principals));
    for (const n of [1, 2, 3]) assert.ok(world.gatekeeper.admitPeer(idOf(n)).ok);
    world.registry.policies.put(DEFAULT_POLICY_NAME, deny);
    world.clock.advance(0);
    assert.deepEqual([told, names(), looks], [["all"], ["bench"], 1]);
  });

  test("what it asked for when it connected is what it may stay with", () => {
    const as = (resource: string, condition: unknown) => ({
      Effect: "Allow",
      Action: "iot:Connect",
      Resource: `arn:aws:iot:local:0:client/${resource}`,
      Condition: condition,
    });
    const Statement = [
      as("thing-1", { ArnEquals: { "iot:LastWillTopic": "arn:aws:iot:local:0:topic/gone" } }),
      as("thing-2", { "ForAllValues:StringEquals": { "iot:ConnectAttributes": [] } }),
    ];
    world.registry.policies.put(DEFAULT_POLICY_NAME, JSON.stringify({ Version: "2012-10-17", Statement }));
    world.clock.advance(0);
    assert.deepEqual(names(), ["thing-2", "bench"], "thing-1 came without that will");
    const will = {
      topic: "gone",
      payload: new Uint8Array(),
      qos: 0,
      retain: false,
      delaySeconds: 0,
      properties: null,
    } as const;
    open.push(enter(idOf(1), "thing-1", { will }));
    world.registry.policies.put(
      DEFAULT_POLICY_NAME,
      JSON.stringify({ Version: "2012-10-17", Statement: Statement.toReversed() }),
    );
    world.clock.advance(0);
    assert.deepEqual(names(), ["thing-2", "bench", "thing-1"]);
  });

  test("a user without a certificate goes with the policy that let him in", () => {
    world.registry.policies.put("people", DEFAULT_POLICY_DOCUMENT.replaceAll("${iot:Connection.Thing.ThingName}", "*"));
    let rights: Rights | null = {
      policies: [world.registry.policies.describe("people")],
      things: [],
      certificate: null,
    };
    const peer = { certificateId: null, remoteAddress: "192.0.2.1" };
    const admission = world.gatekeeper.admitLogin(peer, packetOf("anna"), {
      principal: "user/anna",
      whose: "anna",
      look: () => rights,
    });
    assert.ok(admission.admitted);
    open.push({ principal: "user/anna", clientId: "anna", authorizer: admission.authorizer });
    world.registry.policies.put("other", deny);
    world.clock.advance(0);
    assert.ok(names().includes("anna"));
    rights = { policies: [world.registry.policies.describe("other")], things: [], certificate: null };
    world.registry.policies.put("people", deny);
    world.clock.advance(0);
    assert.deepEqual(names(), ["thing-1", "thing-2", "thing-3", "bench"]);
  });

  test("an admission says when the certificate ends, for the broker to end the connection then", () => {
    const admission = world.connectAs(idOf(1), "thing-1");
    assert.ok(admission.admitted);
    assert.equal(admission.expiresAt, world.factsOf(1).notAfter + 1);
  });
});
