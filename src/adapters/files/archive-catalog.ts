/** The archive's catalog as a manifest beside its files. */
import { join } from "node:path";
import { CATALOG_VERSION, catalogContent } from "../../archive/mod.ts";
import type { CatalogContent, CatalogStore } from "../../archive/mod.ts";
import type { Logger } from "../../base/mod.ts";
import { ManifestFile, readManifest } from "./manifest.ts";
import type { ManifestOptions, ManifestStep } from "./manifest.ts";

/** Throws MANIFEST_NEWER, or the system's error. `onStep`: told before each step of a write. */
export async function openArchiveCatalog(
  folder: string,
  logger: Logger,
  onStep?: (step: ManifestStep) => void | Promise<void>,
): Promise<CatalogStore> {
  const manifest = await ManifestFile.open({
    ...manifestOf(folder, logger),
    ...(onStep === undefined ? {} : { onStep }),
  });
  return { load: async () => manifest.current, save: (content) => manifest.write(content) };
}

/** What is current, for who only looks: the platform may run, and is not disturbed. Throws MANIFEST_NEWER. */
export function readArchiveCatalog(folder: string, logger: Logger): Promise<CatalogContent | null | "damaged"> {
  return readManifest(manifestOf(folder, logger));
}

function manifestOf(folder: string, logger: Logger): ManifestOptions<CatalogContent> {
  return {
    path: join(folder, "manifest.json"),
    format: "tidewire-archive",
    version: CATALOG_VERSION,
    validate: catalogContent,
    logger,
  };
}
