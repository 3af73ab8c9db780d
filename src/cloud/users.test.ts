import assert from "node:assert/strict";
import { pbkdf2Sync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { SimRandom } from "../../sim/world.ts";
import { scramHash } from "../adapters/scram-hash.ts";
import { openRegistry } from "../adapters/sqlite/registry-store.ts";
import { verifierCommand } from "../cli/verifier.ts";
import { Registry } from "../registry/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import { RegistryGatekeeper, registryRules } from "./gatekeeper.ts";
import { SCRAM_METHOD, UserLogin } from "./users.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array | null | undefined): string => new TextDecoder().decode(data ?? new Uint8Array(0));

function policy(...topics: readonly string[]): string {
  const arn = (resource: string): string => `arn:aws:iot:local:000000000000:${resource}`;
  const Resource = [arn("client/*"), ...topics.map((topic) => arn(`topic/${topic}`))];
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["iot:Connect", "iot:Publish"], Resource }],
  });
}

interface House {
  readonly world: BrokerWorld;
  readonly registry: Registry;
}

/** A broker whose users are `ada` (password "pencil", policy "operators") and `bob`, whose policy is missing. */
async function withUsers(work: (house: House) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-users-"));
  const opened = openRegistry(join(folder, "registry.db"));
  const world = await BrokerWorld.started();
  const { clock, logger, metrics } = world;
  const random = new SimRandom(1);
  const registry = new Registry({ store: opened.store, rules: registryRules, clock, random, logger, metrics });
  const gatekeeper = new RegistryGatekeeper({ registry, clock, logger, metrics });
  registry.policies.put("operators", policy("valve/*"));
  const printed: string[] = [];
  const output = { result: (line: string) => void printed.push(line), note: () => {} };
  await verifierCommand(
    output,
    (async function* () {
      yield "pencil\n";
    })(),
  ).parseAsync([], { from: "user" });
  const verifier = printed[0]!;
  assert.ok(!verifier.includes("pencil"));
  const users = [
    { name: "ada", verifier, policies: ["operators"] },
    { name: "bob", verifier, policies: ["operators", "missing"] },
  ];
  const login = new UserLogin({ users, registry, gatekeeper, hash: scramHash, random, secret: bytes("s"), logger });
  world.authenticate = (peer, connect) => login.authenticate(peer, connect);
  try {
    await work({ world, registry });
  } finally {
    login.close();
    gatekeeper.close();
    opened.close();
    rmSync(folder, { recursive: true });
  }
}

/** The client's side of SCRAM, up to the proof. */
async function prove(world: BrokerWorld, client: SimClient, user: string, password: string): Promise<void> {
  const asked = text(client.last("auth")?.authenticationData);
  const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(asked)!;
  const salted = pbkdf2Sync(password, Buffer.from(salt!, "base64"), Number(iterations), 32, "sha256");
  const key = scramHash.hmacSha256(salted, bytes("Client Key"));
  const signed = bytes(`n=${user},r=abcdefgh,${asked},c=biws,r=${nonce!}`);
  const signature = scramHash.hmacSha256(scramHash.sha256(key), signed);
  const proof = Buffer.from(key.map((byte, i) => byte ^ signature[i]!)).toString("base64");
  const authenticationData = bytes(`c=biws,r=${nonce!},p=${proof}`);
  client.send((w) => w.auth({ reasonCode: 0x18, authenticationMethod: SCRAM_METHOD, authenticationData }));
  await world.run();
}

async function logIn(world: BrokerWorld, user: string, password: string): Promise<SimClient> {
  const authenticationData = bytes(`n,,n=${user},r=abcdefgh`);
  const client = await world.connected(`${user}-1`, { authenticationMethod: SCRAM_METHOD, authenticationData });
  await prove(world, client, user, password);
  return client;
}

test("a user proves its password without sending it, sees that the platform knows it too, and has its policies' rights", () =>
  withUsers(async ({ world, registry }) => {
    const client = await logIn(world, "ada", "pencil");
    assert.equal(client.last("connack")?.reasonCode, 0);
    assert.match(text(client.last("connack")?.authenticationData), /^v=/);
    client.publish("valve/1", "open", { qos: 1, packetId: 1 }).publish("pump/1", "on", { qos: 1, packetId: 2 });
    registry.policies.put("operators", policy("pump/*"));
    client.publish("pump/1", "on", { qos: 1, packetId: 3 });
    await world.run();
    const codes = client.received.filter((p) => p.type === "puback").map((p) => p.reasonCode);
    assert.deepEqual(codes, [0, REASON.notAuthorized, 0], "a change of its policy counts at once");
    const reference = bytes("n,,n=ada,r=abcdefgh");
    client.send((w) => w.auth({ reasonCode: 0x19, authenticationMethod: SCRAM_METHOD, authenticationData: reference }));
    await world.run();
    await prove(world, client, "ada", "pencil");
    assert.equal(client.last("auth")?.reasonCode, 0);
    assert.equal(client.state, "open");
  }));

test("a wrong password, a user that does not exist, and one whose policy is missing are not let in", () =>
  withUsers(async ({ world }) => {
    for (const [user, password, code] of [
      ["ada", "pen", REASON.badUserNameOrPassword],
      ["eve", "pencil", REASON.badUserNameOrPassword],
      ["bob", "pencil", REASON.notAuthorized],
    ] as const) {
      const client = await logIn(world, user, password);
      assert.equal(client.last("connack")?.reasonCode, code, user);
      assert.equal(client.state, "ended");
    }
  }));
