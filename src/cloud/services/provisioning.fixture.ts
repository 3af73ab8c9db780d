/** A device that is provisioned over MQTT, by a template, without the network between. */
import assert from "node:assert/strict";
import { decodeCbor, encodeCbor } from "../../adapters/cbor.ts";
import { decodeUtf8, encodeUtf8 } from "../../base/mod.ts";
import type { JsonValue } from "../../base/mod.ts";
import { apiWorld } from "../api/api.fixture.ts";
import type { ApiWorld } from "../api/api.fixture.ts";
import { provisioningService } from "./provisioning.ts";

export const CREATE = "$aws/certificates/create";
export const CSR = "$aws/certificates/create-from-csr";
export const REGISTER = "$aws/provisioning-templates/t/provision";
export const CLAIM = "c1".repeat(32);

export type Document = Record<string, unknown>;
interface Answered {
  readonly outcome: string;
  readonly document: Document;
}
interface Asking {
  readonly clientId?: string;
  readonly certificateId?: string | null;
}

/** A device that asks over MQTT, without the network between. */
export type Ask = (topic: string, document: unknown, as?: Asking) => Promise<Answered>;

export const certificate = {
  Type: "AWS::IoT::Certificate",
  Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" } },
};
export const pump = {
  Type: "AWS::IoT::Thing",
  Properties: { ThingName: { "Fn::Sub": "pump-${SN}" }, AttributePayload: { sn: { Ref: "SN" } } },
};
export const own = { Type: "AWS::IoT::Policy", Properties: { PolicyName: "tidewire-default" } };

export function templateBody(resources: object = { pump, certificate, own }): string {
  return JSON.stringify({ Parameters: { SN: { Type: "String" } }, Resources: resources });
}

export async function withWorld(
  work: (world: ApiWorld, ask: Ask) => Promise<void>,
  template: object = {},
): Promise<void> {
  await using world = await apiWorld();
  world.provisioning.templates.create({ name: "t", body: templateBody(), enabled: true, ...template });
  const service = provisioningService({ ...world.provisioning, logger: world.logger, metrics: world.metrics });
  const ask: Ask = (topic, document, { clientId = "c1", certificateId = CLAIM } = {}) =>
    new Promise((resolve) => {
      const cbor = topic.endsWith("/cbor");
      const payload =
        document instanceof Uint8Array
          ? document
          : cbor
            ? encodeCbor(document as JsonValue)
            : encodeUtf8(JSON.stringify(document));
      const told = {
        clientId,
        thing: null,
        certificateId,
        remoteAddress: "",
        sessionIdentifier: "s",
        protocolVersion: 5,
      } as const;
      const message = {
        topic,
        payload,
        qos: 1,
        retain: false,
        clientId,
        thing: null,
        receivedAt: 0,
        properties: null,
      } as const;
      service.handle({
        message,
        offset: 0,
        requester: told,
        reply: (to, bytes) => {
          assert.ok(to.startsWith(`${topic}/`));
          const text = cbor ? decodeCbor(bytes) : JSON.parse(decodeUtf8(bytes, 0, bytes.length));
          resolve({ outcome: to.slice(topic.length + 1), document: text as Document });
          return true;
        },
      });
    });
  await work(world, ask);
}

export async function refusedAs(
  answer: Promise<Answered>,
  statusCode: number,
  errorCode: string,
  message?: RegExp,
): Promise<void> {
  const { outcome, document } = await answer;
  assert.equal(outcome, "rejected", JSON.stringify(document));
  assert.deepEqual(Object.keys(document).sort(), ["errorCode", "errorMessage", "statusCode"]);
  assert.deepEqual(
    [document["statusCode"], document["errorCode"]],
    [statusCode, errorCode],
    String(document["errorMessage"]),
  );
  if (message !== undefined) assert.match(String(document["errorMessage"]), message);
}

export const request = (created: Document, sn = "7"): Document => ({
  certificateOwnershipToken: created["certificateOwnershipToken"],
  parameters: { SN: sn },
});
