import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { connectAsync } from "mqtt";
import type { IClientOptions, MqttClient } from "mqtt";
import { WebSocket } from "ws";
import type { ClientOptions } from "ws";
import { makePki } from "../../src/adapters/net/pki.fixture.ts";
import { addDevice, connectDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;
let device: Device;
let port = 0;
let clientCa = "";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

before(async () => {
  port = await freePort();
  clientCa = join(folder.path, "client-ca.pem");
  const strangers = await makePki("a CA for later");
  writeFileSync(clientCa, strangers.ca);
  await strangers.remove();
  const ports = ["--mqtts-port", `${port}`, "--https-port", `${port}`, "--http-port", "0", "--client-ca", clientCa];
  const more = ["ws://127.0.0.1:0?auth=none", "mqtts://127.0.0.1:0?proxy=v2&from=127.0.0.1", "wss://127.0.0.1:0"];
  platform = await PlatformProcess.start(folder.path, [...ports, ...more.flatMap((url) => ["--listen", url])]);
  device = await addDevice(platform, folder.path, "pump");
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

function portOf(scheme: string): number {
  const url = platform.ready.listen.find((one) => one.startsWith(`${scheme}:`))!;
  return Number(url.slice(url.lastIndexOf(":") + 1));
}

function webSocket(at: string, options: IClientOptions = {}): Promise<MqttClient> {
  return connectAsync(at, {
    protocolVersion: 5,
    clientId: device.thing,
    reconnectPeriod: 0,
    connectTimeout: 5000,
    ...options,
  });
}

const withCertificate = (): IClientOptions => ({ key: device.key, cert: device.cert, ca: device.ca });

/** CONNECT of 3.1.1 by "pump". */
const CONNECT = Buffer.from("101000044d5154540402003c000470756d70", "hex");

/** Whether MQTT answers a client with this certificate. */
function answered(port: number, identity: { readonly key: string; readonly cert: string }): Promise<boolean> {
  const socket = connectTls({ host: "127.0.0.1", port, ca: device.ca, key: identity.key, cert: identity.cert });
  socket.on("error", () => {});
  socket.write(CONNECT);
  return new Promise((resolve) => {
    socket.once("data", () => resolve(true));
    socket.once("close", () => resolve(false));
  });
}

/** The answer to an upgrade; an accepted one is closed again. */
function upgrade(at: string, options: ClientOptions = {}): Promise<{ status: number; body: string }> {
  const socket = new WebSocket(`${at}/mqtt`, ["mqtt"], options);
  return new Promise((resolve, reject) => {
    socket.once("open", () => {
      socket.terminate();
      resolve({ status: 101, body: "" });
    });
    socket.once("unexpected-response", (_request, response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.on("end", () => resolve({ status: response.statusCode!, body }));
    });
    socket.once("error", reject);
  });
}

/** The thing's own topic, there and back. */
async function roundTrip(client: MqttClient): Promise<void> {
  await client.subscribeAsync("$aws/things/pump/echo", { qos: 1 });
  const arrived = new Promise<string>((resolve) =>
    client.once("message", (_topic, payload) => resolve(payload.toString())),
  );
  await client.publishAsync("$aws/things/pump/echo", "there and back", { qos: 1 });
  assert.equal(await arrived, "there and back");
}

function logOf(): string {
  return readFileSync(join(folder.path, "platform.log"), "utf8");
}

test("one number for both TLS ports: MQTT, MQTT by ALPN, the dashboard and MQTT over WebSocket, all on it", async () => {
  assert.deepEqual([platform.mqttsPort, Number(new URL(platform.ready.https).port)], [port, port]);
  for (const options of [{}, { ALPNProtocols: ["x-amzn-mqtt-ca"] }]) {
    const client = await connectDevice(platform, device, options);
    await roundTrip(client);
    await client.endAsync();
  }
  const client = await webSocket(`wss://127.0.0.1:${port}/mqtt`, withCertificate());
  await roundTrip(client);
  await client.endAsync();
  for (const alpn of [{}, { ALPNProtocols: ["h2", "http/1.1"] }]) {
    const browser = connectTls({ host: "127.0.0.1", port, ca: device.ca, ...alpn });
    browser.end("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let page = "";
    for await (const chunk of browser) page += String(chunk);
    assert.match(page, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nok\n$/);
  }
});

test("MQTT without a certificate on that port: CONNACK not authorized with the reason, over TLS and over WebSocket", async () => {
  const refused = await platform.metric(`tidewire_admission_refusals_total{reason="no-certificate"}`);
  const nobody = { ca: device.ca };
  await assert.rejects(webSocket(`wss://127.0.0.1:${port}/mqtt`, nobody), /Not authorized/i);
  await assert.rejects(webSocket(`mqtts://127.0.0.1:${port}`, nobody), /Not authorized/i);
  assert.equal(await platform.metric(`tidewire_admission_refusals_total{reason="no-certificate"}`), refused + 2);
});

test("MQTT over WebSocket on the plain port of the dashboard: refused with the way to do it", async () => {
  const answer = await upgrade(platform.ready.http.replace("http", "ws"));
  assert.equal(answer.status, 403);
  assert.match(answer.body, /^MQTT over WebSocket is on the HTTPS port/);
});

test("pages of other web sites open no WebSocket, neither with TLS nor on a listener for anybody", async () => {
  const [secure, open] = [`wss://127.0.0.1:${port}`, `ws://127.0.0.1:${portOf("ws")}`];
  const own = { key: device.key, cert: device.cert, ca: device.ca };
  assert.equal((await upgrade(secure, { ...own, origin: "https://evil.example" })).status, 403);
  assert.equal((await upgrade(open, { origin: "https://evil.example" })).status, 403);
  const rebound = { origin: "http://evil.example", headers: { host: "evil.example" } };
  assert.equal((await upgrade(open, rebound)).status, 403);
  assert.equal((await upgrade(secure, { ...own, origin: `https://127.0.0.1:${port}` })).status, 101);
  assert.equal((await upgrade(open, { origin: `http://127.0.0.1:${portOf("ws")}` })).status, 101);
});

test("a listener for anybody says so, each time it is opened", () => {
  assert.match(logOf(), /A LISTENER WITHOUT ENCRYPTION AND WITHOUT LOGIN is open/);
});

test("behind a proxy: presence and log know the client's address, and who has no header is refused", async () => {
  const behind = portOf("mqtts");
  const header = Buffer.from("0d0a0d0a000d0a515549540a2111000ccb007107c0000201d43122b3", "hex");
  const below = createConnection({ host: "127.0.0.1", port: behind });
  below.write(header);
  const socket = connectTls({
    socket: below,
    key: device.key,
    cert: device.cert,
    ca: device.ca,
    servername: "localhost",
  });
  socket.write(CONNECT);
  const [connack] = (await once(socket, "data")) as [Buffer];
  assert.deepEqual([...connack], [0x20, 2, 0, 0]);
  assert.match(JSON.stringify(await platform.api("GET", "/api/fleet")), /203\.0\.113\.7/);
  socket.destroy();
  assert.equal(await answered(behind, device), false);
  assert.equal(await platform.metric(`tidewire_listener_refused_total{listener="mqtts-2",reason="proxy-header"}`), 1);
});

test("a client CA that changes on disk is read on SIGHUP; open connections stay, and the platform goes on", async () => {
  const watcher = await connectDevice(platform, device);
  const trusted = await makePki("a CA that came later");
  const visitor = await trusted.issue("visitor");
  const reason = async (name: string): Promise<number> =>
    platform.metric(`tidewire_listener_refused_total{listener="mqtts",reason="${name}"}`);
  assert.equal(await answered(port, visitor), false);
  const [untrusted, unregistered] = [await reason("certificate-untrusted"), await reason("certificate-refused")];
  assert.ok(untrusted > 0);
  writeFileSync(clientCa, trusted.ca);
  process.kill(platform.ready.pid, "SIGHUP");
  await until("the new certificates", async () => /"The listeners use new certificates\."/.test(logOf()));
  assert.equal(await answered(port, visitor), false); // TLS trusts it now; the registry does not know it
  assert.equal(await reason("certificate-untrusted"), untrusted);
  assert.equal(await reason("certificate-refused"), unregistered + 1);
  writeFileSync(clientCa, "rubbish");
  process.kill(platform.ready.pid, "SIGHUP");
  await until("the complaint", async () => /The new certificates cannot be used; the old ones stay/.test(logOf()));
  await roundTrip(watcher);
  await watcher.endAsync();
  await trusted.remove();
});

test("when the platform stops, clients are told so before their connections end, over TLS and over WebSocket", async () => {
  const clients = [
    await connectDevice(platform, device),
    await webSocket(`ws://127.0.0.1:${portOf("ws")}/mqtt`, { clientId: "somebody" }),
  ];
  const told = clients.map(
    (client) =>
      new Promise<number | undefined>((resolve) => client.once("disconnect", ({ reasonCode }) => resolve(reasonCode))),
  );
  await platform.stop();
  assert.deepEqual(await Promise.all(told), [0x8b, 0x8b]);
});
