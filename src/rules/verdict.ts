/** What a receiver's answer means for a delivery. Sources: Standard Webhooks 1.0.0, Slack incoming webhooks. */
import { TidewireError, isTidewireError, reasonOf } from "../base/mod.ts";
import type { EpochMs, Millis } from "../base/mod.ts";
import type { OutgoingResponse } from "./ports.ts";
import type { Delivery } from "./store.ts";

export type Verdict =
  | { readonly type: "done" }
  /** The receiver will never take it. */
  | { readonly type: "dead"; readonly reason: string }
  /** `target`: the receiver is in trouble, all its deliveries wait. `delivery`: perhaps only this one is at fault. */
  | {
      readonly type: "retry";
      readonly scope: "target" | "delivery";
      readonly reason: string;
      /** From Retry-After; null where it said nothing. */
      readonly retryAfter: Millis | null;
    };

export function verdictOf(kind: Delivery["kind"], response: OutgoingResponse, now: EpochMs): Verdict {
  const { status } = response;
  if (status >= 200 && status < 300) {
    if (kind === "webhook") return { type: "done" };
    // Slack says 200 to more than it takes: only the body `ok` is a success.
    if (status === 200 && response.body.trim() === "ok") return { type: "done" };
    return retry("delivery", `HTTP ${status}, but not the answer 'ok'`, null);
  }
  const retryAfter = parseRetryAfter(response.headers["retry-after"], now);
  const reason = `HTTP ${status}`;
  if (status === 429 || status === 502 || status === 503 || status === 504) return retry("target", reason, retryAfter);
  if (status === 408 || status < 400 || status >= 500) return retry("delivery", reason, retryAfter);
  return { type: "dead", reason };
}

/** No answer: refused, reset, timed out, name not found, bad certificate. */
function verdictOfSilence(reason: string): Verdict {
  return retry("target", reason, null);
}

function retry(scope: "target" | "delivery", reason: string, retryAfter: Millis | null): Verdict {
  return { type: "retry", scope, reason, retryAfter };
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
export function parseRetryAfter(value: string | undefined, now: EpochMs): Millis | null {
  if (value === undefined) return null;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** There was no answer. */
export function verdictOfError(error: unknown): Verdict {
  if (isTidewireError(error) && error.code === "OUTGOING_REFUSED") return { type: "dead", reason: error.message };
  return verdictOfSilence(error instanceof TidewireError ? String(error.details["reason"]) : reasonOf(error));
}
