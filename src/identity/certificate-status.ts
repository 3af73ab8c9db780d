/** Life of a certificate: which status follows which, and whether it opens the door now. */
import type { EpochMs } from "../base/mod.ts";

/** AWS IoT's names. Transfers between accounts do not exist here, so PENDING_TRANSFER does not either. */
export const CERTIFICATE_STATUSES = ["ACTIVE", "INACTIVE", "REVOKED", "PENDING_ACTIVATION"] as const;
export type CertificateStatus = (typeof CERTIFICATE_STATUSES)[number];

/** REVOKED is final: whoever revoked a stolen key must be able to rely on it. Nothing returns to PENDING_ACTIVATION. */
const TRANSITIONS: Readonly<Record<CertificateStatus, readonly CertificateStatus[]>> = {
  PENDING_ACTIVATION: ["ACTIVE", "INACTIVE", "REVOKED"],
  ACTIVE: ["INACTIVE", "REVOKED"],
  INACTIVE: ["ACTIVE", "REVOKED"],
  REVOKED: [],
};

/** Whether a status may be set; setting it again is allowed and changes nothing. */
export function mayBecome(from: CertificateStatus, to: CertificateStatus): boolean {
  return from === to || TRANSITIONS[from].includes(to);
}

export interface CertificateState {
  readonly status: CertificateStatus;
  readonly notBefore: EpochMs;
  readonly notAfter: EpochMs;
}

export type RefusalReason = "unknown" | "inactive" | "revoked" | "expired" | "not-yet-valid" | "pending";

export type Verdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: RefusalReason; readonly sentence: string };

/** The clock of whoever issued the certificate may be a little ahead of ours. */
const CLOCK_TOLERANCE_MS = 300_000;

/** Whether a certificate opens the door at `now`. */
export function verdict(certificate: CertificateState | undefined, now: EpochMs): Verdict {
  if (certificate === undefined) return refuse("unknown", "The certificate is not registered here");
  switch (certificate.status) {
    case "REVOKED":
      return refuse("revoked", "The certificate was revoked; give the device a new one");
    case "INACTIVE":
      return refuse("inactive", "The certificate is inactive; activate it to let the device in");
    case "PENDING_ACTIVATION":
      return refuse("pending", "The certificate waits for activation");
    case "ACTIVE":
  }
  if (now > certificate.notAfter) {
    return refuse("expired", `The certificate expired on ${day(certificate.notAfter)}; give the device a new one`);
  }
  if (now < certificate.notBefore - CLOCK_TOLERANCE_MS) {
    const starts = day(certificate.notBefore);
    return refuse(
      "not-yet-valid",
      `The certificate is valid from ${starts}, and this machine's clock says ${day(now)}`,
    );
  }
  return { ok: true };
}

function refuse(reason: RefusalReason, sentence: string): Verdict {
  return { ok: false, reason, sentence };
}

function day(at: EpochMs): string {
  return new Date(at).toISOString().slice(0, 10);
}
