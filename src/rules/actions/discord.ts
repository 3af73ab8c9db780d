/** A message to a Discord channel by a webhook. Source: Discord's API docs (Execute Webhook, Rate Limits); contracts.md section 4. */
import { kib } from "../../base/mod.ts";
import type { Millis } from "../../base/mod.ts";
import { DONE } from "../delivery/sender.ts";
import type { Parcel } from "../delivery/sender.ts";
import { failureOfHttp } from "../delivery/verdict.ts";
import { ALERT_COLOURS, ALERT_SIGNS, alertText, linkLines, originLine, replyLine, signOf } from "./alert-text.ts";
import { chatCarrier, chatPlan, mapChatSecrets, validateChat } from "./chat-webhook.ts";
import type { ChatBody } from "./chat-webhook.ts";
import type { ActionKind, HttpPost } from "./kind.ts";
import { FORM_TYPE, chartFile, multipart } from "./multipart.ts";
import { JSON_TYPE, chatText, encodeJson, jsonBody, parsedObject, shortened } from "./rendering.ts";

const TEXT_CHARS_MAX = 2000;
const TITLE_CHARS_MAX = 256;
/** Nobody is pinged by what a device sends. */
const QUIET = { allowed_mentions: { parse: [] } };

const carrier = chatCarrier("discord", kib(64), {
  request: (settings, [parcel]) => post(new URL(settings["url"] as string), parcel!),
  // Unknown Message; an unknown webhook is 10015, and nothing can be sent there any more.
  isGone: ({ status, body }) => status === 404 && parsedObject(body)["code"] === 10008,
  verdict(response, now) {
    const { status, headers, body } = response;
    if (status >= 200 && status < 300) {
      // Its limits change; it says itself when they are used up.
      const pause = headers["x-ratelimit-remaining"] === "0" ? inSeconds(headers["x-ratelimit-reset-after"]) : null;
      const { id } = parsedObject(body);
      return { ...DONE, ...(pause === null ? {} : { pause }), ...(typeof id === "string" ? { reference: id } : {}) };
    }
    const told = status === 429 ? (retryAfter(body) ?? inSeconds(headers["x-ratelimit-reset-after"])) : null;
    return told === null ? failureOfHttp(response, now) : failureOfHttp(response, now, told);
  },
});

/** With `wait`, it says what the message is called. A webhook's messages cannot be answered: what would be an answer stands alone. */
function post(url: URL, { body, about }: Parcel): HttpPost {
  if (about === undefined) return { url: url.href, headers: JSON_TYPE, body };
  const { replaces, picture } = about;
  if (replaces === null) url.searchParams.set("wait", "true");
  else url.pathname += `/messages/${replaces}`;
  const method = replaces === null ? "POST" : "PATCH";
  if (picture === null) {
    // What an edit does not name as an attachment goes: the old picture shows what was.
    const edited = replaces === null ? body : encodeJson({ ...parsedObject(textIn(body)), attachments: [] });
    return { method, url: url.href, headers: JSON_TYPE, body: edited };
  }
  const message = parsedObject(textIn(body)) as { readonly embeds?: readonly object[] };
  const [first, ...others] = message.embeds ?? [];
  const embeds = first === undefined ? [] : [{ ...first, image: { url: "attachment://chart.png" } }, ...others];
  const payload = { ...message, embeds, attachments: [{ id: 0, filename: "chart.png" }] };
  const form = multipart({ payload_json: JSON.stringify(payload) }, chartFile("files[0]", picture));
  return { method, url: url.href, headers: FORM_TYPE, body: form };
}

const textIn = (body: Uint8Array): string => new TextDecoder().decode(body);

/** `{"message":…,"retry_after":0.65,"global":false}`, seconds. */
function retryAfter(body: string): Millis | null {
  const { retry_after: wait } = parsedObject(body);
  return typeof wait === "number" ? Math.ceil(wait * 1000) : null;
}

function inSeconds(value: string | undefined): Millis | null {
  const given = Number(value);
  return value === undefined || !Number.isFinite(given) || given < 0 ? null : Math.ceil(given * 1000);
}

export const discord: ActionKind<ChatBody> = {
  name: "discord",
  carrier,
  validate: validateChat,
  mapSecrets: mapChatSecrets,
  plan(body, scope) {
    const write = chatText(body.text, { strong: (words) => `**${words}**`, escape: escapeMarkdown }, scope);
    return chatPlan(body, write, (text) => jsonBody({ content: shortened(text, TEXT_CHARS_MAX), ...QUIET }));
  },
  edits: () => "silently",
  announce(_, notification) {
    const text = alertText(notification);
    if (notification.form === "reply") {
      return jsonBody({ content: shortened(escapeMarkdown(replyLine(text)), TEXT_CHARS_MAX), ...QUIET });
    }
    const title = shortened(
      `${ALERT_SIGNS[signOf(text)]} ${text.word}: ${escapeMarkdown(text.summary)}`,
      TITLE_CHARS_MAX,
    );
    const embed = {
      title,
      description: shortened(
        [...text.lines, originLine(text)].map(escapeMarkdown).concat(linkLines(text)).join("\n"),
        4096,
      ),
      color: ALERT_COLOURS[signOf(text)],
      timestamp: new Date(text.at).toISOString(),
    };
    return jsonBody({ embeds: [embed], ...QUIET });
  },
};

function escapeMarkdown(value: string): string {
  return value.replaceAll(/[\\*_~`|>[\]()]/g, "\\$&");
}
