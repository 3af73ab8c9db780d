/**
 * `secrets/checksums`: the SHA-256 of each secret, so that a flipped bit in one is noticed: a token with a wrong letter, a key
 * that locks everybody out, a CA certificate whose signature no longer holds would all pass for good ones. A line per
 * file, `<hash>  <file>`, two while one is being replaced; the last line is the hash of those before it.
 */
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "../../base/mod.ts";
import { writeAtomically } from "./atomic-file.ts";
import type { OnStep } from "./atomic-file.ts";

const FILE = "checksums";

export class SecretChecksums {
  readonly #folder: string;
  readonly #onStep: OnStep | undefined;
  /** Bounded by the number of secrets, two each. */
  #known: ReadonlyMap<string, readonly string[]>;

  constructor(folder: string, logger: Logger, onStep?: OnStep) {
    this.#folder = folder;
    this.#onStep = onStep;
    const text = contentOf(join(folder, FILE));
    const known = text === null ? new Map<string, string[]>() : parse(text);
    if (known === null) {
      logger.warn("the checksums of the secrets are damaged; they are made anew", { path: join(folder, FILE) });
      rmSync(join(folder, FILE));
    }
    this.#known = known ?? new Map();
  }

  /** Whether `content` is what was written; true where that is not known. */
  fits(file: string, content: string): boolean {
    return this.#known.get(file)?.includes(hashOf(content)) ?? true;
  }

  /** Before `content` takes the place of what is there: whichever of the two a crash leaves is known. */
  announce(file: string, content: string): void {
    const before = contentOf(join(this.#folder, file));
    const hashes = [...(before === null ? [] : [hashOf(before)]), hashOf(content)];
    this.#save(new Map([...this.#known, [file, hashes]]));
  }

  /** Takes what is there as right, where nothing is known of it yet. */
  adopt(files: readonly (readonly [file: string, content: string])[]): void {
    const fresh = files.filter(([file]) => !this.#known.has(file));
    if (fresh.length === 0) return;
    this.#save(new Map([...this.#known, ...fresh.map(([file, content]) => [file, [hashOf(content)]] as const)]));
  }

  #save(known: ReadonlyMap<string, readonly string[]>): void {
    const lines = [...known].flatMap(([file, hashes]) => hashes.map((hash) => `${hash}  ${file}\n`)).join("");
    writeAtomically(this.#folder, FILE, `${lines}${hashOf(lines)}\n`, this.#onStep);
    this.#known = known;
  }
}

/** The secrets that are not as they were written, while a platform may be writing them; `checksums` where it is that file itself. */
export function damagedSecrets(folder: string): readonly string[] {
  const text = contentOf(join(folder, FILE));
  if (text === null) return [];
  const known = parse(text);
  if (known === null) return [FILE];
  return [...known].flatMap(([file, hashes]) => {
    const content = contentOf(join(folder, file));
    return content === null || hashes.includes(hashOf(content)) ? [] : [file];
  });
}

function parse(text: string): Map<string, string[]> | null {
  const end = text.lastIndexOf("\n", text.length - 2) + 1;
  if (text.slice(end) !== `${hashOf(text.slice(0, end))}\n`) return null;
  const known = new Map<string, string[]>();
  for (const line of text.slice(0, end).split("\n").slice(0, -1)) {
    const [hash, file] = line.split("  ") as [string, string];
    known.set(file, [...(known.get(file) ?? []), hash]);
  }
  return known;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Byte for byte, also where it is no UTF-8 any longer. */
export function contentOf(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}
