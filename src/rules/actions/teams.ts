/** A card in a Microsoft Teams channel or chat, by a workflow's webhook. Source: learn.microsoft.com (incoming webhooks, adaptive cards). */
import { kib, seconds } from "../../base/mod.ts";
import { verdictOfHttp } from "../delivery/verdict.ts";
import { ALERT_SIGNS, alertText, linkLines, originLine, signOf } from "./alert-text.ts";
import { httpUrl, only, optionalTemplate, present } from "./checks.ts";
import type { ActionKind, Carrier, Rendered } from "./kind.ts";
import { JSON_TYPE, chatText, jsonBody, shortened } from "./rendering.ts";
import { originOf } from "./slack.ts";

export interface TeamsBody {
  /** Of the workflow; it is the secret. */
  readonly url: string;
  /** Template. */
  readonly text?: string;
}

/** A message may have 28 KB. */
const TEXT_CHARS_MAX = 8_000;

const carrier: Carrier = {
  name: "teams",
  batchMax: 1,
  batchBytesMax: kib(28),
  linger: 0,
  // More than four a second are throttled.
  concurrency: 1,
  timeout: seconds(15),
  ordered: true,
  http: {
    request: (settings, [parcel]) => ({ url: settings["url"] as string, headers: JSON_TYPE, body: parcel!.body }),
    verdict: verdictOfHttp,
  },
};

export const teams: ActionKind<TeamsBody> = {
  name: "teams",
  carrier,
  validate(given, at) {
    only(given, at, ["url", "text"]);
    return present({
      url: httpUrl(given["url"], `${at}.url`),
      text: optionalTemplate(given["text"], `${at}.text`),
    });
  },
  mapSecrets: (body, change) => ({ ...body, url: change(body.url, `${originOf(body.url)}/***`, "url") }),
  plan(body, scope) {
    const write = chatText(body.text, { strong: (words) => `**${words}**`, escape: escapeMarkdown }, scope);
    return {
      settings: { url: body.url },
      label: originOf(body.url),
      render: (match) => card([block(write(match))]),
    };
  },
  announce(_, notification) {
    const text = alertText(notification);
    const title = `${ALERT_SIGNS[signOf(text)]} ${text.word}: ${escapeMarkdown(text.summary)}`;
    const colour = { info: "accent", warning: "warning", critical: "attention", resolved: "good" }[signOf(text)];
    return card([
      { ...block(title), size: "medium", weight: "bolder", color: colour },
      ...text.lines.map((line) => block(escapeMarkdown(line))),
      { ...block(escapeMarkdown(originLine(text))), isSubtle: true },
      ...linkLines(text).map((line) => block(line)),
    ]);
  },
};

function block(text: string): object {
  return { type: "TextBlock", text: shortened(text, TEXT_CHARS_MAX), wrap: true };
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
