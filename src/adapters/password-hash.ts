/**
 * Passwords as argon2id (RFC 9106) with OWASP's parameters, or as scrypt where Node's OpenSSL has no argon2; in the form
 * that the password hashing competition agreed on, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`, so that each carries its own.
 */
import * as crypto from "node:crypto";
import { LIMITS, TidewireError, reasonOf } from "../base/mod.ts";
import type { PasswordHasher } from "../people/mod.ts";

const HASH_BYTES = 32;
const SALT_BYTES = 16;
/** KiB, passes, lanes. A stored one may ask for no more memory or time than four times that. */
const ARGON2 = { m: 19_456, t: 2, p: 1 };
/** 2^17 · 8 · 128 bytes = 128 MiB. */
const SCRYPT = { ln: 17, r: 8, p: 1 };

interface Parsed {
  readonly kind: "argon2id" | "scrypt";
  /** As they stand in the text. */
  readonly parameters: string;
  readonly numbers: Readonly<Record<string, number>>;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

export interface PasswordHasherOptions {
  /** For tests, and where there is none. */
  readonly argon2?: boolean;
  /** Hashes that are computed at once, and that wait for it. Default: those of people's log-ins. */
  readonly atOnceMax?: number;
  readonly waitingMax?: number;
}

export function passwordHasher({
  argon2 = typeof crypto.argon2 === "function",
  atOnceMax = LIMITS.people.hashesAtOnceMax,
  waitingMax = LIMITS.people.hashesWaitingMax,
}: PasswordHasherOptions = {}): PasswordHasher {
  const queue = new Queue(atOnceMax, waitingMax);
  const kind = argon2 ? "argon2id" : "scrypt";
  const parameters = argon2
    ? `v=19$m=${ARGON2.m},t=${ARGON2.t},p=${ARGON2.p}`
    : `ln=${SCRYPT.ln},r=${SCRYPT.r},p=${SCRYPT.p}`;
  return {
    hash: async (password) => {
      const salt = crypto.randomBytes(SALT_BYTES);
      const numbers = argon2 ? ARGON2 : SCRYPT;
      const hash = await queue.run(() => derive(password, { kind, numbers, salt, hash: Buffer.alloc(HASH_BYTES) }));
      return `$${kind}$${parameters}$${unpadded(salt)}$${unpadded(hash)}`;
    },
    verify: async (password, stored) => {
      const parsed = parse(stored);
      if (parsed === null) return "wrong";
      const hash = await queue.run(() => derive(password, parsed));
      if (!crypto.timingSafeEqual(hash, parsed.hash)) return "wrong";
      return parsed.kind === kind && parsed.parameters === parameters ? "right" : "outdated";
    },
  };
}

/** Each takes a thread of the pool, which reads our files too, and much memory. */
class Queue {
  readonly #atOnceMax: number;
  readonly #waitingMax: number;
  #running = 0;
  /** `#waitingMax` at most. */
  readonly #waiting: (() => void)[] = [];

  constructor(atOnceMax: number, waitingMax: number) {
    this.#atOnceMax = atOnceMax;
    this.#waitingMax = waitingMax;
  }

  async run(work: () => Promise<Buffer>): Promise<Buffer> {
    if (this.#running >= this.#atOnceMax) {
      if (this.#waiting.length >= this.#waitingMax) {
        throw new TidewireError("TOO_MANY_REQUESTS", { retryAfter: "a few seconds" });
      }
      // Whoever ends hands his place on.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

function derive(password: string, { kind, numbers, salt, hash }: Omit<Parsed, "parameters">): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, key: Buffer): void => {
      if (error === null) resolve(key);
      else reject(new TidewireError("INTERNAL", { reason: `a password cannot be hashed: ${reasonOf(error)}` }));
    };
    if (kind === "argon2id") {
      const { m, t, p } = numbers as typeof ARGON2;
      const message = Buffer.from(password, "utf8");
      crypto.argon2(
        "argon2id",
        { message, nonce: salt, memory: m, passes: t, parallelism: p, tagLength: hash.length },
        done,
      );
    } else {
      const { ln, r, p } = numbers as typeof SCRYPT;
      const maxmem = 2 ** ln * r * 128 + 2 ** 20;
      crypto.scrypt(password, salt, hash.length, { N: 2 ** ln, r, p, maxmem }, done);
    }
  });
}

const ARGON2_TEXT = /^\$argon2id\$(v=19\$m=(\d{1,6}),t=(\d{1,2}),p=(\d))\$([\w+/]{11,64})\$([\w+/]{22,128})$/;
const SCRYPT_TEXT = /^\$scrypt\$(ln=(\d{1,2}),r=(\d{1,2}),p=(\d))\$([\w+/]{11,64})\$([\w+/]{22,128})$/;

/** Null where it is none of ours, or asks for more than we would ever give. */
function parse(stored: string): Parsed | null {
  const argon2 = ARGON2_TEXT.exec(stored);
  const match = argon2 ?? SCRYPT_TEXT.exec(stored);
  if (match === null) return null;
  const [first, second, third] = match.slice(2, 5).map(Number) as [number, number, number];
  if (argon2 === null ? first > SCRYPT.ln + 2 || second > 16 : first > ARGON2.m * 4 || second > ARGON2.t * 4)
    return null;
  const numbers: Record<string, number> =
    argon2 === null ? { ln: first, r: second, p: third } : { m: first, t: second, p: third };
  return {
    kind: argon2 === null ? "scrypt" : "argon2id",
    parameters: match[1]!,
    numbers,
    salt: Buffer.from(match[5]!, "base64"),
    hash: Buffer.from(match[6]!, "base64"),
  };
}

function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
