/** Hashes of codes and tokens, and the encryption of what must be read again: with keys derived from one secret of the platform. */
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from "node:crypto";
import type { Sealing } from "../people/mod.ts";

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** `secret`: 32 bytes, kept in `secrets/`. With another one nothing opens, and no session is known. */
export function sealingWith(secret: Uint8Array): Sealing {
  const keyFor = (use: string): Buffer => Buffer.from(hkdfSync("sha256", secret, "", `tidewire ${use}`, 32));
  const [hmacKey, sealKey] = [keyFor("sessions"), keyFor("access keys")];
  return {
    sha256: (text) => createHash("sha256").update(text).digest("hex"),
    hmac: (text) => createHmac("sha256", hmacKey).update(text).digest("hex"),
    seal: (text, about) => {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv("aes-256-gcm", sealKey, iv).setAAD(Buffer.from(about));
      const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
      return `v1.${Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString("base64url")}`;
    },
    open: (sealed, about) => {
      const bytes = Buffer.from(sealed.slice(3), "base64url");
      if (!sealed.startsWith("v1.") || bytes.length < IV_BYTES + TAG_BYTES) return null;
      try {
        const decipher = createDecipheriv("aes-256-gcm", sealKey, bytes.subarray(0, IV_BYTES))
          .setAAD(Buffer.from(about))
          .setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
        return decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES), undefined, "utf8") + decipher.final("utf8");
      } catch {
        return null;
      }
    },
  };
}
