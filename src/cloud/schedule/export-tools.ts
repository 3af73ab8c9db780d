/** What an export on schedule works with: its manifest, its spool file, its destination. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ManifestFile } from "../../adapters/files/mod.ts";
import { openObjects, spool } from "../../adapters/objects/mod.ts";
import type { ColdPlace } from "../../adapters/objects/mod.ts";
import type { Limits, Logger, Objects, Scheduler } from "../../base/mod.ts";
import type { ExportState, ExportTools, ExportedFile } from "./export.ts";

export interface ExportPlace {
  /** `DATA/exports`. */
  readonly folder: string;
  readonly name: string;
  readonly to: ColdPlace;
}

interface Ports {
  readonly limits: Limits["archive"];
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

/** Throws MANIFEST_NEWER, or the system's error. A manifest that is lost begins anew, and says so. */
export async function exportTools(
  { folder, name, to }: ExportPlace,
  { limits, scheduler, logger }: Ports,
): Promise<Pick<ExportTools, "state" | "objects" | "spool">> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${name}.json`);
  const state = await ManifestFile.open({ path, format: "tidewire-export", version: 1, validate, logger });
  if (state.state === "lost") {
    logger.error("What an export has written is not known any more; it begins anew with the present range", {
      export: name,
    });
  }
  let objects: Promise<Objects> | null = null;
  const spoolPath = join(folder, `${name}.tmp`);
  await rm(spoolPath, { force: true });
  return {
    state,
    objects: () => {
      if (to.kind === "folder") return makeFolder(to).then(() => openObjects(to, limits, { scheduler }));
      objects ??= openObjects(to, limits, { scheduler });
      objects.catch(() => (objects = null));
      return objects;
    },
    spool: (stream) => spool(stream, spoolPath),
  };
}

async function makeFolder({ path }: Extract<ColdPlace, { kind: "folder" }>): Promise<void> {
  await mkdir(path, { recursive: false }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error; // its parent must be there: it may be an empty mount point
  });
}

function validate(content: unknown): ExportState {
  const { next, files } = content as ExportState;
  const sound = Number.isSafeInteger(next) && Array.isArray(files) && files.every(isFile);
  if (!sound) throw new Error("an entry is not what it should be");
  return { next, files };
}

function isFile(file: ExportedFile): boolean {
  return (
    typeof file.name === "string" &&
    [file.from, file.to, file.bytes].every((one) => Number.isSafeInteger(one)) &&
    /^[0-9a-f]{64}$/.test(file.sha256) &&
    typeof file.incomplete === "boolean"
  );
}
