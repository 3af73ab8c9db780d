/** The client's side of SCRAM-SHA-256 (RFC 5802), for clients that know AUTH and leave the method to their user. */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";

const NONCE = "interoperability";

export class ScramClient {
  readonly #user: string;
  readonly #password: string;

  constructor(user: string, password: string) {
    this.#user = user;
    this.#password = password;
  }

  first(): Buffer {
    return Buffer.from(`n,,n=${this.#user},r=${NONCE}`);
  }

  /** The proof, for what the server has asked. */
  answer(asked: Buffer): Buffer {
    const [, nonce = "", salt = "", iterations = ""] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(asked.toString()) ?? [];
    const salted = pbkdf2Sync(this.#password, Buffer.from(salt, "base64"), Number(iterations), 32, "sha256");
    const key = createHmac("sha256", salted).update("Client Key").digest();
    const stored = createHash("sha256").update(key).digest();
    const signed = `n=${this.#user},r=${NONCE},${asked.toString()},c=biws,r=${nonce}`;
    const signature = createHmac("sha256", stored).update(signed).digest();
    const proof = Buffer.from(key.map((byte, i) => byte ^ signature[i]!)).toString("base64");
    return Buffer.from(`c=biws,r=${nonce},p=${proof}`);
  }
}
