/**
 * Topic names that begin with `$` belong to the server (MQTT 5.0 section 4.7.2). A client may publish to `$aws/…` where its
 * policy says so; no other is for clients to exchange messages by, whatever their policies say.
 */
import type { Authorizer } from "./ports.ts";

const DOLLAR = 0x24;

function isReserved(topic: string): boolean {
  return topic.charCodeAt(0) === DOLLAR && !topic.startsWith("$aws/");
}

export function mayPublish(authorizer: Authorizer, topic: string, retain: boolean): boolean {
  return !isReserved(topic) && authorizer.publish(topic, retain);
}
