/** What the rules need from the outside, beside base's ports and the store. */
import type { Millis } from "../base/mod.ts";

export interface OutgoingRequest {
  /** Default: POST. */
  readonly method?: "POST" | "PATCH";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** For the whole exchange, from here to the last byte of the answer. */
  readonly timeout: Millis;
  /** What is kept of the answer; 4 KiB where it is not said, for then nobody reads it but to learn why. */
  readonly answerBytesMax?: number;
}

export interface OutgoingResponse {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** The beginning of the answer as text. */
  readonly body: string;
}

/**
 * HTTP to other servers. Resolves for any status; redirects are not followed. Rejects with `TidewireError`
 * OUTGOING_FAILED (no answer; may be tried again) or OUTGOING_REFUSED (this address is not allowed).
 */
export interface OutgoingHttp {
  post(request: OutgoingRequest): Promise<OutgoingResponse>;
}

/** HMAC-SHA256 of `data`, 32 bytes. */
export type HmacSha256 = (key: Uint8Array, data: Uint8Array) => Uint8Array;
