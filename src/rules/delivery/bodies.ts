/**
 * Bytes of deliveries. A small array with memory of its own costs more than the copy into it, so small ones lie side by side in blocks.
 * A block stays as long as anything in it is kept: at worst each delivery that waits keeps one, and their number is limited.
 */
const BLOCK_BYTES = 4_096;
/** Larger ones get memory of their own. */
const SHARED_BYTES_MAX = 512;
/** Of UTF-8 per UTF-16 unit. */
const UNIT_BYTES_MAX = 3;

const utf8 = new TextEncoder();
const block = { bytes: new Uint8Array(0), used: 0 };

/** A copy that nobody changes. */
export function copied(bytes: Uint8Array): Uint8Array {
  if (bytes.length > SHARED_BYTES_MAX) return Uint8Array.from(bytes);
  const at = reserve(bytes.length);
  block.bytes.set(bytes, at);
  return taken(at, bytes.length);
}

export function encoded(text: string): Uint8Array {
  if (text.length * UNIT_BYTES_MAX > SHARED_BYTES_MAX) return utf8.encode(text);
  const at = reserve(text.length * UNIT_BYTES_MAX);
  return taken(at, utf8.encodeInto(text, block.bytes.subarray(at)).written);
}

function reserve(bytes: number): number {
  if (block.used + bytes > block.bytes.length) {
    block.bytes = new Uint8Array(BLOCK_BYTES);
    block.used = 0;
  }
  return block.used;
}

function taken(at: number, length: number): Uint8Array {
  block.used = at + length;
  return block.bytes.subarray(at, at + length);
}
