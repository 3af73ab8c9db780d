/** A message to a Slack channel by an incoming webhook. Sources: Slack's incoming webhooks; contracts.md section 4. */
import { kib } from "../../base/mod.ts";
import { DONE, deliveryFails } from "../delivery/sender.ts";
import { failureOfHttp } from "../delivery/verdict.ts";
import { alertText, linkLines, originLine, signOf } from "./alert-text.ts";
import type { ALERT_SIGNS } from "./alert-text.ts";
import { chatCarrier, chatPlan, mapChatSecrets, validateChat } from "./chat-webhook.ts";
import type { ChatBody } from "./chat-webhook.ts";
import type { ActionKind, Rendered } from "./kind.ts";
import { chatText, jsonBody, shortened } from "./rendering.ts";

/** Slack refuses a section's text beyond this. */
const TEXT_CHARS_MAX = 3000;

const carrier = chatCarrier("slack", kib(64), (response, now) => {
  const { status, body } = response;
  if (status < 200 || status >= 300) return failureOfHttp(response, now);
  // Slack says 200 to more than it takes: only the body `ok` is a success.
  if (status === 200 && body.trim() === "ok") return DONE;
  return deliveryFails(`HTTP ${status}, but not the answer 'ok'`);
});

export const slack: ActionKind<ChatBody> = {
  name: "slack",
  carrier,
  validate: validateChat,
  mapSecrets: mapChatSecrets,
  plan(body, scope) {
    const text = chatText(body.text, { strong: (words) => `*${words}*`, escape: escapeSlack }, scope);
    return chatPlan(body, text, message);
  },
  announce(_, notification) {
    const text = alertText(notification);
    const head = `${ICONS[signOf(text)]} *${text.word}*: ${escapeSlack(text.summary)}`;
    const more = [...text.lines, originLine(text, "`"), ...linkLines(text)].map(escapeSlack);
    return message([head, ...more].join("\n"));
  },
};

const ICONS: Readonly<Record<keyof typeof ALERT_SIGNS, string>> = {
  info: ":information_source:",
  warning: ":warning:",
  critical: ":rotating_light:",
  resolved: ":white_check_mark:",
};

/** `text` is Slack's mrkdwn; values in it must have gone through `escapeSlack`. */
function message(text: string): Rendered {
  const cut = shortened(text, TEXT_CHARS_MAX);
  return jsonBody({ text: cut, blocks: [{ type: "section", text: { type: "mrkdwn", text: cut } }] });
}

/** The three characters that Slack gives a meaning. */
export function escapeSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
