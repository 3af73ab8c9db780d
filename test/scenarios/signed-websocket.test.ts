/** MQTT over WebSocket as AWS's clients open it without a certificate: signed with an access key. */
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { auth, iot, mqtt, mqtt5 } from "aws-iot-device-sdk-v2";
import { connect as connectMqtt } from "mqtt";
import type { MqttClient } from "mqtt";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

const folder = temporaryFolder();
const REGION = "eu-central-1";
const TOPIC = "app/anna/clicks";
let platform: PlatformProcess;
let ca: string;
let caFile: string;
let port: number;
let key: { readonly id: string; readonly secret: string };

const policy = (resource: string): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: {
      Effect: "Allow",
      Action: "iot:*",
      Resource: ["client/*", resource].map((r) => `arn:aws:iot:l:0:${r}`),
    },
  });
const cli = (...args: readonly string[]) => runCli([...args, "--data", folder.path], folder.path);
const newKey = async (name: string, ...more: readonly string[]): Promise<typeof key> => {
  const made = await cli("keys", "add", name, "--access-key", "--policy", "app", "--json", ...more);
  assert.equal(made.code, 0, made.stderr);
  return JSON.parse(made.stdout) as typeof key;
};

before(async () => {
  platform = await PlatformProcess.start(folder.path);
  port = Number(new URL(platform.ready.https).port);
  ({ caPem: ca } = await platform.api<{ caPem: string }>("GET", "/api/connection"));
  caFile = join(folder.path, "ca.pem");
  writeFileSync(caFile, ca);
  await platform.api("PUT", "/api/policies/app", { policyDocument: policy("topic/app/*") });
  key = await newKey("app");
});
after(async () => {
  await platform?.stop();
  folder.remove();
  // The SDK's native threads hold an ending process for ever (its own tests are run with --forceExit).
  setTimeout(() => process.exit(), 2_000);
});

interface Signing {
  readonly id?: string;
  readonly secret?: string;
  readonly service?: string;
  readonly at?: number;
  readonly host?: string;
  readonly token?: string;
  readonly expires?: number;
}

/** The address as "MQTT over the WebSocket protocol" of AWS IoT's documentation makes it. */
function presigned(signing: Signing = {}): string {
  const { id = key.id, secret = key.secret, service = "iotdevicegateway", at = Date.now() } = signing;
  const { host = `127.0.0.1:${port}`, token, expires } = signing;
  const hmac = (by: string | Buffer, text: string): Buffer => createHmac("sha256", by).update(text).digest();
  const hash = (text: string): string => createHash("sha256").update(text).digest("hex");
  const stamp = new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, "");
  const scope = `${stamp.slice(0, 8)}/${REGION}/${service}/aws4_request`;
  const query = [
    "X-Amz-Algorithm=AWS4-HMAC-SHA256",
    `X-Amz-Credential=${encodeURIComponent(`${id}/${scope}`)}`,
    `X-Amz-Date=${stamp}`,
    ...(expires === undefined ? [] : [`X-Amz-Expires=${expires}`]),
    "X-Amz-SignedHeaders=host",
  ].join("&");
  const request = `GET\n/mqtt\n${query}\nhost:${host}\n\nhost\n${hash("")}`;
  const text = `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${hash(request)}`;
  let by = hmac(`AWS4${secret}`, stamp.slice(0, 8));
  for (const part of [REGION, service, "aws4_request"]) by = hmac(by, part);
  const signature = hmac(by, text).toString("hex");
  const behind = token === undefined ? "" : `&X-Amz-Security-Token=${encodeURIComponent(token)}`;
  return `wss://127.0.0.1:${port}/mqtt?${query}&X-Amz-Signature=${signature}${behind}`;
}

function happens(client: MqttClient, event: "connect" | "close" | "disconnect"): Promise<unknown> {
  client.on("error", () => {});
  return new Promise((resolve) => void client.once(event, resolve));
}
const open = (url: string, headers: Record<string, string> = {}): MqttClient =>
  connectMqtt(url, { clientId: "web", ca, protocolVersion: 5, reconnectPeriod: 0, wsOptions: { headers } });
async function isLetIn(url: string, headers: Record<string, string> = {}): Promise<boolean> {
  const client = open(url, headers);
  await Promise.race([happens(client, "connect"), happens(client, "close")]);
  const { connected } = client;
  await client.endAsync(true);
  return connected;
}

test("the unmodified AWS IoT Device SDK v2 comes in with static credentials, MQTT 5", async () => {
  const credentialsProvider = auth.AwsCredentialsProvider.newStatic(key.id, key.secret);
  const builder = iot.AwsIotMqtt5ClientConfigBuilder.newWebsocketMqttBuilderWithSigv4Auth("127.0.0.1", {
    credentialsProvider,
    region: REGION,
  });
  builder.withCertificateAuthorityFromPath(undefined, caFile).withPort(port);
  builder.withConnectProperties({ clientId: "sdk-5", keepAliveIntervalSeconds: 60 });
  const client = new mqtt5.Mqtt5Client(builder.build());
  const connected = once(client, "connectionSuccess");
  client.start();
  await connected;
  const answer = await client.publish({ topicName: TOPIC, payload: "1", qos: mqtt5.QoS.AtLeastOnce });
  assert.equal(answer?.reasonCode, 0);
  const stopped = once(client, "stopped");
  client.stop();
  await stopped;
  client.close();
});

test("the same over MQTT 3.1.1, with a session token that AWS would want behind the signature", async () => {
  const config = iot.AwsIotMqttConnectionConfigBuilder.new_with_websockets({
    region: REGION,
    credentials_provider: auth.AwsCredentialsProvider.newStatic(key.id, key.secret, "a session token"),
  })
    .with_certificate_authority_from_path(undefined, caFile)
    .with_endpoint("127.0.0.1")
    .with_port(port)
    .with_client_id("sdk-311")
    .with_clean_session(true)
    .build();
  const connection = new mqtt.MqttClient().new_connection(config);
  await connection.connect();
  await connection.publish(TOPIC, "1", mqtt.QoS.AtLeastOnce);
  await connection.disconnect();
});

describe("MQTT.js with a presigned address", () => {
  test("comes in, also from a page of another site, and may do what the key's policies say", async () => {
    const client = open(presigned(), { origin: "https://app.example" });
    await happens(client, "connect");
    await client.publishAsync(TOPIC, "1", { qos: 1 });
    await assert.rejects(client.publishAsync("telemetry/pump-1/x", "1", { qos: 1 }), /Not authorized/);
    await client.endAsync();
  });

  const cases: Readonly<Record<string, readonly [expected: boolean, make: () => string]>> = {
    "good for a while": [true, () => presigned({ expires: 300 })],
    "with a session token behind the signature": [true, () => presigned({ token: "x/y+z==" })],
    "signed for the server's name without its port": [true, () => presigned({ host: "127.0.0.1" })],
    "four minutes old": [true, () => presigned({ at: Date.now() - 240_000 })],
    "six minutes old": [false, () => presigned({ at: Date.now() - 360_000 })],
    "six minutes ahead": [false, () => presigned({ at: Date.now() + 360_000 })],
    "signed with another secret": [false, () => presigned({ secret: "not it" })],
    "of a key that is not there": [false, () => presigned({ id: "TWAKAAAAAAAAAAAAAAAA" })],
    "for another service": [false, () => presigned({ service: "iotdata" })],
    "for another host": [false, () => presigned({ host: "evil.example" })],
    "with something altered": [false, () => presigned().replace(REGION, "us-east-1")],
    "without its signature": [false, () => presigned().replace(/&X-Amz-Signature=.*/, "")],
  };
  for (const [what, [expected, make]] of Object.entries(cases)) {
    test(`${what}: ${expected ? "let in" : "refused"}`, async () => assert.equal(await isLetIn(make()), expected));
  }

  test("that is unsigned is refused as before", async () => {
    assert.equal(await isLetIn(`wss://127.0.0.1:${port}/mqtt`), false);
  });

  test("is refused with the reason, which the refusals show", async () => {
    await isLetIn(presigned({ secret: "not it" }));
    const { refusals } = await platform.api<{ refusals: readonly { reason: string; sentence: string }[] }>(
      "GET",
      "/api/refusals",
    );
    assert.match(refusals.find(({ reason }) => reason === "signature")?.sentence ?? "", /does not hold/);
  });
});

test("a key that is revoked, and a policy that no longer allows it, cut the live connection", async () => {
  const other = await newKey("other");
  const cutBy = async (url: string, change: () => Promise<unknown>): Promise<void> => {
    const client = open(url);
    await happens(client, "connect");
    const told = happens(client, "disconnect");
    await change();
    assert.equal(((await told) as { readonly reasonCode?: number }).reasonCode, 0x87);
    await client.endAsync(true);
    assert.equal(await isLetIn(url), false);
  };
  await cutBy(presigned(other), () => platform.api("DELETE", `/api/keys/${other.id}`));
  await cutBy(presigned(), () =>
    platform.api("PUT", "/api/policies/app", { policyDocument: policy("topic/app/*").replace("client/*", "client/x") }),
  );
});

test("a key that expires is cut then", async () => {
  await platform.api("PUT", "/api/policies/app", { policyDocument: policy("topic/app/*") });
  const body = { kind: "access", name: "short", permissions: [], policies: ["app"], expiresAt: Date.now() + 3_000 };
  const made = await platform.api<{ key: { id: string }; secret: string }>("POST", "/api/keys", body);
  const client = open(presigned({ id: made.key.id, secret: made.secret }));
  await happens(client, "connect");
  assert.equal(((await happens(client, "disconnect")) as { readonly reasonCode?: number }).reasonCode, 0x87);
  await client.endAsync(true);
  await until("the audit log knows whose connection it was", async () => {
    const { stdout } = await cli("audit", "search", "--action", "device.refuse.credential-expired", "--json");
    return stdout.includes("credential-expired");
  });
});
