/** A card in a Microsoft Teams channel or chat, by a workflow's webhook. Source: learn.microsoft.com (incoming webhooks, adaptive cards). */
import { kib } from "../../base/mod.ts";
import { verdictOfHttp } from "../delivery/verdict.ts";
import { ALERT_SIGNS, alertText, linkLines, originLine, signOf } from "./alert-text.ts";
import { chatCarrier, chatPlan, mapChatSecrets, validateChat } from "./chat-webhook.ts";
import type { ChatBody } from "./chat-webhook.ts";
import type { ActionKind, Rendered } from "./kind.ts";
import { chatText, jsonBody, shortened } from "./rendering.ts";

/** A message may have 28 KB. */
const TEXT_CHARS_MAX = 8_000;

const carrier = chatCarrier("teams", kib(28), { verdict: verdictOfHttp });

export const teams: ActionKind<ChatBody> = {
  name: "teams",
  carrier,
  validate: validateChat,
  mapSecrets: mapChatSecrets,
  plan(body, scope) {
    const write = chatText(body.text, { strong: (words) => `**${words}**`, escape: escapeMarkdown }, scope);
    return chatPlan(body, write, (text) => card([block(text)]));
  },
  announce(_, notification) {
    const text = alertText(notification);
    const title = `${ALERT_SIGNS[signOf(text)]} ${text.word}: ${escapeMarkdown(text.summary)}`;
    const colour = { info: "accent", warning: "warning", critical: "attention", resolved: "good" }[signOf(text)];
    return card([
      { ...block(title), size: "medium", weight: "bolder", color: colour },
      ...text.lines.map((line) => block(escapeMarkdown(line))),
      { ...block(escapeMarkdown(originLine(text))), isSubtle: true },
      ...(text.links === null || text.links.picture === null ? [] : [image(text.links.picture)]),
      ...linkLines(text).map((line) => block(line)),
    ]);
  },
};

function block(text: string): object {
  return { type: "TextBlock", text: shortened(text, TEXT_CHARS_MAX), wrap: true };
}

function image(url: string): object {
  return { type: "Image", url, altText: "Chart", size: "stretch" };
}

function card(body: readonly object[]): Rendered {
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.2",
    body,
    msteams: { width: "full" },
  };
  const attachment = { contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content };
  return jsonBody({ type: "message", attachments: [attachment] });
}

function escapeMarkdown(value: string): string {
  return value.replaceAll(/[\\*_~`[\]]/g, "\\$&");
}
