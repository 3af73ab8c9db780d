/** Raises one alert per thing while WHERE is true. `hot-rules.ts` does it; here it is checked. */
import { SEVERITIES } from "../model.ts";
import type { Severity } from "../model.ts";
import { invalid, only, optionalChoice, template } from "./checks.ts";
import type { ActionKind } from "./kind.ts";

export interface AlertBody {
  readonly severity: Severity;
  /** Template with `${expression}`, `${thing}`, `${rule}`. */
  readonly summary: string;
  /** How long WHERE must be false, by readings, before the alert is resolved. Default 15. */
  readonly clearAfterSeconds?: number;
}

const CLEAR_AFTER_SECONDS_MAX = 86_400;

export const alert: ActionKind<AlertBody> = {
  name: "alert",
  carrier: null,
  validate(given, at) {
    only(given, at, ["severity", "summary", "clearAfterSeconds"]);
    // Left out is as wrong as unknown.
    const severity = optionalChoice(given["severity"] ?? null, `${at}.severity`, SEVERITIES)!;
    const summary = template(given["summary"], `${at}.summary`);
    const clear = given["clearAfterSeconds"];
    if (clear === undefined) return { severity, summary };
    if (typeof clear !== "number" || !(clear >= 0) || clear > CLEAR_AFTER_SECONDS_MAX) {
      throw invalid(`${at}.clearAfterSeconds`, `it must be a number from 0 to ${CLEAR_AFTER_SECONDS_MAX}`);
    }
    return { severity, summary, clearAfterSeconds: clear };
  },
};
