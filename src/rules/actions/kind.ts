/** What every kind of action answers. A kind is one file beside this one and one line in `registry.ts`. */
import type { Bytes, EpochMs, JsonObject, JsonValue, Millis } from "../../base/mod.ts";
import type { Notification } from "../alerts/notification.ts";
import type { Parcel, Verdict } from "../delivery/sender.ts";
import type { MessageInput } from "../input.ts";
import type { HmacSha256, OutgoingResponse } from "../ports.ts";
import type { TemplateScope } from "../../sql/mod.ts";
import type { Given } from "./checks.ts";

/**
 * Returns what is to stand in the place of a secret. `shown`: what people may see of it. `name`: of its key. Never called for what is
 * left out.
 */
export type SecretChange = (secret: string, shown: string, name: string) => string;

export interface ActionKind<B extends object = object> {
  readonly name: string;
  /** What a user wrote → the body, or RULE_INVALID that names the key. */
  validate(given: Given, at: string): B;
  /** The body with other secrets; left out where the kind has none. */
  mapSecrets?(body: B, change: SecretChange): B;
  /** How it sends; null where others in the platform do what it says (`telemetry`, `alert`). */
  readonly carrier: Carrier | null;
  /** Once per rule: what needs no message. Where `carrier` is null, it is not there. */
  plan?(body: B, scope: TemplateScope): SendPlan;
  /** As a target of alerts: the text for this channel. Not there where the kind cannot be one. */
  announce?(body: B, notification: Notification): Rendered;
  /** Whether what was announced can be replaced. Not there where it cannot. */
  edits?(body: B): Edits;
  /** It is for a program, which wants each alert by itself and as many as there are. */
  readonly isProgram?: boolean;
}

/**
 * `follows`: the channel knows a group again by itself, and tells who must know. `silently`: a message is edited and nobody
 * hears of it, so what is urgent is said once more in a line below.
 */
export type Edits = "no" | "follows" | "silently";

/** An action, made ready when its rule is put. */
export interface SendPlan {
  /** What a sender needs to know, secrets among it. Two actions with the same receiver share its line, limits and troubles. */
  readonly settings: JsonObject;
  /** What may be shown and logged of it. */
  readonly label: string;
  /** Once per match, in the hot path. Never throws for what a message holds. */
  render(match: Match): Rendered;
}

/** A message that matched, and what the rule made of it. */
export interface Match {
  readonly input: MessageInput;
  /** The SELECT's result; bytes where it is `*` of a payload that is not JSON. */
  readonly value: JsonValue | Uint8Array;
  /** The same as bytes, encoded once for all actions of the rule. Not to be changed. */
  readonly bytes: Uint8Array;
  /** For templates: `${thing}`, `${rule}`. */
  readonly variables: Readonly<Record<string, string>>;
}

/** One event for one receiver: what is sent, and what is said beside it (a topic, a subject, a header). */
export interface Rendered {
  readonly body: Uint8Array;
  readonly fields: Readonly<Record<string, string>>;
}

/** How a kind of receiver is served. */
export interface Carrier {
  /** Names the sender; it stands in every saved delivery's receiver. */
  readonly name: string;
  /** Parcels of one `send`, and their bytes. */
  readonly batchMax: number;
  readonly batchBytesMax: Bytes;
  /** How long the first parcel of a batch waits for others. */
  readonly linger: Millis;
  /** Batches on the way at once. */
  readonly concurrency: number;
  readonly timeout: Millis;
  /** Deliveries that wait in memory, where that is not what all receivers have: one that is part of this process takes bursts. */
  readonly queuedMax?: number;
  /** Whether what came first is to arrive first: one batch at a time, and a failure holds up those behind it for some attempts. */
  readonly ordered: boolean;
  /** Notifications are edited, answered or carry a picture: it is given `Parcel.about`. */
  readonly converses?: boolean;
  /** For receivers that are spoken to in HTTP. */
  readonly http: HttpExchange | null;
}

/** One batch as one request, and what the answer means. */
export interface HttpExchange {
  request(settings: JsonObject, parcels: readonly Parcel[], now: EpochMs, hmac: HmacSha256): HttpPost;
  /** For every parcel of the batch. */
  verdict(response: OutgoingResponse, now: EpochMs): Verdict;
  /** Whether the message that was to be replaced is not there any more, or cannot be: it is sent as a new one at once. */
  isGone?(response: OutgoingResponse): boolean;
  /** Whether the answer is about some parcels of the batch, so that each half is to be sent by itself. */
  splits?(status: number): boolean;
}

export interface HttpPost {
  readonly method?: "POST" | "PATCH";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}
