/** Which topics are requests to shadows, and where their answers go. Source: AWS IoT, "Shadow topics". */

export type Operation = "get" | "update" | "delete";

/** A shadow's place. `name` is empty for the classic shadow. */
export interface ShadowKey {
  readonly thing: string;
  readonly name: string;
}

export interface RequestTopic extends ShadowKey {
  readonly operation: Operation;
  /** `api`: the platform's own record of a request that came over HTTP; no client may publish to those topics. */
  readonly origin: "client" | "api";
}

export const CLIENT_PREFIX = "$aws/things/";
export const API_PREFIX = "$tidewire/things/";

/** AWS IoT's: 1 to 64 of these. */
const SHADOW_NAME = /^[$a-zA-Z0-9:_-]{1,64}$/;

export function isShadowName(name: string): boolean {
  return SHADOW_NAME.test(name);
}

/** `null` where the topic is no request; answers have a level more, so that none is ever taken for one. */
export function requestOf(topic: string): RequestTopic | null {
  const origin = topic.startsWith(CLIENT_PREFIX) ? "client" : topic.startsWith(API_PREFIX) ? "api" : null;
  if (origin === null) return null;
  const levels = topic.split("/");
  const thing = levels[2]!;
  if (levels[3] !== "shadow") return null;
  if (levels.length === 5) {
    const operation = operationOf(levels[4]!);
    return operation === null ? null : { thing, name: "", operation, origin };
  }
  if (levels.length !== 7 || levels[4] !== "name") return null;
  const operation = operationOf(levels[6]!);
  // An empty level would be the classic shadow's name.
  return operation === null ? null : { thing, name: levels[5] === "" ? "/" : levels[5]!, operation, origin };
}

export function topicOf(prefix: string, { thing, name }: ShadowKey, rest: string): string {
  return name === "" ? `${prefix}${thing}/shadow/${rest}` : `${prefix}${thing}/shadow/name/${name}/${rest}`;
}

function operationOf(level: string): Operation | null {
  return level === "get" || level === "update" || level === "delete" ? level : null;
}
