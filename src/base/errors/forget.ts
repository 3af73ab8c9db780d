/** Of forgetting a device: entries of the catalogue (`catalogue.ts`). */
export const FORGET_ERRORS = {
  FORGOTTEN_LOST: {
    fault: "environment",
    message: "{path} and the copy before it cannot be read: which devices were forgotten is not known.",
    fix: "Restore the file from a backup, or remove both and forget those devices again: else the log would bring them back.",
    exit: 4,
  },
  CONFIRMATION_MISSING: {
    fault: "misuse",
    message: "{what} was not done: nobody has confirmed it.",
    fix: "Run it again and type the name when it asks, or add --yes.",
    exit: 2,
  },
} as const;
