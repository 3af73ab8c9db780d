/** The archive's catalog as a manifest beside its files. */
import { join } from "node:path";
import { CATALOG_VERSION, catalogContent } from "../../archive/mod.ts";
import type { CatalogStore } from "../../archive/mod.ts";
import type { Logger } from "../../base/mod.ts";
import { ManifestFile } from "./manifest.ts";
import type { ManifestStep } from "./manifest.ts";

/** Throws MANIFEST_NEWER, or the system's error. `onStep`: told before each step of a write. */
export async function openArchiveCatalog(
  folder: string,
  logger: Logger,
  onStep?: (step: ManifestStep) => void | Promise<void>,
): Promise<CatalogStore> {
  const manifest = await ManifestFile.open({
    path: join(folder, "manifest.json"),
    format: "tidewire-archive",
    version: CATALOG_VERSION,
    validate: catalogContent,
    logger,
    ...(onStep === undefined ? {} : { onStep }),
  });
  return { load: async () => manifest.current, save: (content) => manifest.write(content) };
}
