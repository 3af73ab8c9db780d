/** A message by a Telegram bot. Source: core.telegram.org/bots/api (sendMessage, Making requests); contracts.md section 4. */
import { kib, seconds } from "../../base/mod.ts";
import type { Millis } from "../../base/mod.ts";
import { DONE } from "../delivery/sender.ts";
import { failureOfHttp } from "../delivery/verdict.ts";
import { plainNotice } from "./alert-text.ts";
import { httpUrl, invalid, only, optionalTemplate, present, text } from "./checks.ts";
import type { ActionKind, Carrier, Rendered } from "./kind.ts";
import { chatText, encodeJson, jsonBody, parsedObject, shortened } from "./rendering.ts";
import { isMessageGone, isNotModified, telegramPost, telegramSuccess } from "./telegram-messages.ts";

export interface TelegramBody {
  /** Of the bot, as BotFather gave it. */
  readonly token: string;
  /** A number, or `@channel`. */
  readonly chatId: string;
  /** Template; plain text, so that nothing in a message can break it. */
  readonly text?: string;
  /** Of another Bot API server than Telegram's. */
  readonly server?: string;
}

const SERVER = "https://api.telegram.org/";
const TEXT_CHARS_MAX = 4096;

const carrier: Carrier = {
  name: "telegram",
  batchMax: 1,
  batchBytesMax: kib(64),
  linger: 0,
  // About one message a second and chat is allowed.
  concurrency: 1,
  timeout: seconds(15),
  ordered: true,
  converses: true,
  http: {
    request(settings, [parcel]) {
      const { server, token, chatId } = settings as { server: string; token: string; chatId: string };
      return telegramPost(`${server}bot${token}`, { ...parcel!, body: addressed(parcel!.body, chatId) });
    },
    isGone: isMessageGone,
    verdict(response, now) {
      if (response.status >= 200 && response.status < 300) return telegramSuccess(response);
      if (isNotModified(response)) return DONE;
      const told = retryAfter(response.body);
      return told === null ? failureOfHttp(response, now) : failureOfHttp(response, now, told);
    },
  },
};

/** It may have been written for the chat in which they were before. */
function addressed(body: Uint8Array, chatId: string): Uint8Array {
  const message = parsedObject(new TextDecoder().decode(body));
  const { chat_id: written } = message;
  return typeof written !== "string" || written === chatId ? body : encodeJson({ ...message, chat_id: chatId });
}

/** `{"ok":false,"error_code":429,"parameters":{"retry_after":12}}`, seconds. */
function retryAfter(body: string): Millis | null {
  const { parameters } = parsedObject(body) as { parameters?: { retry_after?: unknown } };
  return typeof parameters?.retry_after === "number" ? parameters.retry_after * 1000 : null;
}

export const telegram: ActionKind<TelegramBody> = {
  name: "telegram",
  carrier,
  validate(given, at) {
    only(given, at, ["token", "chatId", "text", "server"]);
    const token = text(given["token"], `${at}.token`, 128);
    // A hidden one is checked when the rule's own has taken its place; neither may leave its part of the path.
    if (!/^[0-9]+:[0-9A-Za-z_-]+$|^\*\*\*$/.test(token))
      throw invalid(`${at}.token`, "it must look like 123456:ABC-DEF");
    const chat = given["chatId"];
    return present({
      token,
      chatId: typeof chat === "number" ? String(chat) : text(chat, `${at}.chatId`, 128),
      text: optionalTemplate(given["text"], `${at}.text`),
      server: given["server"] === undefined ? undefined : httpUrl(given["server"], `${at}.server`),
    });
  },
  mapSecrets: (body, change) => ({ ...body, token: change(body.token, "***", "token") }),
  plan({ token, chatId, text: source, server = SERVER }, scope) {
    const write = chatText(source, { strong: (words) => words, escape: (value) => value }, scope);
    const settings = { server: server.endsWith("/") ? server : `${server}/`, token, chatId };
    return {
      settings,
      label: `telegram ${chatId}`,
      render: (match) => message(chatId, write(match)),
    };
  },
  edits: () => "silently",
  announce: ({ chatId }, notification) => message(chatId, plainNotice(notification)),
};

function message(chatId: string, words: string): Rendered {
  const preview = { is_disabled: true };
  return jsonBody({ chat_id: chatId, text: shortened(words, TEXT_CHARS_MAX), link_preview_options: preview });
}
