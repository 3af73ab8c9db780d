/** Of backups: entries of the catalogue (`catalogue.ts`). */
export const BACKUP_ERRORS = {
  BACKUP_UNUSABLE: {
    fault: "misuse",
    message: "{path} cannot be used for backups: {reason}.",
    fix: "Name an empty folder, a bucket, or what `tidewire backup` has written to; `tidewire backup list --in PLACE` shows what is there.",
    exit: 3,
  },
  BACKUP_DAMAGED: {
    fault: "environment",
    message: "The backup {name} is damaged: {reason}.",
    fix: "Restore another one; `tidewire backup verify --in PLACE` says which are whole, and `tidewire backup --anew` writes one that is.",
    exit: 6,
  },
  BACKUP_FAILED: {
    fault: "environment",
    message: "No backup could be taken of {path}: {reason}.",
    fix: "Try again; if it stays so, stop the platform and back up its folder while nothing changes.",
    retryable: true,
  },
} as const;
