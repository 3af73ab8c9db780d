/** Of configuration as files: entries of the catalogue (`catalogue.ts`). */
export const FILES_ERRORS = {
  CONFIGURATION_CHANGED: {
    fault: "peer",
    message: "What runs has changed since it was compared: {changes}.",
    fix: "Look at the difference again (`tidewire diff`), bring these changes into the files or decide against them, and apply.",
    http: 409,
    exit: 2,
  },
  CONFIGURATION_INVALID: {
    fault: "peer",
    message: "Nothing was changed, because {count} of what was given cannot be used: {first}.",
    fix: "Correct it; `tidewire diff` tells every fault with its file, line and column.",
    http: 400,
    exit: 2,
  },
  DOCUMENT_INVALID: {
    fault: "peer",
    message: "The {kind} is not valid at '{at}': {reason}.",
    fix: "Correct it; docs/files.md shows every kind with an example.",
    http: 400,
    exit: 2,
  },
  PAYLOAD_UNFIT: {
    fault: "peer",
    message: "The message does not fit schema {schema} of its topic: {reason}.",
    fix: "Correct the payload; `tidewire schemas show` prints what the topic takes, `tidewire schemas test` tries one.",
    http: 400,
    mqtt: 0x99,
    exit: 2,
  },
  FILES_UNREADABLE: {
    fault: "environment",
    message: "The folder {folder} cannot be used: {reason}.",
    fix: "Name the folder that holds the files; `tidewire pull FOLDER` makes one of what runs.",
    exit: 2,
  },
  FILES_DIFFER: {
    fault: "misuse",
    message: "{count} files differ from what runs and were left as they are: {names}.",
    fix: "Look at `tidewire diff`; --overwrite replaces them, and their comments are lost.",
    exit: 1,
  },
} as const;
