/** A stream as a file beside, whole and hashed, so that an upload can read it again, and in parts. */
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ObjectSource } from "../../base/mod.ts";

export interface Spooled extends ObjectSource {
  remove(): Promise<void>;
}

/** Leaves nothing behind where the stream breaks off. */
export async function spool(stream: Readable, path: string): Promise<Spooled> {
  const hash = createHash("sha256");
  let bytes = 0;
  const meter = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  };
  try {
    await pipeline(stream, meter, createWriteStream(path, { mode: 0o600 }));
    const file = await open(path, "r");
    return {
      bytes,
      sha256: hash.digest("hex"),
      read: async (from, below) => {
        const part = new Uint8Array(below - from);
        const { bytesRead } = await file.read(part, 0, part.length, from);
        return part.subarray(0, bytesRead);
      },
      remove: async () => {
        await file.close();
        await rm(path, { force: true });
      },
    };
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}
