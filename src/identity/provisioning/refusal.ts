/** Why somebody was not provisioned: what the device is told (AWS's three members), and the step for whoever looks for it. */
import { TidewireError } from "../../base/mod.ts";

export type ProvisioningStep =
  | "request"
  | "limits"
  | "certificate"
  | "token"
  | "template"
  | "parameters"
  | "hook"
  | "registry";

export type RefusalCode =
  | "InvalidPayload"
  | "InvalidParameters"
  | "InvalidCertificateSigningRequest"
  | "InvalidCertificateOwnershipToken"
  | "ACCESS_DENIED"
  | "ResourceNotFound"
  | "ResourceConflict"
  | "Throttling"
  | "InternalFailure";

const STATUS: Readonly<Record<RefusalCode, number>> = {
  InvalidPayload: 400,
  InvalidParameters: 400,
  InvalidCertificateSigningRequest: 400,
  InvalidCertificateOwnershipToken: 400,
  ACCESS_DENIED: 403,
  ResourceNotFound: 404,
  ResourceConflict: 409,
  Throttling: 429,
  InternalFailure: 500,
};

export class ProvisioningRefusal extends Error {
  readonly step: ProvisioningStep;
  readonly code: RefusalCode;

  constructor(step: ProvisioningStep, code: RefusalCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ProvisioningRefusal";
    this.step = step;
    this.code = code;
  }

  get statusCode(): number {
    return STATUS[this.code];
  }
}

/** What is not ours to explain becomes an InternalFailure with its cause. */
export function refusalOf(error: unknown): ProvisioningRefusal {
  if (error instanceof ProvisioningRefusal) return error;
  if (error instanceof TidewireError && error.entry.fault === "peer") {
    const code =
      error.entry.http === 409
        ? "ResourceConflict"
        : error.entry.http === 404
          ? "ResourceNotFound"
          : "InvalidParameters";
    return new ProvisioningRefusal("registry", code, error.message, { cause: error });
  }
  return new ProvisioningRefusal("registry", "InternalFailure", "The platform failed; its log says why", {
    cause: error,
  });
}
