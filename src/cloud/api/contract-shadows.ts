/** The API's part for shadows; `contract.ts` lists the routes. */
import type { JsonObject } from "../../base/mod.ts";

/** AWS IoT's shadow document. Times in metadata are seconds. */
export interface ShadowDocument {
  readonly state: ShadowSections;
  /** In the shape of `state`, with `{timestamp}` at each leaf. */
  readonly metadata: ShadowSections;
  readonly version: number;
  /** Seconds. */
  readonly timestamp: number;
}

export interface ShadowSections {
  readonly desired?: JsonObject;
  readonly reported?: JsonObject;
  /** What is desired and not reported so. */
  readonly delta?: JsonObject;
}

/** The classic shadow, where there is one, and the first named ones. */
export interface ThingShadows {
  readonly shadows: readonly ThingShadow[];
  /** There are more named ones; `ListNamedShadowsForThing` has them all. */
  readonly truncated: boolean;
}

export interface ThingShadow {
  /** Empty for the classic one. */
  readonly name: string;
  readonly document: ShadowDocument;
}

export interface ShadowNames {
  readonly results: readonly string[];
  readonly nextToken?: string;
  /** Seconds. */
  readonly timestamp: number;
}
