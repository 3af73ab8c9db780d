/**
 * AWS IoT's Basic Ingest: what is published to `$aws/rules/<rule>/<rest>` is for that rule alone, which sees it as if it had
 * been published to `<rest>`.
 */
import type { Message } from "./message.ts";

const PREFIX = "$aws/rules/";
const SPEAKING_FOR = "telemetry/";

/** Null where the topic is none of Basic Ingest. Without a rest, the rule sees an empty topic. */
export function ingestOf(topic: string): { readonly ruleName: string; readonly rest: string } | null {
  if (!topic.startsWith(PREFIX)) return null;
  const slash = topic.indexOf("/", PREFIX.length);
  if (slash < 0) return { ruleName: topic.slice(PREFIX.length), rest: "" };
  return { ruleName: topic.slice(PREFIX.length, slash), rest: topic.slice(slash + 1) };
}

/** Whom `telemetry/<thing>/…` speaks for, whether there is such a thing or not; null where a topic speaks for nobody by its name. */
export function thingNamedIn(topic: string): string | null {
  if (!topic.startsWith(SPEAKING_FOR)) return null;
  const end = topic.indexOf("/", SPEAKING_FOR.length);
  return end < 0 ? topic.slice(SPEAKING_FOR.length) : topic.slice(SPEAKING_FOR.length, end);
}

/** The message as its rule sees it; itself where it is none of Basic Ingest. */
export function asRuleSees(message: Message): Message {
  const ingest = ingestOf(message.topic);
  return ingest === null ? message : { ...message, topic: ingest.rest };
}
