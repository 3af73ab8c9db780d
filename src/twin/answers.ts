/** What is published about an operation. Source: AWS IoT, "Device Shadow MQTT topics". */
import type { EpochMs, JsonObject } from "../base/mod.ts";
import type { Refusal } from "./refusal.ts";
import type { Updated } from "./shadow.ts";
import type { Answer } from "./store.ts";
import { CLIENT_PREFIX, topicOf } from "./topics.ts";
import type { Operation, ShadowKey } from "./topics.ts";

/** The body as it leaves, with the requester's token where there is one. */
export function bodyText(document: JsonObject, clientToken: string | null): string {
  return JSON.stringify(clientToken === null ? document : { ...document, clientToken });
}

export function acceptedAnswer(key: ShadowKey, operation: Operation, body: string, until: EpochMs | null): Answer {
  return answer(key, `${operation}/accepted`, body, until);
}

export function rejectedAnswer(
  request: ShadowKey & { readonly operation: Operation; readonly receivedAt: EpochMs },
  { code, message }: Refusal,
  clientToken: string | null,
  until: EpochMs | null,
): Answer {
  const body = bodyText({ code, message, timestamp: Math.floor(request.receivedAt / 1000) }, clientToken);
  return answer(request, `${request.operation}/rejected`, body, until);
}

/** For everybody who follows the shadow. */
export function newsOf(key: ShadowKey, { delta, documents }: Updated, clientToken: string | null): readonly Answer[] {
  const news = [answer(key, "update/documents", bodyText(documents, clientToken), null)];
  if (delta !== null) news.unshift(answer(key, "update/delta", bodyText(delta, clientToken), null));
  return news;
}

function answer(key: ShadowKey, rest: string, payload: string, until: EpochMs | null): Answer {
  return { topic: topicOf(CLIENT_PREFIX, key, rest), payload, until };
}
