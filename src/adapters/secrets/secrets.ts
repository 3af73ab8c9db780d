/**
 * `DIR/secrets`: the CAs' and the server's keys and certificates, the administrator's token, the key of dashboard sessions.
 * What is there is used or refused, never replaced: a new CA would lock every device out.
 */
import { X509Certificate, createPrivateKey, randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { join } from "node:path";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import { removeDurably, removeTemporaryFiles, writeAtomically } from "./atomic-file.ts";
import type { OnStep } from "./atomic-file.ts";
import { SecretChecksums, contentOf } from "./checksums.ts";

export const SECRET_FILES = [
  "admin-token",
  "session-key",
  "ca.key",
  "ca.crt",
  "authority.json",
  "server.key",
  "server.crt",
  "audit.key",
  "audit.pub",
] as const;
export type SecretFile = (typeof SECRET_FILES)[number];

export interface SecretsOptions {
  readonly logger: Logger;
  /**
   * True where this data folder has served before (it holds a registry): then a missing CA is a loss, not a first start.
   * So the CA must be opened before the registry is made.
   */
  readonly established?: boolean;
  readonly onStep?: OnStep;
}

export interface Secrets {
  readonly folder: string;
  /** The administrator's token was made just now, so it has to be shown. */
  readonly adminTokenIsNew: boolean;
  /** `tw_` and 256 bits in base64url. */
  readonly adminToken: string;
  /** 32 bytes. */
  readonly sessionKey: Uint8Array;
  /** Null where there is no such file. */
  read(file: SecretFile): string | null;
  /** Atomic and durable, mode 0600. */
  write(file: SecretFile, content: string): void;
  /** For a key that is kept elsewhere from now on. */
  remove(file: "ca.key"): void;
}

/**
 * Opens the folder, makes it and the two tokens if they are missing, and checks what is there.
 * Throws SECRETS_UNUSABLE (permissions, disk) or SECRET_DAMAGED (content).
 */
export function openSecrets(folder: string, options: SecretsOptions): Secrets {
  const { logger, onStep } = options;
  guarded(folder, () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    protect(folder, 0o700, logger);
    const left = removeTemporaryFiles(folder);
    if (left.length > 0)
      logger.warn("unfinished secret files of an interrupted start were removed", { files: left.length });
    for (const file of SECRET_FILES) protect(join(folder, file), 0o600, logger);
  });
  const read = (file: SecretFile): string | null => guarded(folder, () => readIfThere(join(folder, file)));
  const checksums = guarded(folder, () => new SecretChecksums(folder, logger, onStep));
  const write = (file: SecretFile, content: string): void =>
    guarded(folder, () => {
      checksums.announce(file, content);
      writeAtomically(folder, file, content, onStep);
    });
  checkAuthority(folder, read, options.established === true);
  checkPair(folder, read, "server");
  const token = tokenIn(folder, read("admin-token"));
  const key = sessionKeyIn(folder, read("session-key"));
  checkAll(folder, checksums);
  const adminToken = token ?? `tw_${randomBytes(32).toString("base64url")}`;
  if (token === null) write("admin-token", `${adminToken}\n`);
  const sessionKey = key ?? new Uint8Array(randomBytes(32));
  if (key === null) write("session-key", `${Buffer.from(sessionKey).toString("base64url")}\n`);
  const remove = (file: "ca.key"): void => guarded(folder, () => removeDurably(folder, file));
  return { folder, adminTokenIsNew: token === null, adminToken, sessionKey, read, write, remove };
}

function checkAll(folder: string, checksums: SecretChecksums): void {
  guarded(folder, () => {
    const there: [SecretFile, string][] = [];
    for (const file of SECRET_FILES) {
      const content = contentOf(join(folder, file));
      if (content === null) continue;
      if (!checksums.fits(file, content)) {
        throw damaged(folder, file, `it is not as it was written; if that was on purpose, delete ${folder}/checksums`);
      }
      there.push([file, content]);
    }
    checksums.adopt(there);
  });
}

export function damaged(folder: string, file: SecretFile, reason: string): TidewireError {
  return new TidewireError("SECRET_DAMAGED", { file: join(folder, file), reason, remedy: remedyFor(folder, file) });
}

function remedyFor(folder: string, file: SecretFile): string {
  if (file === "ca.key" || file === "ca.crt" || file === "authority.json") {
    return `Restore ${folder}/ca.key, ca.crt and authority.json from a backup: a new CA would lock out every device, so none is made.`;
  }
  if (file === "admin-token") {
    return `Restore ${folder}/admin-token, or delete it: a new token is made and shown at the next start.`;
  }
  if (file === "session-key") {
    return `Delete ${folder}/session-key: a new one is made at the next start, and everybody has to log in again.`;
  }
  if (file === "audit.key" || file === "audit.pub") {
    return `Restore ${folder}/audit.key and audit.pub from a backup, or delete both: a new key is made, and the audit log says so. Keep the old audit.pub: it proves what was signed so far.`;
  }
  return `Delete ${folder}/server.key and server.crt: new ones are made at the next start, and devices notice nothing.`;
}

/**
 * The certificate is written last, so a key alone is a first start that was cut short: it signed nothing yet and is used.
 * Once there is a server certificate, or a registry, the CA was complete, and a missing half is a loss.
 */
function checkAuthority(folder: string, read: (file: SecretFile) => string | null, established: boolean): void {
  const [key, certificate] = [read("ca.key"), read("ca.crt")];
  const { rootOffline, pendingKey } = rootNotes(folder, read("authority.json"));
  const wasComplete = established || certificate !== null || read("server.crt") !== null;
  if (wasComplete && key === null && !rootOffline)
    throw damaged(folder, "ca.key", "it is missing, but this platform had it before");
  if (wasComplete && certificate === null)
    throw damaged(folder, "ca.crt", "it is missing, but this platform had it before");
  // Where a new root takes the old one's place, or lies elsewhere, whoever opens the CA looks whether they fit.
  if (!rootOffline && pendingKey === null) checkPair(folder, read, "ca");
}

interface RootNotes {
  readonly rootOffline: boolean;
  readonly pendingKey: string | null;
}

function rootNotes(folder: string, text: string | null): RootNotes {
  if (text === null) return { rootOffline: false, pendingKey: null };
  const notes = parsed(() => JSON.parse(text) as RootNotes | null);
  if (typeof notes !== "object" || notes === null) throw damaged(folder, "authority.json", "it is no JSON");
  return notes;
}

function checkPair(folder: string, read: (file: SecretFile) => string | null, name: "ca" | "server"): void {
  const [keyPem, certificatePem] = [read(`${name}.key`), read(`${name}.crt`)];
  // An encrypted one is looked at by who has the passphrase.
  const isSealed = keyPem?.includes("-----BEGIN ENCRYPTED PRIVATE KEY-----") === true;
  const key = keyPem === null || isSealed ? null : parsed(() => createPrivateKey(keyPem));
  if (key === undefined) throw damaged(folder, `${name}.key`, "it holds no private key in PEM form");
  const certificate = certificatePem === null ? null : parsed(() => new X509Certificate(certificatePem));
  if (certificate === undefined) throw damaged(folder, `${name}.crt`, "it holds no certificate in PEM form");
  if (certificate === null || isSealed) return;
  if (key === null) throw damaged(folder, `${name}.key`, `it is missing, but ${name}.crt is there`);
  if (!certificate.checkPrivateKey(key)) throw damaged(folder, `${name}.key`, `it does not fit ${name}.crt`);
}

function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

function tokenIn(folder: string, content: string | null): string | null {
  if (content === null) return null;
  const token = content.trim();
  if (!/^tw_[A-Za-z0-9_-]{43}$/.test(token)) throw damaged(folder, "admin-token", "it holds no token");
  return token;
}

function sessionKeyIn(folder: string, content: string | null): Uint8Array | null {
  if (content === null) return null;
  if (!/^[A-Za-z0-9_-]{43}$/.test(content.trim())) throw damaged(folder, "session-key", "it holds no key");
  return new Uint8Array(Buffer.from(content.trim(), "base64url"));
}

/** Takes away what others may do with a file or folder; told, because somebody may have read it. */
function protect(path: string, mode: number, logger: Logger): void {
  const stats = statIfThere(path);
  if (stats === null) return;
  const wantsFolder = mode === 0o700;
  if (stats.isDirectory() !== wantsFolder) throw new Error(`${path} is ${wantsFolder ? "no folder" : "a folder"}`);
  if ((stats.mode & 0o777) === mode) return;
  chmodSync(path, mode);
  const was = (stats.mode & 0o777).toString(8).padStart(4, "0");
  if ((stats.mode & 0o077) === 0) logger.info("permissions of a secret were corrected", { path, was });
  else logger.warn("a secret was open to other users of this machine; closed it", { path, was });
}

function statIfThere(path: string): Stats | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}

function readIfThere(path: string): string | null {
  return statIfThere(path) === null ? null : readFileSync(path, "utf8");
}

/** File system errors become one clear sentence; ours pass through. */
function guarded<T>(folder: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TidewireError) throw error;
    throw new TidewireError("SECRETS_UNUSABLE", { path: folder, reason: reasonOf(error) }, { cause: error });
  }
}
