/**
 * Messages of protobuf, by descriptors in a folder: `BUCKET/KEY` below it (as AWS IoT names them in S3), or KEY alone. A file is a
 * FileDescriptorSet (`protoc --include_imports --descriptor_set_out`), or a `.proto`. Values are ProtoJSON.
 */
import { readFileSync, statSync } from "node:fs";
import { resolve, sep } from "node:path";
import type { JsonValue } from "../../base/mod.ts";
import type { ProtobufType } from "../../sql/mod.ts";

export type DecodeProtobuf = (bytes: Uint8Array, type: ProtobufType) => JsonValue | undefined;

export interface ProtobufFolderOptions {
  readonly folder: string;
  readonly bytesMax: number;
  /** Files that are kept; the one that came first goes first. */
  readonly filesMax: number;
}

/** How often it is looked whether a file has changed. */
const LOOK_PERIOD_MS = 2_000;

interface Kept {
  readonly version: string;
  readonly typeOf: (message: string) => Decoder;
  lookedAt: number;
}

type Decoder = (bytes: Uint8Array) => JsonValue;

/** Null where the library, an optional dependency, is not installed. */
export async function openProtobufFolder({
  folder,
  bytesMax,
  filesMax,
}: ProtobufFolderOptions): Promise<DecodeProtobuf | null> {
  const loader = await loadLibrary();
  if (loader === null) return null;
  const kept = new Map<string, Kept>();
  const load = (path: string): Kept | undefined => {
    const known = kept.get(path);
    const now = performance.now();
    if (known !== undefined && now - known.lookedAt < LOOK_PERIOD_MS) return known;
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isFile() !== true) return undefined;
    const version = `${stats.mtimeMs} ${stats.size} ${stats.ino}`;
    if (known?.version === version) {
      known.lookedAt = now;
      return known;
    }
    if (stats.size > bytesMax) throw new Error(`the descriptor has ${stats.size} bytes, and ${bytesMax} are allowed`);
    const read: Kept = { version, typeOf: loader(path), lookedAt: now };
    if (kept.size >= filesMax) for (const first of kept.keys()) if (kept.size >= filesMax) kept.delete(first);
    kept.set(path, read);
    return read;
  };
  return (bytes, { bucket, key, message }) => {
    for (const name of [`${bucket}/${key}`, key]) {
      const path = resolve(folder, name);
      if (!path.startsWith(resolve(folder) + sep)) continue; // a message's own field may be the key
      const found = load(path);
      if (found !== undefined) return found.typeOf(message)(bytes);
    }
    return undefined;
  };
}

async function loadLibrary(): Promise<((path: string) => (message: string) => Decoder) | null> {
  try {
    const { default: protobuf } = await import("protobufjs");
    await import("protobufjs/ext/descriptor.js");
    const { default: protojson } = await import("protobufjs/ext/protojson.js");
    return (path) => {
      const root = path.endsWith(".proto")
        ? new protobuf.Root().loadSync(path)
        : protobuf.Root.fromDescriptor(readFileSync(path));
      return (message) => {
        const type = root.lookupType(message);
        return (bytes) => protojson.toJson(type, type.decode(bytes)) as JsonValue;
      };
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND") return null;
    throw error;
  }
}
