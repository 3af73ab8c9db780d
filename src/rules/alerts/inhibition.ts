/** A root cause mutes what follows from it: while the gateway is down, nobody hears of its sensors. */
import { labelOf, matchesAll } from "./matchers.ts";
import type { Matcher } from "./matchers.ts";
import type { Alert, AlertRecord } from "./model.ts";

export interface InhibitionRule {
  /** The root cause. */
  readonly source: readonly Matcher[];
  /** What follows from it. */
  readonly target: readonly Matcher[];
  /** Both must have the same of these, and have it at all. */
  readonly equal: readonly string[];
}

/** Active sources of one rule with the same `equal` labels. */
interface Sources {
  /** Those that are no targets themselves, and those that are both: these mute no others of their kind. */
  readonly only: Set<AlertRecord>;
  readonly both: Set<AlertRecord>;
}

/** Knows the active sources, so that asking costs one look-up per rule however many alerts there are. */
export class Inhibitions {
  readonly #rules: readonly { readonly rule: InhibitionRule; readonly sources: Map<string, Sources> }[];

  constructor(rules: readonly InhibitionRule[]) {
    this.#rules = rules.map((rule) => ({ rule, sources: new Map() }));
  }

  raised(record: AlertRecord): void {
    for (const { rule, sources } of this.#rules) {
      const { alert } = record;
      const key = equalKey(rule, alert);
      if (key === null || !matchesAll(rule.source, alert)) continue;
      let found = sources.get(key);
      if (found === undefined) sources.set(key, (found = { only: new Set(), both: new Set() }));
      (matchesAll(rule.target, alert) ? found.both : found.only).add(record);
    }
  }

  resolved(record: AlertRecord): void {
    for (const { rule, sources } of this.#rules) {
      const key = equalKey(rule, record.alert);
      const found = key === null ? undefined : sources.get(key);
      if (key === null || found === undefined) continue;
      found.only.delete(record);
      found.both.delete(record);
      if (found.only.size + found.both.size === 0) sources.delete(key);
    }
  }

  /** The root cause; null where there is none. An alert is never its own. */
  causeOf(alert: Alert): Alert | null {
    for (const { rule, sources } of this.#rules) {
      if (sources.size === 0 || !matchesAll(rule.target, alert)) continue;
      const key = equalKey(rule, alert);
      const found = key === null ? undefined : sources.get(key);
      if (found === undefined) continue;
      const cause = firstOf(found.only) ?? (matchesAll(rule.source, alert) ? null : firstOf(found.both));
      if (cause !== null) return cause.alert;
    }
    return null;
  }
}

function firstOf(records: ReadonlySet<AlertRecord>): AlertRecord | null {
  for (const record of records) return record;
  return null;
}

/** Null where the alert lacks one of them: two that know nothing of a site are not at the same. */
function equalKey({ equal }: InhibitionRule, alert: Alert): string | null {
  const values = equal.map((name) => labelOf(alert, name));
  return values.includes("") ? null : JSON.stringify(values);
}
