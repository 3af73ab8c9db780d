/** How far behind the log somebody is who reads it: in messages, and in time. */
import type { Clock } from "../base/mod.ts";
import type { Log } from "../log/mod.ts";
import { recordTime } from "../wire/record/mod.ts";
import type { LogLag } from "./api/contract-rules.ts";

export interface LagPort {
  /** `position`: the offset of the oldest message that it is not done with. */
  at(position: number): Promise<LogLag>;
  /** Offset of the oldest message that the store process has not committed. */
  stored(): number;
}

export interface LagOptions {
  readonly log: Pick<Log, "durable" | "read">;
  readonly store: { status(): { readonly lag: number } };
  readonly clock: Clock;
}

export function logLag({ log, store, clock }: LagOptions): LagPort {
  return {
    at: async (position) => {
      const messages = Math.max(0, log.durable - position);
      if (messages === 0) return { messages, age: 0 };
      const record = await log.read(position);
      return { messages, age: record === null ? null : Math.max(0, clock.now() - recordTime(record)) };
    },
    stored: () => log.durable - store.status().lag,
  };
}
