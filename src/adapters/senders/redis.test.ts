import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createClient } from "@redis/client";
import { makePki } from "../net/pki.fixture.ts";
import type { Pki } from "../net/pki.fixture.ts";
import { OutgoingGuard } from "../outgoing-guard.ts";
import { redisSender } from "./redis.ts";
import { TIMEOUT, numbered, rendered, senderContract } from "./sender.contract.ts";
import { programMissing, redisServer } from "./servers.fixture.ts";
import type { TestServer } from "./servers.fixture.ts";
import { clientOf, expiredServer, tlsContract } from "./tls.contract.ts";
import type { ClientIdentity } from "./tls.contract.ts";

const missing = programMissing("redis-server");

describe("Redis streams", { skip: missing ?? false }, () => {
  let server: TestServer;
  const open = (receiver: Parameters<typeof redisSender>[0], guard = new OutgoingGuard()) =>
    redisSender(receiver, { guard, certificates: null });
  const action = (more: object = {}): object => ({
    redis: { url: `redis://127.0.0.1:${server.port}`, password: "wire", stream: "plant:${topic(2)}", ...more },
  });

  before(async () => (server = await redisServer()));
  after(() => server.remove());

  async function entries(stream: string): Promise<Record<string, string>[]> {
    const client = createClient({ url: `redis://:wire@127.0.0.1:${server.port}` });
    await client.connect();
    const found = await client.xRange(stream, "-", "+");
    await client.close();
    return found.map(({ message }) => message);
  }

  senderContract({
    action,
    wrongAction: () => action({ password: "hunter2" }),
    open,
    stored: async () => (await entries("plant:line")).map(({ data }) => (JSON.parse(data!) as { n: number }).n),
    kill: () => server.kill(),
    up: () => server.up(),
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
  });

  test("an entry has id, topic and data; the stream keeps about as many as asked", async () => {
    const { receiver, parcels } = rendered(action({ stream: "short", maxLength: 100 }), numbered(1_000));
    const sender = open(receiver);
    await sender.send(parcels, TIMEOUT);
    await sender.close();
    const kept = await entries("short");
    assert.ok(kept.length >= 100 && kept.length < 400, `${kept.length} are kept`);
    assert.deepEqual({ ...kept.at(-1) }, { id: "r-999", topic: "plant/line", data: '{"n":999}' });
  });

  test("a key that holds something else is final for what goes there, and for nothing else", async () => {
    const client = createClient({ url: `redis://:wire@127.0.0.1:${server.port}` });
    await client.connect();
    await client.set("taken", "x");
    await client.close();
    const values = [{ to: "taken" }, { to: "free" }, {}];
    const { receiver, parcels } = rendered(action({ stream: "${to}" }), values);
    const sender = open(receiver);
    const verdicts = await sender.send(parcels, TIMEOUT);
    await sender.close();
    assert.deepEqual(
      verdicts.map(({ type }) => type),
      ["dead", "done", "dead"],
    );
  });
});

describe("Redis streams by TLS", { skip: missing ?? false }, () => {
  let pki: Pki;
  let other: Pki;
  let server: TestServer;
  let client: ClientIdentity;
  let stranger: ClientIdentity;

  before(async () => {
    [pki, other] = await Promise.all([makePki(), makePki("another CA")]);
    client = await clientOf(pki);
    stranger = await clientOf(other);
    server = await redisServer({ caPath: pki.caPath, ...(await pki.issue("server")) });
  });
  after(() => Promise.all([server.remove(), pki.remove(), other.remove()]));

  tlsContract({
    action: (more, port = server.port) => ({
      redis: { url: `rediss://127.0.0.1:${port}`, password: "wire", stream: "s", ...more },
    }),
    open: redisSender,
    ca: () => pki.ca,
    otherCa: () => other.ca,
    name: "localhost",
    client: () => client,
    stranger: () => stranger,
    expired: () => expiredServer(pki),
  });
});
