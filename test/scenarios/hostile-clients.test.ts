import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { TLSSocket } from "node:tls";
import type { MqttClient } from "mqtt";
import { addDevice, connectDevice, rawConnection } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;
let bystander: Device;
let offender: Device;
let watcher: MqttClient;
let received = 0;

before(async () => {
  platform = await PlatformProcess.start(folder.path);
  bystander = await addDevice(platform, folder.path, "bystander");
  offender = await addDevice(platform, folder.path, "offender");
  watcher = await connectDevice(platform, bystander);
  await watcher.subscribeAsync("commands/bystander/#", { qos: 1 });
  await watcher.subscribeAsync("$aws/things/bystander/echo", { qos: 1 });
  watcher.on("message", () => received++);
});

after(async () => {
  await watcher?.endAsync(true);
  await platform?.stop();
  folder.remove();
});

/** The bystander's round trip still works; its connection was never touched. */
async function bystanderNoticesNothing(): Promise<void> {
  const wanted = received + 1;
  await watcher.publishAsync("$aws/things/bystander/echo", "x", { qos: 1 });
  await until("the bystander's own message", async () => received >= wanted);
  assert.equal(watcher.connected, true);
}

function logHolds(pattern: RegExp): Promise<boolean> {
  return until(`a log line like ${pattern.source}`, async () =>
    pattern.test(readFileSync(join(folder.path, "platform.log"), "utf8")),
  );
}

/** Sends bytes after the TLS handshake; resolves with all that came back once the platform closed the connection. */
function send(socket: TLSSocket, ...packets: readonly Uint8Array[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => {}); // a reset is one way of closing
    socket.on("close", () => resolve(Buffer.concat(chunks)));
    socket.setTimeout(15_000, () => reject(new Error("the platform left the connection open")));
    socket.once("secureConnect", () => {
      for (const packet of packets) socket.write(packet);
    });
  });
}

const utf8 = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
};

function packet(first: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.of(first, ...length), body]);
}

const connect5 = (clientId: string): Buffer =>
  packet(0x10, utf8("MQTT"), Buffer.of(5, 0x02, 0, 60), Buffer.of(0), utf8(clientId));
const publish5 = (topic: Buffer, payload: string): Buffer =>
  packet(0x32, topic, Buffer.of(0, 1), Buffer.of(0), Buffer.from(payload));

/** The reason code of the last packet, which must be a DISCONNECT (section 3.14). */
function disconnectReason(answer: Buffer): number {
  const at = answer.lastIndexOf(0xe0);
  assert.notEqual(at, -1, `a DISCONNECT in ${answer.toString("hex")}`);
  return answer[at + 2]!;
}

test("CONNECT with a wrong protocol name: the connection ends, with a log line and a metric", async () => {
  const before = await refusals();
  const wrong = packet(0x10, utf8("MQXX"), Buffer.of(5, 2, 0, 60, 0), utf8("offender"));
  const answer = await send(rawConnection(platform, offender), wrong);
  assert.ok(answer.length === 0 || answer[0] === 0x20, "nothing, or a CONNACK that refuses");
  assert.ok((await refusals()) > before);
  await bystanderNoticesNothing();
});

/** All refusals and malformed packets counted so far, whatever the reason. */
async function refusals(): Promise<number> {
  const text = await platform.api<string>("GET", "/metrics");
  return [
    ...text.matchAll(/^tidewire_mqtt_\w*(?:refused|malformed|rejected|errors|dropped)\w*_total(?:\{[^}]*\})? (\d+)/gm),
  ]
    .map((match) => Number(match[1]))
    .reduce((sum, value) => sum + value, 0);
}

test("256 MB of remaining length before CONNECT: refused from the fixed header, nothing is buffered", async () => {
  const before = await refusals();
  const answer = await send(rawConnection(platform, offender), Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f));
  assert.ok(answer.length < 64);
  assert.ok((await refusals()) > before);
  await bystanderNoticesNothing();
});

test("a first packet that is not CONNECT ends the connection [MQTT-3.1.0-1]", async () => {
  const answer = await send(rawConnection(platform, offender), Buffer.of(0xc0, 0x00));
  assert.ok(answer.length < 64);
  await bystanderNoticesNothing();
});

test("a topic with 70 levels: DISCONNECT or PUBACK says topic name invalid", async () => {
  const before = await refusals();
  const topic = `telemetry/offender/${"x/".repeat(68)}x`;
  const answer = await send(
    rawConnection(platform, offender),
    connect5("offender"),
    publish5(utf8(topic), "1"),
    Buffer.of(0xe0, 0),
  );
  assert.ok(answer.includes(0x90), `reason 0x90 in ${answer.toString("hex")}`);
  assert.ok((await refusals()) > before);
  await bystanderNoticesNothing();
});

test("a topic of invalid UTF-8: DISCONNECT with malformed packet or topic name invalid [MQTT-1.5.4-1]", async () => {
  const before = await refusals();
  const topic = Buffer.concat([Buffer.of(0, 4), Buffer.from("a/"), Buffer.of(0xc3, 0x28)]);
  const answer = await send(rawConnection(platform, offender), connect5("offender"), publish5(topic, "1"));
  assert.ok([0x81, 0x90].includes(disconnectReason(answer)), answer.toString("hex"));
  assert.ok((await refusals()) > before);
  await bystanderNoticesNothing();
});

test("reserved flag bits and a five-byte length: DISCONNECT 0x81", async () => {
  for (const bad of [Buffer.of(0xc1, 0x00), Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff, 0x01)]) {
    const answer = await send(rawConnection(platform, offender), connect5("offender"), bad);
    assert.equal(disconnectReason(answer), 0x81, answer.toString("hex"));
  }
  await bystanderNoticesNothing();
});

test("payloads that are no JSON, and a JSON bomb: accepted as messages, told, and telemetry goes on", async () => {
  const client = await connectDevice(platform, offender);
  await client.publishAsync("telemetry/offender/m", "not json", { qos: 1 });
  await client.publishAsync("telemetry/offender/m", "[".repeat(100_000), { qos: 1 });
  await client.publishAsync("telemetry/offender/m", '{"value":42}', { qos: 1 });
  await until("the good value behind the bad ones", async () => {
    const { values } = await platform.api<{ values: { field: string; value: number }[] }>(
      "GET",
      "/api/things/offender/latest",
    );
    return values.some(({ field, value }) => field === "value" && value === 42);
  });
  await client.endAsync();
  await logHolds(/offender.*(?:JSON|json)|(?:JSON|json).*offender/);
  await bystanderNoticesNothing();
});

test("a publish that the policy does not allow: PUBACK 0x87, a log line, and nobody receives it", async () => {
  const before = received;
  const client = await connectDevice(platform, offender);
  await assert.rejects(client.publishAsync("commands/bystander/evil", "x", { qos: 1 }), /Not authorized/);
  await client.endAsync();
  await bystanderNoticesNothing();
  assert.equal(received, before + 1, "only the bystander's own message");
  await logHolds(/commands\/bystander\/evil/);
});
