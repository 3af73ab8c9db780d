/**
 * Log-ins that were right, so that a fleet that comes back together does not wait for slow hashes: a keyed hash of each, under
 * a key that exists in this process's memory only, good for as long as the stored hash is the same.
 */
import { encodeUtf8 } from "../../base/mod.ts";
import type { Random } from "../../base/mod.ts";
import type { DevicePassword } from "../../registry/mod.ts";

export interface KeyedHash {
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
}

const KEY_BYTES = 32;

export class Remembered {
  readonly #hash: KeyedHash;
  readonly #key: Uint8Array;
  readonly #max: number;
  /** By thing, the least recently seen first; `#max` at most. */
  readonly #known = new Map<string, Uint8Array>();

  constructor(hash: KeyedHash, random: Random, max: number) {
    this.#hash = hash;
    this.#key = random.bytes(KEY_BYTES);
    this.#max = max;
  }

  knows(stored: DevicePassword, password: string): boolean {
    const known = this.#known.get(stored.thingName);
    if (known === undefined) return false;
    const given = this.#mark(stored, password);
    let difference = 0;
    for (let index = 0; index < known.length; index++) difference |= known[index]! ^ given[index]!;
    if (difference !== 0) return false;
    this.#known.delete(stored.thingName);
    this.#known.set(stored.thingName, known);
    return true;
  }

  keep(stored: DevicePassword, password: string): void {
    this.#known.delete(stored.thingName);
    this.#known.set(stored.thingName, this.#mark(stored, password));
    if (this.#known.size <= this.#max) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }

  #mark({ thingName, hash }: DevicePassword, password: string): Uint8Array {
    return this.#hash.hmacSha256(this.#key, encodeUtf8(`${thingName}\n${hash}\n${password}`));
  }
}
