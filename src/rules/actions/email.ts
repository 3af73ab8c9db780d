/** A mail by an SMTP server. Its Message-ID is the event's, so that one sent twice is one; mails with one thread are one conversation. */
import { kib, seconds } from "../../base/mod.ts";
import type { Notification } from "../alerts/notification.ts";
import { alertText, plainAlert } from "./alert-text.ts";
import { invalid, only, optionalTemplate, present, text } from "./checks.ts";
import type { ActionKind, Carrier } from "./kind.ts";
import { chatText, encode, shortened, textOf } from "./rendering.ts";
import { SERVER_KEYS, mapServerSecrets, serverLabel, serverSettings, validateServer } from "./server.ts";
import type { Schemes, ServerBody } from "./server.ts";

/** `smtp`: STARTTLS where the server has it, and always where there is a password or a CA; `smtps`: TLS from the first byte. */
export interface EmailBody extends ServerBody {
  readonly from: string;
  /** At most 50. */
  readonly to: readonly string[];
  /** Templates. */
  readonly subject?: string;
  readonly text?: string;
  /** Mails that give the same text here are shown as one conversation. */
  readonly thread?: string;
}

const SCHEMES: Schemes = ["smtp", "smtps"];
const RECIPIENTS_MAX = 50;
const SUBJECT_CHARS_MAX = 200;
/** What comes into a header has no line breaks; nodemailer checks the rest. */
const ADDRESS = /^[^\r\n,;<>"]*<?[^\s@<>,;"]+@[^\s@<>,;"]+>?$/;

const carrier: Carrier = {
  name: "email",
  batchMax: 20,
  batchBytesMax: kib(512),
  linger: 0,
  concurrency: 1,
  timeout: seconds(15),
  ordered: true,
  http: null,
};

export const email: ActionKind<EmailBody> = {
  name: "email",
  carrier,
  validate(given, at) {
    only(given, at, [...SERVER_KEYS, "from", "to", "subject", "text", "thread"]);
    const to = typeof given["to"] === "string" ? [given["to"]] : given["to"];
    if (!Array.isArray(to) || to.length === 0 || to.length > RECIPIENTS_MAX) {
      throw invalid(`${at}.to`, `it must be a list of 1 to ${RECIPIENTS_MAX} addresses`);
    }
    return present({
      ...validateServer(given, at, SCHEMES, true),
      from: address(given["from"], `${at}.from`),
      to: to.map((one, i) => address(one, `${at}.to[${i}]`)),
      subject: optionalTemplate(given["subject"], `${at}.subject`),
      text: optionalTemplate(given["text"], `${at}.text`),
      thread: optionalTemplate(given["thread"], `${at}.thread`),
    });
  },
  mapSecrets: mapServerSecrets,
  plan(body, scope) {
    const { from, to } = body;
    const port = body.url.startsWith("smtps:") ? 465 : 587;
    const subject = textOf(body.subject ?? "${rule}: ${thing}", scope);
    const words = chatText(body.text, { strong: (rule) => rule, escape: (value) => value }, scope);
    const thread = body.thread === undefined ? null : textOf(body.thread, scope);
    return {
      settings: { ...serverSettings(body, SCHEMES, port), from, to },
      label: serverLabel(body),
      render: (match) => ({
        body: encode(words(match)),
        fields: {
          subject: oneLine(subject(match)),
          ...(thread === null ? {} : { thread: thread(match) }),
        },
      }),
    };
  },
  /** Raised and resolved are one conversation. */
  announce(_, notification) {
    const about = alertText(notification);
    const where = about.thing === null ? "" : ` (${about.thing})`;
    const subject = oneLine(`[${about.word}] ${about.summary}${where}`);
    const at = new Date(about.at).toISOString();
    return {
      body: encode(`${plainAlert(about)}\n${at}\n`),
      fields: { subject, thread: threadOf(notification) },
    };
  },
};

/** One incident is one thread. */
function threadOf({ group, alerts }: Notification): string {
  return group.labels["id"] !== undefined && alerts.length === 1 ? alerts[0]!.id : group.id;
}

function address(input: unknown, at: string): string {
  const given = text(input, at, 320);
  if (!ADDRESS.test(given)) throw invalid(at, "it must be a mail address, like alerts@example.com");
  return given;
}

function oneLine(words: string): string {
  return shortened(words.replaceAll(/[\r\n]+/g, " "), SUBJECT_CHARS_MAX);
}
