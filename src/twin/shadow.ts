/** A shadow, and what an operation makes of it. Pure: what is kept is another value, the old one stays as it was. */
import { utf8Length } from "../base/mod.ts";
import type { EpochMs, JsonObject, JsonValue, Limits } from "../base/mod.ts";
import { exact } from "./json.ts";
import { difference, merge, stamps } from "./merge.ts";
import type { Section } from "./merge.ts";
import { REFUSED } from "./refusal.ts";
import type { Refusal } from "./refusal.ts";
import type { StateChange, UpdateRequest } from "./request.ts";

export interface Sections {
  readonly desired: Section | null;
  readonly reported: Section | null;
}

/** What is known under a name. `deleted`: its number lives on for a while. */
export type Shadow =
  | ({ readonly kind: "present"; readonly version: number } & Sections)
  | { readonly kind: "absent" | "deleted"; readonly version: number };

export type Present = Extract<Shadow, { kind: "present" }>;

export const ABSENT: Shadow = { kind: "absent", version: 0 };

/** As a document speaks of it. */
interface Document {
  readonly state: JsonObject;
  readonly metadata: JsonObject;
}

export type Updated = {
  readonly ok: true;
  readonly shadow: Present;
  readonly accepted: JsonObject;
  readonly delta: JsonObject | null;
  readonly documents: JsonObject;
};

/** `at`: when the request was received. */
export function update(
  before: Shadow,
  { change, version: expected }: UpdateRequest,
  at: EpochMs,
  limits: Limits["shadow"],
): Updated | Refusal {
  if (expected !== null && expected !== before.version) return REFUSED.conflict;
  const timestamp = Math.floor(at / 1000);
  const old = sectionsOf(before);
  const shadow: Present = {
    kind: "present",
    version: before.version + 1,
    desired: changed(old.desired, change.desired, timestamp),
    reported: changed(old.reported, change.reported, timestamp),
  };
  const now = documentOf(shadow);
  if (utf8Length(JSON.stringify(now.state)) > limits.documentBytesMax) return REFUSED.size;
  const { version } = shadow;
  const delta = deltaOf(shadow);
  return {
    ok: true,
    shadow,
    accepted: { state: change as JsonObject, metadata: stampsOf(change, timestamp), version, timestamp },
    delta: delta === null ? null : { ...delta, version, timestamp },
    documents: {
      previous: { ...documentOf(old), version: before.version },
      current: { ...now, version },
      timestamp,
    },
  };
}

/** The whole of it, with what differs. */
export function described(shadow: Present, at: EpochMs): JsonObject {
  const { state, metadata } = documentOf(shadow);
  const delta = deltaOf(shadow);
  return {
    state: delta === null ? state : { ...state, delta: delta.state },
    metadata: delta === null ? metadata : { ...metadata, delta: delta.metadata },
    version: shadow.version,
    timestamp: Math.floor(at / 1000),
  };
}

/** As it is stored: `state` and `metadata`. */
export function shadowText(shadow: Present): string {
  return JSON.stringify(documentOf(shadow));
}

export function shadowFromText(version: number, text: string): Present {
  const { state, metadata } = exact(text) as unknown as { readonly state: StateChange; readonly metadata: StateChange };
  const section = (name: "desired" | "reported"): Section | null => {
    const values = state[name] ?? null;
    return values === null ? null : { state: values, metadata: metadata[name] ?? {} };
  };
  return { kind: "present", version, desired: section("desired"), reported: section("reported") };
}

function changed(section: Section | null, change: JsonObject | null | undefined, seconds: number): Section | null {
  if (change === undefined) return section;
  return change === null ? null : merge(section, change, seconds);
}

function deltaOf({ desired, reported }: Sections): Section | null {
  return desired === null ? null : difference(desired, reported?.state ?? {});
}

function sectionsOf(shadow: Shadow): Sections {
  return shadow.kind === "present" ? shadow : { desired: null, reported: null };
}

function documentOf({ desired, reported }: Sections): Document {
  return {
    state: {
      ...(desired === null ? {} : { desired: desired.state }),
      ...(reported === null ? {} : { reported: reported.state }),
    },
    metadata: {
      ...(desired === null ? {} : { desired: desired.metadata }),
      ...(reported === null ? {} : { reported: reported.metadata }),
    },
  };
}

function stampsOf(change: StateChange, seconds: number): JsonValue {
  return stamps(change as JsonObject, seconds);
}
