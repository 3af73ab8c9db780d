/**
 * The one error catalogue. A code is stable for ever; text may improve. `docs/reference/errors.md` is generated from
 * here and a house test holds the two together. Programs ask the predicates, never the text.
 */

import { PEOPLE_ERRORS } from "./people.ts";
import { REGISTRY_ERRORS } from "./registry.ts";
import { AUTHORITY_ERRORS } from "./authority.ts";
import { fill } from "./text.ts";
import { BACKUP_ERRORS } from "./backup.ts";
import { FILES_ERRORS } from "./files.ts";
import { FORGET_ERRORS } from "./forget.ts";
import { MESSAGE_ERRORS } from "./messages.ts";
import { PROVISIONING_ERRORS } from "./provisioning.ts";
import { SHADOW_ERRORS } from "./shadow.ts";

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
  ...AUTHORITY_ERRORS,
  // ── configuration and start ──────────────────────────────────────────────────────────────────
  CONFIG_KEY_UNKNOWN: {
    fault: "misuse",
    message: "{file} has a key that Tidewire does not know: '{key}'.",
    fix: "{suggestion}",
    exit: 2,
  },
  COMMAND_LINE_INVALID: {
    fault: "misuse",
    message: "{reason}",
    fix: "See `{command} --help`: it says what there is, with examples.",
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
    message: "{file} cannot be read: {reason}.",
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
    fix: "Make it this user's to read and write, on a disk with room, or choose another folder with --data.",
    exit: 3,
  },
  DATA_FOLDER_LOCKED: {
    fault: "misuse",
    message: "The data folder {path} is in use by process {pid}.",
    fix: "Stop that process, or choose another folder with --data.",
    exit: 3,
  },
  DATA_NEWER: {
    fault: "environment",
    message:
      "The data folder {path} has format {version}, written by Tidewire {writer}; this one knows formats up to {known}.",
    fix: "Start that Tidewire, or the folder before-upgrade-from-… that it has kept inside: `tidewire up --data {path}/before-upgrade-from-{known}`.",
    exit: 3,
  },
  CLOCK_IMPLAUSIBLE: {
    fault: "environment",
    message: "This machine's clock says {now}, {reason}.",
    fix: "Set the clock (`timedatectl set-ntp true`, or `date -s`) and start again; certificates and history depend on it.",
    exit: 3,
  },
  DEVICE_FOLDER_EXISTS: {
    fault: "misuse",
    message: "The folder {path} already holds a device's key.",
    fix: "Choose another folder with --out, or remove this one if the device is gone for good.",
    exit: 2,
  },
  DATABASE_UNUSABLE: {
    fault: "environment",
    message: "The {name} database {path} cannot be opened: {reason}.",
    fix: "Check the file's permissions and the room on its disk; if it is damaged, restore it from a backup. Tidewire changed nothing.",
    exit: 3,
  },
  DATABASE_DAMAGED: {
    fault: "environment",
    message: "The {name} database {path} is damaged: {reason}.",
    fix: "Check the disk (`dmesg`, `smartctl`) and restore it by `tidewire restore`; if another program changed it on purpose, delete {path}-pages. Tidewire changed nothing.",
    exit: 3,
  },
  DATABASE_NEWER: {
    fault: "environment",
    message: "The {name} database {path} has format {version}; this Tidewire knows formats up to {known}.",
    fix: "Start the newer Tidewire that wrote it, or restore the backup made before the upgrade.",
    exit: 3,
  },
  MANIFEST_NEWER: {
    fault: "environment",
    message: "The manifest {path} has format {version}; this Tidewire knows formats up to {known}.",
    fix: "Start the newer Tidewire that wrote it, or restore the backup made before the upgrade.",
    exit: 3,
  },
  DATABASE_UNREACHABLE: {
    fault: "environment",
    message: "The database {server} cannot be used: {reason}.",
    fix: "Check that PostgreSQL runs there, and the user, password, rights and TLS settings of the URL. Tidewire changed nothing.",
    exit: 3,
  },
  POSTGRES_URL_INVALID: {
    fault: "misuse",
    message: "The PostgreSQL URL cannot be used: {reason}.",
    fix: "Write it as postgres://user@host:5432/database?passwordfile=/path; docs/reference/configuration.md names the parameters.",
    exit: 2,
  },
  SECRET_DAMAGED: {
    fault: "environment",
    message: "The secret {file} cannot be used: {reason}.",
    fix: "{remedy}",
    exit: 3,
  },
  SECRETS_UNUSABLE: {
    fault: "environment",
    message: "The secrets folder {path} cannot be used: {reason}.",
    fix: "Make the folder and its files belong to the user that runs Tidewire, with the modes 0700 and 0600.",
  },
  LOG_FOLDER_UNUSABLE: {
    fault: "environment",
    message: "The log folder cannot be used: {reason}.",
    fix: "Move what does not belong there out of the folder, or restore it from a backup. Tidewire changed nothing.",
    exit: 3,
  },
  LOG_NEWER: {
    fault: "environment",
    message: "The log segment {segment} has format {version}; this Tidewire knows formats up to {known}.",
    fix: "Start the newer Tidewire that wrote it, or restore the backup made before the upgrade.",
    exit: 3,
  },
  ...BACKUP_ERRORS,
  ...FILES_ERRORS,
  ...MESSAGE_ERRORS,
  ...FORGET_ERRORS,
  // ── the durable log ──────────────────────────────────────────────────────────────────────────
  LOG_FULL: {
    fault: "environment",
    message: "The log takes nothing more for now: {reason}.",
    fix: "Free disk space if it is the disk, else wait: the log takes messages again by itself.",
    http: 503,
    mqtt: 0x97,
    retryable: true,
  },
  LOG_FAILED: {
    fault: "environment",
    message: "The log takes nothing more until a restart: {reason}.",
    fix: "Check the disk (`dmesg`, `smartctl`) and restart Tidewire; everything that was acknowledged is kept.",
    http: 503,
    mqtt: 0x83,
  },
  LOG_RECORD_TOO_LARGE: {
    fault: "peer",
    message: "A record of {bytes} bytes is larger than the log's limit of {limit}.",
    fix: "Send smaller messages.",
    http: 413,
    mqtt: 0x95,
  },
  EXPORT_FAILED: {
    fault: "environment",
    message: "The export to {path} was not finished: {reason}.",
    fix: "Choose another place with --output, or free some disk space, and run it again; nothing was left behind.",
  },
  LOG_OFFSET_AHEAD: {
    fault: "environment",
    message: "{consumer} has read up to offset {offset}, but the log ends at {next}: a part of the log is missing.",
    fix: "Restore the log folder, or remove the database that is ahead of it so that it is rebuilt from the log.",
    exit: 3,
  },
  READING_REFUSED: {
    fault: "misuse",
    message: "A reading for topic '{topic}' was not taken into the outbox: {reason}.",
    fix: "Correct the source that produced it; nothing else is affected.",
  },
  // ── API and command line ─────────────────────────────────────────────────────────────────────
  REQUEST_INVALID: {
    fault: "peer",
    message: "The request is not valid: {reason}.",
    fix: "Correct the request; the OpenAPI document at /api/openapi.json describes it.",
    http: 400,
    exit: 2,
  },
  NOT_IMPLEMENTED: {
    fault: "peer",
    message: "AWS IoT's operation {operation} is not implemented here.",
    fix: "Use another one: the OpenAPI document at /api/openapi.json has those that are, by their AWS names.",
    http: 501,
  },
  NOT_FOUND: {
    fault: "peer",
    message: "There is no {kind} named '{name}'.",
    fix: "List what exists and check the spelling.",
    http: 404,
  },
  ALERT_INVALID: {
    fault: "peer",
    message: "The alert is not valid at '{at}': {reason}.",
    fix: "Correct it and send it again.",
    http: 400,
    exit: 2,
  },
  ALREADY_EXISTS: {
    fault: "peer",
    message: "There is a {kind} named '{name}' already.",
    fix: "Choose another name, or change the existing one.",
    http: 409,
  },
  ...PEOPLE_ERRORS,
  TOKEN_MISSING: {
    fault: "misuse",
    message: "No token: {path} cannot be read.",
    fix: "Run this where the platform's data folder is (or name it with --data), or give --token or TIDEWIRE_TOKEN.",
    exit: 4,
  },
  RULE_INVALID: {
    fault: "peer",
    message: "The rule is not valid at '{at}': {reason}.",
    fix: "Correct it and send the rule again.",
    http: 400,
    exit: 2,
  },
  RULE_SQL_INVALID: {
    fault: "peer",
    message: "The rule's SQL is not valid, {reason}",
    fix: "{hint}",
    http: 400,
    exit: 2,
  },
  BACK_TEST_BUSY: {
    fault: "environment",
    message: "Another rule is being tried on the past.",
    fix: "Wait until it is done, or stop it; one runs at a time, so that the platform stays fast.",
    http: 503,
    retryable: true,
  },
  BACK_TEST_FAILED: {
    fault: "environment",
    message: "The rule could not be tried on the past: {reason}.",
    fix: "Try a shorter time; the platform's log may say more.",
    http: 503,
  },
  RULE_NOT_MOVABLE: {
    fault: "peer",
    message: "The rule '{name}' cannot be moved now: {reason}.",
    fix: "See `tidewire rules move --help`: a move that was interrupted is finished by asking again, or taken back with --back.",
    http: 409,
  },
  RULE_STATE_UNREADABLE: {
    fault: "peer",
    message: "The rule with its state cannot be taken: {reason}.",
    fix: "Export it again with this version of Tidewire, or put the rule without its state.",
    http: 400,
  },
  PLATFORM_UNREACHABLE: {
    fault: "environment",
    message: "No Tidewire platform answers at {url}: {reason}.",
    fix: "Start it with `tidewire up`, or name its address with --url.",
    exit: 5,
    retryable: true,
  },
  POLICY_INVALID: {
    fault: "peer",
    message: "The policy document is not valid: {reason}.",
    fix: "Correct the document; it is an AWS IoT policy (Version, Statement with Effect, Action and Resource).",
    http: 400,
    exit: 2,
  },
  ...REGISTRY_ERRORS,
  CERTIFICATE_REFUSED: {
    fault: "peer",
    message: "The {kind} is refused: {reason}.",
    fix: "Make a new one: `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes` writes a key and a request that fit.",
    http: 400,
    exit: 2,
  },
  LIMIT_REACHED: {
    fault: "peer",
    message: "The limit is reached: {what} may be {limit} at most.",
    fix: "Remove what is no longer needed; docs/reference/configuration.md lists the limits that can be raised.",
    http: 410,
  },
  HOST_UNKNOWN: {
    fault: "peer",
    message: "The request is for '{host}', which is not a name of this platform.",
    fix: "Open http://127.0.0.1 or http://localhost with the same port, or start the platform with `--host {host}`.",
    http: 421,
  },
  REQUEST_TOO_LARGE: {
    fault: "peer",
    message: "The request's body is larger than {limit} bytes.",
    fix: "Send less at once.",
    http: 413,
  },
  ...SHADOW_ERRORS,
  // ── requests to other servers ────────────────────────────────────────────────────────────────
  OUTGOING_REFUSED: {
    fault: "misuse",
    message: "A request to {origin} is refused: {reason}.",
    fix: "Use another address, or allow this one in the configuration of outgoing requests.",
  },
  OUTGOING_FAILED: {
    fault: "environment",
    message: "The request to {origin} got no answer: {reason}.",
    fix: "Check that the server runs and can be reached from here; Tidewire tries again by itself.",
    retryable: true,
  },
  STORE_UNAVAILABLE: {
    fault: "environment",
    message: "The telemetry store cannot answer now: {reason}.",
    fix: "Try again in a few seconds; incoming data is safe in the log and is stored when the store is back.",
    http: 503,
    retryable: true,
  },
  REGISTRY_UNAVAILABLE: {
    fault: "environment",
    message: "The registry cannot answer now: {reason}.",
    fix: "Try again in a few seconds; connected devices go on, and Tidewire reconnects to PostgreSQL by itself.",
    http: 503,
    mqtt: 0x88,
    retryable: true,
  },
  QUERY_TOO_SLOW: {
    fault: "peer",
    message: "The query took longer than {limit} and was stopped.",
    fix: "Narrow the time range, ask for fewer fields, or widen the window.",
    http: 504,
  },
  QUERY_SQL_INVALID: {
    fault: "peer",
    message: "The query is not valid SQL{at}: {reason}.",
    fix: "Correct the statement; docs/reference/query.md lists relations, columns and functions, the dialect is DuckDB's.",
    http: 400,
    exit: 2,
  },
  QUERY_NOT_ALLOWED: {
    fault: "peer",
    message: "The query asks for what no query may do{at}: {reason}.",
    fix: "Ask with one SELECT over the relations and functions of docs/reference/query.md.",
    http: 400,
    exit: 2,
  },
  QUERY_FAILED: {
    fault: "peer",
    message: "The query could not be answered{at}: {reason}.",
    fix: "Correct the statement; TRY_CAST and TRY give NULL where a value cannot be computed.",
    http: 422,
  },
  QUERY_TOO_MUCH_MEMORY: {
    fault: "peer",
    message: "The query needed more than {limit} of {what} and was stopped.",
    fix: "Narrow the time range, group by fewer values, or ask for less at once; windows and joins of raw points need most.",
    http: 422,
  },
  QUERY_ANSWER_TOO_LARGE: {
    fault: "peer",
    message: "The query's answer has more than {limit} and was stopped.",
    fix: "Aggregate, add a LIMIT, choose fewer columns, or ask for shorter ranges of time one after the other.",
    http: 422,
  },
  QUERY_BUSY: {
    fault: "environment",
    message: "The query was not started: {reason}.",
    fix: "Wait a few seconds and ask again.",
    http: 503,
    retryable: true,
  },
  ANSWER_BROKEN_OFF: {
    fault: "environment",
    message: "The answer broke off after {bytes} bytes: {reason}.",
    fix: "Ask again; with --timeout for longer, or for less. The platform's log says why it ended.",
    exit: 5,
    retryable: true,
  },
  QUERY_TOO_LARGE: {
    fault: "peer",
    message: "The query asks for too much: {reason}.",
    fix: "Narrow the time range, ask for fewer series, or widen the window.",
    http: 400,
  },
  POINTS_GONE: {
    fault: "peer",
    message: "The query needs points from before {since}, of which only rollups are kept.",
    fix: "Ask for avg, min, max, sum, count, first, last or change, which rollups know, or for a later time range.",
    http: 400,
  },
  // ── objects: a folder or bucket for what is old or large ─────────────────────────────────────
  OBJECTS_UNAVAILABLE: {
    fault: "environment",
    message: "{store} cannot be reached now: {reason}.",
    fix: "Check the network, the server and its disk; nothing is lost, and Tidewire tries again by itself.",
    http: 503,
    retryable: true,
  },
  OBJECTS_REFUSED: {
    fault: "misuse",
    message: "{store} refuses the request: {reason}.",
    fix: "Check the bucket's or folder's name, the region, the credentials and their rights; Tidewire tries again by itself.",
    http: 502,
  },
  OBJECT_DAMAGED: {
    fault: "environment",
    message: "{store} gives other bytes for '{key}' than were put there: {reason}.",
    fix: "Restore it from a copy if there is one; what is damaged is never served.",
    http: 500,
  },
  ...PROVISIONING_ERRORS,
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
  #fix: string | null = null;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: { cause?: unknown }) {
    super(fill(ERROR_CATALOGUE[code].message, details), options);
    this.name = "TidewireError";
    this.code = code;
    this.details = details;
  }

  /** An error that another Tidewire reported, with its own words. */
  static remote(code: ErrorCode, message: string, fix: string): TidewireError {
    const error = new TidewireError(code);
    error.message = message;
    error.#fix = fix;
    return error;
  }

  get entry(): ErrorEntry {
    return ERROR_CATALOGUE[this.code];
  }

  /** What to do next, with the details filled in. */
  get fix(): string {
    return this.#fix ?? fill(this.entry.fix, this.details);
  }
}

export function isTidewireError(error: unknown): error is TidewireError {
  return error instanceof TidewireError;
}

/** Whether the same call may succeed later without anything being changed. */
export function isRetryable(error: unknown): boolean {
  return error instanceof TidewireError && error.entry.retryable === true;
}
