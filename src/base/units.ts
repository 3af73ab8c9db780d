/**
 * Units that the type checker keeps apart. A branded number is a plain number at run time.
 * Names put the unit last: `retryDelayMs`, `queueBytesMax`.
 */
declare const unit: unique symbol;

/** A span of time in milliseconds. */
export type Millis = number & { readonly [unit]?: "millis" };
/** A point in time: milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = number & { readonly [unit]?: "epoch-ms" };
/** A number of bytes. */
export type Bytes = number & { readonly [unit]?: "bytes" };

export const seconds = (n: number): Millis => n * 1000;
export const minutes = (n: number): Millis => n * 60_000;
export const hours = (n: number): Millis => n * 3_600_000;
export const days = (n: number): Millis => n * 86_400_000;

export const kib = (n: number): Bytes => n * 1024;
export const mib = (n: number): Bytes => n * 1024 * 1024;
export const gib = (n: number): Bytes => n * 1024 * 1024 * 1024;
