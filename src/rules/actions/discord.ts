/** A message to a Discord channel by a webhook. Source: Discord's API docs (Execute Webhook, Rate Limits); contracts.md section 4. */
import { kib } from "../../base/mod.ts";
import type { Millis } from "../../base/mod.ts";
import { DONE } from "../delivery/sender.ts";
import { failureOfHttp } from "../delivery/verdict.ts";
import { ALERT_COLOURS, ALERT_SIGNS, alertText, linkLines, originLine, signOf } from "./alert-text.ts";
import { chatCarrier, chatPlan, mapChatSecrets, validateChat } from "./chat-webhook.ts";
import type { ChatBody } from "./chat-webhook.ts";
import type { ActionKind } from "./kind.ts";
import { chatText, jsonBody, shortened } from "./rendering.ts";

const TEXT_CHARS_MAX = 2000;
const TITLE_CHARS_MAX = 256;
/** Nobody is pinged by what a device sends. */
const QUIET = { allowed_mentions: { parse: [] } };

const carrier = chatCarrier("discord", kib(64), (response, now) => {
  const { status, headers, body } = response;
  // Its limits change; it says itself when they are used up.
  if (status >= 200 && status < 300) {
    const pause = headers["x-ratelimit-remaining"] === "0" ? inSeconds(headers["x-ratelimit-reset-after"]) : null;
    return pause === null ? DONE : { type: "done", pause };
  }
  const told = status === 429 ? (retryAfter(body) ?? inSeconds(headers["x-ratelimit-reset-after"])) : null;
  return told === null ? failureOfHttp(response, now) : failureOfHttp(response, now, told);
});

/** `{"message":…,"retry_after":0.65,"global":false}`, seconds. */
function retryAfter(body: string): Millis | null {
  try {
    const { retry_after: wait } = JSON.parse(body) as { retry_after?: unknown };
    return typeof wait === "number" ? Math.ceil(wait * 1000) : null;
  } catch {
    return null;
  }
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
  announce(_, notification) {
    const text = alertText(notification);
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
