/** Making codes and tokens, and comparing them. */
import type { Random } from "../base/mod.ts";

const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** RFC 4648 base32, as AWS's access key ids look. */
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** 6 bits a character. */
export function randomText(random: Random, length: number): string {
  return Array.from(random.bytes(length), (byte) => BASE64URL[byte & 63]).join("");
}

/** 5 bits a character. */
export function randomName(random: Random, length: number): string {
  return Array.from(random.bytes(length), (byte) => BASE32[byte & 31]).join("");
}

/** For hashes: equal in length anyway. How long it takes does not tell where they differ. */
export function equalHashes(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= a.charCodeAt(index) ^ b.charCodeAt(index);
  return difference === 0;
}
