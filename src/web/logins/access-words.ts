/** What is said of a certificate. */
import type { EpochMs } from "../../base/mod.ts";
import { formatRemaining } from "../format/time.ts";

export interface Standing {
  readonly word: string;
  /** `good`: it lets the device in. `warning`: it could, and somebody has to do something. `off`: it does not. */
  readonly tone: "good" | "warning" | "off";
}

const EXPIRES_SOON_MS = 7 * 86_400_000;

const WORDS: Readonly<Record<string, Standing>> = {
  INACTIVE: { word: "inactive", tone: "off" },
  REVOKED: { word: "revoked", tone: "off" },
  PENDING_ACTIVATION: { word: "waits to be activated", tone: "warning" },
  PENDING_TRANSFER: { word: "is being transferred", tone: "off" },
};

export function standingOf(status: string, expiresAt: EpochMs, now: EpochMs): Standing {
  if (status !== "ACTIVE") return WORDS[status] ?? { word: status.toLowerCase(), tone: "off" };
  if (expiresAt <= now) return { word: "expired", tone: "warning" };
  return { word: "active", tone: expiresAt - now < EXPIRES_SOON_MS ? "warning" : "good" };
}

/** What of a status somebody can change to; a revoked one stays so. */
export function changesFrom(status: string): readonly ("ACTIVE" | "INACTIVE" | "REVOKED")[] {
  if (status === "REVOKED") return [];
  return status === "ACTIVE" ? ["INACTIVE", "REVOKED"] : ["ACTIVE", "REVOKED"];
}

export function endOf(expiresAt: EpochMs, now: EpochMs): string {
  const remaining = expiresAt - now;
  return remaining < 0 ? `expired ${formatRemaining(remaining)}` : `expires ${formatRemaining(remaining)}`;
}

/** Enough to tell one from another. */
export function shortId(certificateId: string): string {
  return `${certificateId.slice(0, 12)}…`;
}
