import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import type { MqttListenerOptions, Visitor } from "./listen-mqtt.ts";
import { serve } from "./listener.fixture.ts";
import type { Served } from "./listener.fixture.ts";
import { makePki } from "./pki.fixture.ts";
import type { Identity, Pki } from "./pki.fixture.ts";

/** CONNECT of 3.1.1 with client id "d". */
const CONNECT = Uint8Array.of(0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x64);
const GET = Buffer.from("GET /page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");

let pki: Pki;
let stranger: Pki;
let server: Identity;
let device: Identity;
let foreign: Identity;
let expired: Identity;

before(async () => {
  [pki, stranger] = [await makePki(), await makePki("another CA")];
  [server, device] = [await pki.issue("server"), await pki.issue("device")];
  foreign = await stranger.issue("foreign");
  expired = await pki.issue("expired", new Date(Date.now() - 1000));
});
after(async () => {
  await pki.remove();
  await stranger.remove();
});

interface Door extends Served {
  /** Who came to the HTTP server. */
  readonly visitors: Visitor[];
}

type Choices = Pick<MqttListenerOptions, "clientCertificate" | "unnamed" | "sessionTickets">;

async function withDoor(choices: Choices, work: (door: Door) => Promise<void>, limits: object = {}): Promise<void> {
  const pages: Server = createServer((_request, response) => response.end("a page"));
  const visitors: Visitor[] = [];
  const served = await serve({
    ...choices,
    tls: { key: server.key, cert: server.cert, ca: pki.ca },
    admitPeer: (id) => (id === device.certificateId ? { ok: true } : { ok: false, reason: "not registered" }),
    http: (socket: Socket, visitor) => {
      visitors.push(visitor);
      pages.emit("connection", socket);
    },
    limits,
  });
  try {
    await work({ ...served, visitors });
  } finally {
    await served.stop();
    pages.closeAllConnections();
  }
}

/** What comes back for these bytes: MQTT's CONNACK, a page of HTTP, or nothing. */
async function spoken(
  { listener }: Served,
  bytes: Uint8Array,
  options: ConnectionOptions = {},
): Promise<"MQTT" | "HTTP" | "nothing"> {
  const socket = connectTls({
    host: "127.0.0.1",
    port: listener.port,
    ca: pki.ca,
    servername: "localhost",
    ...options,
  });
  socket.on("error", () => {});
  socket.write(bytes);
  const answer = await new Promise<Buffer>((resolve) => {
    socket.once("data", resolve);
    socket.once("close", () => resolve(Buffer.alloc(0)));
  });
  socket.destroy();
  if (answer.length === 0) return "nothing";
  return answer[0] === 0x20 ? "MQTT" : answer.toString().startsWith("HTTP/1.1 200") ? "HTTP" : "nothing";
}

const own = (identity: Identity): ConnectionOptions => ({ key: identity.key, cert: identity.cert });

function refused({ metrics }: Served, reason: string): number {
  return metrics.value("tidewire_listener_refused_total", { listener: "mqtts", reason });
}

describe("one port for everything", () => {
  const choices: Choices = { clientCertificate: "requested", unnamed: "first-byte", sessionTickets: true };

  for (const [alpn, bytes, answer] of [
    ["mqtt", CONNECT, "MQTT"],
    ["x-amzn-mqtt-ca", CONNECT, "MQTT"],
    ["http/1.1", GET, "HTTP"],
    ["x-amzn-http-ca", GET, "HTTP"],
    ["h2,http/1.1", GET, "HTTP"],
    [null, CONNECT, "MQTT"],
    [null, GET, "HTTP"],
    ["h2", GET, "nothing"],
  ] as const) {
    test(`ALPN ${alpn ?? "not used"}, and ${bytes === GET ? "HTTP" : "MQTT"} is sent: ${answer}`, () =>
      withDoor(choices, async (door) => {
        for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
          const named = alpn === null ? {} : { ALPNProtocols: alpn.split(",") };
          assert.equal(await spoken(door, bytes, { ...own(device), ...named, maxVersion }), answer, maxVersion);
        }
      }));
  }

  test("a browser has no certificate and gets its page; it is known that it has none", () =>
    withDoor(choices, async (door) => {
      assert.equal(await spoken(door, GET, { ALPNProtocols: ["http/1.1"] }), "HTTP");
      assert.deepEqual(door.visitors, [{ remoteAddress: "127.0.0.1", credential: { kind: "none" } }]);
    }));

  test("certificates of strangers and expired ones: no MQTT, with the reason; HTTP is told that they prove nothing", () =>
    withDoor(choices, async (door) => {
      for (const [identity, reason] of [
        [foreign, "certificate-untrusted"],
        [expired, "certificate-expired"],
      ] as const) {
        assert.equal(await spoken(door, CONNECT, own(identity)), "nothing", reason);
        assert.equal(refused(door, reason), 1);
        assert.equal(await spoken(door, GET, own(identity)), "HTTP");
        const { credential } = door.visitors.at(-1)!;
        assert.equal(credential.kind === "unusable" ? credential.reason : credential.kind, reason);
      }
    }));

  test("a resumed TLS session of a stranger's certificate proves no more than the first", () =>
    withDoor(choices, async (door) => {
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const options = { ...own(foreign), ALPNProtocols: ["http/1.1"], maxVersion } as const;
        const session = await sessionOf(door, options);
        assert.equal(await spoken(door, GET, { ...options, session }), "HTTP");
        assert.equal(door.visitors.at(-1)!.credential.kind, "unusable", maxVersion);
        assert.equal(
          await spoken(door, CONNECT, { ...own(foreign), ALPNProtocols: ["mqtt"], session, maxVersion }),
          "nothing",
        );
      }
    }));

  test("MQTT without a certificate reaches the broker as nobody, which has the say", () =>
    withDoor(choices, async (door) => {
      assert.equal(await spoken(door, CONNECT), "MQTT");
      assert.equal(door.presence[0]?.certificateId, null);
    }));

  test("a client that names no protocol and says nothing is cut in time", () =>
    withDoor(
      choices,
      async (door) => {
        const silent = connectTls({ host: "127.0.0.1", port: door.listener.port, ca: pki.ca, servername: "localhost" });
        silent.on("error", () => {});
        silent.resume();
        await once(silent, "close");
        assert.equal(refused(door, "silent"), 1);
      },
      { connectTimeout: 100 },
    ));
});

describe("a port for MQTT that knows HTTP by name", () => {
  test("needs a certificate for either; who names nothing is taken for MQTT", () =>
    withDoor({ clientCertificate: "required", unnamed: "mqtt" }, async (door) => {
      assert.equal(await spoken(door, CONNECT, own(device)), "MQTT");
      assert.equal(await spoken(door, GET, { ...own(device), ALPNProtocols: ["x-amzn-http-ca"] }), "HTTP");
      assert.equal(await spoken(door, GET, { ALPNProtocols: ["http/1.1"] }), "nothing");
      assert.equal(await spoken(door, GET, own(device)), "nothing");
      assert.equal(refused(door, "no-certificate"), 1);
    }));
});

describe("key exchange", () => {
  for (const [client, agreed] of [
    ["X25519MLKEM768", "X25519MLKEM768"],
    ["X25519:X25519MLKEM768", "X25519MLKEM768"],
    ["X25519", "X25519"],
    ["prime256v1", "prime256v1"],
  ] as const) {
    test(`a client that offers ${client} gets ${agreed}: the hybrid group comes first`, () =>
      withDoor({ clientCertificate: "required" }, async (door) => {
        assert.equal(await spoken(door, CONNECT, { ...own(device), ecdhCurve: client }), "MQTT");
        assert.equal(await groupOf(door, client), agreed);
      }));
  }
});

async function sessionOf({ listener }: Served, options: ConnectionOptions): Promise<Buffer> {
  const socket = connectTls({
    host: "127.0.0.1",
    port: listener.port,
    ca: pki.ca,
    servername: "localhost",
    ...options,
  });
  const ticket = once(socket, "session") as Promise<[Buffer]>;
  socket.on("error", () => {}).resume();
  socket.write(GET);
  const [session] = await ticket;
  socket.destroy();
  return session;
}

/** The group whose key share the server chose (RFC 8446 section 4.2.8). */
async function groupOf({ listener }: Served, ecdhCurve: string): Promise<string> {
  const to = { host: "127.0.0.1", port: listener.port, ca: pki.ca, servername: "localhost", ecdhCurve };
  const socket = connectTls({ ...to, ...own(device) });
  await once(socket, "secureConnect");
  const group = socket.getEphemeralKeyInfo();
  socket.destroy();
  return group !== null && "name" in group ? String(group.name) : "none";
}
