/** Secrets that rules ask for. Values are held for a minute and never told to anybody else. */
import { readSecret } from "../../adapters/answers/secret-source.ts";
import type { Clock, Limits, Millis } from "../../base/mod.ts";
import type { SecretConfig } from "./config.ts";

interface Held {
  readonly bytes: Promise<Uint8Array>;
  readonly until: Millis;
}

export class RuleSecrets {
  readonly #sources: Readonly<Record<string, SecretConfig>>;
  readonly #clock: Clock;
  readonly #limits: Limits["answers"];
  /** Bounded by the configuration. */
  readonly #held = new Map<string, Held>();

  constructor(sources: Readonly<Record<string, SecretConfig>>, clock: Clock, limits: Limits["answers"]) {
    this.#sources = sources;
    this.#clock = clock;
    this.#limits = limits;
  }

  get names(): string[] {
    return Object.keys(this.#sources);
  }

  /** Text without the line end that editors leave; bytes in base64. Rejects where it cannot be read. */
  async read(name: string, type: "SecretString" | "SecretBinary"): Promise<string> {
    const bytes = await this.#bytes(name);
    if (type === "SecretBinary") return Buffer.from(bytes).toString("base64");
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, "");
  }

  #bytes(name: string): Promise<Uint8Array> {
    const source = Object.hasOwn(this.#sources, name) ? this.#sources[name]! : null;
    if (source === null) return Promise.reject(new Error(`there is no secret '${name}'`));
    const now = this.#clock.monotonic();
    const held = this.#held.get(name);
    if (held !== undefined && now < held.until) return held.bytes;
    const bytes = readSecret(source, this.#limits.secretBytesMax);
    this.#held.set(name, { bytes, until: now + this.#limits.secretCachedFor });
    bytes.catch(() => this.#held.delete(name)); // the next one may have better luck
    return bytes;
  }
}
