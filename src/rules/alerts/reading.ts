/** What is said to the book of alerts, and what it answers. */
import type { EpochMs } from "../../base/mod.ts";
import type { Policy } from "./life-cycle.ts";
import type { Alert, AlertRecord, AlertSource } from "./model.ts";

/** What somebody may have to be told. `quiet`: it was flapping, and is over without a word. */
export interface AlertEvent {
  readonly type: "raised" | "resolved" | "changed";
  readonly record: AlertRecord;
  readonly offset: number;
  readonly at: EpochMs;
  readonly quiet: boolean;
}

export interface AlertReading {
  readonly rule: string;
  readonly key: string;
  readonly thing: string;
  readonly source: AlertSource;
  readonly verdict: "breach" | "between" | "well";
  readonly offset: number;
  readonly receivedAt: EpochMs;
  readonly policy: Policy;
  /** Called only where an alert begins or is raised. */
  readonly describe: () => Description;
}

export type Description = Pick<Alert, "severity" | "summary" | "value" | "threshold" | "labels">;
