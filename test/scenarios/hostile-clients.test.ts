import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import type { MqttClient } from "mqtt";
import { parser as packetParser } from "mqtt-packet";
import type { Packet } from "mqtt-packet";
import { WebSocket } from "ws";
import { FRAME_CASES, joined, masked } from "../../src/wire/websocket/frames.cases.ts";
import { HOSTILE_CASES, connect, isRefusal, publish, utf8 } from "./hostile-clients.cases.ts";
import type { HostileCase, Outcome } from "./hostile-clients.cases.ts";
import { addDevice, connectDevice, openDevice, rawConnection } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;
let bystander: Device;
let offender: Device;
let watcher: MqttClient;
let received = 0;
let residentAtStart = 0;

before(async () => {
  platform = await PlatformProcess.start(folder.path, ["--listen", "mqtt://127.0.0.1:0?auth=none"]);
  bystander = await addDevice(platform, folder.path, "bystander");
  offender = await addDevice(platform, folder.path, "offender");
  watcher = await connectDevice(platform, bystander);
  await watcher.subscribeAsync("commands/bystander/#", { qos: 1 });
  await watcher.subscribeAsync("$aws/things/bystander/echo", { qos: 1 });
  watcher.on("message", () => received++);
  residentAtStart = await residentBytes();
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

// ── one way to speak over all three ────────────────────────────────────────────────────────────

/** A connection of the offender: bytes out, bytes in, and its end. */
interface Line {
  readonly write: (bytes: Uint8Array) => void;
  readonly onData: (take: (bytes: Uint8Array) => void) => void;
  readonly closed: Promise<void>;
  readonly destroy: () => void;
}

interface Transport {
  readonly name: string;
  readonly anonymous: boolean;
  readonly open: () => Promise<Line>;
}

function lineOf(socket: TLSSocket | ReturnType<typeof createConnection>): Line {
  socket.on("error", () => {}); // a reset is one way of closing
  return {
    write: (bytes) => void socket.write(bytes),
    onData: (take) => void socket.on("data", take),
    closed: new Promise((resolve) => socket.on("close", () => resolve())),
    destroy: () => void socket.destroy(),
  };
}

const TRANSPORTS: readonly Transport[] = [
  {
    name: "TCP",
    anonymous: true,
    open: async () => {
      const port = Number(new URL(platform.ready.listen[0]!.replace("mqtt:", "http:")).port);
      return lineOf(createConnection({ host: "127.0.0.1", port }));
    },
  },
  { name: "TLS", anonymous: false, open: async () => lineOf(rawConnection(platform, offender)) },
  { name: "WebSocket", anonymous: false, open: openWebSocket },
];

async function openWebSocket(): Promise<Line> {
  const url = `wss://127.0.0.1:${new URL(platform.ready.https).port}/mqtt`;
  const { key, cert, ca } = offender;
  const socket = new WebSocket(url, ["mqtt"], { key, cert, ca });
  socket.on("error", () => {});
  await once(socket, "open");
  return {
    // In pieces that fit no packet.
    write: (bytes) => {
      const half = Math.ceil(bytes.length / 2);
      socket.send(bytes.subarray(0, half), { fin: false });
      socket.send(bytes.subarray(half), { fin: true });
    },
    onData: (take) => void socket.on("message", take),
    closed: new Promise((resolve) => socket.on("close", () => resolve())),
    destroy: () => socket.terminate(),
  };
}

/** What comes back: all packets up to the one that is waited for, or up to the end of the connection. */
async function answers(line: Line, wanted: (packet: Packet) => boolean): Promise<readonly Packet[]> {
  const packets: Packet[] = [];
  const parser = packetParser({ protocolVersion: 5 });
  const found = new Promise<void>((resolve) => {
    let done = false;
    parser.on("packet", (packet) => {
      if (!done) packets.push(packet);
      done ||= wanted(packet);
      if (done) resolve();
    });
  });
  line.onData((bytes) => void parser.parse(Buffer.from(bytes)));
  await Promise.race([found, line.closed]);
  return packets;
}

function codesOf(packet: Packet): readonly number[] {
  if (packet.cmd === "suback" || packet.cmd === "unsuback") return packet.granted as number[];
  return "reasonCode" in packet ? [packet.reasonCode ?? 0] : [];
}

const PINGREQ = Buffer.of(0xc0, 0);
/** MQTT 5.0 section 2.4: from here on a code says no. */
const REFUSAL = 0x80;

function isLast(packet: Packet, outcome: Outcome): boolean {
  return packet.cmd === outcome.packet && (packet.cmd !== "connack" || codesOf(packet)[0]! >= REFUSAL);
}

async function play({ bytes }: HostileCase, expected: Outcome, transport: Transport): Promise<void> {
  const line = await transport.open();
  const heard = answers(line, (packet) => isLast(packet, expected));
  for (const packet of bytes(idOver(transport))) line.write(packet);
  if (expected.packet === "pingresp") line.write(PINGREQ);
  const packets = await heard;
  const told = packets.map(
    (packet) =>
      `${packet.cmd} ${codesOf(packet)
        .map((code) => `0x${code.toString(16)}`)
        .join(" ")}`,
  );
  if (expected.packet === "none") {
    assert.ok(
      packets.every((packet) => packet.cmd === "connack"),
      told.join(", "),
    );
  } else {
    const last = packets.at(-1);
    assert.equal(last?.cmd, expected.packet, told.join(", "));
    if ("codes" in expected) assert.ok(expected.codes.includes(codesOf(last)[0]!), told.join(", "));
  }
  // What ends a connection ends it, and not only in words.
  if (["none", "connack", "disconnect"].includes(expected.packet)) await line.closed;
  else line.destroy();
}

/** What the broker has refused so far, by reason. */
async function refusals(): Promise<ReadonlyMap<string, number>> {
  const text = await platform.api<string>("GET", "/metrics");
  const lines = text.matchAll(/^tidewire_mqtt_refused_total\{reason="([^"]+)"\} (\d+)$/gm);
  return new Map(Array.from(lines, ([, reason, count]) => [reason!, Number(count)]));
}

async function refusedInAll(): Promise<number> {
  return [...(await refusals()).values()].reduce((sum, count) => sum + count, 0);
}

function residentBytes(): Promise<number> {
  return platform.metric("process_resident_memory_bytes");
}

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

for (const transport of TRANSPORTS) {
  describe(`over ${transport.name}`, () => {
    for (const one of HOSTILE_CASES) {
      test(one.title, async () => {
        const expected = transport.anonymous ? (one.anonymousOutcome ?? one.outcome) : one.outcome;
        const before = await refusedInAll();
        await play(one, expected, transport);
        if (isRefusal(expected)) await until("the refusal is counted", async () => (await refusedInAll()) > before);
        await bystanderNoticesNothing();
      });
    }

    test("the same client id twice: the first is told and goes, the second is served", async () => {
      const id = idOver(transport);
      const first = await transport.open();
      const told = answers(first, ({ cmd }) => cmd === "disconnect");
      first.write(connect(id));
      await until("the first is in", async () => (await platform.metric("tidewire_mqtt_connections")) >= 2);
      const second = await transport.open();
      const served = answers(second, ({ cmd }) => cmd === "pingresp");
      second.write(Buffer.concat([connect(id), PINGREQ]));
      assert.deepEqual(codesOf((await told).at(-1)!), [0x8e]);
      await first.closed;
      assert.equal((await served).at(-1)?.cmd, "pingresp");
      second.destroy();
      await bystanderNoticesNothing();
    });

    test("a keep-alive of 65,535 s, as those who fill slots ask for: the server sets its own [MQTT-3.2.2-21]", async () => {
      const line = await transport.open();
      const heard = answers(line, ({ cmd }) => cmd === "connack");
      line.write(connect(idOver(transport), { keepAlive: 65_535 }));
      const [connack] = await heard;
      assert.ok(connack?.cmd === "connack" && connack.properties?.serverKeepAlive === 3600, JSON.stringify(connack));
      line.destroy();
    });

    test("a packet that announces more than comes: nothing happens until the rest is there", async () => {
      const line = await transport.open();
      const heard = answers(line, ({ cmd }) => cmd === "pingresp");
      const whole = Buffer.concat([connect(idOver(transport)), PINGREQ]);
      line.write(whole.subarray(0, 12));
      await bystanderNoticesNothing();
      line.write(whole.subarray(12));
      assert.deepEqual(
        (await heard).map(({ cmd }) => cmd),
        ["connack", "pingresp"],
      );
      line.destroy();
    });
  });
}

function idOver({ anonymous }: Transport): string {
  return anonymous ? "offender-over-tcp" : "offender";
}

describe("below MQTT, over WebSocket", () => {
  /** Bytes behind a good upgrade, with the offender's certificate. */
  async function upgraded(): Promise<TLSSocket> {
    const socket = connectTls({ host: "127.0.0.1", port: httpsPort(), ...credentials() });
    socket.on("error", () => {});
    socket.write(`${UPGRADE.join("\r\n")}\r\n\r\n`);
    const [head] = (await once(socket, "data")) as [Buffer];
    assert.match(head.toString(), /^HTTP\/1\.1 101 /);
    return socket;
  }

  for (const one of FRAME_CASES.filter(({ fault }) => fault !== undefined)) {
    test(one.title, async () => {
      const reason = `tidewire_listener_refused_total{listener="websocket",reason="websocket-${one.fault!}"}`;
      const before = await platform.metric(reason);
      const socket = await upgraded();
      const closed = once(socket, "close");
      socket.write(one.bytes);
      socket.resume();
      await closed;
      assert.equal(await platform.metric(reason), before + 1);
      await bystanderNoticesNothing();
    });
  }

  test("64 MiB of one frame that says nothing in MQTT: refused when its first packet does not fit, not gathered", async () => {
    const before = await residentBytes();
    const socket = await upgraded();
    socket.write(
      masked(0x82, Buffer.concat([connect("offender"), Buffer.of(0x30, 0xff, 0xff, 0x7f)]), "ff 0000000004000000"),
    );
    const closed = once(socket, "close");
    const piece = Buffer.alloc(1_000_000);
    for (let i = 0; i < 64 && !socket.destroyed; i++)
      if (!socket.write(piece)) await Promise.race([once(socket, "drain"), closed]);
    socket.resume();
    await closed;
    assert.ok((await residentBytes()) - before < 32_000_000);
    await bystanderNoticesNothing();
  });

  test("100,000 fragments without end, and as many pings: others are served meanwhile, and nothing is gathered", async () => {
    const before = await residentBytes();
    const socket = await upgraded();
    socket.resume();
    const ping = masked(0x89, "x".repeat(125));
    socket.write(masked(0x02, connect("offender")));
    const many = joined(Array.from({ length: 1000 }, () => joined([masked(0x00, ""), ping])));
    for (let i = 0; i < 100; i++) if (!socket.write(many)) await once(socket, "drain");
    await bystanderNoticesNothing();
    assert.ok((await residentBytes()) - before < 64_000_000);
    socket.destroy();
  });

  test("closing without a handshake, in the middle of a frame, and 200 upgrades that never end: nobody notices", async () => {
    const cut = await upgraded();
    cut.write(masked(0x82, connect("offender")).subarray(0, 9));
    cut.destroy();
    const slow = Array.from({ length: 200 }, () => {
      const socket = connectTls({ host: "127.0.0.1", port: httpsPort(), ...credentials() });
      socket.on("error", () => {});
      socket.write(`${UPGRADE.slice(0, 3).join("\r\n")}\r\n`);
      return socket;
    });
    await Promise.all(slow.map((socket) => once(socket, "secureConnect")));
    await bystanderNoticesNothing();
    const line = await openWebSocket();
    const heard = answers(line, ({ cmd }) => cmd === "connack");
    line.write(connect("offender"));
    assert.deepEqual(codesOf((await heard).at(-1)!), [0]);
    line.destroy();
    for (const socket of slow) socket.destroy();
  });
});

const UPGRADE = [
  "GET /mqtt HTTP/1.1",
  "Host: 127.0.0.1",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Protocol: mqtt",
];

function httpsPort(): number {
  return Number(new URL(platform.ready.https).port);
}

function credentials(): { readonly key: string; readonly cert: string; readonly ca: string } {
  return { key: offender.key, cert: offender.cert, ca: offender.ca };
}

test("a certificate that is made inactive: its connections end, and its old session is told nothing until it is active again", async () => {
  const mine = await addDevice(platform, folder.path, "revoked");
  const status = (now: string): Promise<unknown> =>
    platform.api("PUT", `/certificates/${mine.certificateId}?newStatus=${now}`);
  const kept = { clean: false, properties: { sessionExpiryInterval: 600 } };
  const client = await connectDevice(platform, mine, kept);
  await client.subscribeAsync("commands/revoked/#", { qos: 1 });
  const heard: string[] = [];
  client.on("message", (_topic, payload) => heard.push(payload.toString()));
  const gone = new Promise((resolve) => client.once("disconnect", ({ reasonCode }) => resolve(reasonCode)));
  await status("INACTIVE");
  assert.equal(await gone, 0x87);
  const line = await TRANSPORTS[0]!.open();
  const taken = answers(line, ({ cmd }) => cmd === "puback");
  line.write(Buffer.concat([connect("anybody"), publish(utf8("commands/revoked/now"), undefined, "for later")]));
  assert.deepEqual(codesOf((await taken).at(-1)!), [0]);
  line.destroy();
  const refused = rawConnection(platform, mine);
  refused.on("error", () => {});
  refused.write(connect("revoked"));
  refused.resume();
  await once(refused, "close");
  assert.deepEqual(heard, []);
  await status("ACTIVE");
  const back = openDevice(platform, mine, kept);
  const [, payload] = await new Promise<[string, Buffer]>((resolve) =>
    back.once("message", (topic, bytes) => resolve([topic, bytes])),
  );
  assert.equal(payload.toString(), "for later");
  await back.endAsync();
  await client.endAsync(true);
  await bystanderNoticesNothing();
});

test("every kind of refusal left a line in the log, and memory is what it was", async () => {
  for (const kind of (await refusals()).keys()) await logHolds(new RegExp(`"reason":"${kind}"`));
  assert.ok((await residentBytes()) - residentAtStart < 150_000_000);
});
