/** Who asks, and the statements that most policies of the tables are made of. */
import type { PolicyContext } from "./variables.ts";

export const BARE: PolicyContext = { clientId: "client1", sourceIp: "192.0.2.7", thing: null, certificate: null };

export const REGISTERED: PolicyContext = {
  clientId: "sensor-7",
  sourceIp: "192.0.2.7",
  thing: { thingName: "sensor-7", thingTypeName: "thermometer", attributes: { room: "r12", odd: "a+b" } },
  certificate: {
    certificateId: "ab".repeat(32),
    serialNumber: "01",
    subject: { CommonName: ["sensor-7"], Organization: ["Example Corp", "AnyCompany"] },
    issuer: { CommonName: ["Tidewire CA"] },
  },
};

export const aws = (resource: string): string => `arn:aws:iot:us-east-1:123456789012:${resource}`;

export type Question =
  | readonly ["connect", clientId: string, allowed: boolean]
  | readonly ["publish", topic: string, allowed: boolean]
  | readonly ["retain", topic: string, allowed: boolean]
  | readonly ["subscribe", filter: string, allowed: boolean]
  | readonly ["receive", topic: string, allowed: boolean];

export interface PolicyCase {
  readonly title: string;
  readonly statements: readonly unknown[];
  readonly context: PolicyContext;
  readonly questions: readonly Question[];
}

export const allow = (action: unknown, resource: unknown, condition?: unknown): unknown => ({
  Effect: "Allow",
  Action: action,
  Resource: resource,
  ...(condition === undefined ? {} : { Condition: condition }),
});
export const deny = (action: unknown, resource: unknown, condition?: unknown): unknown => ({
  ...(allow(action, resource, condition) as object),
  Effect: "Deny",
});
export const THING = "${iot:Connection.Thing.ThingName}";
