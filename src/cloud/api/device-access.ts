/** Devices at the HTTPS port: the certificate of the connection says who asks, and its policies what for. */
import type { Socket } from "node:net";
import type { FastifyRequest } from "fastify";
import type { Visitor } from "../../adapters/net/mod.ts";
import { TidewireError } from "../../base/mod.ts";
import type { PolicyAction } from "../../identity/mod.ts";
import type { Actor } from "../../people/mod.ts";
import type { RegistryGatekeeper } from "../gatekeeper.ts";

/** What a device's policies must allow. */
export interface DeviceNeed {
  readonly action: PolicyAction;
  readonly resource: string;
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** What a device needs for it; routes without it are not for devices. */
    device?: (request: FastifyRequest) => readonly DeviceNeed[];
  }
}

export interface DevicePorts {
  readonly gatekeeper: RegistryGatekeeper;
  /** Who is at the other end of a connection. */
  readonly visitorOf: (socket: Socket) => Visitor;
}

/** Null where the connection has no certificate. Throws DEVICE_REFUSED, PERMISSION_DENIED. */
export function deviceOf(request: FastifyRequest, { gatekeeper, visitorOf }: DevicePorts): Actor | null {
  const { credential, remoteAddress } = visitorOf(request.raw.socket);
  const needs = request.routeOptions.config.device?.(request) ?? null;
  // A browser that shows a certificate along the way has asked for a page of people; there it counts for nothing.
  if (needs === null || credential.kind === "none") return null;
  if (credential.kind === "unusable") throw new TidewireError("DEVICE_REFUSED", { reason: credential.hint });
  const { certificateId } = credential;
  const admitted = gatekeeper.admitRequest(certificateId, remoteAddress);
  if (!admitted.ok) throw new TidewireError("DEVICE_REFUSED", { reason: admitted.sentence });
  const { thing, policy } = admitted;
  for (const { action, resource } of needs) {
    if (policy.allows(action, resource)) continue;
    throw new TidewireError("PERMISSION_DENIED", {
      who: `'${thing ?? certificateId}'`,
      permission: `iot:${action}`,
      reason: ` on '${resource.slice(0, 256)}'`,
    });
  }
  return {
    identity: { kind: "device", certificateId, thing },
    permissions: NOTHING,
    things: thing === null ? [] : [thing],
  };
}

/** A device has its policies, and no permission of people. */
const NOTHING: Actor["permissions"] = new Set();
