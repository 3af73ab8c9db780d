/** Rows of one column of one row group, of which only those that are wanted are decoded. */
import { zstdDecompressSync } from "node:zlib";
import { byteStreams, differences, indexes, plain } from "./encodings.ts";
import type { Chunk } from "./footer.ts";
import { ThriftReader } from "./thrift.ts";
import type { ThriftStruct } from "./thrift.ts";

const DATA_PAGE = 0;
const DICTIONARY_PAGE = 2;
/** What the driver allows. */
const CHUNK_BYTES_MIN = 64;
const ENCODING = { plain: 0, plainDictionary: 2, delta: 5, dictionary: 8, byteStreams: 9 } as const;

interface Page {
  readonly type: number;
  readonly values: number;
  readonly encoding: number;
  /** Without compression. */
  readonly bytes: number;
  readonly compressed: Uint8Array;
  /** Where the next one begins. */
  readonly end: number;
}

/** Rows `from` to `to` of the row group into `out`, which is as long. `bytes`: the chunk's own. Throws where a page is of a kind that DuckDB does not write. */
export function readRows(bytes: Uint8Array, chunk: Chunk, from: number, to: number, out: Float64Array): void {
  let dictionary = new Float64Array(0);
  for (let [at, row] = [0, 0]; row < to;) {
    const page = pageAt(bytes, at);
    at = page.end;
    if (page.type === DICTIONARY_PAGE) {
      dictionary = new Float64Array(page.values);
      plain(decompressed(page), chunk.type, { from: 0, to: page.values, out: dictionary });
      continue;
    }
    if (page.type !== DATA_PAGE) throw new Error(`it has a page of the type ${page.type}`);
    const [low, high] = [Math.max(from, row), Math.min(to, row + page.values)];
    if (low < high) {
      const stretch = { from: low - row, to: high - row, out: out.subarray(low - from, high - from) };
      decode(withoutLevels(decompressed(page), chunk), page.encoding, chunk, dictionary, stretch);
    }
    row += page.values;
  }
  if (chunk.divisor === 1) return;
  for (let i = 0; i < out.length; i++) out[i] = out[i]! / chunk.divisor;
}

/** In one piece: by default the driver takes 16 KiB at a time, and joins them. */
function decompressed({ compressed, bytes }: Page): Uint8Array {
  return zstdDecompressSync(compressed, { chunkSize: Math.max(bytes, CHUNK_BYTES_MIN), maxOutputLength: bytes });
}

function decode(
  page: Uint8Array,
  encoding: number,
  { type }: Chunk,
  dictionary: Float64Array,
  stretch: Parameters<typeof plain>[2],
): void {
  if (encoding === ENCODING.dictionary || encoding === ENCODING.plainDictionary) indexes(page, dictionary, stretch);
  else if (encoding === ENCODING.plain) plain(page, type, stretch);
  else if (encoding === ENCODING.delta && type !== "DOUBLE") differences(page, stretch);
  else if (encoding === ENCODING.byteStreams && type === "DOUBLE") byteStreams(page, stretch);
  else throw new Error(`it has ${type} in the encoding ${encoding}`);
}

function pageAt(bytes: Uint8Array, at: number): Page {
  const reader = new ThriftReader(bytes, at);
  const header = reader.struct();
  const of = header.get(5) ?? header.get(7);
  if (!(of instanceof Map)) throw new Error("it has a page of an unknown kind");
  const [type, size, length] = [1, 2, 3].map((field) => Number(header.get(field)));
  const [values, encoding] = [1, 2].map((field) => Number((of as ThriftStruct).get(field)));
  const end = reader.at + length!;
  if (!(end <= bytes.length)) throw new Error("a page is cut off");
  const compressed = bytes.subarray(reader.at, end);
  return { type: type!, values: values!, encoding: encoding!, bytes: size!, compressed, end };
}

/** Which rows are NULL is said before the values; none is. */
function withoutLevels(page: Uint8Array, { optional }: Chunk): Uint8Array {
  if (!optional) return page;
  const length = new DataView(page.buffer, page.byteOffset, 4).getUint32(0, true);
  return page.subarray(4 + length);
}
