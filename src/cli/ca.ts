/** `tidewire ca`: the certificate authorities of a platform. */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { AuthorityStatus, KeyFolder } from "../adapters/pki/mod.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { optionFault } from "./option-fault.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly json?: boolean;
  readonly caPassphraseFile?: string;
  readonly filePassphraseFile?: string;
  readonly newPassphraseFile?: string;
  readonly remove?: boolean;
  readonly yes?: boolean;
}

const EXAMPLES = `
Take the root's key to a safe place (the platform runs on without it):
  tidewire ca export-root /mnt/usb/root.pem --file-passphrase-file passphrase.txt
Replace the root, with nobody locked out:
  tidewire ca rollover root, wait until all devices have renewed, tidewire ca retire`;

export function caCommand(output: Output): Command {
  const ca = new Command("ca").description("certificate authorities: look, replace, take the root's key away");
  ca.addHelpText("after", EXAMPLES);
  ca.addCommand(
    withConnection(new Command("status"))
      .description("which CAs there are, when they end, and what should be done")
      .option("--json", "print the result as JSON")
      .action(async (options: Options) => {
        show(await clientOf(options).get<AuthorityStatus>("/api/authority"), options, output);
      }),
  );
  const rollover = new Command("rollover").description("make a new one, trusted beside the old");
  for (const [name, path, description] of [
    ["intermediate", "rollover-issuing", "a new issuing CA; certificates of the one before stay good"],
    ["root", "rollover-root", "a new root and an issuing CA below it; the old root stays trusted until it is retired"],
  ] as const) {
    rollover.addCommand(changing(name, path, description, output));
  }
  ca.addCommand(rollover);
  ca.addCommand(retireCommand(output));
  ca.addCommand(exportCommand(output));
  ca.addCommand(importCommand(output));
  ca.addCommand(passphraseCommand(output));
  return ca;
}

function changing(name: string, path: string, description: string, output: Output): Command {
  return withConnection(new Command(name))
    .description(description)
    .option("--json", "print the result as JSON")
    .action(async (options: Options) => {
      show(await clientOf(options).call<AuthorityStatus>("POST", `/api/authority/${path}`), options, output);
    });
}

function retireCommand(output: Output): Command {
  return withConfirmation(withConnection(new Command("retire")))
    .description("trust former roots no longer, once no device needs them")
    .option("--json", "print the result as JSON")
    .action(async (options: Options) => {
      const means = [
        "certificates below a former root are never trusted again; it is refused while an active one is left",
      ];
      await confirm(options, () => ({ what: "Retiring the former roots", name: "retire", means }), output);
      show(await clientOf(options).call<AuthorityStatus>("POST", "/api/authority/retire"), options, output);
    });
}

function show(status: AuthorityStatus, { json }: Options, output: Output): void {
  if (json === true) return output.result(JSON.stringify(status));
  const rows = status.cas.map(({ name, role, notAfter }) => [
    name,
    role,
    new Date(notAfter).toISOString().slice(0, 10),
  ]);
  output.result(table([["CA", "ROLE", "ENDS"], ...rows]));
  const where = status.rootKey === "here" ? "in the data folder" : "kept elsewhere";
  output.result(`The root's key is ${where}; keys are ${status.keysEncrypted ? "encrypted" : "not encrypted"}.`);
  if (status.advice !== null) output.result(status.advice);
}

function onFolder(name: string): Command {
  return new Command(name)
    .option("--data <folder>", "data folder of a platform that does not run now", "tidewire-data")
    .option("--ca-passphrase-file <file>", "passphrase of the keys in the folder");
}

function exportCommand(output: Output): Command {
  return onFolder("export-root")
    .description("write the root's key and certificate into a file and remove the key from the data folder")
    .argument("<file>", "file to write; must not exist")
    .option("--file-passphrase-file <file>", "passphrase that the key is encrypted with in the file")
    .action(async (file: string, options: Options) => {
      const { exportRoot, readPassphraseFile } = await import("../adapters/pki/mod.ts");
      const passphrase =
        options.filePassphraseFile === undefined ? null : readPassphraseFile(options.filePassphraseFile);
      await withKeys(options, (folder) => exportRoot(folder, passphrase, (text) => keep(resolve(file), text)));
      output.result(`The root's key is in ${file}, and no longer in ${options.data}. Keep two copies in two places.`);
      if (passphrase === null) output.note("It is not encrypted: whoever reads the file can become this platform.");
    });
}

function importCommand(output: Output): Command {
  return onFolder("import")
    .description("bring the root's key back into the data folder, for what needs it")
    .argument("<file>", "as `tidewire ca export-root` wrote it")
    .option("--file-passphrase-file <file>", "passphrase of the key in the file")
    .action(async (file: string, options: Options) => {
      const { importRoot, readPassphraseFile } = await import("../adapters/pki/mod.ts");
      const passphrase =
        options.filePassphraseFile === undefined ? null : readPassphraseFile(options.filePassphraseFile);
      const text = readText(file);
      await withKeys(options, (folder) => importRoot(folder, text, file, passphrase));
      output.result(`The root's key is in ${options.data} again. Start the platform; it replaces what was due.`);
    });
}

function passphraseCommand(output: Output): Command {
  return onFolder("passphrase")
    .description("change the passphrase of the CAs' keys")
    .option("--new-passphrase-file <file>", "the new one")
    .option("--remove", "encrypt the keys no longer")
    .action(async (options: Options) => {
      const { changePassphrase, readPassphraseFile } = await import("../adapters/pki/mod.ts");
      if ((options.newPassphraseFile === undefined) === (options.remove !== true)) {
        throw optionFault("ca passphrase", "--new-passphrase-file", "give either it or --remove");
      }
      const next = options.newPassphraseFile === undefined ? null : readPassphraseFile(options.newPassphraseFile);
      await withKeys(options, (folder) => changePassphrase(folder, next));
      output.result(next === null ? "The keys are not encrypted any more." : "The keys are encrypted with it.");
    });
}

/** Key material never travels through the API, so the folder must be ours alone. Throws DATA_FOLDER_LOCKED. */
async function withKeys(options: Options, work: (folder: KeyFolder) => Promise<void>): Promise<void> {
  const { findPassphrase } = await import("../adapters/pki/mod.ts");
  const { openSecrets } = await import("../adapters/secrets/mod.ts");
  const { openDataFolder } = await import("../adapters/data-folder.ts");
  const { openLogger } = await import("../adapters/logger.ts");
  const path = resolve(options.data);
  const passphrase = findPassphrase(options.caPassphraseFile);
  const data = openDataFolder(path);
  const logger = openLogger({ level: "info", file: join(path, "platform.log"), terminal: false });
  try {
    await work({ secrets: openSecrets(join(path, "secrets"), { logger, established: true }), logger, passphrase });
  } finally {
    logger.close();
    data.release();
  }
}

/** On disk when it returns; never over something else. */
function keep(path: string, text: string): void {
  try {
    const file = openSync(path, "wx", 0o600);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new TidewireError("FILE_UNWRITABLE", { path, reason: reasonOf(error) }, { cause: error });
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const remedy = "Check the path and the file's permissions.";
    throw new TidewireError(
      "CA_REFUSED",
      { reason: `${path} cannot be read: ${reasonOf(error)}`, remedy },
      { cause: error },
    );
  }
}
