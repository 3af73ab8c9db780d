/** ISO 8601 / RFC 3339 times with a zone. One without a zone would mean something else on every machine. */
import type { EpochMs } from "./units.ts";

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const TIME = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?([Zz]|[+-]\d{2}:?\d{2})$/;

/** `2026-01-31` (midnight UTC) or `2026-01-31T12:00:00.5+01:00`; null where it is neither, or no such day exists. */
export function parseIsoTime(text: string): EpochMs | null {
  if (text.length > 40) return null;
  if (!DATE.test(text) && !TIME.test(text)) return null;
  const time = Date.parse(canonical(text));
  return Number.isNaN(time) || !dayExists(text) ? null : Math.floor(time);
}

/** The one spelling that every JavaScript engine must parse (ECMA-262, section 21.4.1.32). */
function canonical(text: string): string {
  if (text.length === 10) return `${text}T00:00:00Z`;
  const zoneAt = text.search(/([Zz]|[+-]\d{2}:?\d{2})$/);
  const zone = text.slice(zoneAt).toUpperCase();
  const [hours, fraction = ""] = text.slice(11, zoneAt).replace(",", ".").split(".") as [string, string?];
  const clock = hours.length === 5 ? `${hours}:00` : hours;
  const ms = `${fraction}000`.slice(0, 3);
  const colon = zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone;
  return `${text.slice(0, 10)}T${clock}.${ms}${colon}`;
}

/** `Date.parse` takes 2026-02-31 for 3 March. */
function dayExists(text: string): boolean {
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text.slice(0, 10));
}
