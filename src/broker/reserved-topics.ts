/**
 * Topic names that begin with `$` belong to the server (MQTT 5.0 section 4.7.2). A client may publish to `$aws/…` where its
 * policy says so, but not where only the platform speaks; no other is for clients to exchange messages by, whatever their
 * policies say. `$aws/…` topics that nobody serves are exchanged like any other (AWS IoT may end the connection).
 */
import { sharedFilterOf } from "../base/mod.ts";
import type { Core } from "./core.ts";
import type { Authorizer } from "./ports.ts";

const DOLLAR = 0x24;
const EVENTS = "$aws/events/";
/** Basic Ingest: for the rules alone. */
const INGEST = "$aws/rules/";

export function mayPublish(core: Core, authorizer: Authorizer, topic: string, retain: boolean): boolean {
  return !isClosed(core, topic, retain) && authorizer.publish(topic, retain);
}

/** No policy opens it to clients. */
export function isClosed({ services }: Core, topic: string, retain: boolean): boolean {
  if (topic.charCodeAt(0) !== DOLLAR) return false;
  if (!topic.startsWith("$aws/") || topic.startsWith(EVENTS) || services.isAnswer(topic)) return true;
  return retain && (isIngest(topic) || services.isRequest(topic));
}

export function isIngest(topic: string): boolean {
  return topic.startsWith(INGEST);
}

/** Nobody can subscribe to what only rules see; wildcards ahead of it match it in vain. */
export function asksForIngest(filter: string): boolean {
  const shared = sharedFilterOf(filter);
  return isIngest(shared === null || shared === "invalid" ? filter : shared.filter);
}
