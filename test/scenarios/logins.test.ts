/** Devices that hold no certificate: passwords, over real TLS, with clients that we did not write. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { after, before, describe, test } from "node:test";
import { SignJWT } from "jose";
import { connect as connectMqtt, connectAsync } from "mqtt";
import type { IClientOptions, MqttClient } from "mqtt";
import { makePki } from "../../src/adapters/net/pki.fixture.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

/** What the event brings. `once` of `node:events` would fail with the errors that are expected here. */
function happens(client: MqttClient, event: "connect" | "close" | "error" | "disconnect"): Promise<unknown> {
  client.on("error", () => {});
  return new Promise((resolve) => void client.once(event, resolve));
}

interface ExpectedRefusal {
  readonly reason: string;
  readonly sentence: string;
  readonly command: string | null;
  readonly thing: string | null;
}

describe("devices with a password", () => {
  const folder = temporaryFolder();
  let platform: PlatformProcess;
  let ca: string;
  let caFile: string;
  let mqtts: string;
  let wss: string;
  let password: string;
  const cli = (...args: readonly string[]) => runCli([...args, "--data", folder.path], folder.path);

  before(async () => {
    const listen = ["--listen", "mqtts://127.0.0.1:0?auth=password", "--listen", "wss://127.0.0.1:0?auth=password"];
    platform = await PlatformProcess.start(folder.path, listen);
    [mqtts, wss] = platform.ready.listen as [string, string];
    ({ caPem: ca } = await platform.api<{ caPem: string }>("GET", "/api/connection"));
    caFile = join(folder.path, "ca.pem");
    writeFileSync(caFile, ca);
    for (const thing of ["meter-1", "meter-2"]) await platform.api("POST", `/things/${thing}`, {});
    const set = await cli("things", "password", "meter-1", "--json");
    assert.equal(set.code, 0, set.stderr);
    ({ password } = JSON.parse(set.stdout) as { password: string });
  });
  after(async () => {
    await platform.end("SIGTERM");
    folder.remove();
  });

  const as = (more: IClientOptions = {}): IClientOptions => ({
    clientId: "meter-1",
    username: "meter-1",
    password,
    ca,
    reconnectPeriod: 0,
    protocolVersion: 5,
    ...more,
  });
  const refusedCode = async (url: string, options: IClientOptions): Promise<number | undefined> => {
    const client = connectMqtt(url, options);
    try {
      return ((await happens(client, "error")) as { readonly code?: number }).code;
    } finally {
      await client.endAsync(true);
    }
  };
  const refusals = async (): Promise<readonly ExpectedRefusal[]> =>
    (await platform.api<{ refusals: readonly ExpectedRefusal[] }>("GET", "/api/refusals")).refusals;

  for (const version of [4, 5] as const) {
    for (const [name, url] of [
      ["TLS", () => mqtts],
      ["WebSocket", () => `${wss}/mqtt`],
    ] as const) {
      test(`MQTT.js comes in over ${name}, MQTT ${version === 4 ? "3.1.1" : "5"}, and publishes`, async () => {
        const client = await connectAsync(url(), as({ protocolVersion: version }));
        await client.publishAsync("telemetry/meter-1/energy", '{"kwh":1}', { qos: 1 });
        await client.endAsync();
      });
    }
  }

  test("mosquitto_pub comes in with the right password, and not with another", async () => {
    const { port } = new URL(mqtts.replace("mqtts:", "https:"));
    const publish = async (given: string): Promise<number | null> => {
      const topic = "telemetry/meter-1/energy";
      const server = ["-h", "127.0.0.1", "-p", port, "--cafile", caFile, "--tls-alpn", "mqtt"];
      const message = ["-i", "meter-1", "-u", "meter-1", "-P", given, "-t", topic, "-m", '{"kwh":2}', "-q", "1"];
      const child = spawn("mosquitto_pub", [...server, ...message], { stdio: "ignore" });
      const [code] = (await once(child, "exit")) as [number | null];
      return code;
    };
    assert.equal(await publish(password), 0);
    assert.notEqual(await publish("not the password"), 0);
  });

  test("a wrong password, no password and an unknown name are refused, with the reason and the command that helps", async () => {
    assert.equal(await refusedCode(mqtts, as({ password: "not the password" })), 0x86);
    assert.equal(await refusedCode(mqtts, { ...as(), username: "meter-2", clientId: "meter-2" }), 0x86);
    const { username: _u, password: _p, ...nothing } = as();
    assert.equal(await refusedCode(mqtts, nothing), 0x86);
    const found = await refusals();
    const of = (reason: string): ExpectedRefusal | undefined => found.find((one) => one.reason === reason);
    assert.equal(of("wrong-password")?.command, "tidewire things password meter-1");
    assert.match(of("unknown-name")?.sentence ?? "", /'meter-2' has no password/);
    assert.equal(of("unknown-name")?.command, "tidewire things password meter-2");
    assert.match(of("no-password")?.sentence ?? "", /no user name and password/);
    const audit = await cli("audit", "search", "--action", "device.refuse.connect-refused", "--json");
    assert.match(audit.stdout, /"why":"The password is not that of 'meter-1'"/);
    assert.ok(!audit.stdout.includes(password) && !audit.stdout.includes("not the password"));
  });

  test("the listener asks for no certificate, speaks TLS only, and the certificate's listener takes no password", async () => {
    const { port } = new URL(mqtts.replace("mqtts:", "https:"));
    const socket = connectTls({ port: Number(port), host: "127.0.0.1", ca, ALPNProtocols: ["mqtt"] });
    await once(socket, "secureConnect");
    assert.equal(socket.alpnProtocol, "mqtt");
    socket.destroy();
    const plain = connectMqtt(mqtts.replace("mqtts:", "mqtt:"), as());
    await happens(plain, "close");
    assert.equal(plain.connected, false);
    await plain.endAsync(true);
    const other = connectMqtt(platform.ready.mqtts, as());
    await happens(other, "close");
    await other.endAsync(true);
  });

  test("the audit log has the platform's start, and who failed in TLS, by what his certificate calls itself", async () => {
    const foreign = await makePki();
    try {
      const { cert, key } = await foreign.issue("stranger");
      const { port } = new URL(platform.ready.mqtts.replace("mqtts:", "https:"));
      // Where the first handshake fails for its certificate, the second is looked at whole.
      for (let attempt = 0; attempt < 2; attempt++) {
        const socket = connectTls({ port: Number(port), host: "127.0.0.1", ca, cert, key });
        socket.on("error", () => {});
        await new Promise((resolve) => void socket.once("close", resolve));
      }
      const since = (when: string) =>
        cli("audit", "search", "--action", "listener.refuse.*", `--since=${when}`, "--json");
      // Entries that nobody waits for are written together, a moment later.
      await until("it is written", async () => (await since("1h")).stdout.includes("CN=stranger"));
      for (const when of ["1h", "1d", "2026-01-01T00:00:00Z", "-1h"]) {
        const found = await since(when);
        assert.match(found.stdout, /"action":"listener.refuse.certificate-untrusted"/, found.stderr);
        assert.match(found.stdout, /"target":"CN=stranger"/);
      }
      const { stdout } = await cli("audit", "search", "--action", "platform.start", "--since", "1h", "--json");
      assert.match(stdout, /"outcome":"ok"/);
      const wrong = await cli("audit", "search", "--since", "yesterday");
      assert.match(wrong.stderr, /a time ago \(10m, 2h, 3d\)/);
      const within = await cli("certs", "--within", "48h", "--json");
      assert.equal(within.code, 0, within.stderr);
    } finally {
      await foreign.remove();
    }
  });

  test("the audit log is proven on another machine by its public key, a checkpoint that was kept, and nothing else", async () => {
    const [keyFile, kept, copy] = ["audit.pub", "kept.jsonl", "elsewhere"].map((name) => join(folder.path, name));
    const printed = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await cli("audit", ...args);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    writeFileSync(keyFile!, await printed("key"));
    writeFileSync(kept!, await printed("checkpoint"));
    assert.match(await printed("verify"), /Proven by signature up to entry \d+: checkpoint \d+ of /);
    cpSync(join(folder.path, "audit"), join(copy!, "audit"), { recursive: true });
    const verify = () =>
      runCli(["audit", "verify", "--data", copy!, "--key", keyFile!, "--checkpoint", kept!], folder.path);
    const good = await verify();
    assert.equal(good.code, 0, good.stderr);
    assert.match(good.stdout, /Proven by signature/);
    const file = join(copy!, "audit", "00000001.jsonl");
    const text = readFileSync(file, "utf8");
    const all = text.split("\n");
    for (const [harmed, says] of [
      [text.replace('"platform.start"', '"platform.stxrt"'), /entry \d+ of .* was altered/],
      [`${all[0]!}\n`, /the end is missing: it goes to entry 1, and went to 2, checkpoint 1 of /],
      [text.replace(/"signature":"[^"]{8}/, '"signature":"AAAAAAAA'), /was altered|wrong signature/],
    ] as const) {
      writeFileSync(file, harmed);
      const { code, stderr } = await verify();
      assert.notEqual(code, 0);
      assert.match(stderr, says);
    }
    const wrong = await runCli(["audit", "verify", "--data", copy!, "--key", caFile], folder.path);
    assert.match(wrong.stderr, /holds no public key of an audit log/);
  });

  test("a password that is taken away, or changed, cuts the live connection within a second", async () => {
    const cutBy = async (change: () => Promise<unknown>): Promise<void> => {
      const client: MqttClient = await connectAsync(mqtts, as());
      const told = happens(client, "disconnect");
      const begun = performance.now();
      await change();
      assert.equal(((await told) as { readonly reasonCode?: number }).reasonCode, 0x87);
      assert.ok(performance.now() - begun < 5_000); // of which the command takes most
      await client.endAsync(true);
    };
    await cutBy(async () => {
      const changed = await platform.api<{ password: string }>("PUT", "/api/things/meter-1/password", {});
      ({ password } = changed);
    });
    await cutBy(async () => {
      const removed = await cli("things", "password", "meter-1", "--remove", "--yes");
      assert.equal(removed.code, 0, removed.stderr);
    });
    const again = await cli("things", "password", "meter-1", "--remove", "--yes");
    assert.notEqual(again.code, 0);
    await until("the audit log says who gave and took it", async () => {
      const { stdout } = await cli("audit", "search", "--action", "thing.password*", "--json");
      return /"action":"thing.password-remove"/.test(stdout) && /"action":"thing.password"/.test(stdout);
    });
  });
});

test("devices with a token: let in as the thing that it names, over TLS, and cut when it ends", async () => {
  const folder = temporaryFolder();
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keys = join(folder.path, "keys.json");
  writeFileSync(keys, JSON.stringify({ keys: [Object.assign(publicKey.export({ format: "jwk" }), { kid: "k" })] }));
  const config = join(folder.path, "config.yaml");
  const tokens = [{ issuer: "https://id.example", audience: "tidewire", keys, policies: ["tidewire-default"] }];
  writeFileSync(config, JSON.stringify({ tokens }));
  const platform = await PlatformProcess.start(folder.path, [
    "--config",
    config,
    "--listen",
    "mqtts://127.0.0.1:0?auth=jwt",
  ]);
  try {
    const { caPem: ca } = await platform.api<{ caPem: string }>("GET", "/api/connection");
    await platform.api("POST", "/things/meter-1", {});
    const token = (seconds: number, sub = "meter-1"): Promise<string> =>
      new SignJWT({ iss: "https://id.example", aud: "tidewire", sub, exp: Math.floor(Date.now() / 1000) + seconds })
        .setProtectedHeader({ alg: "ES256", kid: "k" })
        .sign(privateKey);
    const open = (password: string): MqttClient =>
      connectMqtt(platform.ready.listen[0]!, {
        clientId: "meter-1",
        username: "any",
        password,
        ca,
        protocolVersion: 5,
        reconnectPeriod: 0,
      });
    const client = open(await token(4));
    await happens(client, "connect");
    await client.publishAsync("telemetry/meter-1/energy", '{"kwh":1}', { qos: 1 });
    const told = (await happens(client, "disconnect")) as { readonly reasonCode?: number };
    assert.equal(told.reasonCode, 0x87);
    await client.endAsync(true);
    for (const wrong of [await token(-120), await token(60, "nobody"), "no token"]) {
      const refused = open(wrong);
      assert.equal(((await happens(refused, "error")) as { readonly code?: number }).code, 0x86);
      await refused.endAsync(true);
    }
  } finally {
    await platform.end("SIGTERM");
    folder.remove();
  }
});
