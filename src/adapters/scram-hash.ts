/** The hashes of SCRAM-SHA-256, and the slow one that turns a password into a key. */
import { createHash, createHmac, pbkdf2 } from "node:crypto";
import type { ScramHash } from "../identity/mod.ts";

export const scramHash: ScramHash = {
  sha256: (data) => new Uint8Array(createHash("sha256").update(data).digest()),
  hmacSha256: (key, data) => new Uint8Array(createHmac("sha256", key).update(data).digest()),
};

const KEY_BYTES = 32;

export function saltedPassword(password: string, salt: Uint8Array, iterations: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    pbkdf2(password, salt, iterations, KEY_BYTES, "sha256", (error, key) => {
      if (error === null) resolve(new Uint8Array(key));
      else reject(error);
    });
  });
}
