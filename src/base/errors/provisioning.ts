/** How devices come and go: entries of the catalogue (`catalogue.ts`). */
export const PROVISIONING_ERRORS = {
  JOIN_CODE_INVALID: {
    fault: "peer",
    message: "The join code cannot be used: {reason}.",
    fix: "Ask for a new one: `tidewire things invite NAME` on the platform prints it.",
    http: 403,
    exit: 4,
  },
  JOIN_TRUST_FAILED: {
    fault: "environment",
    message: "What answers at {url} is not the platform that made this code: {reason}.",
    fix: "Check the address; if it is right, somebody between may pretend to be the platform: do not go on.",
    exit: 6,
  },
  JOIN_UNREACHABLE: {
    fault: "environment",
    message: "The platform at {url} cannot be reached: {reason}.",
    fix: "Check the address (the platform's HTTPS port, 8443 by default), the network and firewalls; then run the same command again.",
    exit: 5,
    retryable: true,
  },
  BULK_FILE_INVALID: {
    fault: "misuse",
    message: "{file} cannot be used: {reason}.",
    fix: "Correct the file; `tidewire provision bulk --help` shows what it may look like.",
    exit: 2,
  },
  BULK_FOLDER_LOCKED: {
    fault: "misuse",
    message: "Process {pid} is provisioning into {path} already.",
    fix: "Wait until it has ended, or choose another folder with --out.",
    exit: 3,
  },
  BULK_INCOMPLETE: {
    fault: "misuse",
    message: "{failed} of {lines} lines failed: {why}.",
    fix: "{report} says why, line by line. Correct the file and run the same command again: what is done is not done twice.",
    exit: 1,
  },
  NAME_BLOCKED: {
    fault: "peer",
    message: "The name '{name}' belonged to a retired thing and is not given again.",
    fix: "Choose another name, or free it: `tidewire things retire {name} --free-name`.",
    http: 409,
  },
  NAME_LEAVING: {
    fault: "peer",
    message: "The thing '{name}' before it has not left yet.",
    fix: "Try again in a moment; `tidewire forget --list` says how far it is, and what it waits for.",
    http: 409,
    retryable: true,
  },
} as const;
