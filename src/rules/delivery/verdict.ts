/** What an HTTP answer means for a delivery, where the kind of receiver has no rule of its own. Source: Standard Webhooks 1.0.0. */
import { TidewireError, isTidewireError, reasonOf } from "../../base/mod.ts";
import type { EpochMs, Millis } from "../../base/mod.ts";
import type { OutgoingResponse } from "../ports.ts";
import { DONE, dead, deliveryFails, targetFails } from "./sender.ts";
import type { Verdict } from "./sender.ts";

/** Only 2xx is a success; `failure` as below. */
export function verdictOfHttp(response: OutgoingResponse, now: EpochMs): Verdict {
  return response.status >= 200 && response.status < 300 ? DONE : failureOfHttp(response, now);
}

/** `retryAfter`: where the receiver says it elsewhere than in the header. */
export function failureOfHttp(
  { status, headers }: OutgoingResponse,
  now: EpochMs,
  retryAfter: Millis | null = parseRetryAfter(headers["retry-after"], now),
  reason = `HTTP ${status}`,
): Verdict {
  if (status === 429 || status === 502 || status === 503 || status === 504) return targetFails(reason, retryAfter);
  if (status === 408 || status < 400 || status >= 500) return deliveryFails(reason, retryAfter);
  return dead(reason);
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
export function parseRetryAfter(value: string | undefined, now: EpochMs): Millis | null {
  if (value === undefined) return null;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** There was no answer: refused, reset, timed out, name not found, bad certificate; or the address is not allowed. */
export function verdictOfError(error: unknown): Verdict {
  if (isTidewireError(error) && error.code === "OUTGOING_REFUSED") return dead(error.message);
  return targetFails(error instanceof TidewireError ? String(error.details["reason"]) : reasonOf(error));
}
