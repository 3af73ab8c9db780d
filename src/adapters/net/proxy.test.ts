import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection } from "node:net";
import type { Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { PROXY_CASES } from "../../wire/proxy/proxy-header.cases.ts";
import type { ProxyOptions } from "./listen-mqtt.ts";
import { serve } from "./listener.fixture.ts";
import type { Served } from "./listener.fixture.ts";
import { makePki } from "./pki.fixture.ts";
import type { Identity, Pki } from "./pki.fixture.ts";

/** CONNECT of 3.1.1 with client id "d". */
const CONNECT = Uint8Array.of(0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x64);
const LOOPBACK = ["127.0.0.0/8"];

let pki: Pki;
let server: Identity;
let device: Identity;

before(async () => {
  pki = await makePki();
  [server, device] = [await pki.issue("server"), await pki.issue("device")];
});
after(() => pki.remove());

async function behindProxy(
  work: (served: Served) => Promise<void>,
  proxy: Partial<ProxyOptions> = {},
  options: { limits?: object; secure?: boolean } = {},
): Promise<void> {
  const { limits = {}, secure = false } = options;
  const tls = { tls: { key: server.key, cert: server.cert, ca: pki.ca } };
  const served = await serve({
    admitPeer: () => ({ ok: true }),
    proxy: { version: "v2", from: LOOPBACK, ...proxy },
    limits,
    ...(secure ? tls : {}),
  });
  try {
    await work(served);
  } finally {
    await served.stop();
  }
}

function open(served: Served): Socket {
  const socket = createConnection({ host: "127.0.0.1", port: served.listener.port, noDelay: true });
  return socket.on("error", () => {});
}

function header(title: string): Uint8Array {
  return PROXY_CASES.find((one) => one.title === title)!.bytes;
}

function refused({ metrics }: Served, reason: string): number {
  return metrics.value("tidewire_listener_refused_total", { listener: "mqtt", reason }) ?? 0;
}

async function ended(socket: Socket): Promise<void> {
  socket.resume();
  if (!socket.closed) await once(socket, "close");
}

const V2 = "v2: TCP over IPv4";

describe("behind a proxy", () => {
  for (const { title, version, address } of PROXY_CASES.filter((one) => one.wrong === undefined)) {
    test(`${title}: the broker, presence and log go by ${address ?? "the proxy's own address"}`, () =>
      behindProxy(
        async (served) => {
          const socket = open(served);
          socket.write(Buffer.concat([header(title), CONNECT]));
          const [connack] = (await once(socket, "data")) as [Buffer];
          assert.equal(connack[0], 0x20);
          assert.equal(served.presence[0]?.remoteAddress, address ?? "127.0.0.1");
          socket.destroy();
        },
        { version },
      ));
  }

  test("a header in single bytes, before TLS: the certificate and the client's address both arrive", () =>
    behindProxy(
      async (served) => {
        const below = open(served);
        await once(below, "connect");
        for (const byte of header("v2: TCP over IPv6")) {
          below.write(Uint8Array.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
        const socket = connectTls({
          socket: below,
          ca: pki.ca,
          key: device.key,
          cert: device.cert,
          servername: "localhost",
        });
        socket.write(CONNECT);
        await once(socket, "data");
        const [connected] = served.presence;
        assert.deepEqual([connected?.remoteAddress, connected?.certificateId], ["2001:db8::1", device.certificateId]);
        socket.destroy();
      },
      {},
      { secure: true },
    ));

  test("header and ClientHello in one segment; a failed handshake is told with the client's address", () =>
    behindProxy(
      async (served) => {
        const socket = open(served);
        socket.write(Buffer.concat([header(V2), CONNECT]));
        await ended(socket);
        const line = served.logger.lines.find((l) => l.fields["reason"] === "not-tls");
        assert.equal(line?.fields["remoteAddress"], "203.0.113.7");
      },
      {},
      { secure: true },
    ));

  test("no header, a broken one, or none in time: refused, with the reason", () =>
    behindProxy(
      async (served) => {
        for (const bytes of [CONNECT, header("v2: UDP"), header("v2: 64 KiB announced")]) {
          const socket = open(served);
          socket.write(bytes);
          await ended(socket);
        }
        assert.equal(refused(served, "proxy-header"), 3);
        const half = open(served);
        half.write(header(V2).subarray(0, 20));
        await ended(half);
        assert.equal(refused(served, "proxy-header"), 4);
        assert.equal(served.presence.length, 0);
        assert.ok(served.logger.lines.some((line) => /no PROXY header/.test(String(line.fields["hint"]))));
      },
      {},
      { limits: { connectTimeout: 100 } },
    ));

  test("whoever is not one of the named proxies is refused before his header is read", () =>
    behindProxy(
      async (served) => {
        const socket = open(served);
        socket.write(Buffer.concat([header(V2), CONNECT]));
        await ended(socket);
        assert.equal(refused(served, "proxy-address"), 1);
      },
      { from: ["192.0.2.0/24", "2001:db8::/32"] },
    ));

  test("limits per address go by the client, not by the proxy that all come through", () =>
    behindProxy(
      async (served) => {
        const sockets: Socket[] = [];
        for (const title of [V2, "v2: TCP over IPv6", "v2: LOCAL: the proxy asks for itself"]) {
          const socket = open(served);
          const connect = CONNECT.with(CONNECT.length - 1, 0x61 + sockets.length); // another client id
          socket.write(Buffer.concat([header(title), connect]));
          await once(socket, "data");
          sockets.push(socket);
        }
        const second = open(served);
        second.write(Buffer.concat([header(V2), CONNECT]));
        await ended(second);
        assert.equal(refused(served, "connections-per-address-full"), 1);
        for (const socket of sockets) socket.destroy();
      },
      {},
      { limits: { connectionsPerAddressMax: 1 } },
    ));
});
