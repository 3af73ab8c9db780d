import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { readShared } from "./shared-read.ts";

let server: Server;
beforeEach(async () => {
  server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterEach(() => {
  server.close();
});

async function pair(): Promise<{ client: Socket; accepted: Socket }> {
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [[accepted]] = (await Promise.all([once(server, "connection"), once(client, "connect")])) as [
    [Socket],
    unknown,
  ];
  return { client, accepted };
}

/** Resolves once so many bytes have come. */
function collected(socket: Socket, bytes: number): Promise<{ text: string; buffers: Set<ArrayBufferLike> }> {
  let text = "";
  const buffers = new Set<ArrayBufferLike>();
  return new Promise((resolve) => {
    readShared(socket, (chunk, end) => {
      text += Buffer.from(chunk.subarray(0, end)).toString();
      buffers.add(chunk.buffer);
      if (text.length >= bytes) resolve({ text, buffers });
    });
  });
}

test("all sockets read into one buffer, and each gets its own bytes", async () => {
  const [one, two] = [await pair(), await pair()];
  const wanted = [collected(one.accepted, 300_000), collected(two.accepted, 300_000)];
  for (let i = 0; i < 100; i++) {
    one.client.write("a".repeat(3000));
    two.client.write("b".repeat(3000));
  }
  const [a, b] = await Promise.all(wanted);
  assert.equal(a!.text, "a".repeat(300_000));
  assert.equal(b!.text, "b".repeat(300_000));
  assert.equal(new Set([...a!.buffers, ...b!.buffers]).size, 1, "this Node has what the short way needs");
  for (const { client } of [one, two]) client.destroy();
});

test("what was read before it was known who serves the socket comes first", async () => {
  const { client, accepted } = await pair();
  client.write("first ");
  await once(accepted.resume(), "data").then(([bytes]) => accepted.pause().unshift(bytes as Buffer));
  const all = collected(accepted, 12);
  client.write("second");
  assert.equal((await all).text, "first second");
  client.destroy();
});

test("a paused socket is not read from: the peer feels it; once resumed, all arrives", async () => {
  const { client, accepted } = await pair();
  const all = collected(accepted, 20_000_000);
  accepted.pause();
  let drained = false;
  client.on("drain", () => (drained = true));
  client.write("x".repeat(20_000_000));
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(drained, false);
  accepted.resume();
  assert.equal((await all).text.length, 20_000_000);
  client.destroy();
});

test("the end of the peer is told", async () => {
  const { client, accepted } = await pair();
  readShared(accepted, () => {});
  client.end();
  await once(accepted, "close");
});
