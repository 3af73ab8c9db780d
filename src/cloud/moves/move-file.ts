/**
 * A rule with its state as it travels: lines of JSON, the last of which is the SHA-256 of those before. Its rule has its
 * secrets: the file is for administrators.
 */
import { createHash } from "node:crypto";
import { LIMITS, TidewireError, parseJson, reasonOf } from "../../base/mod.ts";
import type { EpochMs, JsonValue, Millis } from "../../base/mod.ts";
import { movedAlertOf } from "../../rules/mod.ts";
import type { MovedAlert, SeenMessage } from "../../rules/mod.ts";

export const MOVE_MEDIA_TYPE = "application/x-tidewire-rule";

const FORMAT = "tidewire-rule-with-state";
/** 2: with alerts. What has none is written as 1, so that older ones can read it. */
const VERSION = 2;
/** Messages of one line, and alerts; a line has at most some hundred KB. */
const SEEN_PER_LINE = 2_000;
const ALERTS_PER_LINE = 50;

export interface MoveHead {
  readonly move: string;
  readonly rule: { readonly ruleName: string; readonly sql: string } & Readonly<Record<string, unknown>>;
  /** Time of acceptance at which it stopped: until then it has seen everything, later nothing. */
  readonly at: EpochMs;
  /** How far apart source and target may accept the same message. */
  readonly overlap: Millis;
}

export interface MoveFile extends MoveHead {
  readonly state: { readonly header: Uint8Array; readonly pages: readonly (readonly [number, Uint8Array])[] } | null;
  /** What it has seen since twice `overlap` before `at`. */
  readonly seen: readonly SeenMessage[];
  readonly alerts: readonly MovedAlert[];
}

export interface MoveParts {
  readonly header: Uint8Array | null;
  readonly pages: Iterable<readonly [page: number, body: Uint8Array]>;
  readonly pageCount: number;
  readonly seen: readonly SeenMessage[];
  readonly alerts: readonly MovedAlert[];
}

/** Line by line, so that nobody waits for the whole. */
export function* moveLines(head: MoveHead, { header, pages, pageCount, seen, alerts }: MoveParts): Generator<string> {
  const hash = createHash("sha256");
  const line = (value: object): string => {
    const text = `${JSON.stringify(value)}\n`;
    hash.update(text);
    return text;
  };
  const state = header === null ? null : base64(header);
  const counts = { pages: pageCount, seen: seen.length, ...(alerts.length === 0 ? {} : { alerts: alerts.length }) };
  const version = alerts.length === 0 ? 1 : VERSION;
  yield line({ format: FORMAT, version, ...head, sqlSha256: sha256(head.rule.sql), state, ...counts });
  for (const [page, body] of pages) yield line({ page, body: base64(body) });
  for (let i = 0; i < seen.length; i += SEEN_PER_LINE) yield line({ seen: seen.slice(i, i + SEEN_PER_LINE) });
  for (let i = 0; i < alerts.length; i += ALERTS_PER_LINE) yield line({ alerts: alerts.slice(i, i + ALERTS_PER_LINE) });
  yield `${JSON.stringify({ sha256: hash.digest("hex") })}\n`;
}

/** Throws RULE_STATE_UNREADABLE. */
export function readMove(bytes: Uint8Array): MoveFile {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = text.lastIndexOf(0x0a, text.length - 2) + 1;
  const sum = end > 0 ? (jsonOf(text.subarray(end))["sha256"] ?? null) : null;
  if (sum === null) throw unreadable("it ends too early, or is no rule with its state");
  if (sum !== createHash("sha256").update(text.subarray(0, end)).digest("hex")) {
    throw unreadable("it is damaged: the checksum does not fit");
  }
  const lines = linesOf(text.subarray(0, end));
  const head = headOf(jsonOf(lines.next().value ?? new Uint8Array(0)));
  const pages: (readonly [number, Uint8Array])[] = [];
  const seen: SeenMessage[] = [];
  const alerts: MovedAlert[] = [];
  for (const line of lines) {
    const { page, body, seen: more, alerts: moved } = jsonOf(line);
    if (typeof page === "number" && typeof body === "string") pages.push([page, Buffer.from(body, "base64")]);
    else if (Array.isArray(more)) for (const one of more) seen.push(seenOf(one));
    else if (Array.isArray(moved)) for (const one of moved) alerts.push(movedAlertOf(one));
    else throw unreadable("it has a line of an unknown kind");
  }
  const { header, counts, ...known } = head;
  if (pages.length !== counts.pages || seen.length !== counts.seen || alerts.length !== counts.alerts) {
    throw unreadable("lines are missing");
  }
  return { ...known, state: header === null ? null : { header, pages }, seen, alerts };
}

function seenOf(one: JsonValue): SeenMessage {
  const [id, time] = Array.isArray(one) ? one : [];
  if (typeof id === "string" && typeof time === "number") return [id, time];
  throw unreadable("it names a message as no Tidewire does");
}

type Line = Readonly<Record<string, JsonValue>>;

interface Counts {
  readonly pages: number;
  readonly seen: number;
  readonly alerts: number;
}

function headOf(line: Line): MoveHead & { readonly header: Uint8Array | null; readonly counts: Counts } {
  const { format, version, move, rule, at, overlap, state, pages, seen, alerts = 0, sqlSha256 } = line;
  if (format !== FORMAT) throw unreadable("it is no rule with its state");
  if (version !== 1 && version !== VERSION)
    throw unreadable(`it has version ${JSON.stringify(version)}, and this Tidewire reads ${VERSION}`);
  const named = rule as MoveHead["rule"] | undefined;
  const whole =
    typeof move === "string" &&
    /^[0-9A-Za-z_-]{1,64}$/.test(move) &&
    typeof named?.ruleName === "string" &&
    typeof named.sql === "string" &&
    [at, overlap, pages, seen, alerts].every((value) => Number.isFinite(value)) &&
    (state === null || typeof state === "string");
  if (!whole) throw unreadable("its first line is not whole");
  if (sha256(named.sql) !== sqlSha256) throw unreadable("its state is that of another SQL");
  const header = typeof state === "string" ? Buffer.from(state, "base64") : null;
  const counts = { pages: pages as number, seen: seen as number, alerts: alerts as number };
  return { move, rule: named, at: at as number, overlap: overlap as number, header, counts };
}

function* linesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(0x0a, at);
    yield bytes.subarray(at, end);
    at = end + 1;
  }
}

function jsonOf(line: Uint8Array): Line {
  const parsed = parseJson(line, { jsonBytesMax: LIMITS.moves.fileBytesMax, jsonDepthMax: LIMITS.rules.jsonDepthMax });
  const object = parsed.ok && typeof parsed.value === "object" && parsed.value !== null && !Array.isArray(parsed.value);
  if (!object) throw unreadable("it has a line that is no JSON");
  return parsed.value as Line;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function unreadable(reason: unknown): TidewireError {
  return new TidewireError("RULE_STATE_UNREADABLE", { reason: typeof reason === "string" ? reason : reasonOf(reason) });
}
