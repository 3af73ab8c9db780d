/**
 * Checks of a configuration's values. Small on purpose: the schema library that the platform uses costs an agent 14 MB of
 * memory, a fifth of what it may have.
 */
import type { Bytes, Millis } from "../base/mod.ts";
import { TidewireError, closestWord, spanIn } from "../base/mod.ts";

/** A value with the way to it, for the message. */
export interface Found {
  readonly value: unknown;
  readonly key: string;
}

export class Checker {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Fields of a mapping by name; CONFIG_KEY_UNKNOWN for one that is not known. */
  mapping<Name extends string>(found: Found, known: readonly Name[]): Readonly<Partial<Record<Name, Found>>> {
    const { value, key } = found;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.wrong(key === "" ? "the whole file" : key, `it must be a mapping of ${known.join(", ")}`);
    }
    const fields: Partial<Record<Name, Found>> = {};
    for (const [name, inner] of Object.entries(value)) {
      const path = key === "" ? name : `${key}.${name}`;
      if (!isOneOf(name, known)) throw this.#unknown(path, name, known);
      fields[name] = { value: inner, key: path };
    }
    return fields;
  }

  list(found: Found, bounds: { readonly min: number; readonly max: number }): readonly Found[] {
    const { value, key } = found;
    if (!Array.isArray(value)) throw this.wrong(key, "it must be a list (one `- ` per entry)");
    if (value.length < bounds.min) throw this.wrong(key, `it needs at least ${bounds.min}`);
    if (value.length > bounds.max) throw this.wrong(key, `it has ${value.length} entries, more than ${bounds.max}`);
    return value.map((inner: unknown, index) => ({ value: inner, key: `${key}.${index}` }));
  }

  text(found: Found | undefined, key: string): string {
    if (found === undefined || found.value === null) throw this.wrong(key, "it is missing");
    if (typeof found.value !== "string" || found.value.trim() === "") throw this.wrong(key, "it must be a text");
    return found.value;
  }

  /** `100ms`, `1s`, `5m`, `1h`. */
  span(found: Found, bounds: { readonly min: Millis; readonly max: Millis }): Millis {
    const span = spanIn(String(found.value).replace(/^([\d.]+) /, "$1"));
    if (span === null) throw this.wrong(found.key, "it must be a time like 500ms, 1s, 5m or 1h");
    const { min, max } = bounds;
    if (span < min || span > max) throw this.wrong(found.key, `it must be between ${min} ms and ${max} ms`);
    return span;
  }

  count(found: Found, bounds: { readonly min: number; readonly max: number }): number {
    return this.#within(found, found.value, bounds);
  }

  /** A number of bytes, or one with a unit: `64MiB`, `2GB`. */
  bytes(found: Found, bounds: { readonly min: Bytes; readonly max: Bytes }): Bytes {
    const match = /^(\d+) ?(B|kB|KB|MB|GB|KiB|MiB|GiB)$/.exec(String(found.value));
    const value = match === null ? found.value : Number(match[1]) * BYTE_UNITS[match[2] as keyof typeof BYTE_UNITS];
    return this.#within(found, value, bounds);
  }

  wrong(key: string, reason: string): TidewireError {
    return new TidewireError("CONFIG_VALUE_INVALID", { file: this.#file, key, reason, command: "agent" });
  }

  #within(found: Found, value: unknown, { min, max }: { readonly min: number; readonly max: number }): number {
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
      throw this.wrong(found.key, `it must be a whole number between ${min} and ${max}`);
    }
    return value;
  }

  #unknown(path: string, name: string, known: readonly string[]): TidewireError {
    const nearest = closestWord(name, known);
    const suggestion = nearest === null ? `Known keys here: ${known.join(", ")}.` : `Did you mean '${nearest}'?`;
    return new TidewireError("CONFIG_KEY_UNKNOWN", { file: this.#file, key: path, suggestion });
  }
}

const BYTE_UNITS = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
} as const;

function isOneOf<Name extends string>(name: string, known: readonly Name[]): name is Name {
  return (known as readonly string[]).includes(name);
}
