/**
 * Short runs of bytes, eight at a time, for the hot paths of the codecs. `set` and `subarray` make a view for each copy, which
 * costs more than the copy and is garbage; a `DataView` of a buffer is made once and needs no alignment.
 */

/** Up to here it is quicker than `set` (measured: 100 bytes 12 ns against 36, 400 bytes 33 against 37). */
const BY_WORDS_MAX = 400;

/** The same bytes, by words. */
export function wordsOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** HOT. Copies `source[from, to)` to `target` at `at`; returns the position after it. The bytes must not overlap. */
export function copyWords(target: DataView, at: number, source: DataView, from: number, to: number): number {
  const length = to - from;
  const end = at + length;
  if (length < 8) {
    while (from < to) target.setUint8(at++, source.getUint8(from++));
    return end;
  }
  if (length > BY_WORDS_MAX) {
    const copy = new Uint8Array(target.buffer, target.byteOffset + at, length);
    copy.set(new Uint8Array(source.buffer, source.byteOffset + from, length));
    return end;
  }
  for (; from + 32 <= to; from += 32, at += 32) {
    target.setBigUint64(at, source.getBigUint64(from, true), true);
    target.setBigUint64(at + 8, source.getBigUint64(from + 8, true), true);
    target.setBigUint64(at + 16, source.getBigUint64(from + 16, true), true);
    target.setBigUint64(at + 24, source.getBigUint64(from + 24, true), true);
  }
  for (; from + 8 <= to; from += 8, at += 8) target.setBigUint64(at, source.getBigUint64(from, true), true);
  // The last ones, of which some are copied already.
  if (from < to) target.setBigUint64(end - 8, source.getBigUint64(to - 8, true), true);
  return end;
}

/** HOT. A hash of `words[from, to)` for a table of this process; nobody else knows `seed`. */
export function hashWords(words: DataView, from: number, to: number, seed: number): number {
  let hash = seed;
  for (; from + 4 <= to; from += 4) {
    hash = Math.imul(hash ^ words.getInt32(from, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; from < to; from++) hash = Math.imul(hash ^ words.getUint8(from), 0x01000193);
  return hash ^ (hash >>> 15);
}

/** HOT. Whether the first `length` bytes of `other` are those of `words` from `from` on. */
export function areWords(other: DataView, length: number, words: DataView, from: number): boolean {
  let at = 0;
  for (; at + 4 <= length; at += 4) if (other.getInt32(at, true) !== words.getInt32(from + at, true)) return false;
  for (; at < length; at++) if (other.getUint8(at) !== words.getUint8(from + at)) return false;
  return true;
}
