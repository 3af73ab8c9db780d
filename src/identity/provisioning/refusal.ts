/** Why somebody was not provisioned: what the device is told (AWS's three members), and the step for whoever looks for it. */

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
