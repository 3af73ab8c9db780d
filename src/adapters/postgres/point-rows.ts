/** Columns of a commit as rows of PostgreSQL's binary COPY format (its manual, "COPY", "Binary Format"). */
import type { PointBatch } from "../../telemetry/mod.ts";

/** Signature, no flags, no extension. */
const HEADER = Uint8Array.from([
  0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00, 0, 0, 0, 0, 0, 0, 0, 0,
]);
const TRAILER = Uint8Array.from([0xff, 0xff]);
/** Field count; time, arrival and value with their lengths; series with its own. */
const POINT_BYTES = 2 + 3 * (4 + 8) + (4 + 4);
const ROWS_PER_CHUNK = 4096;
/** The same of a text, without its own bytes. */
const TEXT_BYTES = 2 + 2 * (4 + 8) + (4 + 4) + 4;
const TEXT_CHUNK_BYTES = 65_536;

export const COPY_POINTS = "COPY points (time, arrival, value, series) FROM STDIN (FORMAT binary)";
export const COPY_TEXTS = "COPY texts (time, arrival, series, value) FROM STDIN (FORMAT binary)";

/** `arrival` is the number of the batch's first row. Each chunk is valid until the next: the driver copies it. */
export function* pointRows({ series, times, values, count }: PointBatch, arrival: number): Generator<Uint8Array> {
  yield HEADER;
  const bytes = new Uint8Array(ROWS_PER_CHUNK * POINT_BYTES);
  const view = new DataView(bytes.buffer);
  for (let from = 0; from < count; from += ROWS_PER_CHUNK) {
    const below = Math.min(from + ROWS_PER_CHUNK, count);
    let at = 0;
    for (let row = from; row < below; row++) {
      view.setInt16(at, 4);
      view.setInt32(at + 2, 8);
      setBigint(view, at + 6, times[row]!);
      view.setInt32(at + 14, 8);
      setBigint(view, at + 18, arrival + row);
      view.setInt32(at + 26, 8);
      view.setFloat64(at + 30, values[row]!);
      view.setInt32(at + 38, 4);
      view.setInt32(at + 42, series[row]!);
      at += POINT_BYTES;
    }
    yield bytes.subarray(0, at);
  }
  yield TRAILER;
}

export function* textRows({ textSeries, textTimes, texts }: PointBatch, arrival: number): Generator<Uint8Array> {
  yield HEADER;
  const encoder = new TextEncoder();
  let bytes = new Uint8Array(TEXT_CHUNK_BYTES);
  let view = new DataView(bytes.buffer);
  let at = 0;
  for (let row = 0; row < texts.length; row++) {
    const text = encoder.encode(texts[row]);
    if (at + TEXT_BYTES + text.length > bytes.length) {
      yield bytes.subarray(0, at);
      at = 0;
      if (TEXT_BYTES + text.length > bytes.length) {
        bytes = new Uint8Array(TEXT_BYTES + text.length);
        view = new DataView(bytes.buffer);
      }
    }
    view.setInt16(at, 4);
    view.setInt32(at + 2, 8);
    setBigint(view, at + 6, textTimes[row]!);
    view.setInt32(at + 14, 8);
    setBigint(view, at + 18, arrival + row);
    view.setInt32(at + 26, 4);
    view.setInt32(at + 30, textSeries[row]!);
    view.setInt32(at + 34, text.length);
    bytes.set(text, at + TEXT_BYTES);
    at += TEXT_BYTES + text.length;
  }
  yield bytes.subarray(0, at);
  yield TRAILER;
}

/** An integer within ±2^53 as a bigint, without making one. */
function setBigint(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}
