/** Messages of a bot that are sent, edited and answered, with a picture or without. Source: core.telegram.org/bots/api. */
import type { JsonObject } from "../../base/mod.ts";
import { DONE } from "../delivery/sender.ts";
import type { Conversing, Parcel, Verdict } from "../delivery/sender.ts";
import type { OutgoingResponse } from "../ports.ts";
import type { HttpPost } from "./kind.ts";
import { FORM_TYPE, chartFile, multipart } from "./multipart.ts";
import { JSON_TYPE, encodeJson, parsedObject, shortened } from "./rendering.ts";

/** A picture's text may be shorter than a message's. */
const CAPTION_CHARS_MAX = 1024;

interface Message {
  readonly chat_id: string;
  readonly text: string;
}

/** `bot`: the address up to the method. */
export function telegramPost(bot: string, { body, about }: Parcel): HttpPost {
  if (about === undefined) return { url: `${bot}/sendMessage`, headers: JSON_TYPE, body };
  const message = JSON.parse(new TextDecoder().decode(body)) as Message & JsonObject;
  if (about.replaces !== null) return edit(bot, message, about, referenceOf(about.replaces));
  if (about.picture !== null) {
    const caption = shortened(message.text, CAPTION_CHARS_MAX);
    const form = multipart({ chat_id: message.chat_id, caption }, chartFile("photo", about.picture));
    return { url: `${bot}/sendPhoto`, headers: FORM_TYPE, body: form };
  }
  if (about.answers === null) return { url: `${bot}/sendMessage`, headers: JSON_TYPE, body };
  const reply = { message_id: referenceOf(about.answers).id, allow_sending_without_reply: true };
  return json(`${bot}/sendMessage`, { ...message, reply_parameters: reply });
}

/** What was sent with a picture has a caption in place of a text. */
function edit(bot: string, message: Message, { picture }: Conversing, { id, isPhoto }: Reference): HttpPost {
  const { chat_id, text } = message;
  if (!isPhoto) return json(`${bot}/editMessageText`, { ...message, message_id: id });
  const caption = shortened(text, CAPTION_CHARS_MAX);
  if (picture === null) return json(`${bot}/editMessageCaption`, { chat_id, message_id: id, caption });
  const media = JSON.stringify({ type: "photo", media: "attach://chart", caption });
  const form = multipart({ chat_id, message_id: String(id), media }, chartFile("chart", picture));
  return { url: `${bot}/editMessageMedia`, headers: FORM_TYPE, body: form };
}

function json(url: string, value: object): HttpPost {
  return { url, headers: JSON_TYPE, body: encodeJson(value) };
}

interface Reference {
  readonly id: number;
  readonly isPhoto: boolean;
}

function referenceOf(text: string): Reference {
  return { id: Number.parseInt(text, 10), isPhoto: text.endsWith("p") };
}

/** `{"ok":true,"result":{"message_id":7,…,"photo":[…]}}`; an edit of one's own message gives it back as well. */
export function telegramSuccess({ body }: OutgoingResponse): Verdict {
  const result = parsedObject(body)["result"] as { message_id?: unknown; photo?: unknown } | undefined;
  if (typeof result?.message_id !== "number") return DONE;
  return { type: "done", reference: `${result.message_id}${result.photo === undefined ? "" : "p"}` };
}

/** An edit that changes nothing is refused, and is what was wanted. */
export function isNotModified({ status, body }: OutgoingResponse): boolean {
  return status === 400 && descriptionOf(body).includes("message is not modified");
}

export function isMessageGone({ status, body }: OutgoingResponse): boolean {
  return (
    status === 400 && /message to edit not found|message can't be edited|MESSAGE_ID_INVALID/.test(descriptionOf(body))
  );
}

function descriptionOf(body: string): string {
  return String(parsedObject(body)["description"]);
}
