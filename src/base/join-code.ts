/**
 * The code by which a new device joins: a secret, and the beginning of the fingerprint of the platform's CA, so that the very
 * first contact is with the right platform. Crockford's base 32: no letter looks like another, and case does not matter.
 */

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BITS = 5;
/** 40 bits: some thousand guesses is all that anybody gets. */
export const JOIN_SECRET_BYTES = 5;
/** 80 bits: whoever wants to pass for the platform may look for years, because its CA is no secret. */
export const JOIN_FINGERPRINT_BYTES = 10;
const LENGTH = ((JOIN_SECRET_BYTES + JOIN_FINGERPRINT_BYTES) * 8) / BITS;
const GROUP = 4;

export interface JoinCode {
  readonly secret: Uint8Array;
  /** First bytes of the SHA-256 of the CA certificate's DER. */
  readonly fingerprint: Uint8Array;
}

export function formatJoinCode({ secret, fingerprint }: JoinCode): string {
  let text = "";
  let [value, bits] = [0, 0];
  for (const byte of [...secret, ...fingerprint.subarray(0, JOIN_FINGERPRINT_BYTES)]) {
    value = (value << 8) | byte;
    bits += 8;
    for (; bits >= BITS; bits -= BITS) text += ALPHABET[(value >> (bits - BITS)) & 31]!;
    value &= (1 << bits) - 1;
  }
  return text.match(new RegExp(`.{${GROUP}}`, "g"))!.join("-");
}

/** Null where it is no such code, with what is wrong in `fault`. */
export function parseJoinCode(text: string): JoinCode | { readonly fault: string } {
  const letters = text.toUpperCase().replace(/[-\s]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1");
  if (letters.length !== LENGTH) return { fault: `it has ${letters.length} letters and digits, not ${LENGTH}` };
  const bytes: number[] = [];
  let [value, bits] = [0, 0];
  for (const letter of letters) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0) return { fault: `'${letter}' stands in no code` };
    value = (value << BITS) | digit;
    bits += BITS;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >> bits) & 255);
    value &= (1 << bits) - 1;
  }
  const secret = Uint8Array.from(bytes.slice(0, JOIN_SECRET_BYTES));
  return { secret, fingerprint: Uint8Array.from(bytes.slice(JOIN_SECRET_BYTES)) };
}
