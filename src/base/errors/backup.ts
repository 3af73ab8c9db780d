/** Of backups: entries of the catalogue (`catalogue.ts`). */
export const BACKUP_ERRORS = {
  BACKUP_UNUSABLE: {
    fault: "misuse",
    message: "The backup folder {path} cannot be used: {reason}.",
    fix: "Name an empty folder, or one that `tidewire backup` has written to; `tidewire backup list --in FOLDER` shows what is there.",
    exit: 3,
  },
  BACKUP_DAMAGED: {
    fault: "environment",
    message: "The backup {name} is damaged: {reason}.",
    fix: "Restore another one; `tidewire backup verify --in FOLDER` says which are whole.",
    exit: 6,
  },
  BACKUP_FAILED: {
    fault: "environment",
    message: "No backup could be taken of {path}: {reason}.",
    fix: "Try again; if it stays so, stop the platform and back up its folder while nothing changes.",
    retryable: true,
  },
} as const;
