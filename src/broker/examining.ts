/**
 * Messages whose content somebody wants to look at before they are taken: those of a topic with a schema. What does not fit is
 * refused, taken with a mark, or kept aside in the log under `UNFIT_TOPIC` for the dead letters. Topics that nobody looks at cost one
 * branch.
 */
import { TidewireError, UNFIT_REASON, UNFIT_SCHEMA, UNFIT_TOPIC } from "../base/mod.ts";
import type { Message, MessageProperties } from "../base/mod.ts";
import type { Route } from "./routes.ts";

/** Why a message does not fit, and what becomes of it. */
export interface Objection {
  readonly outcome: "reject" | "flag" | "keep-aside";
  /** Names who objects: the schema and its version. */
  readonly schema: string;
  readonly reason: string;
}

/** Null: it fits. Must be quick and must not throw; the payload is only lent. */
export type Examine = (topic: string, payload: Uint8Array) => Objection | null;

/** An examiner's place in the tree of filters. */
export interface Examiner {
  readonly kind: "examiner";
  readonly filter: string;
  readonly examine: Examine;
}

/** The gravest: what refuses ends the question. An empty retained message only removes one. */
export function objectionTo(route: Route, payload: Uint8Array, retain: boolean): Objection | null {
  if (retain && payload.length === 0) return null;
  let found: Objection | null = null;
  for (const { examine } of route.examiners) {
    const objection = examine(route.topic, payload);
    if (objection === null || found?.outcome === "keep-aside") continue;
    if (objection.outcome === "reject") return objection;
    if (found === null || objection.outcome === "keep-aside") found = objection;
  }
  return found;
}

/** Properties of the message with the mark. */
export function marked(properties: MessageProperties | null, { schema, reason }: Objection): MessageProperties {
  const own = properties?.userProperties ?? [];
  const others = own.filter(([name]) => name !== UNFIT_SCHEMA && name !== UNFIT_REASON);
  return { ...properties, userProperties: [...others, [UNFIT_SCHEMA, schema], [UNFIT_REASON, reason]] };
}

/** As the log keeps it for the dead letters. Whether it was to be retained is said in its `retain`; nobody is given it. */
export function keptAside(message: Message, objection: Objection): Message {
  return { ...message, topic: UNFIT_TOPIC + message.topic, properties: marked(message.properties, objection) };
}

/** A message of the platform's own, as it may be taken. Throws PAYLOAD_UNFIT. */
export function examinedMessage(route: Route, message: Message): Message {
  const objection = objectionTo(route, message.payload, message.retain);
  if (objection === null) return message;
  if (objection.outcome === "flag") return { ...message, properties: marked(message.properties, objection) };
  if (objection.outcome === "keep-aside") return keptAside(message, objection);
  throw new TidewireError("PAYLOAD_UNFIT", { schema: objection.schema, reason: objection.reason });
}
