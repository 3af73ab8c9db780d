/** Values out of pages, a stretch at a time, all of them as numbers (github.com/apache/parquet-format, Encodings.md). */
import { ThriftReader, unzigzag } from "./thrift.ts";
import type { PhysicalType } from "./footer.ts";

/** Values `from` to `to` of what is encoded; `out` is as long as that. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly out: Float64Array;
}

const BYTES: Readonly<Record<PhysicalType, number>> = { INT32: 4, INT64: 8, DOUBLE: 8 };
/** Four bytes hold a value of so many bits wherever it begins. */
const FAST_BITS_MAX = 25;
const EXACT_BITS_MAX = 53;

export function plain(page: Uint8Array, type: PhysicalType, { from, to, out }: Stretch): void {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  for (let i = from; i < to; i++) {
    const at = i * BYTES[type];
    if (type === "DOUBLE") out[i - from] = view.getFloat64(at, true);
    else if (type === "INT32") out[i - from] = view.getInt32(at, true);
    else out[i - from] = view.getUint32(at, true) + view.getInt32(at + 4, true) * 4_294_967_296;
  }
}

/** BYTE_STREAM_SPLIT of DOUBLE: all first bytes, then all second ones … */
export function byteStreams(page: Uint8Array, { from, to, out }: Stretch): void {
  const values = page.length / 8;
  const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
  for (let stream = 0; stream < 8; stream++) {
    const start = stream * values;
    for (let i = from; i < to; i++) bytes[(i - from) * 8 + stream] = page[start + i]!;
  }
}

/** RLE_DICTIONARY: the bits of an index, then runs of one index and of packed ones in turns. */
export function indexes(page: Uint8Array, dictionary: Float64Array, { from, to, out }: Stretch): void {
  const width = page[0]!;
  const reader = new ThriftReader(page, 1);
  for (let row = 0; row < to;) {
    const head = reader.varint();
    const packed = head % 2 === 1;
    const length = packed ? (head - 1) * 4 : head / 2; // packed ones come in eights
    const bytes = packed ? (length * width) / 8 : Math.ceil(width / 8);
    const [low, high] = [Math.max(row, from), Math.min(row + length, to)];
    if (low < high && packed) unpackIndexes(page, reader.at, width, low - row, high - row, dictionary, out, low - from);
    if (low < high && !packed) out.fill(dictionary[bitsAt(page, reader.at * 8, width)]!, low - from, high - from);
    reader.at += bytes;
    row += length;
  }
}

function unpackIndexes(
  page: Uint8Array,
  start: number,
  width: number,
  from: number,
  to: number,
  dictionary: Float64Array,
  out: Float64Array,
  at: number,
): void {
  if (width > FAST_BITS_MAX) throw new Error(`it has indexes of ${width} bits`);
  const mask = 2 ** width - 1;
  for (let i = from; i < to; i++) {
    const bit = i * width;
    const byte = start + (bit >>> 3);
    const four = page[byte]! | (page[byte + 1]! << 8) | (page[byte + 2]! << 16) | (page[byte + 3]! << 24);
    out[at + i - from] = dictionary[(four >>> (bit & 7)) & mask]!;
  }
}

/** DELTA_BINARY_PACKED: a first value, then blocks of differences, each the block's least one more than what is packed. */
export function differences(page: Uint8Array, { from, to, out }: Stretch): void {
  const reader = new ThriftReader(page, 0);
  const blockSize = reader.varint();
  const parts = reader.varint();
  const partSize = blockSize / parts;
  reader.varint(); // how many there are
  let value = unzigzag(reader.varint());
  if (from === 0) out[0] = value;
  for (let row = 1; row < to;) {
    const least = unzigzag(reader.varint());
    const widths = page.subarray(reader.at, reader.at + parts);
    reader.at += parts;
    for (let part = 0; part < parts && row < to; part++) {
      const width = widths[part]!;
      const end = Math.min(row + partSize, to);
      const before = Math.max(0, Math.min(end, from) - row);
      const start = reader.at * 8;
      if (before > 0) value += least * before + sumOf(page, start, width, before);
      if (row + before < end) {
        value = addUp(page, start + before * width, width, value, least, out.subarray(row + before - from, end - from));
      }
      row = end;
      reader.at += (partSize * width) / 8;
    }
  }
}

/** Of so many packed values: all that matters of differences before the wanted ones. */
function sumOf(page: Uint8Array, start: number, width: number, count: number): number {
  if (width === 0) return 0;
  let sum = 0;
  if (width > FAST_BITS_MAX) {
    for (let i = 0; i < count; i++) sum += bitsAt(page, start + i * width, width);
    return sum;
  }
  const mask = 2 ** width - 1;
  const end = start + count * width;
  for (let bit = start; bit < end; bit += width) {
    const byte = bit >>> 3;
    const four = page[byte]! | (page[byte + 1]! << 8) | (page[byte + 2]! << 16) | (page[byte + 3]! << 24);
    sum += (four >>> (bit & 7)) & mask;
  }
  return sum;
}

/** The values that follow `value`, as many as `out` takes; returns the last. */
function addUp(
  page: Uint8Array,
  start: number,
  width: number,
  value: number,
  least: number,
  out: Float64Array,
): number {
  const mask = 2 ** width - 1;
  for (let i = 0, bit = start; i < out.length; i++, bit += width) {
    if (width > FAST_BITS_MAX) value += least + bitsAt(page, bit, width);
    else {
      const byte = bit >>> 3;
      const four = page[byte]! | (page[byte + 1]! << 8) | (page[byte + 2]! << 16) | (page[byte + 3]! << 24);
      value += least + ((four >>> (bit & 7)) & mask);
    }
    out[i] = value;
  }
  return value;
}

/** `width` bits from the bit `at` on, the lowest first. */
function bitsAt(bytes: Uint8Array, at: number, width: number): number {
  const first = Math.floor(at / 8);
  const shift = at - first * 8;
  if (width <= FAST_BITS_MAX) {
    const four = bytes[first]! | (bytes[first + 1]! << 8) | (bytes[first + 2]! << 16) | (bytes[first + 3]! << 24);
    return (four >>> shift) & (2 ** width - 1);
  }
  if (width > EXACT_BITS_MAX) throw new Error(`it has differences of ${width} bits`);
  let value = 0;
  for (let bit = 0; bit < width; bit++) {
    const place = shift + bit;
    if ((bytes[first + (place >> 3)]! >> (place & 7)) & 1) value += 2 ** bit;
  }
  return value;
}
