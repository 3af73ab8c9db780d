/** Exact protocol stand-ins of chat services that remember their messages: they can be edited, answered and deleted. */
import type { Answer, Received } from "./rules.fixture.ts";

export interface ChatMessage {
  readonly id: string;
  text: string;
  hasPicture: boolean;
  edits: number;
  /** Id of the message that it answers. */
  readonly answers: string | null;
}

/** What all of them have in common; `answer` is for a `Receiver`. */
export class ChatRoom {
  /** In the order in which they were sent. */
  readonly messages: ChatMessage[] = [];
  #next = 7;

  add(text: string, hasPicture: boolean, answers: string | null = null): ChatMessage {
    const message = { id: String(this.#next++), text, hasPicture, edits: 0, answers };
    this.messages.push(message);
    return message;
  }

  find(id: unknown): ChatMessage | undefined {
    return this.messages.find((message) => message.id === String(id));
  }

  deleteAll(): void {
    this.messages.length = 0;
  }

  get texts(): string[] {
    return this.messages.map(({ text }) => text.split("\n")[0]!);
  }
}

/** The parts of a `multipart/form-data` body; the bytes of a file do not survive being text. */
export function formOf({ headers, body }: Received): Record<string, string> {
  const boundary = /boundary=(.+)$/.exec(headers["content-type"] ?? "")?.[1];
  if (boundary === undefined) return JSON.parse(body) as Record<string, string>;
  const parts = body.split(`--${boundary}`).slice(1, -1);
  return Object.fromEntries(
    parts.map((part) => {
      const [head = "", value = ""] = part.split(/\r\n\r\n(.*)/s);
      return [/name="([^"]+)"/.exec(head)![1]!, value.replace(/\r\n$/, "")];
    }),
  );
}

const ok = (result: object): Answer => ({ status: 200, body: JSON.stringify({ ok: true, result }) });

/** core.telegram.org/bots/api: sendMessage, sendPhoto, editMessageText, editMessageCaption, editMessageMedia. */
export function telegramRoom(room: ChatRoom): (request: Received) => Answer {
  const refuse = (description: string): Answer => ({
    status: 400,
    body: JSON.stringify({ ok: false, error_code: 400, description: `Bad Request: ${description}` }),
  });
  return (request) => {
    const method = request.path.split("/").at(-1)!;
    const form = formOf(request);
    const shown = ({ id, hasPicture, text }: ChatMessage): Answer =>
      ok({ message_id: Number(id), chat: {}, ...(hasPicture ? { photo: [{}], caption: text } : { text }) });
    if (method === "sendMessage") {
      const { message_id: answers = null } = (form["reply_parameters"] ?? {}) as { message_id?: number | null };
      return shown(room.add(form["text"]!, false, answers === null ? null : String(answers)));
    }
    if (method === "sendPhoto") {
      if (!form["photo"]!.includes("PNG")) return refuse("wrong type of the web page content");
      return shown(room.add(form["caption"]!, true));
    }
    const message = room.find(form["message_id"]);
    if (message === undefined) return refuse("message to edit not found");
    if ((method === "editMessageText") === message.hasPicture) return refuse("there is no text in the message to edit");
    const media = method === "editMessageMedia" ? (JSON.parse(form["media"]!) as { caption: string }) : null;
    const text = media?.caption ?? form["caption"] ?? form["text"]!;
    if (text === message.text) {
      return refuse("message is not modified: specified new message content and reply markup are exactly the same");
    }
    message.text = text;
    message.edits++;
    return shown(message);
  };
}

/** discord.com/developers: Execute Webhook with `wait`, Edit Webhook Message. */
export function discordRoom(room: ChatRoom): (request: Received) => Answer {
  return (request) => {
    const url = new URL(request.path, "http://discord");
    const form = formOf(request);
    const payload = (form["payload_json"] === undefined ? form : JSON.parse(form["payload_json"])) as {
      content?: string;
      embeds?: readonly { title: string }[];
    };
    const text = payload.embeds?.[0]?.title ?? payload.content ?? "";
    const hasPicture = form["files[0]"]?.includes("PNG") === true;
    const id = /\/messages\/(\d+)$/.exec(url.pathname)?.[1];
    if (request.method === "POST") {
      const message = room.add(text, hasPicture);
      if (url.searchParams.get("wait") !== "true") return 204;
      return { status: 200, body: JSON.stringify({ type: 0, content: text, id: message.id }) };
    }
    const message = room.find(id);
    if (request.method !== "PATCH" || message === undefined) {
      return { status: 404, body: '{"message":"Unknown Message","code":10008}' };
    }
    message.text = text;
    message.hasPicture = hasPicture;
    message.edits++;
    return { status: 200, body: JSON.stringify({ id: message.id }) };
  };
}

/** api.slack.com: chat.postMessage, chat.update. */
export function slackRoom(room: ChatRoom, token: string): (request: Received) => Answer {
  const say = (answer: object): Answer => ({ status: 200, body: JSON.stringify(answer) });
  return (request) => {
    if (request.headers.authorization !== `Bearer ${token}`) return say({ ok: false, error: "invalid_auth" });
    const form = JSON.parse(request.body) as Record<string, string>;
    if (request.path.endsWith("chat.postMessage")) {
      const message = room.add(form["text"]!, form["attachments"] !== undefined, form["thread_ts"] ?? null);
      return say({ ok: true, channel: "C024BE91L", ts: message.id });
    }
    if (form["channel"] !== "C024BE91L") return say({ ok: false, error: "channel_not_found" });
    const message = room.find(form["ts"]);
    if (message === undefined) return say({ ok: false, error: "message_not_found" });
    message.text = form["text"]!;
    message.edits++;
    return say({ ok: true, channel: "C024BE91L", ts: message.id });
  };
}
