import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import amqplib from "amqplib";
import { OutgoingGuard } from "../outgoing-guard.ts";
import { amqpSender } from "./amqp.ts";
import { TIMEOUT, numbered, rendered, senderContract } from "./sender.contract.ts";
import { makePki } from "../net/pki.fixture.ts";
import type { Pki } from "../net/pki.fixture.ts";
import { programMissing, rabbitServer } from "./servers.fixture.ts";
import type { TestServer } from "./servers.fixture.ts";
import { clientOf, expiredServer, tlsContract } from "./tls.contract.ts";
import type { ClientIdentity } from "./tls.contract.ts";

const missing = programMissing("rabbitmq-server");

describe("RabbitMQ", { skip: missing ?? false }, () => {
  let server: TestServer & { readonly tlsPort: number };
  let pki: Pki;
  let other: Pki;
  let client: ClientIdentity;
  let stranger: ClientIdentity;
  const open = (receiver: Parameters<typeof amqpSender>[0], guard = new OutgoingGuard()) =>
    amqpSender(receiver, { guard, certificates: null });
  const action = (more: object = {}): object => ({
    amqp: { url: `amqp://127.0.0.1:${server.port}`, routingKey: "plant", ...more },
  });

  before(async () => {
    [pki, other] = await Promise.all([makePki(), makePki("another CA")]);
    [client, stranger] = await Promise.all([clientOf(pki), clientOf(other)]);
    server = await rabbitServer({ caPath: pki.caPath, ...(await pki.issue("server")) });
    const connection = await amqplib.connect(`amqp://127.0.0.1:${server.port}`);
    const channel = await connection.createChannel();
    await channel.assertQueue("plant", { durable: true });
    await channel.assertExchange("events", "topic", { durable: true });
    await channel.bindQueue("plant", "events", "line.*");
    await connection.close();
  });
  after(() => Promise.all([server.remove(), pki.remove(), other.remove()]));

  async function taken(): Promise<amqplib.GetMessage[]> {
    const connection = await amqplib.connect(`amqp://127.0.0.1:${server.port}`);
    const channel = await connection.createChannel();
    const found: amqplib.GetMessage[] = [];
    for (;;) {
      const message = await channel.get("plant", { noAck: true });
      if (message === false) break;
      found.push(message);
    }
    await connection.close();
    return found;
  }

  test("a message has its id, its type, and survives the broker; one that no queue takes has failed, the others not", async () => {
    await taken();
    const values = [{ to: "line.1" }, { to: "nowhere" }, { to: "line.2" }];
    const { receiver, parcels } = rendered(action({ exchange: "events", routingKey: "${to}" }), values);
    const sender = open(receiver);
    const verdicts = await sender.send(parcels, TIMEOUT);
    await sender.close();
    assert.deepEqual(
      verdicts.map((verdict) => (verdict.type === "retry" ? `${verdict.scope}: ${verdict.reason}` : verdict.type)),
      ["done", "delivery: no queue takes it", "done"],
    );
    const properties = (await taken()).map(({ properties: p }) => [p.messageId, p.contentType, p.deliveryMode]);
    assert.deepEqual(properties, [
      ["r-0", "application/json", 2],
      ["r-2", "application/json", 2],
    ]);
  });

  test("an exchange that is not there is tried again: somebody will declare it", async () => {
    const { receiver, parcels } = rendered(action({ exchange: "later" }), numbered(2));
    const sender = open(receiver);
    const verdicts = await sender.send(parcels, TIMEOUT);
    await sender.close();
    assert.deepEqual(
      verdicts.map(({ type }) => type),
      ["retry", "retry"],
    );
  });

  tlsContract({
    action: (more, port = server.tlsPort) => ({
      amqp: { url: `amqps://127.0.0.1:${port}`, routingKey: "plant", ...more },
    }),
    open: amqpSender,
    ca: () => pki.ca,
    otherCa: () => other.ca,
    name: "localhost",
    client: () => client,
    stranger: () => stranger,
    expired: () => expiredServer(pki),
  });

  // Last, since it kills the server: for a moment after it is back no queue takes anything.
  senderContract({
    action,
    wrongAction: () => action({ user: "guest", password: "hunter2" }),
    open,
    stored: async () => (await taken()).map(({ content }) => (JSON.parse(content.toString()) as { n: number }).n),
    kill: () => server.kill(),
    up: () => server.up(),
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
  });
});
