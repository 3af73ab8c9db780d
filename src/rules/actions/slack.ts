/**
 * A message to a Slack channel: by an incoming webhook, or by a bot whose messages can be edited. Sources: Slack's incoming
 * webhooks, its Web API (`slack-bot.ts`); contracts.md section 4.
 */
import { kib } from "../../base/mod.ts";
import { DONE, deliveryFails } from "../delivery/sender.ts";
import { failureOfHttp } from "../delivery/verdict.ts";
import { alertText, linkLines, originLine, replyLine, signOf } from "./alert-text.ts";
import type { ALERT_SIGNS, AlertText } from "./alert-text.ts";
import { chatCarrier, chatPlan, mapChatSecrets, validateChat } from "./chat-webhook.ts";
import type { ChatBody } from "./chat-webhook.ts";
import { SECRET_CHARS_MAX, httpUrl, invalid, isHeaderValue, only, optionalTemplate, present, text } from "./checks.ts";
import type { ActionKind, Rendered } from "./kind.ts";
import { JSON_TYPE, chatText, jsonBody, shortened } from "./rendering.ts";
import { isSlackMessageGone, slackPost, slackVerdict } from "./slack-bot.ts";

export interface SlackBotBody {
  /** Of the bot: `xoxb-…`. */
  readonly token: string;
  /** Its id or name; the bot must be in it. */
  readonly channel: string;
  readonly text?: string;
  /** Of another server than Slack's. */
  readonly server?: string;
}

export type SlackBody = ChatBody | SlackBotBody;

const SERVER = "https://slack.com/";
/** Slack refuses a section's text beyond this. */
const TEXT_CHARS_MAX = 3000;

const carrier = chatCarrier("slack", kib(64), {
  request(settings, [parcel]) {
    if ("url" in settings) return { url: settings["url"] as string, headers: JSON_TYPE, body: parcel!.body };
    return slackPost(settings as { server: string; token: string; channel: string }, parcel!);
  },
  isGone: isSlackMessageGone,
  verdict(response, now) {
    const { status, body } = response;
    if (status < 200 || status >= 300) return failureOfHttp(response, now);
    if (body.trimStart().startsWith("{")) return slackVerdict(response, now);
    // Slack says 200 to more than it takes: only the body `ok` is a success.
    if (status === 200 && body.trim() === "ok") return DONE;
    return deliveryFails(`HTTP ${status}, but not the answer 'ok'`);
  },
});

export const slack: ActionKind<SlackBody> = {
  name: "slack",
  carrier,
  validate(given, at) {
    if (given["token"] === undefined) return validateChat(given, at);
    only(given, at, ["token", "channel", "text", "server"]);
    const token = text(given["token"], `${at}.token`, SECRET_CHARS_MAX);
    if (!isHeaderValue(token)) throw invalid(`${at}.token`, "it must be a token as Slack gives it, like xoxb-…");
    return present({
      token,
      channel: text(given["channel"], `${at}.channel`, 128),
      text: optionalTemplate(given["text"], `${at}.text`),
      server: given["server"] === undefined ? undefined : httpUrl(given["server"], `${at}.server`),
    });
  },
  mapSecrets: (body, change) =>
    "url" in body ? mapChatSecrets(body, change) : { ...body, token: change(body.token, "***", "token") },
  plan(body, scope) {
    const write = chatText(body.text, { strong: (words) => `*${words}*`, escape: escapeSlack }, scope);
    if ("url" in body) return chatPlan(body, write, (words) => message(words));
    const { token, channel, server = SERVER } = body;
    return {
      settings: { server: server.endsWith("/") ? server : `${server}/`, token, channel },
      label: `slack ${channel}`,
      render: (match) => message(write(match)),
    };
  },
  edits: (body) => ("url" in body ? "no" : "silently"),
  announce(_, notification) {
    const about = alertText(notification);
    if (notification.form === "reply") return message(escapeSlack(replyLine(about)));
    const head = `${ICONS[signOf(about)]} *${about.word}*: ${escapeSlack(about.summary)}`;
    const more = [...about.lines, originLine(about, "`"), ...linkLines(about)].map(escapeSlack);
    return message([head, ...more].join("\n"), about);
  },
};

const ICONS: Readonly<Record<keyof typeof ALERT_SIGNS, string>> = {
  info: ":information_source:",
  warning: ":warning:",
  critical: ":rotating_light:",
  resolved: ":white_check_mark:",
};

/** `words` are Slack's mrkdwn; values in them must have gone through `escapeSlack`. */
function message(words: string, about: AlertText | null = null): Rendered {
  const cut = shortened(words, TEXT_CHARS_MAX);
  const blocks = [{ type: "section", text: { type: "mrkdwn", text: cut } }];
  const picture = about?.links?.picture ?? null;
  // An image block that Slack cannot fetch would have it refuse the message; an attachment's image is left out then.
  const attachments = picture === null ? {} : { attachments: [{ fallback: "Chart", image_url: picture }] };
  return jsonBody({ text: cut, blocks, ...attachments });
}

/** The three characters that Slack gives a meaning. */
export function escapeSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
