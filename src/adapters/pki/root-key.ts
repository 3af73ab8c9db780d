/** The root's key on its way out of the data folder and back, and the passphrase of all of them; while no platform runs. */
import { X509Certificate } from "node:crypto";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import { damaged } from "../secrets/secrets.ts";
import type { Secrets } from "../secrets/secrets.ts";
import { reseal, rootOf } from "./authority-files.ts";
import type { AuthorityFiles } from "./authority-files.ts";
import { readState, writeState } from "./authority-state.ts";
import type { AuthorityState } from "./authority-state.ts";
import { KeyVault } from "./key-vault.ts";

export interface KeyFolder {
  readonly secrets: Secrets;
  readonly logger: Logger;
  /** Of the keys in the folder; null where they lie open. */
  readonly passphrase: string | null;
}

/**
 * Takes the root's key out of the folder. `keep` gets it, encrypted with `exportPassphrase` where there is one, and returns
 * once it lies safely elsewhere; only then it is removed here. Throws CA_REFUSED, CA_ROOT_OFFLINE, CA_KEY_LOCKED.
 */
export async function exportRoot(
  folder: KeyFolder,
  exportPassphrase: string | null,
  keep: (text: string) => void,
): Promise<void> {
  const { files, state } = open(folder);
  if (state.direct || state.formerRoots.some(({ key }) => key !== null)) {
    const reason = "devices of an earlier Tidewire accept the server's certificate only straight from this root";
    const remedy =
      "Make a new root first (`tidewire ca rollover root`), and retire the old one (`tidewire ca retire`) once all devices have renewed.";
    throw new TidewireError("CA_REFUSED", { reason, remedy });
  }
  rootOf(files, state, "export it");
  const text = folder.secrets.read("ca.key")!;
  const key = files.vault.open(text, `${folder.secrets.folder}/ca.key`);
  keep(`${await new KeyVault(exportPassphrase).seal(key)}${state.root}`);
  writeState(folder.secrets, { ...state, rootOffline: true });
  folder.secrets.remove("ca.key");
  folder.logger.info("the root's key was taken out of the data folder", { audit: true });
}

/** Puts it back. Throws CA_REFUSED where it is another key, CA_KEY_LOCKED, CA_PASSPHRASE_WRONG. */
export async function importRoot(
  folder: KeyFolder,
  text: string,
  path: string,
  passphrase: string | null,
): Promise<void> {
  const { files, state } = open(folder);
  const pem = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/.exec(text)?.[0];
  const wrong = (reason: string): TidewireError =>
    new TidewireError("CA_REFUSED", { reason, remedy: "Name the file that `tidewire ca export-root` wrote." });
  if (pem === undefined) throw wrong(`${path} holds no private key`);
  let key;
  try {
    key = new KeyVault(passphrase).open(pem, path);
  } catch (error) {
    if (error instanceof TidewireError) throw error;
    throw wrong(`${path} cannot be read (${reasonOf(error)})`);
  }
  if (!new X509Certificate(state.root).checkPrivateKey(key)) throw wrong(`${path} holds the key of another CA`);
  folder.secrets.write("ca.key", await files.vault.seal(key));
  writeState(folder.secrets, { ...state, rootOffline: false });
  folder.logger.info("the root's key was brought back into the data folder", { audit: true });
}

/** From `folder.passphrase` to `next`; either may be null. After a crash the same call finishes it. */
export async function changePassphrase(folder: KeyFolder, next: string | null): Promise<void> {
  const { files, state } = open(folder);
  const [before, after] = [files.vault, new KeyVault(next)];
  const opened = (text: string, path: string) => {
    if (next === null) return before.open(text, path);
    try {
      return before.open(text, path);
    } catch (error) {
      try {
        return after.open(text, path); // by a call before this one, that a crash cut short
      } catch {
        throw error;
      }
    }
  };
  await reseal(files, state, () => true, after, opened);
}

function open({ secrets, logger, passphrase }: KeyFolder): { files: AuthorityFiles; state: AuthorityState } {
  const state = readState(secrets);
  if (state === null) {
    const remedy = "Start the platform once: it makes the CA, or takes over that of an earlier Tidewire.";
    throw new TidewireError("CA_REFUSED", { reason: `${secrets.folder} holds no CA of this Tidewire yet`, remedy });
  }
  if (state.pendingKey !== null) {
    const remedy = "Start the platform once; it finishes that.";
    throw new TidewireError("CA_REFUSED", { reason: "a new root is not in its place yet", remedy });
  }
  const vault = new KeyVault(passphrase);
  const { root } = state;
  if (isAnotherRoot(secrets, root)) throw damaged(secrets.folder, "ca.crt", "it is another CA's than authority.json");
  return { files: { secrets, logger, vault, host: "" }, state };
}

function isAnotherRoot(secrets: Secrets, root: string): boolean {
  const shown = secrets.read("ca.crt");
  return shown === null || !new X509Certificate(shown).publicKey.equals(new X509Certificate(root).publicKey);
}
