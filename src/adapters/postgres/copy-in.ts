/** `COPY … FROM STDIN` as a query of `pg`: the fastest way in, and forty lines instead of a package. */
import type { Connection, Submittable } from "pg";

/** What of the driver's connection a copy needs; its types leave it out. */
interface CopyConnection {
  query(text: string): void;
  /** Copies the chunk into its own buffer. */
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
}

export class CopyIn implements Submittable {
  readonly #text: string;
  readonly #chunks: Iterable<Uint8Array>;
  readonly #done: (error: Error | null) => void;
  #error: Error | null = null;

  constructor(text: string, chunks: Iterable<Uint8Array>, done: (error: Error | null) => void) {
    this.#text = text;
    this.#chunks = chunks;
    this.#done = done;
  }

  submit(connection: Connection): void {
    (connection as unknown as CopyConnection).query(this.#text);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    try {
      for (const { buffer, byteOffset, byteLength } of this.#chunks) {
        connection.sendCopyFromChunk(Buffer.from(buffer, byteOffset, byteLength));
      }
      connection.endCopyFrom();
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error));
      connection.sendCopyFail("the rows cannot be written");
    }
  }

  handleCommandComplete(): void {}

  /** The server goes on to `ReadyForQuery` after an error of its own; a lost connection does not. */
  handleError(error: Error): void {
    this.#done(this.#error ?? error);
  }

  handleReadyForQuery(): void {
    this.#done(this.#error);
  }
}
