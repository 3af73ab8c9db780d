/** Slack with a bot's token: messages that can be edited and answered. Source: api.slack.com (chat.postMessage, chat.update). */
import { DONE, dead, deliveryFails, targetFails } from "../delivery/sender.ts";
import type { Parcel, Verdict } from "../delivery/sender.ts";
import { parseRetryAfter } from "../delivery/verdict.ts";
import type { EpochMs } from "../../base/mod.ts";
import type { OutgoingResponse } from "../ports.ts";
import type { HttpPost } from "./kind.ts";
import { encodeJson, parsedObject } from "./rendering.ts";

/** The token joins only here, so that no waiting delivery holds it. */
export function slackPost(
  { server, token, channel }: { readonly server: string; readonly token: string; readonly channel: string },
  { body, about }: Parcel,
): HttpPost {
  const headers = { "content-type": "application/json; charset=utf-8", authorization: `Bearer ${token}` };
  const message = parsedObject(new TextDecoder().decode(body));
  if (about !== undefined && about.replaces !== null) {
    const { channel: id, ts } = referenceOf(about.replaces);
    return { url: `${server}api/chat.update`, headers, body: encodeJson({ ...message, channel: id, ts }) };
  }
  // Below the message, and in the channel, or nobody would hear of it.
  const thread =
    about === undefined || about.answers === null
      ? {}
      : { thread_ts: referenceOf(about.answers).ts, reply_broadcast: true };
  const url = `${server}api/chat.postMessage`;
  return { url, headers, body: encodeJson({ ...message, channel, ...thread, unfurl_links: false }) };
}

/** An update wants the channel's id, which only the answer tells. */
function referenceOf(text: string): { readonly channel: string; readonly ts: string } {
  const [channel = "", ts = ""] = text.split(" ");
  return { channel, ts };
}

const GONE = ["message_not_found", "cant_update_message", "edit_window_closed"];
/** Slack's own troubles; all other errors are of the message, the token or the channel. */
const PASSING = ["internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"];

/** Slack says 200 to nearly everything: `{"ok":false,"error":"channel_not_found"}`. */
export function slackVerdict(response: OutgoingResponse, now: EpochMs): Verdict {
  const { ok, error, channel, ts } = parsedObject(response.body);
  if (ok === true) {
    return typeof channel === "string" && typeof ts === "string"
      ? { type: "done", reference: `${channel} ${ts}` }
      : DONE;
  }
  if (typeof error !== "string") return deliveryFails(`HTTP ${response.status}, but not an answer of Slack's`);
  const reason = `Slack: ${error.slice(0, 100)}`;
  if (error === "ratelimited") return targetFails(reason, parseRetryAfter(response.headers["retry-after"], now));
  return PASSING.includes(error) ? targetFails(reason) : dead(reason);
}

export function isSlackMessageGone({ body }: OutgoingResponse): boolean {
  return GONE.includes(String(parsedObject(body)["error"]));
}
