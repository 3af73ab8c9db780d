/** What a log tells about itself and its consumers. */

export interface LogConsumer {
  /** Every offset below this was handled; what to keep, and to start from again. */
  readonly position: number;
  /** Resolves when the handler is not running and will not be called again. */
  close(): Promise<void>;
}

export interface LogStatus {
  /** `full`: refuses appends for now and heals by itself. `failed`: refuses them until a restart. */
  readonly state: "ok" | "full" | "failed";
  /** Why it is not `ok`. */
  readonly reason: string | null;
  readonly first: number;
  readonly durable: number;
  readonly next: number;
  /** Appended and not yet durable. */
  readonly pendingBytes: number;
  readonly segments: number;
  readonly bytes: number;
  /** Free disk space as last measured; Infinity where it cannot be. */
  readonly freeBytes: number;
  readonly consumers: readonly { readonly name: string; readonly position: number }[];
}
