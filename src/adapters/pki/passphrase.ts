/** Where the passphrase of the CA's keys comes from: never the command line, which every user of the machine can read. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { TidewireError, reasonOf } from "../../base/mod.ts";

export const PASSPHRASE_VARIABLE = "TIDEWIRE_CA_PASSPHRASE";
const CREDENTIAL = "tidewire-ca-passphrase";
/** Below it guessing is quick, scrypt or not. */
const CHARACTERS_MIN = 8;

/**
 * From `file`, the environment, or systemd's credentials, in this order; null where there is none. Processes that we start
 * do not inherit it. Throws CA_PASSPHRASE_UNUSABLE.
 */
export function findPassphrase(file: string | undefined, environment: NodeJS.ProcessEnv = process.env): string | null {
  const variable = environment[PASSPHRASE_VARIABLE];
  delete environment[PASSPHRASE_VARIABLE];
  if (file !== undefined) return readPassphraseFile(file);
  if (variable !== undefined) return checked(variable, PASSPHRASE_VARIABLE);
  const folder = environment["CREDENTIALS_DIRECTORY"];
  const path = folder === undefined ? null : join(folder, CREDENTIAL);
  return path === null || !existsSync(path) ? null : readPassphraseFile(path);
}

/** Throws CA_PASSPHRASE_UNUSABLE. */
export function readPassphraseFile(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw unusable(path, reasonOf(error), error);
  }
  const text = bytes.toString("utf8");
  // A key file holds random bytes, not a text.
  const isText = Buffer.from(text).equals(bytes) && !text.includes("\0");
  return checked(isText ? text.replace(/\r?\n$/, "") : bytes.toString("base64"), path);
}

function checked(text: string, source: string): string {
  if (text.length < CHARACTERS_MIN) throw unusable(source, `it has fewer than ${CHARACTERS_MIN} characters`);
  if (text.length > 1024) throw unusable(source, "it has more than 1,024 characters");
  return text;
}

function unusable(source: string, reason: string, cause?: unknown): TidewireError {
  return new TidewireError("CA_PASSPHRASE_UNUSABLE", { source, reason }, { cause });
}
