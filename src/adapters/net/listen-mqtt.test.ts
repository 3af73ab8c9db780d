import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import type { EventEmitter } from "node:events";
import { createConnection } from "node:net";
import type { Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import mqtt from "mqtt";
import type { IClientOptions, MqttClient } from "mqtt";
import type { LogLine } from "../../../sim/world.ts";
import { isTidewireError } from "../../base/mod.ts";
import { REASON } from "../../wire/mqtt/mod.ts";
import type { PeerVerdict } from "./listen-mqtt.ts";
import { serve } from "./listener.fixture.ts";
import type { Served } from "./listener.fixture.ts";
import { makePki } from "./pki.fixture.ts";
import type { Identity, Pki } from "./pki.fixture.ts";

const MOSQUITTO_MISSING =
  spawnSync("mosquitto_pub", ["--version"]).error === undefined ? false : "mosquitto_pub is not installed";

let pki: Pki;
let server: Identity;
let device: Identity;
let revoked: Identity;
const verdicts = new Map<string, PeerVerdict>();
const admitPeer = (id: string): PeerVerdict =>
  verdicts.get(id) ?? { ok: false, reason: "the certificate is not registered" };

before(async () => {
  pki = await makePki();
  [server, device, revoked] = [await pki.issue("server"), await pki.issue("device"), await pki.issue("revoked")];
  verdicts.set(device.certificateId, { ok: true });
  verdicts.set(revoked.certificateId, { ok: false, reason: "the certificate is revoked" });
});
after(() => pki.remove());

/** Runs with a TLS listener and stops it, whatever happens. */
async function withTls(
  work: (served: Served) => Promise<void>,
  options: { limits?: object; sessionTickets?: boolean } = {},
): Promise<void> {
  const served = await serve({ tls: { key: server.key, cert: server.cert, ca: pki.ca }, admitPeer, ...options });
  try {
    await work(served);
  } finally {
    await served.stop();
  }
}

function tlsOptions(served: Served, identity: Identity | null, more: ConnectionOptions = {}): ConnectionOptions {
  const own = identity === null ? {} : { key: identity.key, cert: identity.cert };
  return { host: "127.0.0.1", port: served.listener.port, ca: pki.ca, servername: "localhost", ...own, ...more };
}

/** Resolves with what the handshake and the first moments after it came to. */
async function outcome(options: ConnectionOptions): Promise<string> {
  const socket = connectTls(options);
  return new Promise((resolve) => {
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on("close", () => resolve("closed"));
    socket.on("data", (bytes) => {
      resolve(bytes[0] === 0x20 ? "CONNACK" : "other");
      socket.destroy();
    });
    socket.write(CONNECT);
  });
}

/** CONNECT of 3.1.1 with client id "d". */
const CONNECT = Uint8Array.of(0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x64);

/** The line for a refusal, which may come a moment after the client has noticed it. */
async function logged(served: Served, reason: string): Promise<LogLine | undefined> {
  for (let turns = 0; turns < 10_000; turns++) {
    const line = served.logger.lines.find((l) => l.fields["reason"] === reason);
    if (line !== undefined) return line;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return undefined;
}

async function refusedFor(served: Served, reason: string): Promise<void> {
  const labels = { listener: "mqtts", reason };
  const line = await logged(served, reason);
  assert.equal(served.metrics.value("tidewire_listener_refused_total", labels), 1, reason);
  assert.equal(line?.fields["remoteAddress"], "127.0.0.1");
  assert.ok(String(line?.fields["hint"]).length > 10);
}

/** `once` of node:events for mqtt.js, whose types know only its own events. */
function onceOf(one: MqttClient, event: string): Promise<unknown[]> {
  return once(one as unknown as EventEmitter, event);
}

function client(options: IClientOptions): Promise<MqttClient> {
  return mqtt.connectAsync({ host: "127.0.0.1", reconnectPeriod: 0, ...options } as IClientOptions);
}

describe("the TLS listener", () => {
  for (const protocolVersion of [4, 5] as const) {
    test(`mqtt.js, MQTT ${protocolVersion === 4 ? "3.1.1" : "5.0"}: connects with its certificate, subscribes and publishes`, () =>
      withTls(async ({ listener, presence }) => {
        const tls = { port: listener.port, protocol: "mqtts", ca: pki.ca, key: device.key, cert: device.cert } as const;
        const one = await client({ ...tls, clientId: "one", protocolVersion });
        await one.subscribeAsync("t/#", { qos: 1 });
        const received = onceOf(one, "message") as Promise<[string, Buffer]>;
        await one.publishAsync("t/x", "hello", { qos: 1 });
        const [topic, payload] = await received;
        assert.deepEqual([topic, payload.toString()], ["t/x", "hello"]);
        assert.equal(presence[0]?.certificateId, device.certificateId);
        assert.equal(presence[0]?.remoteAddress, "127.0.0.1");
        await one.endAsync();
      }));
  }

  test("ALPN: AWS IoT's name and mqtt are taken, none too, another is refused with a hint", () =>
    withTls(async (served) => {
      for (const ALPNProtocols of [["x-amzn-mqtt-ca"], ["mqtt"], ["h2", "mqtt"], undefined]) {
        const more = ALPNProtocols === undefined ? {} : { ALPNProtocols };
        assert.equal(await outcome(tlsOptions(served, device, more)), "CONNACK", String(ALPNProtocols));
      }
      assert.notEqual(await outcome(tlsOptions(served, device, { ALPNProtocols: ["h2"] })), "CONNACK");
      await refusedFor(served, "alpn");
    }));

  test("no certificate, a stranger's, an expired one: no handshake, a reason and a hint in the log", () =>
    withTls(async (served) => {
      const other = await makePki();
      const stranger = await other.issue("stranger");
      const expired = await pki.issue("expired", new Date(Date.now() - 1000));
      assert.notEqual(await outcome(tlsOptions(served, null)), "CONNACK");
      assert.notEqual(await outcome(tlsOptions(served, stranger)), "CONNACK");
      assert.notEqual(await outcome(tlsOptions(served, expired)), "CONNACK");
      await refusedFor(served, "no-certificate");
      await refusedFor(served, "certificate-untrusted");
      await refusedFor(served, "certificate-expired");
      await other.remove();
    }));

  test("a revoked or unknown certificate is cut before a byte of MQTT is read", () =>
    withTls(async (served) => {
      const unknown = await pki.issue("unknown");
      assert.equal(await outcome(tlsOptions(served, revoked)), "closed");
      assert.equal(await outcome(tlsOptions(served, unknown)), "closed");
      const labels = { listener: "mqtts", reason: "certificate-refused" };
      assert.equal(served.metrics.value("tidewire_listener_refused_total", labels), 2);
      assert.equal(served.metrics.value("tidewire_mqtt_received_bytes_total"), 0);
    }));

  test("a resumed TLS session has the same identity, and is refused once the certificate is revoked", async () => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const resumed = async (served: Served): Promise<void> => {
        const { session } = await exchange(tlsOptions(served, device, { maxVersion }));
        const again = await exchange(tlsOptions(served, device, { maxVersion, session }));
        assert.equal(again.reused, true, maxVersion);
        const ids = served.presence.filter((p) => p.type === "connected").map((p) => p.certificateId);
        assert.deepEqual(ids, [device.certificateId, device.certificateId]);
        verdicts.set(device.certificateId, { ok: false, reason: "revoked meanwhile" });
        assert.equal(await outcome(tlsOptions(served, device, { maxVersion, session: again.session })), "closed");
        verdicts.set(device.certificateId, { ok: true });
      };
      await withTls(resumed, { sessionTickets: true });
    }
  });

  test("without tickets, which is the default, a client that tries to come back by one gets in by a full handshake", async () => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      await withTls(async (served) => {
        const { session } = await exchange(tlsOptions(served, device, { maxVersion }));
        for (const reload of [false, true]) {
          if (reload) served.listener.reload({ key: server.key, cert: server.cert, ca: pki.ca });
          const again = await exchange(tlsOptions(served, device, { maxVersion, session }));
          assert.equal(again.reused, false, `${maxVersion}, reloaded: ${reload}`);
        }
        const port = { port: served.listener.port, protocol: "mqtts", maxVersion, session } as const;
        const one = await client({ ...port, ca: pki.ca, key: device.key, cert: device.cert, clientId: "one" });
        assert.equal((one.stream as unknown as TLSSocket).isSessionReused(), false);
        await one.endAsync();
        const ids = served.presence.filter((p) => p.type === "connected").map((p) => p.certificateId);
        assert.deepEqual(ids, Array(4).fill(device.certificateId));
      });
    }
  });

  test("plain MQTT on the TLS port, and an outdated TLS, are told apart", () =>
    withTls(async (served) => {
      const plain = createConnection({ host: "127.0.0.1", port: served.listener.port });
      plain.on("error", () => {});
      plain.write(CONNECT);
      plain.resume();
      await once(plain, "close");
      await refusedFor(served, "not-tls");
      const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
      assert.notEqual(await outcome(tlsOptions(served, device, old)), "CONNACK");
      await refusedFor(served, "tls-version");
    }));

  test("a client that does not trust the server says so, and the log explains it", { skip: MOSQUITTO_MISSING }, () =>
    withTls(async (served) => {
      for (const name of ["another CA", "test CA"]) {
        const other = await makePki(name);
        const own = ["--cafile", other.caPath, "--cert", device.certPath, "--key", device.keyPath];
        const to = ["-h", "localhost", "-p", `${served.listener.port}`, "-t", "t", "-m", "x"];
        const publish = spawn("mosquitto_pub", [...to, ...own], { stdio: "ignore" });
        const [code] = (await once(publish, "exit")) as [number];
        assert.notEqual(code, 0);
        await other.remove();
      }
      const line = await logged(served, "server-not-trusted");
      assert.match(String(line?.fields["hint"]), /ca\.crt/);
      const labels = { listener: "mqtts", reason: "server-not-trusted" };
      assert.equal(served.metrics.value("tidewire_listener_refused_total", labels), 2);
    }),
  );

  test("the same failure from the same address is logged once a minute, and counted every time", () =>
    withTls(async (served) => {
      for (let i = 0; i < 5; i++) await outcome(tlsOptions(served, null));
      const labels = { listener: "mqtts", reason: "no-certificate" };
      assert.equal(served.metrics.value("tidewire_listener_refused_total", labels), 5);
      assert.equal(served.logger.lines.filter((l) => l.fields["reason"] === "no-certificate").length, 1);
    }));

  test("a handshake that is not finished in time is cut", () =>
    withTls(
      async (served) => {
        const socket = createConnection({ host: "127.0.0.1", port: served.listener.port });
        socket.on("error", () => {});
        socket.resume();
        await once(socket, "close");
        await refusedFor(served, "timeout");
      },
      { limits: { connectTimeout: 50 } },
    ));

  test("a new certificate is served to new connections; those that are there go on", () =>
    withTls(async ({ listener }) => {
      const tls = { port: listener.port, protocol: "mqtts", ca: pki.ca, key: device.key, cert: device.cert } as const;
      const old = await client({ ...tls, clientId: "old" });
      const renewed = await pki.issue("renewed");
      listener.reload({ key: renewed.key, cert: renewed.cert, ca: pki.ca });
      const young = await client({ ...tls, clientId: "young" });
      assert.equal(subjectOf(young), "renewed");
      assert.equal(subjectOf(old), "server");
      await old.publishAsync("t", "still here", { qos: 1 });
      assert.throws(() => listener.reload({ key: "no key", cert: "no certificate", ca: pki.ca }));
      const third = await client({ ...tls, clientId: "third" });
      assert.equal(subjectOf(third), "renewed");
      for (const one of [old, young, third]) await one.endAsync();
    }));

  test("kicking out closes the real socket", () =>
    withTls(async ({ listener, broker }) => {
      const tls = { port: listener.port, protocol: "mqtts", ca: pki.ca, key: device.key, cert: device.cert } as const;
      const one = await client({ ...tls, clientId: "one", protocolVersion: 5 });
      const told = onceOf(one, "disconnect") as Promise<[{ reasonCode: number }]>;
      const closed = onceOf(one, "close");
      assert.equal(
        broker.disconnect((c) => c.certificateId === device.certificateId, REASON.notAuthorized),
        1,
      );
      assert.equal((await told)[0].reasonCode, REASON.notAuthorized);
      await closed;
    }));
});

async function exchange(options: ConnectionOptions): Promise<{ session: Buffer; reused: boolean }> {
  const socket: TLSSocket = connectTls(options);
  let session: Buffer | undefined;
  const ticket = once(socket, "session") as Promise<[Buffer]>;
  void ticket.then(([bytes]) => (session = bytes));
  socket.write(CONNECT);
  await once(socket, "data");
  if (!socket.isSessionReused()) await ticket;
  const reused = socket.isSessionReused();
  socket.resume();
  socket.end();
  await once(socket, "close");
  return { session: session ?? (options.session as Buffer), reused };
}

function subjectOf(one: MqttClient): string {
  return (one.stream as unknown as TLSSocket).getPeerCertificate().subject.CN as string;
}

describe("the plain listener", () => {
  async function withPlain(work: (served: Served) => Promise<void>, limits: object = {}): Promise<void> {
    const served = await serve({ admitPeer, limits });
    try {
      await work(served);
    } finally {
      await served.stop();
    }
  }

  test("a large message goes both ways over many chunks, byte for byte [MQTT-4.2.0-1], [MQTT311-7.1.1-1]", () =>
    withPlain(async ({ listener }) => {
      const one = await client({ port: listener.port, protocol: "mqtt", clientId: "one", protocolVersion: 5 });
      await one.subscribeAsync("big", { qos: 1 });
      const payload = Buffer.alloc(900_000, "0123456789abcdef");
      const received = onceOf(one, "message") as Promise<[string, Buffer]>;
      await one.publishAsync("big", payload, { qos: 1 });
      assert.ok((await received)[1].equals(payload));
      await one.endAsync();
    }));

  test("ten thousand messages arrive, in order and acknowledged", () =>
    withPlain(async ({ listener }) => {
      const options = { port: listener.port, protocol: "mqtt", protocolVersion: 5 } as const;
      const subscriber = await client({ ...options, clientId: "sub" });
      await subscriber.subscribeAsync("n", { qos: 1 });
      let next = 0;
      const all = new Promise<void>((resolve) => {
        subscriber.on("message", (_topic, payload) => {
          assert.equal(Number(payload.toString()), next++);
          if (next === 10_000) resolve();
        });
      });
      const publisher = await client({ ...options, clientId: "pub" });
      await Promise.all(Array.from({ length: 10_000 }, (_, i) => publisher.publishAsync("n", `${i}`, { qos: 1 })));
      await all;
      await publisher.endAsync();
      await subscriber.endAsync();
    }));

  test("mosquitto_pub and mosquitto_sub, 3.1.1 and 5.0", { skip: MOSQUITTO_MISSING }, () =>
    withPlain(async ({ listener, journal }) => {
      for (const version of ["mqttv311", "mqttv5"]) {
        const common = ["-h", "127.0.0.1", "-p", `${listener.port}`, "-V", version, "-t", `m/${version}`, "-q", "1"];
        const publish = spawn("mosquitto_pub", [...common, "-m", "hello", "-r"], { stdio: "inherit" });
        assert.deepEqual(await once(publish, "exit"), [0, null]);
        const subscribe = spawn("mosquitto_sub", [...common, "-C", "1", "-W", "10"], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        let output = "";
        subscribe.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
        assert.deepEqual(await once(subscribe, "exit"), [0, null]);
        assert.equal(output, "hello\n");
      }
      assert.equal(journal.messages.length, 2);
    }),
  );

  test("sockets beyond all clients and those that are about to be are refused", async () => {
    await withPlain(
      async ({ listener, metrics }) => {
        const one = await client({ port: listener.port, protocol: "mqtt", clientId: "1" });
        const opened = (): Promise<Socket> => {
          const socket = createConnection({ host: "127.0.0.1", port: listener.port });
          socket.on("error", () => {});
          socket.resume();
          return once(socket, "connect").then(() => socket);
        };
        const stranger = await opened();
        const third = await opened();
        await once(third, "close");
        const labels = { listener: "mqtt", reason: "connections-full" };
        assert.equal(metrics.value("tidewire_listener_refused_total", labels), 1);
        stranger.destroy();
        await one.endAsync();
      },
      { connectionsMax: 1, greetingsMax: 1 },
    );
  });

  test("connections above the limit of one address are refused", () => {
    // As many may come at once as may be there, and then one each two milliseconds: the last one here must not depend on those.
    const limits = { connectionsPerAddressMax: 2, connectsPerSecondPerAddressMax: 100_000 };
    return withPlain(async ({ listener, metrics }) => {
      const options = { port: listener.port, protocol: "mqtt", protocolVersion: 5 } as const;
      const [one, two] = [await client({ ...options, clientId: "1" }), await client({ ...options, clientId: "2" })];
      const third = createConnection({ host: "127.0.0.1", port: listener.port });
      third.on("error", () => {});
      third.resume();
      await once(third, "close");
      const reason = "connections-per-address-full";
      assert.equal(metrics.value("tidewire_listener_refused_total", { listener: "mqtt", reason }), 1);
      await one.endAsync();
      // The client's end is closed before ours is.
      while (metrics.value("tidewire_listener_connections", { listener: "mqtt" }) > 1)
        await new Promise((resolve) => setImmediate(resolve));
      const again = await client({ ...options, clientId: "4" });
      await again.endAsync();
      await two.endAsync();
    }, limits);
  });

  test("a peer that is cut off is noticed, with its reason", () =>
    withPlain(async ({ listener, presence }) => {
      const options = { port: listener.port, protocol: "mqtt" } as const;
      const one = await client({ ...options, clientId: "one" });
      one.stream.destroy();
      while (presence.length < 2) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(presence[1]?.reason, "CONNECTION_LOST");
      await one.endAsync(true);
    }));

  test("a port that is taken, or not ours to take, is said in one sentence with the remedy", async () => {
    await withPlain(async ({ listener }) => {
      await assert.rejects(serve({ admitPeer, port: listener.port }), (error: unknown) => {
        assert.ok(isTidewireError(error));
        assert.equal(error.code, "PORT_IN_USE");
        assert.match(error.message, new RegExp(`Port ${listener.port} on 127.0.0.1`));
        assert.match(error.fix, /--mqtt-port/);
        return true;
      });
    });
  });
});
