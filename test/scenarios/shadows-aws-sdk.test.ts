/**
 * Shadows, by the unmodified AWS IoT Device SDK v2: its promise client (`IotShadowClientv2`) and the older one
 * (`IotShadowClient`), over MQTT 3.1.1 and 5. One platform serves all of it.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { iot, iotshadow, mqtt, mqtt5 } from "aws-iot-device-sdk-v2";
import { addDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;

before(async () => {
  platform = await PlatformProcess.start(folder.path);
});

after(async () => {
  await platform?.stop();
  folder.remove();
  // The SDK's native threads hold an ending process for ever (its own tests are run with --forceExit).
  setTimeout(() => process.exit(), 2_000);
});

interface Connected {
  readonly promises: iotshadow.IotShadowClientv2;
  readonly callbacks: iotshadow.IotShadowClient;
  readonly close: () => Promise<void>;
}

const OPTIONS = { maxRequestResponseSubscriptions: 20, maxStreamingSubscriptions: 10, operationTimeoutInSeconds: 10 };
const file = (device: Device, name: string): string => join(device.folder, name);

async function overMqtt5(device: Device): Promise<Connected> {
  const builder = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromPath(
    "127.0.0.1",
    file(device, "certificate.pem"),
    file(device, "private-key.pem"),
  );
  builder.withCertificateAuthorityFromPath(undefined, file(device, "ca.pem"));
  builder.withPort(platform.mqttsPort);
  builder.withConnectProperties({ clientId: device.thing, keepAliveIntervalSeconds: 60 });
  const client = new mqtt5.Mqtt5Client(builder.build());
  const connected = once(client, "connectionSuccess");
  client.start();
  await connected;
  const promises = iotshadow.IotShadowClientv2.newFromMqtt5(client, OPTIONS);
  const callbacks = iotshadow.IotShadowClient.newFromMqtt5Client(client);
  const close = async (): Promise<void> => {
    promises.close();
    const stopped = once(client, "stopped");
    client.stop();
    await stopped;
    client.close();
  };
  return { promises, callbacks, close };
}

async function overMqtt311(device: Device): Promise<Connected> {
  const config = iot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder_from_path(
    file(device, "certificate.pem"),
    file(device, "private-key.pem"),
  )
    .with_certificate_authority_from_path(undefined, file(device, "ca.pem"))
    .with_endpoint("127.0.0.1")
    .with_port(platform.mqttsPort)
    .with_client_id(device.thing)
    .with_clean_session(true)
    .build();
  const connection = new mqtt.MqttClient().new_connection(config);
  await connection.connect();
  const promises = iotshadow.IotShadowClientv2.newFromMqtt311(connection, OPTIONS);
  const callbacks = new iotshadow.IotShadowClient(connection);
  const close = async (): Promise<void> => {
    promises.close();
    await connection.disconnect();
  };
  return { promises, callbacks, close };
}

/** What a refused request is refused with. */
async function refusal(request: Promise<unknown>): Promise<{ code?: number; message?: string }> {
  const error = await request.then(
    () => assert.fail("it was not refused"),
    (reason: { modeledError?: { code?: number; message?: string } }) => reason,
  );
  assert.ok(error.modeledError);
  const { code, message } = error.modeledError;
  return { ...(code === undefined ? {} : { code }), ...(message === undefined ? {} : { message }) };
}

for (const [version, connect] of [
  ["5", overMqtt5],
  ["311", overMqtt311],
] as const) {
  test(`MQTT ${version}, IotShadowClientv2: a shadow's whole life, classic and named, with its streams`, async () => {
    const thingName = `lamp-${version}`;
    const device = await addDevice(platform, folder.path, thingName);
    const { promises: client, close } = await connect(device);
    const deltas: iotshadow.model.ShadowDeltaUpdatedEvent[] = [];
    const updates: iotshadow.model.ShadowUpdatedEvent[] = [];
    const deltaStream = client.createShadowDeltaUpdatedStream({ thingName });
    const updateStream = client.createShadowUpdatedStream({ thingName });
    try {
      assert.deepEqual(await refusal(client.getShadow({ thingName })), {
        code: 404,
        message: `No shadow exists with name: ${thingName}`,
      });
      deltaStream.on("incomingPublish", ({ message }) => deltas.push(message));
      updateStream.on("incomingPublish", ({ message }) => updates.push(message));
      const open = [once(deltaStream, "subscriptionStatus"), once(updateStream, "subscriptionStatus")];
      deltaStream.open();
      updateStream.open();
      await Promise.all(open);

      const first = await client.updateShadow({
        thingName,
        state: { desired: { on: true, colour: { red: 255 } }, reported: { on: false } },
      });
      assert.equal(first.version, 1);
      assert.deepEqual(first.state, { desired: { on: true, colour: { red: 255 } }, reported: { on: false } });
      assert.ok(Math.abs(Number(first.timestamp) - Date.now() / 1000) < 60, "epoch seconds");
      await until("the delta", async () => deltas.length === 1 && updates.length === 1);
      assert.deepEqual(deltas[0]!.state, { on: true, colour: { red: 255 } });
      assert.equal(updates[0]!.previous?.version, 0);
      assert.deepEqual(updates[0]!.current?.state, first.state);

      const got = await client.getShadow({ thingName });
      assert.deepEqual(got.state?.delta, { on: true, colour: { red: 255 } });
      assert.match(JSON.stringify(got.metadata), /"desired":\{"on":\{"timestamp":\d{10}\}/);

      await client.updateShadow({ thingName, version: 1, state: { reported: { on: true, colour: { red: 255 } } } });
      const agreed = await client.getShadow({ thingName });
      assert.deepEqual([agreed.version, agreed.state?.delta], [2, undefined]);
      const stale = client.updateShadow({ thingName, version: 1, state: { desired: { on: false } } });
      assert.deepEqual(await refusal(stale), { code: 409, message: "Version conflict" });
      const large = client.updateShadow({ thingName, state: { desired: { text: "x".repeat(9_000) } } });
      assert.deepEqual(await refusal(large), { code: 413, message: "The payload exceeds the maximum size allowed" });

      assert.equal((await client.deleteShadow({ thingName })).version, 2);
      assert.equal((await refusal(client.deleteShadow({ thingName }))).code, 404);
      assert.equal((await client.updateShadow({ thingName, state: { reported: {} } })).version, 3);

      const named = { thingName, shadowName: "network" };
      assert.equal((await client.updateNamedShadow({ ...named, state: { desired: { dhcp: true } } })).version, 1);
      assert.deepEqual((await client.getNamedShadow(named)).state?.desired, { dhcp: true });
      assert.equal((await client.deleteNamedShadow(named)).version, 1);
      assert.deepEqual(await refusal(client.getNamedShadow(named)), {
        code: 404,
        message: "No shadow exists with name: network",
      });
    } finally {
      deltaStream.close();
      updateStream.close();
      await close();
    }
  });

  test(`MQTT ${version}, IotShadowClient: answers and events as callbacks`, async () => {
    const thingName = `pump-${version}`;
    const device = await addDevice(platform, folder.path, thingName);
    const { callbacks: client, close } = await connect(device);
    const heard: string[] = [];
    const hear =
      (what: string) =>
      (error: unknown, response?: { state?: object; version?: number; message?: string }): void => {
        assert.equal(error ?? null, null);
        heard.push(`${what} ${response?.version ?? response?.message} ${JSON.stringify(response?.state)}`);
      };
    try {
      const qos = mqtt.QoS.AtLeastOnce;
      const place = { thingName };
      await client.subscribeToUpdateShadowAccepted(place, qos, hear("accepted"));
      await client.subscribeToUpdateShadowRejected(place, qos, hear("rejected"));
      await client.subscribeToShadowDeltaUpdatedEvents(place, qos, hear("delta"));
      await client.subscribeToGetShadowAccepted(place, qos, hear("got"));
      await client.publishUpdateShadow({ ...place, clientToken: "t1", state: { desired: { rpm: 900 } } }, qos);
      await client.publishUpdateShadow({ ...place, clientToken: "t2", state: { desired: { rpm: [null] } } }, qos);
      await client.publishGetShadow({ ...place, clientToken: "t3" }, qos);
      await until("all answers", async () => heard.length === 4);
      assert.deepEqual(heard, [
        'accepted 1 {"desired":{"rpm":900}}',
        'delta 1 {"rpm":900}',
        "rejected State contains an invalid node undefined",
        'got 1 {"desired":{"rpm":900},"delta":{"rpm":900}}',
      ]);
    } finally {
      await close();
    }
  });
}
