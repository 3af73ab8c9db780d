/** Silences: nobody is told of alerts that match, until it ends. Kept for a while after that, to see who silenced what. */
import { TidewireError, days, reasonOf } from "../../base/mod.ts";
import type { EpochMs, Logger, Millis } from "../../base/mod.ts";
import { MATCHERS_MAX, matchesAll, parseMatcher } from "./matchers.ts";
import type { Matcher } from "./matchers.ts";
import type { Alert } from "./model.ts";
import type { AlertRow, DirtyRows } from "./store.ts";

export interface Silence {
  readonly id: string;
  /** As they were written: `rule=cpu_*`. */
  readonly matchers: readonly string[];
  readonly startsAt: EpochMs;
  readonly endsAt: EpochMs;
  readonly createdBy: string;
  readonly comment: string;
}

export interface SilenceDraft {
  readonly matchers: readonly string[];
  /** Default: now. */
  readonly startsAt?: EpochMs | undefined;
  readonly endsAt: EpochMs;
  readonly comment: string;
}

const KEPT_AFTER_END = days(5);
const SPAN_MAX: Millis = days(366);

interface Entry {
  readonly silence: Silence;
  readonly matchers: readonly Matcher[];
}

export class Silences {
  readonly #entries = new Map<string, Entry>();
  readonly #rows: DirtyRows;
  readonly #max: number;
  readonly #logger: Logger;

  constructor(options: { readonly rows: DirtyRows; readonly max: number; readonly logger: Logger }) {
    this.#rows = options.rows;
    this.#max = options.max;
    this.#logger = options.logger;
  }

  restore(rows: readonly AlertRow[]): void {
    for (const row of rows) {
      if (row.kind !== "silence" || row.document === null) continue;
      try {
        const silence = JSON.parse(row.document) as Silence;
        this.#entries.set(silence.id, { silence, matchers: matchersOf(silence.matchers) });
      } catch (error) {
        this.#logger.error("A saved silence cannot be read and is not in force", { reason: reasonOf(error) });
      }
    }
  }

  /** Those that end last first. */
  list(): Silence[] {
    return [...this.#entries.values()].map(({ silence }) => silence).sort((a, b) => b.endsAt - a.endsAt);
  }

  /** Throws ALERT_INVALID. */
  create(id: string, draft: SilenceDraft, by: string, now: EpochMs): Silence {
    this.#tidy(now);
    if (this.#entries.size >= this.#max) throw invalid("silence", `there are ${this.#max} silences already`);
    const matchers = matchersOf(draft.matchers);
    const { startsAt = now, endsAt, comment } = draft;
    if (endsAt <= Math.max(startsAt, now)) throw invalid("endsAt", "it must be later than now and than the start");
    if (endsAt - now > SPAN_MAX) throw invalid("endsAt", "a silence ends within a year");
    const silence: Silence = { id, matchers: draft.matchers, startsAt, endsAt, createdBy: by, comment };
    this.#put({ silence, matchers });
    return silence;
  }

  /** Ends it now. Throws NOT_FOUND. */
  end(id: string, now: EpochMs): Silence {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new TidewireError("NOT_FOUND", { kind: "silence", name: id });
    if (entry.silence.endsAt <= now) return entry.silence;
    const silence = { ...entry.silence, startsAt: Math.min(entry.silence.startsAt, now), endsAt: now };
    this.#put({ ...entry, silence });
    return silence;
  }

  /** The silence that covers the alert now. */
  covering(alert: Alert, now: EpochMs): Silence | null {
    for (const { silence, matchers } of this.#entries.values()) {
      if (silence.startsAt <= now && now < silence.endsAt && matchesAll(matchers, alert)) return silence;
    }
    return null;
  }

  #put(entry: Entry): void {
    const { silence } = entry;
    this.#entries.set(silence.id, entry);
    this.#rows.put({ kind: "silence", id: silence.id, thing: null, document: JSON.stringify(silence) });
  }

  #tidy(now: EpochMs): void {
    for (const [id, { silence }] of this.#entries) {
      if (silence.endsAt + KEPT_AFTER_END > now) continue;
      this.#entries.delete(id);
      this.#rows.put({ kind: "silence", id, thing: null, document: null });
    }
  }
}

function matchersOf(texts: readonly string[]): Matcher[] {
  if (texts.length === 0) throw invalid("matchers", "at least one is needed; `severity=*` silences everything");
  if (texts.length > MATCHERS_MAX) throw invalid("matchers", `at most ${MATCHERS_MAX} are allowed`);
  return texts.map((text, i) => {
    const matcher = parseMatcher(text);
    if (matcher === null) throw invalid(`matchers[${i}]`, "it must be NAME=VALUE or NAME!=VALUE");
    return matcher;
  });
}

function invalid(at: string, reason: string): TidewireError {
  return new TidewireError("ALERT_INVALID", { at, reason });
}
