/** What documents of schedules and endpoints have in common. */
import { LIMITS, topicNameFault } from "../../base/mod.ts";
import { documentInvalid } from "../files/mod.ts";

export const DOCUMENT_NAME = /^[a-zA-Z0-9_-]{1,128}$/;
const DESCRIPTION_CHARS_MAX = 4_096;

export function checkName(kind: string, name: string): void {
  if (!DOCUMENT_NAME.test(name)) throw documentInvalid(kind, "name", "1 to 128 letters, digits, _ and - are allowed");
}

export function optionalText(
  kind: string,
  at: string,
  input: unknown,
  max = DESCRIPTION_CHARS_MAX,
): string | undefined {
  if (input === undefined) return undefined;
  if (typeof input === "string" && input.length <= max) return input;
  throw documentInvalid(kind, at, `it must be text of at most ${max} characters`);
}

export function optionalFlag(kind: string, at: string, input: unknown): boolean | undefined {
  if (input === undefined || typeof input === "boolean") return input;
  throw documentInvalid(kind, at, "it must be true or false");
}

export function topicOf(kind: string, input: unknown): string {
  if (typeof input === "string" && isOpenTopic(input)) return input;
  throw documentInvalid(
    kind,
    "topic",
    "it must be a topic to publish to, without wildcards, and not one that begins with $",
  );
}

export function isOpenTopic(topic: string): boolean {
  return topicNameFault(topic, LIMITS.mqtt) === null && !topic.startsWith("$");
}
