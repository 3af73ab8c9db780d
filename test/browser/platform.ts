/**
 * What the browser tests need of a platform. `fake-platform.ts` is one that a test controls completely; the real
 * platform can be put behind the same interface (publish over MQTT, cut with a TCP proxy).
 */
import type { EpochMs } from "../../src/base/mod.ts";
import type { FieldValue, Severity } from "../../src/cloud/api/contract.ts";

export interface NewAlert {
  readonly thing: string;
  readonly severity: Severity;
  readonly summary: string;
}

export interface TestPlatform {
  /** Address of the dashboard, with the slash at its end. */
  readonly url: string;
  readonly token: string;
  /** A link that logs in once. */
  loginLink(): Promise<string>;
  addThing(thing: string): Promise<void>;
  connect(thing: string): Promise<void>;
  disconnect(thing: string): Promise<void>;
  /** Returns once the reading is committed to the store. `time` defaults to now. */
  publish(
    thing: string,
    measurement: string,
    fields: Readonly<Record<string, FieldValue>>,
    time?: EpochMs,
  ): Promise<void>;
  /** Returns the alert's id. */
  raiseAlert(alert: NewAlert): Promise<string>;
  resolveAlert(id: string): Promise<void>;
  /** Breaks every live connection; new ones are accepted at once. */
  cutLive(): Promise<void>;
  /** While false nothing answers: every connection is broken, HTTP included. */
  setReachable(reachable: boolean): Promise<void>;
  expireSessions(): Promise<void>;
  close(): Promise<void>;
}
