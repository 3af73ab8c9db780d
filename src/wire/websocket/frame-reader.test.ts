import assert from "node:assert/strict";
import { Duplex, PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { WebSocket } from "ws";
import { SimRandom } from "../../../sim/world.ts";
import { FrameReader } from "./frame-reader.ts";
import { binaryHeader, closeFrame, maskedFrame, pongFrame } from "./frame-writer.ts";
import { FRAME_CASES, joined, masked } from "./frames.cases.ts";
import type { FrameCase } from "./frames.cases.ts";

interface Outcome {
  readonly data: string;
  readonly pings: readonly string[];
  readonly close: number | null;
  readonly fault: string | null;
}

/** Pushes copies, because a reader writes over what it is given. */
function read(chunks: readonly Uint8Array[]): Outcome {
  const outcome = { data: [] as Buffer[], pings: [] as string[], close: null as number | null };
  const reader = new FrameReader({
    data: (bytes) => void outcome.data.push(Buffer.from(bytes)),
    ping: (payload) => void outcome.pings.push(Buffer.from(payload).toString()),
    close: (code) => (outcome.close = code),
  });
  let fault: string | null = null;
  for (const chunk of chunks) fault ??= reader.push(chunk.slice())?.kind ?? null;
  return { ...outcome, data: Buffer.concat(outcome.data).toString(), fault };
}

function expected({ data = "", pings = [], close, fault }: FrameCase): Outcome {
  return { data, pings, close: close ?? null, fault: fault ?? null };
}

describe("every case of the table: whole, byte by byte, split at every offset [MQTT-6.0.0-1] [MQTT-6.0.0-2] [MQTT311-6.0.0-1] [MQTT311-6.0.0-2]", () => {
  for (const one of FRAME_CASES) {
    test(one.title, () => {
      const { bytes } = one;
      assert.deepEqual(read([bytes]), expected(one));
      assert.deepEqual(read(Array.from(bytes, (byte) => Uint8Array.of(byte))), expected(one));
      const step = Math.max(1, Math.floor(bytes.length / 200));
      for (let at = 0; at <= bytes.length; at += step) {
        assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), expected(one), `split at ${at}`);
      }
    });
  }
});

test("a case cut short is never a fault that the whole one is not, and never more data", () => {
  for (const one of FRAME_CASES) {
    if (one.bytes.length > 1000) continue;
    for (let length = 0; length < one.bytes.length; length++) {
      const { data, fault } = read([one.bytes.subarray(0, length)]);
      assert.ok((one.data ?? "").startsWith(data), one.title);
      assert.ok(fault === null || fault === one.fault, one.title);
    }
  }
});

test("payload is passed on before its frame is complete, so a frame's length costs no memory", () => {
  const announced = masked(0x82, "", "ff 0000000010000000");
  const pieces: number[] = [];
  const reader = new FrameReader({ data: (bytes) => void pieces.push(bytes.length), ping: () => {}, close: () => {} });
  assert.equal(reader.push(announced), null);
  for (let i = 0; i < 100; i++) assert.equal(reader.push(new Uint8Array(65_536)), null);
  assert.deepEqual(
    pieces,
    Array.from({ length: 100 }, () => 65_536),
  );
});

test("whatever the ws package's client sends arrives, and whatever we send it understands", async () => {
  const random = new SimRandom(7);
  const [toServer, toClient] = [new PassThrough(), new PassThrough()];
  const sent: Buffer[] = [];
  const got: Buffer[] = [];
  const frames: Uint8Array[] = [];
  const reader = new FrameReader({
    data: (bytes) => void got.push(Buffer.from(bytes)),
    ping: (payload) => void frames.push(pongFrame(payload)),
    close: (code) => void frames.push(closeFrame(code)),
  });
  toServer.on("data", (chunk: Buffer) => {
    for (let at = 0; at < chunk.length;) {
      const to = at + 1 + Math.floor(random.next() * 5000);
      assert.equal(reader.push(chunk.subarray(at, to)), null);
      at = to;
    }
  });
  const client = clientOver(toServer, toClient);
  for (let i = 0; i < 200; i++) {
    const payload = Buffer.from(random.bytes(Math.floor(random.next() ** 4 * 70_000)));
    sent.push(payload);
    const half = Math.floor(payload.length / 2);
    client.send(payload.subarray(0, half), { binary: true, fin: false });
    client.send(payload.subarray(half), { binary: true, fin: true });
    if (i % 50 === 0) client.ping(`ping ${i}`);
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(Buffer.concat(got).equals(Buffer.concat(sent)));

  const heard: Buffer[] = [];
  const pongs: string[] = [];
  client.on("message", (data: Buffer) => heard.push(data));
  client.on("pong", (data) => pongs.push(data.toString()));
  const closed = new Promise((resolve) => client.on("close", (code) => resolve(code)));
  for (const length of [0, 1, 125, 126, 65_535, 65_536, 70_000]) {
    toClient.write(joined([binaryHeader(length), new Uint8Array(length).fill(length % 251)]));
  }
  for (const frame of frames) toClient.write(frame);
  toClient.write(closeFrame(1000));
  toClient.end();
  assert.equal(await closed, 1000);
  assert.deepEqual(
    heard.map((data) => data.length),
    [0, 1, 125, 126, 65_535, 65_536, 70_000],
  );
  assert.ok(heard.every((data) => data.every((byte) => byte === data.length % 251)));
  assert.deepEqual(pongs, ["ping 0", "ping 50", "ping 100", "ping 150"]);
});

/** A client of the ws package over two pipes, as if its upgrade had been granted; its types know no such thing. */
function clientOver(toServer: PassThrough, toClient: PassThrough): WebSocket {
  const Constructor = WebSocket as unknown as new (address: null, protocols: undefined, options: object) => WebSocket;
  const client = new Constructor(null, undefined, {});
  const inside = client as unknown as {
    _isServer: boolean;
    setSocket(socket: Duplex, head: Buffer, options: object): void;
  };
  inside._isServer = false;
  const pipes = Duplex.from({ readable: toClient, writable: toServer });
  inside.setSocket(Object.assign(pipes, { setTimeout: () => {}, setNoDelay: () => {} }), Buffer.alloc(0), {
    maxPayload: 0,
    allowSynchronousEvents: true,
  });
  return client;
}

test("arbitrary bytes: never an exception, and the way they are split makes no difference", () => {
  const random = new SimRandom(11);
  for (let round = 0; round < 3000; round++) {
    const one = random.pick(FRAME_CASES);
    const bytes = joined([one.bytes.subarray(0, 400), random.pick(FRAME_CASES).bytes.subarray(0, 400)]);
    for (let i = Math.floor(random.next() * 3); i > 0; i--)
      bytes[Math.floor(random.next() * bytes.length)]! ^= 1 << (i & 7);
    const at = Math.floor(random.next() * bytes.length);
    assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), read([bytes]), `round ${round}`);
  }
});

test("a client reads a server's frames, which are never masked, and the server what the client masks, of every length", () => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
    const payload = Uint8Array.from({ length }, (_, i) => i);
    const heard: number[] = [];
    const handler = { data: (bytes: Uint8Array) => void heard.push(...bytes), ping: () => {}, close: () => {} };
    const client = new FrameReader(handler, "server");
    assert.equal(client.push(joined([binaryHeader(length), payload])), null);
    assert.deepEqual(heard.splice(0), [...payload]);
    const frame = maskedFrame("binary", payload, Uint8Array.of(1, 2, 3, 254));
    assert.equal(new FrameReader(handler).push(frame.slice()), null);
    assert.deepEqual(heard, [...payload]);
    assert.equal(client.push(frame)?.kind, "masked");
  }
});
