/** A message to a Slack channel by an incoming webhook. Sources: Slack's incoming webhooks; contracts.md section 4. */
import { kib, seconds } from "../../base/mod.ts";
import { DONE, deliveryFails } from "../delivery/sender.ts";
import { failureOfHttp } from "../delivery/verdict.ts";
import { alertText, linkLines, originLine, signOf } from "./alert-text.ts";
import type { ALERT_SIGNS } from "./alert-text.ts";
import { httpUrl, only, optionalTemplate, present } from "./checks.ts";
import type { ActionKind, Carrier, Rendered } from "./kind.ts";
import { JSON_TYPE, chatText, jsonBody, shortened } from "./rendering.ts";

export interface SlackBody {
  /** An incoming webhook; the URL is the secret. */
  readonly url: string;
  /** Template with `${expression}`, `${thing}`, `${rule}`. Without it: rule, thing and the SELECT's result. */
  readonly text?: string;
}

/** Slack refuses a section's text beyond this. */
const TEXT_CHARS_MAX = 3000;

const carrier: Carrier = {
  name: "slack",
  batchMax: 1,
  batchBytesMax: kib(64),
  linger: 0,
  // About one message a second and channel is allowed; more at once only earns a 429.
  concurrency: 1,
  timeout: seconds(15),
  ordered: true,
  http: {
    request: (settings, [parcel]) => ({ url: settings["url"] as string, headers: JSON_TYPE, body: parcel!.body }),
    verdict(response, now) {
      const { status, body } = response;
      if (status < 200 || status >= 300) return failureOfHttp(response, now);
      // Slack says 200 to more than it takes: only the body `ok` is a success.
      if (status === 200 && body.trim() === "ok") return DONE;
      return deliveryFails(`HTTP ${status}, but not the answer 'ok'`);
    },
  },
};

export const slack: ActionKind<SlackBody> = {
  name: "slack",
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
    const text = chatText(body.text, { strong: (words) => `*${words}*`, escape: escapeSlack }, scope);
    return { settings: { url: body.url }, label: originOf(body.url), render: (match) => message(text(match)) };
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

/** A sealed one has none. */
export function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "";
}
