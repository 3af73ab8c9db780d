/** The unmodified AWS IoT Device SDK v2 for JavaScript provisions itself, by claim and by CSR, over MQTT 3.1.1 and 5. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { io, iot, iotidentity, mqtt, mqtt5 } from "aws-iot-device-sdk-v2";
import { createKeyAndCsr } from "../../src/adapters/pki/mod.ts";
import { collectNativeClients } from "./support/native-clients.ts";
import { PlatformProcess, temporaryFolder } from "./support/platform-process.ts";

const TEMPLATE = "line-a";

const BODY = JSON.stringify({
  Parameters: { SerialNumber: { Type: "String" }, Site: { Type: "String", Default: "bay-1" } },
  Mappings: { Sites: { "bay-1": { Url: "https://bay-1.example" } } },
  Resources: {
    thing: {
      Type: "AWS::IoT::Thing",
      Properties: {
        ThingName: { "Fn::Join": ["-", ["pump", { Ref: "SerialNumber" }]] },
        AttributePayload: { serial: { Ref: "SerialNumber" }, site: { Ref: "Site" } },
      },
    },
    certificate: {
      Type: "AWS::IoT::Certificate",
      Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" }, Status: "Active" },
    },
    policy: { Type: "AWS::IoT::Policy", Properties: { PolicyName: "tidewire-default" } },
  },
  DeviceConfiguration: { url: { "Fn::FindInMap": ["Sites", { Ref: "Site" }, "Url"] } },
});

interface Keys {
  readonly certificatePem: string;
  readonly privateKey: string;
}

/** One connection of the SDK, whichever protocol it speaks. */
interface Device {
  readonly identity: iotidentity.IotIdentityClientv2;
  publish(topic: string, payload: string): Promise<void>;
  stop(): Promise<void>;
}

describe("the AWS IoT Device SDK v2", () => {
  const folder = temporaryFolder();
  let platform: PlatformProcess;
  let caPem: string;
  let claim: Keys;

  before(async () => {
    platform = await PlatformProcess.start(folder.path);
    ({ caPem } = await platform.api<{ caPem: string }>("GET", "/api/connection"));
    await platform.api("POST", "/provisioning-templates", {
      templateName: TEMPLATE,
      templateBody: BODY,
      provisioningRoleArn: "arn:aws:iam::000000000000:role/any",
      enabled: true,
    });
    claim = await newClaim();
  });

  after(async () => {
    await platform.stop();
    folder.remove();
    await collectNativeClients();
  });

  async function newClaim(): Promise<Keys> {
    type Made = { certificatePem: string; keyPair: { PrivateKey: string } };
    const made = await platform.api<Made>("POST", `/provisioning-templates/${TEMPLATE}/provisioning-claim`);
    return { certificatePem: made.certificatePem, privateKey: made.keyPair.PrivateKey };
  }

  async function connect5(keys: Keys, clientId: string): Promise<Device> {
    const { certificatePem, privateKey } = keys;
    const builder = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromMemory(
      "127.0.0.1",
      certificatePem,
      privateKey,
    );
    builder
      .withCertificateAuthority(caPem)
      .withPort(platform.mqttsPort)
      .withConnectProperties({ clientId, keepAliveIntervalSeconds: 60 });
    const client = new mqtt5.Mqtt5Client(builder.build());
    const connected = once(client, "connectionSuccess");
    client.start();
    await connected;
    const identity = iotidentity.IotIdentityClientv2.newFromMqtt5(client, {
      maxRequestResponseSubscriptions: 4,
      maxStreamingSubscriptions: 2,
      operationTimeoutInSeconds: 10,
    });
    return {
      identity,
      publish: async (topicName, payload) => {
        const result = await client.publish({ topicName, payload, qos: mqtt5.QoS.AtLeastOnce });
        assert.equal(result?.reasonCode, 0);
      },
      stop: async () => {
        identity.close();
        const stopped = once(client, "stopped");
        client.stop();
        await stopped;
        client.close();
      },
    };
  }

  async function connect311(keys: Keys, clientId: string): Promise<Device> {
    const config = iot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder(keys.certificatePem, keys.privateKey)
      .with_certificate_authority(caPem)
      .with_endpoint("127.0.0.1")
      .with_port(platform.mqttsPort)
      .with_client_id(clientId)
      .with_clean_session(true)
      .build();
    const connection = new mqtt.MqttClient(new io.ClientBootstrap()).new_connection(config);
    await connection.connect();
    const identity = iotidentity.IotIdentityClientv2.newFromMqtt311(connection, {
      maxRequestResponseSubscriptions: 4,
      maxStreamingSubscriptions: 2,
      operationTimeoutInSeconds: 10,
    });
    return {
      identity,
      publish: async (topic, payload) => void (await connection.publish(topic, payload, mqtt.QoS.AtLeastOnce)),
      stop: async () => {
        identity.close();
        await connection.disconnect();
      },
    };
  }

  /** It is who it says: it connects as its thing, publishes as such, and nobody else can. */
  async function works(keys: Keys, thing: string, connect: typeof connect5): Promise<void> {
    const device = await connect(keys, thing);
    await device.publish(`telemetry/${thing}/engine`, '{"rpm":900}');
    await device.stop();
    const detail = await platform.api<{ attributes: Record<string, string> }>("GET", `/things/${thing}`);
    assert.equal(detail.attributes["site"], "bay-1");
  }

  for (const [protocol, connect] of [
    ["MQTT 5.0", connect5],
    ["MQTT 3.1.1", connect311],
  ] as const) {
    const suffix = protocol.at(-1)!;

    test(`provisions itself by claim over ${protocol}, and works with its new certificate`, async () => {
      const claiming = await connect(claim, `factory-${suffix}`);
      const created = await claiming.identity.createKeysAndCertificate({});
      const { thingName, deviceConfiguration } = await claiming.identity.registerThing({
        templateName: TEMPLATE,
        certificateOwnershipToken: created.certificateOwnershipToken!,
        parameters: { SerialNumber: `claim${suffix}` },
      });
      await claiming.stop();
      assert.equal(thingName, `pump-claim${suffix}`);
      assert.deepEqual(deviceConfiguration, { url: "https://bay-1.example" });
      assert.match(created.certificateId!, /^[0-9a-f]{64}$/);
      const keys = { certificatePem: created.certificatePem!, privateKey: created.privateKey! };
      await works(keys, thingName, connect);
    });

    test(`provisions itself with a key of its own over ${protocol}`, async () => {
      const { privateKeyPem, csrPem } = await createKeyAndCsr("whatever");
      const claiming = await connect(claim, `factory-${suffix}`);
      const created = await claiming.identity.createCertificateFromCsr({ certificateSigningRequest: csrPem });
      const { thingName } = await claiming.identity.registerThing({
        templateName: TEMPLATE,
        certificateOwnershipToken: created.certificateOwnershipToken!,
        parameters: { SerialNumber: `csr${suffix}` },
      });
      await claiming.stop();
      await works({ certificatePem: created.certificatePem!, privateKey: privateKeyPem }, thingName!, connect);
    });

    test(`a used token, a wrong one and a wrong CSR are refused in AWS's words over ${protocol}`, async () => {
      const claiming = await connect(claim, `factory-${suffix}`);
      const created = await claiming.identity.createKeysAndCertificate({});
      const request = {
        templateName: TEMPLATE,
        certificateOwnershipToken: created.certificateOwnershipToken!,
        parameters: { SerialNumber: `twice${suffix}` },
      };
      await claiming.identity.registerThing(request);
      const refusal = async (attempt: Promise<unknown>): Promise<unknown> => {
        const error = await attempt.then(
          () => assert.fail("it was accepted"),
          (thrown: unknown) => thrown as { modeledError?: unknown },
        );
        return error.modeledError;
      };
      const replayed = (await refusal(claiming.identity.registerThing(request))) as Record<string, unknown>;
      assert.equal(replayed["statusCode"], 400);
      assert.equal(replayed["errorCode"], "InvalidCertificateOwnershipToken");
      const forged = await refusal(claiming.identity.registerThing({ ...request, certificateOwnershipToken: "guess" }));
      assert.equal((forged as Record<string, unknown>)["errorCode"], "InvalidCertificateOwnershipToken");
      const csr = await refusal(claiming.identity.createCertificateFromCsr({ certificateSigningRequest: "no" }));
      assert.equal((csr as Record<string, unknown>)["errorCode"], "InvalidCertificateSigningRequest");
      await claiming.stop();
    });
  }
});
