/** Lines on their way in and out of a filter: bounded, with back-pressure, and at peace with readers that go away. */
import { once } from "node:events";
import type { Writable } from "node:stream";
import { mib } from "../base/mod.ts";

/** Of one line; what is longer is left out. The broker takes no larger message either. */
const LINE_BYTES_MAX = mib(16);

const NEWLINE = 0x0a;

/** Each line without its end; null for one that is too long. An empty line is left out. */
export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<string | null> {
  let parts: Uint8Array[] = [];
  let size = 0;
  const add = (part: Uint8Array): void => {
    size += part.length;
    if (size <= LINE_BYTES_MAX) parts.push(part);
    else parts = [];
  };
  const line = (): string | null => {
    const text = size > LINE_BYTES_MAX ? null : Buffer.concat(parts).toString("utf8").replace(/\r$/, "");
    parts = [];
    size = 0;
    return text;
  };
  for await (const chunk of input) {
    let begin = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, begin)) {
      add(chunk.subarray(begin, end));
      begin = end + 1;
      const text = line();
      if (text !== "") yield text;
    }
    if (begin < chunk.length) add(chunk.subarray(begin));
  }
  if (size === 0) return;
  yield line();
}

/** Gathers lines, and waits for a reader that is slow. */
export class LineSink {
  readonly #stream: Writable;
  #text = "";
  #bytes: Uint8Array[] = [];
  #failed = false;

  constructor(stream: Writable) {
    this.#stream = stream;
    // Standard output revives itself after an error: its own state does not tell.
    stream.on("error", () => (this.#failed = true));
  }

  /** Nobody reads any longer (`| head`): no error, and nothing more to do. */
  get gone(): boolean {
    return this.#failed || this.#stream.destroyed;
  }

  /** Bounded by what one message leads to: call `flush` after each. */
  add(line: string): void {
    this.#text += `${line}\n`;
  }

  /** As they are, instead of lines. */
  addBytes(bytes: Uint8Array): void {
    this.#bytes.push(bytes);
  }

  /** Whether there is something to be flushed. */
  get isEmpty(): boolean {
    return this.#text === "" && this.#bytes.length === 0;
  }

  async flush(): Promise<void> {
    const gathered = this.#bytes.length > 0 ? Buffer.concat(this.#bytes) : this.#text;
    this.#text = "";
    this.#bytes = [];
    if (gathered.length === 0 || this.gone || this.#stream.write(gathered)) return;
    const ended = new AbortController();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    this.#stream.once("close", resolve);
    await Promise.race([once(this.#stream, "drain", { signal: ended.signal }), closed]).catch(() => {}); // `gone` says the rest
    this.#stream.off("close", resolve);
    ended.abort();
  }
}
