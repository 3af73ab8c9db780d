/** Configuration as documents, as it travels over the HTTP API. */
import type { JsonObject } from "../../base/mod.ts";

export interface ConfigurationDocument {
  readonly kind: string;
  readonly name: string;
  readonly document: JsonObject;
}

/** Everything that runs; secrets are shown as `***`, which stands for the one that is there when it is sent back. */
export interface ConfigurationView {
  /** Also the `ETag`: changes with every change. */
  readonly revision: string;
  readonly documents: readonly ConfigurationDocument[];
}

export interface ConfigurationRequest {
  readonly documents: readonly ConfigurationDocument[];
  /** Delete what runs and is not among `documents`. */
  readonly prune?: boolean | undefined;
}

export interface ConfigurationChange {
  readonly kind: string;
  readonly name: string;
  readonly change: "create" | "update" | "delete";
  /** A secret is a short keyed hash and `***`: another hash is another secret. */
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
}

export interface ConfigurationFault {
  /** Of the document in the request. */
  readonly index: number;
  readonly kind: string;
  readonly name: string;
  /** Path of the key, such as `actions[0].alert.severity`; empty: the whole document. */
  readonly at: string;
  readonly reason: string;
  readonly fix: string | null;
  /** Within the text at `at`, from 1; null where the fault has no place in it. */
  readonly line: number | null;
  readonly column: number | null;
}

export interface ConfigurationPlan {
  /** Of what runs: before the change, or after it was made. */
  readonly revision: string;
  readonly changes: readonly ConfigurationChange[];
  /** What runs and is not among the given; `prune` deletes it. */
  readonly others: readonly { readonly kind: string; readonly name: string }[];
  readonly faults: readonly ConfigurationFault[];
  /** More faults than are told. */
  readonly faultsLeftOut: number;
}

/** A schema of a topic, in force; counts since the start. */
export interface SchemaSummary {
  readonly name: string;
  readonly topic: string;
  readonly onViolation: "reject" | "flag" | "deadletter";
  readonly version: number;
  readonly examined: number;
  readonly unfit: number;
}

export interface SchemaView extends SchemaSummary {
  readonly document: JsonObject;
  /** The newest last. */
  readonly versions: readonly { readonly version: number; readonly document: JsonObject }[];
}

export interface SchemaTest {
  readonly fits: boolean;
  readonly reason: string | null;
}

export interface ScheduleView {
  readonly name: string;
  readonly cron: string;
  readonly timezone: string;
  readonly topic: string;
  /** Null: never again. */
  readonly next: number | null;
  readonly lastAt: number | null;
  readonly lastError: string | null;
}

/** A door for HTTP requests that become messages: `POST /in/NAME`. */
export interface EndpointView {
  readonly name: string;
  readonly topic: string;
  readonly form: boolean;
  readonly received: number;
  readonly refused: number;
}
