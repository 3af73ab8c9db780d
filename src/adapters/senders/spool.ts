/** Files below the spool folder: written beside, synced, renamed, so that whoever sees a name sees all of it. */
import { mkdir, open, rename, unlink } from "node:fs/promises";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { reasonOf } from "../../base/mod.ts";
import { DONE, forAll, targetFails } from "../../rules/mod.ts";
import type { Parcel, Receiver, Sender, Verdict } from "../../rules/mod.ts";
import { syncFolder } from "../sync-folder.ts";

const NEWLINE = Buffer.from("\n");

export function spoolSender(receiver: Receiver, root: string): Sender {
  const { folder, format } = receiver.settings as { folder: string; format: "lines" | "message" };
  const path = join(root, folder);
  const send = async (batch: readonly Parcel[]): Promise<readonly Verdict[]> => {
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
      if (format === "message") for (const parcel of batch) await write(path, nameOf([parcel], ".json"), [parcel.body]);
      else await write(path, nameOf(batch, ".jsonl"), batch.flatMap(lineOf));
      await syncFolder(path);
      return forAll(batch, DONE);
    } catch (error) {
      return forAll(batch, targetFails(reasonOf(error)));
    }
  };
  return { send, close: () => Promise.resolve() };
}

/** Sorts by time; the same parcels have the same name, so that the second time replaces the first. */
function nameOf(batch: readonly Parcel[], suffix: string): string {
  const hash = createHash("sha256");
  for (const { id } of batch) hash.update(`${id}\n`);
  const at = String(batch[0]!.createdAt).padStart(13, "0");
  return `${at}-${hash.digest("hex").slice(0, 16)}${suffix}`;
}

/** Bytes that are no JSON become a JSON string of base64. */
function lineOf({ body, fields }: Parcel): Uint8Array[] {
  const line = fields["raw"] === undefined ? body : Buffer.from(JSON.stringify(Buffer.from(body).toString("base64")));
  return [line, NEWLINE];
}

async function write(folder: string, name: string, parts: readonly Uint8Array[]): Promise<void> {
  const beside = join(folder, `.${name}.tmp`);
  const file = await open(beside, "w", 0o600);
  try {
    await file.writeFile(Buffer.concat(parts)); // all of it, or an error
    await file.sync();
  } catch (error) {
    await unlink(beside).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
  await rename(beside, join(folder, name));
}
