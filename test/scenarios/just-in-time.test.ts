/** Just-in-time registration and provisioning: CAs made by `openssl`, devices that are Mosquitto's and MQTT.js' clients. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "mqtt";
import type { MqttClient } from "mqtt";
import { readCertificate } from "../../src/adapters/pki/facts.ts";
import { addDevice, connectDevice, rawConnection } from "./support/device.ts";
import { Openssl } from "./support/openssl.ts";
import type { OpensslPair } from "./support/openssl.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

const TEMPLATE = JSON.stringify({
  Parameters: {
    "AWS::IoT::Certificate::CommonName": { Type: "String" },
    "AWS::IoT::Certificate::SerialNumber": { Type: "String" },
    "AWS::IoT::Certificate::Country": { Type: "String" },
    "AWS::IoT::Certificate::Id": { Type: "String" },
  },
  Resources: {
    thing: {
      Type: "AWS::IoT::Thing",
      Properties: {
        ThingName: { Ref: "AWS::IoT::Certificate::CommonName" },
        AttributePayload: {
          serial: { Ref: "AWS::IoT::Certificate::SerialNumber" },
          country: { Ref: "AWS::IoT::Certificate::Country" },
        },
      },
    },
    certificate: {
      Type: "AWS::IoT::Certificate",
      Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" }, Status: "ACTIVE" },
    },
    policy: { Type: "AWS::IoT::Policy", Properties: { PolicyName: "tidewire-default" } },
  },
});
const idOf = ({ cert }: OpensslPair): string => readCertificate(cert).certificateId;
const ANYTHING = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "iot:*", Resource: "*" }] };

describe("certificates that register themselves", () => {
  const folder = temporaryFolder();
  const openssl = new Openssl(folder.path);
  let platform: PlatformProcess;
  let caPem: string;
  let watcher: MqttClient;
  const events: { topic: string; text: string }[] = [];

  before(async () => {
    platform = await PlatformProcess.start(folder.path);
    ({ caPem } = await platform.api<{ caPem: string }>("GET", "/api/connection"));
    writeFileSync(join(folder.path, "platform-ca.pem"), caPem);
    const device = await addDevice(platform, folder.path, "watcher");
    await platform.api("POST", "/policies/anything", { policyDocument: JSON.stringify(ANYTHING) });
    await allow(device.certificateId);
    watcher = await connectDevice(platform, device);
    watcher.on("message", (topic, payload) => events.push({ topic, text: payload.toString() }));
    await watcher.subscribeAsync("$aws/events/certificates/registered/+", { qos: 1 });
  });

  after(async () => {
    await watcher?.endAsync(true);
    await platform?.stop();
    folder.remove();
  });

  function allow(certificateId: string): Promise<unknown> {
    const target = `arn:aws:iot:us-east-1:000000000000:cert/${certificateId}`;
    return platform.api("PUT", "/target-policies/anything", { target });
  }

  /** As `aws iot register-ca-certificate` does it; SNI_ONLY spares the proof of possession, which has tests of its own. */
  async function register(ca: OpensslPair, body: object = {}): Promise<string> {
    const { certificateId } = await platform.api<{ certificateId: string }>(
      "POST",
      "/cacertificate?setAsActive=true&allowAutoRegistration=true",
      { caCertificate: ca.cert, certificateMode: "SNI_ONLY", ...body },
    );
    return certificateId;
  }

  /** Mosquitto's client publishes one message; true where it was acknowledged. It tries again and again by itself. */
  async function published({ cert, key }: OpensslPair, clientId: string): Promise<boolean> {
    const [certFile, keyFile] = ["its.pem", "its.key"].map((name) => join(folder.path, name)) as [string, string];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key, { mode: 0o600 });
    const tls = ["--cafile", join(folder.path, "platform-ca.pem"), "--cert", certFile, "--key", keyFile];
    const what = ["-i", clientId, "-t", `telemetry/${clientId}/x`, "-m", '{"v":1}', "-q", "1"];
    const at = ["-h", "127.0.0.1", "-p", `${platform.mqttsPort}`];
    const child = spawn("mosquitto_pub", [...at, ...tls, ...what], { stdio: "ignore", timeout: 3000 });
    const [code] = (await once(child, "close")) as [number | null];
    return code === 0;
  }

  const certificate = (id: string): Promise<{ status: string; caCertificateId?: string } | null> =>
    platform
      .api<{ certificateDescription: { status: string; caCertificateId?: string } }>("GET", `/certificates/${id}`)
      .then(({ certificateDescription }) => certificateDescription)
      .catch(() => null);

  /** Connects, and resolves when it is cut off. */
  async function refused({ cert, key }: OpensslPair): Promise<void> {
    const socket = rawConnection(platform, { cert, key });
    socket.on("error", () => {}); // a handshake may be refused with an alert
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
  }

  async function refusedBecause(pair: OpensslPair): Promise<string> {
    await refused(pair);
    type Book = { refusals: { sentence: string; certificateId: string | null }[] };
    const { refusals } = await platform.api<Book>("GET", "/api/refusals");
    return refusals.find(({ certificateId }) => certificateId === idOf(pair))?.sentence ?? "nothing was noted";
  }

  const door = (kind: "mqtts" | "wss") =>
    kind === "mqtts"
      ? { protocol: kind, port: platform.mqttsPort }
      : { protocol: kind, port: Number(new URL(platform.ready.https).port), path: "/mqtt" };

  const optionsOf = ({ cert, key }: OpensslPair, clientId: string, kind: "mqtts" | "wss" = "mqtts") =>
    ({
      ...door(kind),
      host: "127.0.0.1",
      protocolVersion: 5,
      connectTimeout: 5000,
      clientId,
      cert,
      key,
      ca: caPem,
    }) as const;

  /** A device that comes again until it is let in, as devices do; resolves with how often it had to. */
  async function comesAgain(pair: OpensslPair, clientId: string, kind: "mqtts" | "wss" = "mqtts"): Promise<number> {
    const client = connect({ ...optionsOf(pair, clientId, kind), reconnectPeriod: 100 });
    client.on("error", () => {}); // the next attempt is what counts
    let attempts = 1;
    client.on("reconnect", () => attempts++);
    await new Promise<void>((resolve, reject) => {
      client.once("connect", () => resolve());
      client.on("reconnect", () => attempts > 20 && reject(new Error(`${clientId} is never let in`)));
    }).catch(async (error: unknown) => {
      await client.endAsync(true);
      throw error;
    });
    await client.publishAsync(`telemetry/${clientId}/x`, '{"v":1}', { qos: 1 });
    await client.endAsync();
    return attempts;
  }

  /** What HTTPS answers to somebody with this certificate. */
  async function ask(
    { cert, key }: OpensslPair,
    path: string,
    headers: Record<string, string>,
  ): Promise<{ readonly status: number | undefined; readonly text: string }> {
    const { port } = new URL(platform.ready.https);
    const asked = request({ host: "127.0.0.1", port, path, headers, ca: caPem, cert, key, agent: false }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    let text = "";
    for await (const part of response.setEncoding("utf8")) text += String(part);
    return { status: response.statusCode, text };
  }

  test("registered, told of in AWS's document, and refused until somebody activates it", async () => {
    const ca = openssl.authority("/CN=Acme devices");
    const caCertificateId = await register(ca);
    const device = openssl.device("/CN=pump-1", ca);
    const certificateId = idOf(device);
    assert.equal(await published(device, "pump-1"), false);
    const { topic, text } = await until("the event", async () => events[0]);
    assert.equal(topic, `$aws/events/certificates/registered/${caCertificateId}`);
    const document = JSON.parse(text) as Record<string, unknown>;
    const { timestamp, certificateRegistrationTimestamp } = document;
    assert.equal(typeof timestamp, "number");
    assert.match(String(certificateRegistrationTimestamp), /^\d{13}$/);
    assert.deepEqual(document, {
      certificateId,
      caCertificateId,
      timestamp,
      certificateStatus: "PENDING_ACTIVATION",
      awsAccountId: "000000000000",
      certificateRegistrationTimestamp: String(certificateRegistrationTimestamp),
    });
    const registered = await certificate(certificateId);
    assert.deepEqual([registered?.status, registered?.caCertificateId], ["PENDING_ACTIVATION", caCertificateId]);
    assert.match(await refusedBecause(device), /waits|pending/i);
    const again = await until("the event again", async () => events[1]);
    assert.equal(
      (JSON.parse(again.text) as Record<string, unknown>)["certificateRegistrationTimestamp"],
      certificateRegistrationTimestamp,
      "told of once more, registered once",
    );
    await allow(certificateId);
    await platform.api("PUT", `/certificates/${certificateId}?newStatus=ACTIVE`);
    assert.equal(await published(device, "pump-1"), true);
  });

  test("provisioned by the CA's template, with parameters of its subject: its second connection is let in", async () => {
    const ca = openssl.authority("/CN=Acme pumps");
    await register(ca, { registrationConfig: { templateBody: TEMPLATE } });
    const device = openssl.device("/C=SE/CN=pump-2/serialNumber=4711", ca);
    assert.equal(await comesAgain(device, "pump-2"), 2);
    const { attributes } = await platform.api<{ attributes: object }>("GET", "/things/pump-2");
    assert.deepEqual(attributes, { serial: "4711", country: "SE" });
    assert.equal((await certificate(idOf(device)))?.status, "ACTIVE");
  });

  test("by a template that is kept under a name, and a registered CA that another CA has signed", async () => {
    await platform.api("POST", "/provisioning-templates", {
      templateName: "by-certificate",
      templateBody: TEMPLATE,
      type: "JITP",
      enabled: true,
      provisioningRoleArn: "arn:aws:iam::000000000000:role/any",
    });
    const line = openssl.authority("/CN=Line A", openssl.authority("/CN=Acme root"));
    await register(line, { registrationConfig: { templateName: "by-certificate" } });
    const device = openssl.device("/C=SE/CN=pump-3/serialNumber=4712", line);
    // The first is told by TLS that nobody trusts it; the next one is looked at, the third is let in.
    assert.ok((await comesAgain(device, "pump-3")) <= 3);
    assert.equal(await published(device, "pump-3"), true, "and it stays so");
    const withChain = openssl.device("/C=SE/CN=pump-4/serialNumber=4713", line);
    assert.equal(await comesAgain({ ...withChain, cert: withChain.cert + line.cert }, "pump-4"), 2);
  });

  test("over WebSocket as well: provisioned by the template, and its second connection is let in", async () => {
    const ca = openssl.authority("/CN=Acme fans");
    await register(ca, { registrationConfig: { templateBody: TEMPLATE } });
    const device = openssl.device("/C=SE/CN=fan-1/serialNumber=1", ca);
    assert.equal(await comesAgain(device, "fan-1", "wss"), 2);
    assert.equal((await certificate(idOf(device)))?.status, "ACTIVE");
  });

  test("over WebSocket as well: registered and told of; the answer to the upgrade says what it waits for", async () => {
    const ca = openssl.authority("/CN=Acme lamps");
    const caCertificateId = await register(ca);
    const device = openssl.device("/CN=lamp-1", ca);
    const told = events.length;
    const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
    const key = { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-protocol": "mqtt" };
    const answer = await ask(device, "/mqtt", { ...upgrade, ...key });
    assert.equal(answer.status, 403);
    assert.match(answer.text, /its certificate is registered, and waits to be activated/);
    await until("the event", async () => events[told]);
    assert.equal(events[told]!.topic, `$aws/events/certificates/registered/${caCertificateId}`);
    assert.equal((await certificate(idOf(device)))?.status, "PENDING_ACTIVATION");
    await allow(idOf(device));
    await platform.api("PUT", `/certificates/${idOf(device)}?newStatus=ACTIVE`);
    assert.equal(await comesAgain(device, "lamp-1", "wss"), 1);
    // A browser's request with the same kind of certificate registers nothing.
    const stranger = openssl.device("/CN=lamp-2", ca);
    await ask(stranger, "/api/health", {});
    assert.equal(await certificate(idOf(stranger)), null);
  });

  test("what the template cannot provision leaves nothing behind, and says why", async () => {
    const ca = openssl.authority("/CN=Acme valves");
    await register(ca, { registrationConfig: { templateBody: TEMPLATE } });
    const nameless = openssl.device("/CN=valve-1", ca);
    assert.match(await refusedBecause(nameless), /'AWS::IoT::Certificate::SerialNumber' is missing/);
    assert.equal(await certificate(idOf(nameless)), null);
    const hostile = openssl.device("/C=SE/CN=valve#+/serialNumber=1", ca);
    assert.match(await refusedBecause(hostile), /could not provision it/);
    assert.equal(await certificate(idOf(hostile)), null);
  });

  test("bad certificates are not registered", async () => {
    const ca = openssl.authority("/CN=Acme meters");
    const caCertificateId = await register(ca);
    const expired = openssl.device("/CN=meter-1", ca, "", -1);
    const server = openssl.device("/CN=meter-2", ca, "extendedKeyUsage=serverAuth\n");
    const between = openssl.authority("/CN=Between", ca);
    const forged = openssl.device("/CN=meter-3", openssl.authority("/CN=Acme meters"));
    const below = openssl.device("/CN=meter-5", openssl.device("/CN=meter-4", ca));
    for (const bad of [expired, server, between, forged, below]) {
      await refused(bad);
      assert.equal(await certificate(idOf(bad)), null);
    }
    const good = openssl.device("/CN=meter-6", ca);
    await platform.api("PUT", `/cacertificate/${caCertificateId}?newAutoRegistrationStatus=DISABLE`);
    assert.match(await refusedBecause(good), /not registered here/);
    assert.equal(await certificate(idOf(good)), null);
    await platform.api("PUT", `/cacertificate/${caCertificateId}?newAutoRegistrationStatus=ENABLE&newStatus=INACTIVE`);
    await refusedBecause(good);
    assert.equal(await certificate(idOf(good)), null);
    await platform.api("PUT", `/cacertificate/${caCertificateId}?newStatus=ACTIVE`);
    await until("its CA is trusted again", async () => {
      await refusedBecause(good);
      return certificate(idOf(good));
    });
  });

  test("a CA is registered with a template that can be used only", async () => {
    const ca = openssl.authority("/CN=Acme wrong");
    await assert.rejects(register(ca, { registrationConfig: { templateBody: "{}" } }), /400.*template body is wrong/);
    await assert.rejects(register(ca, { registrationConfig: { templateName: "nobody" } }), /404/);
    await platform.api("POST", "/provisioning-templates", {
      templateName: "fleet",
      templateBody: TEMPLATE.replaceAll("AWS::IoT::Certificate::CommonName", "Name"),
      enabled: true,
      provisioningRoleArn: "arn:aws:iam::000000000000:role/any",
    });
    await assert.rejects(register(ca, { registrationConfig: { templateName: "fleet" } }), /400.*not of type JITP/);
    const hook = { payloadVersion: "2020-04-01", targetArn: "https://hook.example/" };
    const template = { templateName: "hooked", templateBody: TEMPLATE, type: "JITP", preProvisioningHook: hook };
    await assert.rejects(platform.api("POST", "/provisioning-templates", template), /400.*FLEET_PROVISIONING/);
  });
});
