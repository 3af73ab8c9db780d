/**
 * Private keys of the CA as they lie on disk: PKCS#8 in PEM, encrypted where there is a passphrase (PBES2 of RFC 8018 with
 * scrypt and AES-256, which `openssl pkey` reads as well).
 */
import { createCipheriv, createPrivateKey, randomBytes, scryptSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { TidewireError } from "../../base/mod.ts";
import { privateKeyPem } from "./device-key.ts";

/** 16 MiB and a fifth of a second; OpenSSL reads nothing that needs more than 32 MiB. */
const SCRYPT = { N: 16_384, r: 8, p: 5 };

/** RFC 8018 appendix A.4, RFC 7914 section 7, RFC 3565 section 4.1. */
const PBES2 = "1.2.840.113549.1.5.13";
const SCRYPT_OID = "1.3.6.1.4.1.11591.4.11";
const AES_256_CBC = "2.16.840.1.101.3.4.1.42";

export function isSealed(text: string): boolean {
  return text.includes("BEGIN ENCRYPTED PRIVATE KEY");
}

export class KeyVault {
  readonly #passphrase: string | null;

  constructor(passphrase: string | null) {
    this.#passphrase = passphrase;
  }

  /** Keys are to be encrypted. */
  get sealing(): boolean {
    return this.#passphrase !== null;
  }

  /** `path`: where the text is from, for the message. Throws CA_KEY_LOCKED or CA_PASSPHRASE_WRONG. */
  open(text: string, path: string): KeyObject {
    if (!isSealed(text)) return createPrivateKey(text);
    if (this.#passphrase === null) throw new TidewireError("CA_KEY_LOCKED", { path });
    try {
      return createPrivateKey({ key: text, passphrase: this.#passphrase });
    } catch (error) {
      throw new TidewireError("CA_PASSPHRASE_WRONG", { path }, { cause: error });
    }
  }

  /** As it is to be written. */
  async seal(key: KeyObject): Promise<string> {
    if (this.#passphrase === null) return privateKeyPem(key);
    const { ObjectIdentifier, OctetString, Integer, Sequence } = await import("asn1js");
    const [salt, iv] = [randomBytes(16), randomBytes(16)];
    const cipher = createCipheriv("aes-256-cbc", scryptSync(this.#passphrase, salt, 32, SCRYPT), iv);
    const plain = key.export({ type: "pkcs8", format: "der" });
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    const oid = (value: string) => new ObjectIdentifier({ value });
    const octets = (bytes: Buffer) => new OctetString({ valueHex: Uint8Array.from(bytes).buffer });
    const sequence = (...value: ConstructorParameters<typeof Sequence>[0][]) => new Sequence({ value } as object);
    const { N, r, p } = SCRYPT;
    const cost = [N, r, p].map((value) => new Integer({ value }));
    const derivation = sequence(oid(SCRYPT_OID), sequence(octets(salt), ...cost));
    const scheme = sequence(oid(AES_256_CBC), octets(iv));
    const der = sequence(sequence(oid(PBES2), sequence(derivation, scheme)), octets(sealed)).toBER();
    const lines = Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g)!;
    return `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${lines.join("\n")}\n-----END ENCRYPTED PRIVATE KEY-----\n`;
  }
}
