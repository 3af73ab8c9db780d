/**
 * The chain: each line holds the SHA-256 of the hash before it and its own entry, byte for byte as it stands there. A
 * line is `{"hash":"<64 hex>","entry":{…}}`, so that any JSON tool reads it and nobody has to make the entry anew to check it.
 */

/** Lower-case hex of the SHA-256 of the text's UTF-8. */
export type Sha256 = (text: string) => string;

/** What the first entry of all is chained to. */
export const CHAIN_START = "0".repeat(64);

const LINE = /^\{"hash":"([0-9a-f]{64})","entry":(\{.*\})\}$/s;

export interface ChainLine {
  readonly hash: string;
  readonly entry: string;
}

export function chainLine(
  previous: string,
  entry: string,
  sha256: Sha256,
): { readonly hash: string; readonly line: string } {
  const hash = sha256(previous + entry);
  return { hash, line: `{"hash":"${hash}","entry":${entry}}\n` };
}

/** Without its line feed; null where it is none. */
export function parseLine(line: string): ChainLine | null {
  const match = LINE.exec(line);
  return match === null ? null : { hash: match[1]!, entry: match[2]! };
}

export function fits(previous: string, { hash, entry }: ChainLine, sha256: Sha256): boolean {
  return sha256(previous + entry) === hash;
}
