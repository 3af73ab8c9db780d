/** MD2 (RFC 1319), which OpenSSL 3 no longer has. For old fingerprints only: it protects nothing. */

/** The permutation of section 3.2, made from the digits of pi. */
const PI = (
  "292e43c9a2d87c013d3654a1ecf0061362a705f3c0c7738c98932bd9bc4c82ca1e9b573cfdd4e01667426f188a17e512" +
  "be4ec4d6da9ede49a0fbf58ebb2fee7aa968799115b2073f94c210890b225f21807f5d9a5a903227353ecce7bff79703" +
  "ff1930b348a5b5d1d75e922aac56aac64fb838d296a47db676fc6be29c7404f1459d705964718720865bcf65e62da802" +
  "1b6025adaeb0b9f61c46616934407e0f5547a323dd51af3ac35cf9cebac5ea262c530d6e85288409d3dfcdf441814d52" +
  "6adc37c86cc1abfa24e17b080cbdb14a7888958be363e86de9cbd5fe3b001d39f2efb70e6658d0e4a67772f8eb754b0a" +
  "314450b48fed1f1adb998d339f118314"
).match(/../g)!;
const SUBSTITUTE = Uint8Array.from(PI, (digits) => Number.parseInt(digits, 16));

const BLOCK = 16;
const ROUNDS = 18;

export function md2(bytes: Uint8Array): Uint8Array {
  const state = new Uint8Array(3 * BLOCK);
  const checksum = new Uint8Array(BLOCK);
  const padding = BLOCK - (bytes.length % BLOCK);
  const block = new Uint8Array(BLOCK);
  for (let from = 0; from < bytes.length + padding; from += BLOCK) {
    block.fill(padding); // section 3.1: as many bytes as are missing, each with their number
    block.set(bytes.subarray(from, from + BLOCK));
    addToChecksum(checksum, block);
    compress(state, block);
  }
  compress(state, checksum);
  return state.slice(0, BLOCK);
}

function addToChecksum(checksum: Uint8Array, block: Uint8Array): void {
  let last = checksum[BLOCK - 1]!;
  for (let i = 0; i < BLOCK; i++) {
    last = checksum[i]! ^ SUBSTITUTE[block[i]! ^ last]!;
    checksum[i] = last;
  }
}

function compress(state: Uint8Array, block: Uint8Array): void {
  for (let i = 0; i < BLOCK; i++) {
    state[BLOCK + i] = block[i]!;
    state[2 * BLOCK + i] = block[i]! ^ state[i]!;
  }
  let t = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < state.length; i++) {
      t = state[i]! ^ SUBSTITUTE[t]!;
      state[i] = t;
    }
    t = (t + round) % 256;
  }
}
