import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { jetstreamManager, jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { makePki } from "../net/pki.fixture.ts";
import type { Pki } from "../net/pki.fixture.ts";
import { OutgoingGuard } from "../outgoing-guard.ts";
import { natsSender } from "./nats.ts";
import { TIMEOUT, numbered, rendered, senderContract } from "./sender.contract.ts";
import { natsServer, programMissing } from "./servers.fixture.ts";
import type { TestServer } from "./servers.fixture.ts";
import { clientOf, tlsContract } from "./tls.contract.ts";
import type { ClientIdentity } from "./tls.contract.ts";

const missing = programMissing("nats-server");

describe("NATS JetStream", { skip: missing ?? false }, () => {
  let server: TestServer;
  const open = (receiver: Parameters<typeof natsSender>[0], guard = new OutgoingGuard()) =>
    natsSender(receiver, { guard, certificates: null });
  const action = (more: object = {}): object => ({
    nats: {
      url: `nats://127.0.0.1:${server.port}`,
      user: "tide",
      password: "wire",
      subject: "plant.${topic(2)}",
      jetstream: true,
      ...more,
    },
  });
  const client = () => connect({ servers: `127.0.0.1:${server.port}`, user: "tide", pass: "wire" });

  before(async () => {
    server = await natsServer();
    const connection = await client();
    await (await jetstreamManager(connection)).streams.add({ name: "plant", subjects: ["plant.*"] });
    await connection.close();
  });
  after(() => server.remove());

  async function stored(): Promise<number[]> {
    const connection = await client();
    const info = await (await jetstreamManager(connection)).streams.info("plant");
    const consumer = await jetstream(connection).consumers.get("plant");
    const found: number[] = [];
    for await (const message of await consumer.fetch({
      max_messages: Math.max(1, info.state.messages),
      expires: 2_000,
    })) {
      found.push(message.json<{ n: number }>().n);
    }
    await connection.close();
    return found;
  }

  senderContract({
    action,
    wrongAction: () => action({ password: "hunter2" }),
    open,
    stored,
    kill: () => server.kill(),
    up: () => server.up(),
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
  });

  test("one that is sent twice is stored once: Nats-Msg-Id", async () => {
    const { receiver, parcels } = rendered(action(), numbered(1, 5_000), 5_000);
    const sender = open(receiver);
    for (let i = 0; i < 2; i++) assert.deepEqual(await sender.send(parcels, TIMEOUT), [{ type: "done" }]);
    await sender.close();
    assert.equal((await stored()).filter((n) => n === 5_000).length, 1);
  });

  test("a subject that no stream takes is tried again; one that is none is refused; the others of the batch arrive", async () => {
    const lost = rendered(
      action({ subject: "${to}" }),
      [{ to: "nowhere.x" }, { to: "a b" }, { to: "plant.z", n: 6_000 }],
      6_000,
    );
    const sender = open(lost.receiver);
    const verdicts = await sender.send(lost.parcels, TIMEOUT);
    await sender.close();
    assert.deepEqual(
      verdicts.map((verdict) => [verdict.type, verdict.type === "retry" && verdict.scope]),
      [
        ["retry", "delivery"],
        ["dead", false],
        ["done", false],
      ],
    );
  });

  test("core NATS: subscribers get it, with its id", async () => {
    const listener = await client();
    const subscription = listener.subscribe("live.>", { max: 1 });
    await listener.flush();
    const { receiver, parcels } = rendered(action({ jetstream: false, subject: "live.x" }), [{ n: 1 }], 7_000);
    const sender = open(receiver);
    assert.deepEqual(await sender.send(parcels, TIMEOUT), [{ type: "done" }]);
    for await (const message of subscription) {
      assert.deepEqual([message.json(), message.headers?.get("Nats-Msg-Id")], [{ n: 1 }, "r-7000"]);
    }
    await sender.close();
    await listener.close();
  });
});

describe("NATS by TLS", { skip: missing ?? false }, () => {
  let pki: Pki;
  let other: Pki;
  let server: TestServer;
  let client: ClientIdentity;
  let stranger: ClientIdentity;
  const start = async (validUntil?: Date): Promise<TestServer> =>
    natsServer({ caPath: pki.caPath, ...(await pki.issue("server", validUntil)) });

  before(async () => {
    [pki, other] = await Promise.all([makePki(), makePki("another CA")]);
    client = await clientOf(pki);
    stranger = await clientOf(other);
    server = await start();
  });
  after(() => Promise.all([server.remove(), pki.remove(), other.remove()]));

  const action = (more: object, port = server.port): object => ({
    nats: { url: `tls://127.0.0.1:${port}`, user: "tide", password: "wire", subject: "s", ...more },
  });

  tlsContract({
    action,
    open: natsSender,
    ca: () => pki.ca,
    otherCa: () => other.ca,
    name: "localhost",
    client: () => client,
    stranger: () => stranger,
    async expired() {
      const expired = await start(new Date(Date.now() - 3_600_000));
      return { port: expired.port, close: () => void expired.remove() };
    },
  });

  test("a server without TLS gets nothing, and no password", async () => {
    const plain = await natsServer();
    const { receiver, parcels } = rendered(action({ ca: pki.ca }, plain.port), numbered(1));
    const sender = natsSender(receiver, { guard: new OutgoingGuard(), certificates: null });
    const [verdict] = await sender.send(parcels, TIMEOUT);
    await sender.close();
    await plain.remove();
    assert.match(JSON.stringify(verdict), /does not support 'tls'/);
  });
});
