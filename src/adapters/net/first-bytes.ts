/** Looks at the first bytes of a connection before anybody else reads it. */
import type { Socket } from "node:net";
import type { Millis } from "../../base/mod.ts";

export interface Look<T> {
  readonly value: T;
  /** Bytes that nobody behind shall see. */
  readonly used: number;
}

/**
 * Gathers bytes until `look` comes to a result, puts back what it did not use, and tells `done`; null where that took
 * longer than `patience`. `look` has to come to a result before it has seen much. A socket that closes meanwhile tells
 * nobody. Whoever takes the socket has to resume it.
 */
export function readFirst<T>(
  socket: Socket,
  patience: Millis,
  look: (bytes: Buffer) => Look<T> | null,
  done: (value: T | null) => void,
): void {
  let bytes: Buffer | null = null;
  const finish = (value: T | null): void => {
    clearTimeout(timer);
    socket.off("data", take);
    socket.off("close", forget);
    done(value);
  };
  const take = (chunk: Buffer): void => {
    bytes = bytes === null ? chunk : Buffer.concat([bytes, chunk]);
    const result = look(bytes);
    if (result === null) return;
    socket.pause();
    if (result.used < bytes.length) socket.unshift(bytes.subarray(result.used));
    finish(result.value);
  };
  const forget = (): void => clearTimeout(timer);
  const timer = setTimeout(() => finish(null), patience);
  socket.on("data", take);
  socket.on("close", forget);
}
