export { Archive, NOTHING_ARCHIVED } from "./archive.ts";
export type { ArchiveOptions, ArchiveProgress, ArchiveSettings } from "./archive.ts";
export { CATALOG_VERSION, catalogContent, dayOf } from "./catalog.ts";
export type { ArchivedFile, CatalogContent, CatalogStore } from "./catalog.ts";
export type { ArchiveCounters } from "./counters.ts";
export type {
  ArchiveFolder,
  ArchiveSource,
  ArchivedBatch,
  Digest,
  EventFileFacts,
  EventFormat,
  EventStep,
  SkipRecord,
} from "./ports.ts";
export type { ForgetRequest, ForgottenEvents } from "./forget.ts";
export type { EventFiles, MissingEvents } from "./reader.ts";
