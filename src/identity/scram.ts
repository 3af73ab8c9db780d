/**
 * SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677), without channel binding. The server holds what proves a password
 * and never the password; who steals it can neither log in with it nor spare guessing.
 */
import { decodeUtf8, encodeUtf8 } from "../base/mod.ts";

/** What SCRAM needs of cryptography. */
export interface ScramHash {
  sha256(data: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
}

/** What is kept of a password. */
export interface ScramCredential {
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

export interface ScramOptions {
  readonly hash: ScramHash;
  /** The user's credential; null where there is no such user. */
  readonly find: (user: string) => ScramCredential | null;
  /** Printable and unpredictable, 24 characters or more, new for each exchange. */
  readonly serverNonce: string;
  /** Always the same: makes up a salt for users that do not exist, so that nobody can tell who does. */
  readonly decoySecret: Uint8Array;
}

export type ScramStep =
  | { readonly kind: "continue"; readonly data: Uint8Array }
  | { readonly kind: "authenticated"; readonly user: string; readonly data: Uint8Array }
  /** `reason` is for the client too: it says nothing about which users there are. */
  | { readonly kind: "failed"; readonly reason: string };

type State = { readonly kind: "first" } | { readonly kind: "final"; readonly asked: Asked } | { readonly kind: "over" };

/** What the client's last message is checked against. */
interface Asked {
  readonly user: string;
  readonly credential: ScramCredential | null;
  /** The header of the first message, in base64. */
  readonly binding: string;
  readonly nonce: string;
  /** The first two messages, as the proof covers them. */
  readonly messages: string;
}

/** RFC 7677 section 4 wants no fewer; what an unknown user is shown. */
export const SCRAM_ITERATIONS_MIN = 4096;
const HASH_BYTES = 32;
const MESSAGE_BYTES_MAX = 2048;
const FIRST =
  /^(?<header>(?<binding>n|y|p=[a-zA-Z0-9.-]+),(?:a=(?<as>[^,]*))?,)(?<bare>n=(?<user>[^,]+),r=(?<nonce>[!-+\--~]+)(?:,.*)?)$/su;
const FINAL = /^(?<unproved>c=(?<binding>[^,]+),r=(?<nonce>[^,]+)(?:,[^,]*)*),p=(?<proof>[^,]+)$/su;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const VERIFIER = /^SCRAM-SHA-256\$(?<iterations>[1-9][0-9]{0,8}):(?<salt>[^$:]+)\$(?<stored>[^$:]+):(?<server>[^$:]+)$/;

const MALFORMED: ScramStep = { kind: "failed", reason: "the SCRAM message is not understood" };
const DENIED: ScramStep = { kind: "failed", reason: "user name or password is wrong" };

/** One login. */
export class ScramExchange {
  readonly #options: ScramOptions;
  #state: State = { kind: "first" };

  constructor(options: ScramOptions) {
    this.#options = options;
  }

  /** Takes the client's next message. An empty first one, as some clients begin with, is asked on. */
  step(data: Uint8Array | null): ScramStep {
    const state = this.#state;
    if (state.kind === "first" && (data === null || data.length === 0)) {
      return { kind: "continue", data: new Uint8Array(0) };
    }
    this.#state = { kind: "over" };
    const message = data === null || data.length > MESSAGE_BYTES_MAX ? null : textOf(data);
    if (message === null || state.kind === "over") return MALFORMED;
    return state.kind === "first" ? this.#first(message) : this.#final(message, state.asked);
  }

  #first(message: string): ScramStep {
    const fields = FIRST.exec(message)?.groups;
    if (fields === undefined) return MALFORMED;
    if (fields["binding"]!.startsWith("p=")) return { kind: "failed", reason: "channel binding is not available" };
    const user = userNameOf(fields["user"]!);
    if (user === null) return MALFORMED;
    const as = fields["as"];
    if (as !== undefined && as !== "" && userNameOf(as) !== user) return DENIED; // nobody acts for somebody else here
    const { hash, find, serverNonce, decoySecret } = this.#options;
    const credential = find(user);
    const salt = credential?.salt ?? hash.hmacSha256(decoySecret, encodeUtf8(user)).slice(0, 16);
    const iterations = credential?.iterations ?? SCRAM_ITERATIONS_MIN;
    const nonce = fields["nonce"]! + serverNonce;
    const asks = `r=${nonce},s=${base64(salt)},i=${iterations}`;
    const binding = base64(encodeUtf8(fields["header"]!));
    this.#state = {
      kind: "final",
      asked: { user, credential, binding, nonce, messages: `${fields["bare"]!},${asks}` },
    };
    return { kind: "continue", data: encodeUtf8(asks) };
  }

  #final(message: string, asked: Asked): ScramStep {
    const fields = FINAL.exec(message)?.groups;
    const proof = fromBase64(fields?.["proof"] ?? "");
    if (fields === undefined || proof === null || proof.length !== HASH_BYTES) return MALFORMED;
    if (fields["binding"] !== asked.binding || fields["nonce"] !== asked.nonce) return MALFORMED;
    const { hash } = this.#options;
    const signed = encodeUtf8(`${asked.messages},${fields["unproved"]!}`);
    // An unknown user costs the same work.
    const { storedKey, serverKey } = asked.credential ?? { storedKey: new Uint8Array(HASH_BYTES), serverKey: proof };
    const clientKey = xor(proof, hash.hmacSha256(storedKey, signed));
    const proved = isSame(hash.sha256(clientKey), storedKey);
    if (!proved || asked.credential === null) return DENIED;
    const signature = hash.hmacSha256(serverKey, signed);
    return { kind: "authenticated", user: asked.user, data: encodeUtf8(`v=${base64(signature)}`) };
  }
}

/** Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, the form that PostgreSQL keeps; null where it is none. */
export function parseScramVerifier(text: string): ScramCredential | null {
  const fields = VERIFIER.exec(text)?.groups;
  if (fields === undefined) return null;
  const [salt, storedKey, serverKey] = [fields["salt"]!, fields["stored"]!, fields["server"]!].map(fromBase64);
  const iterations = Number(fields["iterations"]);
  if (salt === null || salt === undefined || salt.length < 8 || iterations < SCRAM_ITERATIONS_MIN) return null;
  if (storedKey?.length !== HASH_BYTES || serverKey?.length !== HASH_BYTES) return null;
  return { salt, iterations, storedKey, serverKey };
}

/** What to keep of a password; `saltedPassword` is PBKDF2-HMAC-SHA-256 of `normalizedPassword`, 32 bytes. */
export function scramVerifier(
  hash: ScramHash,
  saltedPassword: Uint8Array,
  salt: Uint8Array,
  iterations: number,
): string {
  const storedKey = hash.sha256(hash.hmacSha256(saltedPassword, encodeUtf8("Client Key")));
  const serverKey = hash.hmacSha256(saltedPassword, encodeUtf8("Server Key"));
  return `SCRAM-SHA-256$${iterations}:${base64(salt)}$${base64(storedKey)}:${base64(serverKey)}`;
}

/**
 * SASLprep (RFC 4013) but for its check of writing directions: other spaces become a space, what is invisible goes, forms
 * that look alike become one. Null where a character must not be there, or nothing remains.
 */
export function prepared(text: string): string | null {
  const normal = text
    .replaceAll(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/gu, " ")
    .replaceAll(
      /\u{ad}|\u{34f}|[\u{1806}\u{180e}\u{200b}\u{200c}\u{2060}\u{feff}]|\u{180b}|\u{180c}|\u{180d}|\u{200d}|\p{Variation_Selector}/gu,
      "",
    )
    .normalize("NFKC");
  return normal === "" || /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u2028\u2029\ufff9-\ufffd]/u.test(normal) ? null : normal;
}

/** `=2C` and `=3D` stand for a comma and an equals sign; no other `=` may be there. */
function userNameOf(saslName: string): string | null {
  if (/=(?!2C|3D)/.test(saslName)) return null;
  return prepared(saslName.replaceAll("=2C", ",").replaceAll("=3D", "="));
}

function textOf(data: Uint8Array): string | null {
  const text = decodeUtf8(data, 0, data.length);
  return text.includes("\ufffd") ? null : text;
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Uint8Array | null {
  return BASE64.test(text) ? Uint8Array.from(atob(text), (character) => character.charCodeAt(0)) : null;
}

function xor(left: Uint8Array, right: Uint8Array): Uint8Array {
  return left.map((byte, i) => byte ^ right[i]!);
}

/** In a time that does not tell where they differ. */
function isSame(left: Uint8Array, right: Uint8Array): boolean {
  let difference = left.length ^ right.length;
  for (const [i, byte] of left.entries()) difference |= byte ^ right[i]!;
  return difference === 0;
}
