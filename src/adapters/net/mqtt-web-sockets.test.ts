import assert from "node:assert/strict";
import { once } from "node:events";
import type { EventEmitter } from "node:events";
import { createConnection } from "node:net";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import mqtt from "mqtt";
import type { IClientOptions, MqttClient } from "mqtt";
import { WebSocket } from "ws";
import type { ClientOptions } from "ws";
import { CLOSE_CODE } from "../../wire/websocket/mod.ts";
import { FRAME_CASES, masked } from "../../wire/websocket/frames.cases.ts";
import { serve } from "./listener.fixture.ts";
import type { Served } from "./listener.fixture.ts";

async function withWebSocket(work: (served: Served) => Promise<void>, limits: object = {}): Promise<void> {
  const served = await serve({
    admitPeer: () => ({ ok: true }),
    webSocket: ({ headers }) => (headers.origin === "http://evil.example" ? "another web site's page" : null),
    limits,
  });
  try {
    await work(served);
  } finally {
    await served.stop();
  }
}

/** A client of the `ws` package: what it hears, and how it ends. */
class Client {
  readonly socket: WebSocket;
  readonly heard: Buffer[] = [];
  readonly closed: Promise<number>;
  #news: () => void = () => {};

  constructor({ listener }: Served, options: ClientOptions = {}, protocols: readonly string[] = ["mqtt"]) {
    this.socket = new WebSocket(`ws://127.0.0.1:${listener.port}/mqtt`, [...protocols], options);
    this.socket.on("message", (data: Buffer) => {
      this.heard.push(data);
      this.#news();
    });
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => this.socket.on("close", (code) => resolve(code)));
  }

  async bytes(length: number): Promise<Buffer> {
    while (Buffer.concat(this.heard).length < length) await new Promise<void>((resolve) => (this.#news = resolve));
    return Buffer.concat(this.heard);
  }
}

/** CONNECT of 5.0, client id "d", keep-alive 60 s. */
const CONNECT = Buffer.from("101000044d5154540502003c000003643031", "hex").subarray(0, 18);
const PINGREQ = Buffer.of(0xc0, 0);
const PINGRESP = Buffer.of(0xd0, 0);

async function connected(served: Served, options?: ClientOptions): Promise<Client> {
  const client = new Client(served, options);
  await once(client.socket, "open");
  client.socket.send(CONNECT);
  const connack = await client.bytes(4);
  assert.deepEqual([connack[0], connack[3]], [0x20, 0]);
  client.heard.length = 0;
  return client;
}

/** Status of the answer to an upgrade. */
function statusOf(
  served: Served,
  options: ClientOptions = {},
  protocols: readonly string[] = ["mqtt"],
): Promise<number> {
  const { socket } = new Client(served, options, protocols);
  return new Promise((resolve) => {
    socket.once("unexpected-response", (_request, response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    socket.once("open", () => {
      socket.terminate();
      resolve(101);
    });
  });
}

function refused({ metrics }: Served, reason: string): number {
  return metrics.value("tidewire_listener_refused_total", { listener: "ws", reason }) ?? 0;
}

describe("MQTT over WebSocket", () => {
  for (const protocolVersion of [3, 4, 5] as const) {
    const named = { 3: "3.1's name for the subprotocol", 4: "3.1.1", 5: "5.0" }[protocolVersion];
    test(`mqtt.js with ${named}: messages of all sizes go both ways`, () =>
      withWebSocket(async ({ listener }) => {
        const [protocolId, version] =
          protocolVersion === 3 ? (["MQTT", 4] as const) : (["MQTT", protocolVersion] as const);
        const wsOptions = protocolVersion === 3 ? { protocol: "mqttv3.1" } : {};
        const options: IClientOptions = { protocolId, protocolVersion: version, reconnectPeriod: 0, wsOptions };
        const one = await mqtt.connectAsync(`ws://127.0.0.1:${listener.port}/mqtt`, { ...options, clientId: "one" });
        await one.subscribeAsync("t/#", { qos: 1 });
        for (const length of [0, 1, 100, 126, 65_535, 65_536, 900_000]) {
          const payload = Buffer.alloc(length, "0123456789");
          const received = onceOf(one, "message") as Promise<[string, Buffer]>;
          await one.publishAsync("t/x", payload, { qos: 1 });
          assert.ok((await received)[1].equals(payload), `${length} bytes`);
        }
        await one.endAsync();
      }));
  }

  test("the answer names the subprotocol, and no extension [MQTT-6.0.0-4]", () =>
    withWebSocket(async (served) => {
      for (const [offered, chosen] of [
        [["mqtt"], "mqtt"],
        [["mqttv3.1", "mqtt"], "mqtt"],
        [["mqttv3.1"], "mqttv3.1"],
      ] as const) {
        const { socket } = new Client(served, { perMessageDeflate: true }, offered);
        await once(socket, "open");
        assert.deepEqual([socket.protocol, socket.extensions], [chosen, ""]);
        socket.terminate();
      }
    }));

  test("MQTT packets and frames need not align [MQTT-6.0.0-2]", () =>
    withWebSocket(async (served) => {
      const client = new Client(served);
      await once(client.socket, "open");
      for (const byte of CONNECT) client.socket.send(Uint8Array.of(byte));
      const connack = await client.bytes(4);
      assert.equal(connack[0], 0x20);
      await client.bytes(connack[1]! + 2);
      client.heard.length = 0;
      client.socket.send(Buffer.concat([PINGREQ, PINGREQ, PINGREQ]));
      client.socket.send(PINGREQ.subarray(0, 1), { fin: false });
      client.socket.send(PINGREQ.subarray(1), { fin: true });
      assert.deepEqual(await client.bytes(8), Buffer.concat([PINGRESP, PINGRESP, PINGRESP, PINGRESP]));
      client.socket.close();
      assert.equal(await client.closed, CLOSE_CODE.normal);
    }));

  test("CONNECT right behind the upgrade, in the same segment, is not lost", () =>
    withWebSocket(async ({ listener }) => {
      const socket = createConnection({ host: "127.0.0.1", port: listener.port });
      socket.write(Buffer.concat([Buffer.from(upgrade()), masked(0x82, CONNECT)]));
      let answer = "";
      while (!answer.includes("\r\n\r\n\x82"))
        answer += ((await once(socket, "data")) as [Buffer])[0].toString("latin1");
      assert.match(answer, /^HTTP\/1\.1 101 [\s\S]*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
      socket.destroy();
    }));

  test("a text frame ends the connection, with close code 1003, a reason in the log and a metric [MQTT-6.0.0-1]", () =>
    withWebSocket(async (served) => {
      const client = await connected(served);
      const gone = new Promise<void>((resolve) => served.broker.onPresence(() => resolve()));
      client.socket.send("text");
      assert.equal(await client.closed, CLOSE_CODE.unsupportedData);
      await gone;
      assert.equal(refused(served, "websocket-text"), 1);
      assert.ok(served.logger.lines.some((line) => /binary frames/.test(String(line.fields["hint"]))));
      assert.equal(served.presence.at(-1)?.type, "disconnected");
    }));

  for (const one of FRAME_CASES.filter(({ fault }) => fault !== undefined)) {
    test(`ended with a reason: ${one.title}`, () =>
      withWebSocket(async (served) => {
        const socket = createConnection({ host: "127.0.0.1", port: served.listener.port });
        socket.on("error", () => {});
        socket.write(upgrade());
        await once(socket, "data");
        socket.write(one.bytes);
        socket.resume();
        await once(socket, "close");
        assert.equal(refused(served, `websocket-${one.fault!}`), 1);
      }));
  }

  test("pings are answered, also many at once by a client that does not read: at most one answer waits", () =>
    withWebSocket(async (served) => {
      const client = await connected(served);
      client.socket.ping("hello");
      const [payload] = (await once(client.socket, "pong")) as [Buffer];
      assert.equal(payload.toString(), "hello");
      const before = process.memoryUsage().external;
      const pongs: string[] = [];
      client.socket.on("pong", (data) => pongs.push(data.toString()));
      client.socket.pause();
      for (let i = 0; i < 50_000; i++) client.socket.ping(`${i}`.padEnd(125));
      client.socket.resume();
      while (pongs.at(-1)?.trim() !== "49999") await once(client.socket, "pong");
      assert.ok(process.memoryUsage().external - before < 50_000_000);
      client.socket.terminate();
    }));

  test("an orderly MQTT end is an orderly WebSocket end; a vanished client is noticed, with its will", () =>
    withWebSocket(async (served) => {
      const client = await connected(served);
      client.socket.send(Buffer.of(0xe0, 0));
      assert.equal(await client.closed, CLOSE_CODE.normal);
      const other = await connected(served);
      const gone = new Promise<void>((resolve) => served.broker.onPresence(() => resolve()));
      (other.socket as unknown as { _socket: Socket })._socket.destroy();
      await gone;
      assert.equal(served.presence.at(-1)?.reason, "CONNECTION_LOST");
    }));

  test("a WebSocket without an MQTT CONNECT is cut in time", () =>
    withWebSocket(
      async (served) => {
        const client = new Client(served);
        await once(client.socket, "open");
        client.socket.ping();
        assert.equal(await client.closed, CLOSE_CODE.normal);
      },
      { connectTimeout: 50 },
    ));

  test("an upgrade that is not finished in time is cut", () =>
    withWebSocket(
      async ({ listener }) => {
        const socket = createConnection({ host: "127.0.0.1", port: listener.port });
        socket.write("GET /mqtt HTTP/1.1\r\nhost: localhost\r\n");
        socket.on("error", () => {}).resume();
        await once(socket, "close");
      },
      { connectTimeout: 50 },
    ));

  test("a client that takes nothing is not buffered for: its publisher is held, and everything arrives in the end", () =>
    withWebSocket(async (served) => {
      const slow = await connected(served);
      slow.socket.send(Buffer.from("820700010000016200", "hex")); // SUBSCRIBE to "b"
      await slow.bytes(6);
      slow.heard.length = 0;
      slow.socket.pause();
      const url = `ws://127.0.0.1:${served.listener.port}/mqtt`;
      const publisher = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
      const payload = Buffer.alloc(500_000);
      for (let i = 0; i < 40; i++) await publisher.publishAsync("b", payload, { qos: 1 });
      const owed = served.metrics.value("tidewire_mqtt_output_bytes") ?? 0;
      assert.ok(owed < 20 * payload.length, `${owed} bytes wait`);
      slow.socket.resume();
      slow.socket.send(PINGREQ);
      const caughtUp = (): boolean => slow.heard.at(-1)?.subarray(-2).equals(PINGRESP) === true;
      while (!caughtUp()) await once(slow.socket, "message");
      slow.socket.terminate();
      await publisher.endAsync();
    }));

  test("refused upgrades: another page, another path, no subprotocol, an old version; each with its status", () =>
    withWebSocket(async (served) => {
      assert.equal(await statusOf(served, { origin: "http://evil.example" }), 403);
      assert.equal(refused(served, "websocket-origin"), 1);
      assert.equal(await statusOf(served, {}, []), 400);
      assert.equal(await statusOf(served, {}, ["amqp"]), 400);
      assert.equal(await statusOf(served, { protocolVersion: 8 }), 426);
      assert.equal(refused(served, "websocket-upgrade"), 3);
      const elsewhere = new WebSocket(`ws://127.0.0.1:${served.listener.port}/other`, ["mqtt"]);
      elsewhere.on("error", () => {});
      const [, response] = (await once(elsewhere, "unexpected-response")) as [unknown, { statusCode: number }];
      assert.equal(response.statusCode, 404);
      elsewhere.terminate();
      const plain = await fetch(`http://127.0.0.1:${served.listener.port}/mqtt`);
      assert.equal(plain.status, 426);
      assert.match(await plain.text(), /MQTT over WebSocket/);
    }));
});

function upgrade(): string {
  const lines = ["GET /mqtt HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket"];
  const own = [
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: mqtt",
  ];
  return [...lines, ...own, "", ""].join("\r\n");
}

/** `once` of node:events for mqtt.js, whose types know only its own events. */
function onceOf(one: MqttClient, event: string): Promise<unknown[]> {
  return once(one as unknown as EventEmitter, event);
}
