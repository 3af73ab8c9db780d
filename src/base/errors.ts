/**
 * The one error catalogue. A code is stable for ever; text may improve. `docs/reference/errors.md` is generated from
 * here and a house test holds the two together. Programs ask the predicates, never the text.
 */

/** Whose doing it is: ours, the caller's, the other side's of a connection, or the machine's. */
export type Fault = "bug" | "misuse" | "peer" | "environment";

export interface ErrorEntry {
  readonly fault: Fault;
  /** One sentence that says what happened; `{name}` is filled from the details. */
  readonly message: string;
  /** One sentence that says what to do next. */
  readonly fix: string;
  /** HTTP status where the error leaves through the API. */
  readonly http?: number;
  /** MQTT 5.0 reason code where it leaves through the broker. */
  readonly mqtt?: number;
  /** Exit status of the command line. Default 1. */
  readonly exit?: number;
  readonly retryable?: boolean;
}

const entries = {
  // ── configuration and start ──────────────────────────────────────────────────────────────────
  CONFIG_KEY_UNKNOWN: {
    fault: "misuse",
    message: "{file} has a key that Tidewire does not know: '{key}'.",
    fix: "{suggestion}",
    exit: 2,
  },
  CONFIG_VALUE_INVALID: {
    fault: "misuse",
    message: "{file} has a wrong value at '{key}': {reason}.",
    fix: "Correct the value; `tidewire {command} --help` and docs/reference/configuration.md list what is allowed.",
    exit: 2,
  },
  CONFIG_FILE_UNREADABLE: {
    fault: "environment",
    message: "The configuration {file} cannot be read: {reason}.",
    fix: "Check the path and the file's permissions.",
    exit: 2,
  },
  PORT_IN_USE: {
    fault: "environment",
    message: "Port {port} on {host} is already in use, so the {listener} listener cannot start.",
    fix: "Stop the other program (`ss -ltnp 'sport = :{port}'` names it) or choose another port with {option}.",
    exit: 3,
  },
  PORT_FORBIDDEN: {
    fault: "environment",
    message: "This user may not open port {port} on {host} for the {listener} listener: {reason}.",
    fix: "Choose a port above 1023 with {option}.",
    exit: 3,
  },
  DATA_FOLDER_UNUSABLE: {
    fault: "environment",
    message: "The data folder {path} cannot be used: {reason}.",
    fix: "Make it readable and writable for this user, or choose another folder with --data.",
    exit: 3,
  },
  DATA_FOLDER_LOCKED: {
    fault: "misuse",
    message: "The data folder {path} is in use by process {pid}.",
    fix: "Stop that process, or choose another folder with --data.",
    exit: 3,
  },
  CLOCK_IMPLAUSIBLE: {
    fault: "environment",
    message: "This machine's clock says {now}, {reason}.",
    fix: "Set the clock (`timedatectl set-ntp true`, or `date -s`) and start again; certificates and history depend on it.",
    exit: 3,
  },
  DATABASE_UNUSABLE: {
    fault: "environment",
    message: "The {name} database {path} cannot be opened: {reason}.",
    fix: "Check the file's permissions; if it is damaged, restore it from a backup. Tidewire changed nothing.",
    exit: 3,
  },
  DATABASE_NEWER: {
    fault: "environment",
    message: "The {name} database {path} has format {version}; this Tidewire knows formats up to {known}.",
    fix: "Start the newer Tidewire that wrote it, or restore the backup made before the upgrade.",
    exit: 3,
  },
  READING_REFUSED: {
    fault: "misuse",
    message: "A reading for topic '{topic}' was not taken into the outbox: {reason}.",
    fix: "Correct the source that produced it; nothing else is affected.",
  },
  // ── API and command line ─────────────────────────────────────────────────────────────────────
  UNAUTHORIZED: {
    fault: "peer",
    message: "The request carries no valid token.",
    fix: "Send `Authorization: Bearer TOKEN`; the administrator token is in DIR/secrets/admin-token, printed at first start.",
    http: 401,
    exit: 4,
  },
  LOGIN_CODE_INVALID: {
    fault: "peer",
    message: "The login link was used already or is too old.",
    fix: "Log in with the administrator token, or make a new link with `tidewire login-link`.",
    http: 401,
  },
  FORBIDDEN_ORIGIN: {
    fault: "peer",
    message: "The request comes from another web site ({origin}).",
    fix: "Open the dashboard at its own address.",
    http: 403,
  },
  REQUEST_INVALID: {
    fault: "peer",
    message: "The request is not valid: {reason}.",
    fix: "Correct the request; the OpenAPI document at /api/openapi.json describes it.",
    http: 400,
    exit: 2,
  },
  NOT_FOUND: {
    fault: "peer",
    message: "There is no {kind} named '{name}'.",
    fix: "List what exists and check the spelling.",
    http: 404,
  },
  ALREADY_EXISTS: {
    fault: "peer",
    message: "There is a {kind} named '{name}' already.",
    fix: "Choose another name, or change the existing one.",
    http: 409,
  },
  TOO_MANY_REQUESTS: {
    fault: "peer",
    message: "Too many requests from this address.",
    fix: "Wait {retryAfter} and try again.",
    http: 429,
    retryable: true,
  },
  PLATFORM_UNREACHABLE: {
    fault: "environment",
    message: "No Tidewire platform answers at {url}: {reason}.",
    fix: "Start it with `tidewire up`, or name its address with --url.",
    exit: 5,
    retryable: true,
  },
  INTERNAL: {
    fault: "bug",
    message: "Tidewire failed unexpectedly: {reason}.",
    fix: "Please report it with the log file; `--verbose` shows more.",
    http: 500,
    exit: 70,
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof entries;

export const ERROR_CATALOGUE: Readonly<Record<ErrorCode, ErrorEntry>> = entries;

export type ErrorDetails = Readonly<Record<string, string | number | boolean | undefined>>;

export class TidewireError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: { cause?: unknown }) {
    super(fill(ERROR_CATALOGUE[code].message, details), options);
    this.name = "TidewireError";
    this.code = code;
    this.details = details;
  }

  get entry(): ErrorEntry {
    return ERROR_CATALOGUE[this.code];
  }

  /** What to do next, with the details filled in. */
  get fix(): string {
    return fill(this.entry.fix, this.details);
  }
}

export function isTidewireError(error: unknown): error is TidewireError {
  return error instanceof TidewireError;
}

/** Whether the same call may succeed later without anything being changed. */
export function isRetryable(error: unknown): boolean {
  return error instanceof TidewireError && error.entry.retryable === true;
}

/** The text of whatever was thrown, for a `reason` detail. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function fill(template: string, details: ErrorDetails): string {
  return template.replace(/\{(\w+)\}/g, (placeholder, name: string) => {
    const value = details[name];
    return value === undefined ? placeholder : String(value);
  });
}
