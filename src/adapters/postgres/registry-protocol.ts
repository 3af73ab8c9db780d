/** What the registry's thread and the platform say to each other. */
import type { MessagePort } from "node:worker_threads";
import type { PostgresServerAddress } from "./server-url.ts";
import type { Row, Value } from "./session.ts";

export interface WorkerStart {
  readonly address: PostgresServerAddress;
  readonly schema: string;
  /** Cells of the shared memory: see `SIGNAL` and `UP`. */
  readonly shared: SharedArrayBuffer;
  readonly port: MessagePort;
}

/** Grows with every message of the thread; the platform waits on it. */
export const SIGNAL = 0;
/** 1 while the thread has a connection. */
export const UP = 1;

export interface Call {
  readonly id: number;
  readonly text: string;
  readonly values: readonly Value[];
  /** The connection that the transaction began on; null: any. */
  readonly connection: number | null;
}

export type FromWorker =
  | { readonly type: "rows"; readonly id: number; readonly rows: readonly Row[]; readonly connection: number }
  | { readonly type: "failed"; readonly id: number; readonly reason: string; readonly passing: boolean }
  /** What somebody else has committed, in the order of their commits. */
  | { readonly type: "news"; readonly payload: string }
  /** Connected (again), with the revision that is there. */
  | { readonly type: "up"; readonly revision: number }
  | { readonly type: "down"; readonly reason: string }
  /** Waiting does not help; only before the first `up`. */
  | { readonly type: "refused"; readonly code: string; readonly details: Readonly<Record<string, string | number>> };
