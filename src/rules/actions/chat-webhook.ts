/** What the chat services have in common that take messages at one address, which is the secret: Slack, Discord, Teams. */
import { seconds } from "../../base/mod.ts";
import type { Bytes } from "../../base/mod.ts";
import { httpUrl, only, optionalTemplate, present } from "./checks.ts";
import type { Given } from "./checks.ts";
import type { ActionKind, Carrier, HttpExchange, Rendered, SendPlan } from "./kind.ts";
import { JSON_TYPE } from "./rendering.ts";
import type { TextOf } from "./rendering.ts";

export interface ChatBody {
  /** Of the channel's webhook; it is the secret. */
  readonly url: string;
  /** Template with `${expression}`, `${thing}`, `${rule}`. Without it: rule, thing and the SELECT's result. */
  readonly text?: string;
}

export function validateChat(given: Given, at: string): ChatBody {
  only(given, at, ["url", "text"]);
  return present({
    url: httpUrl(given["url"], `${at}.url`),
    text: optionalTemplate(given["text"], `${at}.text`),
  });
}

export const mapChatSecrets: NonNullable<ActionKind<ChatBody>["mapSecrets"]> = (body, change) => ({
  ...body,
  url: change(body.url, `${originOf(body.url)}/***`, "url"),
});

/** One at a time and in order: these services allow about one message a second and channel. */
export function chatCarrier(
  name: string,
  batchBytesMax: Bytes,
  exchange: Pick<HttpExchange, "verdict"> & Partial<HttpExchange>,
): Carrier {
  return {
    name,
    batchMax: 1,
    batchBytesMax,
    linger: 0,
    concurrency: 1,
    timeout: seconds(15),
    ordered: true,
    converses: true,
    http: {
      request: (settings, [parcel]) => ({ url: settings["url"] as string, headers: JSON_TYPE, body: parcel!.body }),
      ...exchange,
    },
  };
}

export function chatPlan({ url }: ChatBody, text: TextOf, message: (text: string) => Rendered): SendPlan {
  return { settings: { url }, label: originOf(url), render: (match) => message(text(match)) };
}

/** A sealed one has none. */
export function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "";
}
