/** A plan's numbers from what somebody typed; nonsense is refused with what was expected. */
import { TidewireError, days, kib, mib, minutes, spanIn } from "../base/mod.ts";
import type { Bytes, Millis } from "../base/mod.ts";
import { ROLLUPS } from "./levels.ts";
import type { PlanRequest } from "./plan.ts";

export interface PlanWords {
  readonly sensors: string;
  readonly every: string;
  readonly bytes: string;
  readonly fields: string;
  readonly raw: string;
  /** `1h:1y`, several with commas. */
  readonly rollup: string;
  readonly log: string;
  /** `0`: no archive. */
  readonly archive: string;
}

const SENSORS_MAX = 1e9;
const YEAR = days(365);
const KEEP_MAX = 100 * YEAR;

const COUNTS: Readonly<Record<string, number>> = { "": 1, k: 1e3, M: 1e6, G: 1e9 };
const SIZES: Readonly<Record<string, number>> = { "": 1, B: 1, KB: 1e3, MB: 1e6, KiB: kib(1), MiB: mib(1) };

/** Throws CONFIG_VALUE_INVALID, which names the option. */
export function planRequestOf(words: PlanWords): PlanRequest {
  const raw = keepOf("--raw", words.raw);
  const rollups = words.rollup === "" ? [] : words.rollup.split(",").map((text) => rollupOf(text.trim()));
  return {
    sensors: countOf("--sensors", words.sensors, SENSORS_MAX),
    every: durationOf("--every", words.every, 1, days(366), "between 1ms and a year"),
    fields: countOf("--fields", words.fields, 1_000),
    bytes: bytesOf(words.bytes),
    raw,
    rollups,
    log: keepOf("--log", words.log),
    archive: words.archive === "0" ? 0 : keepOf("--archive", words.archive),
  };
}

function rollupOf(text: string): PlanRequest["rollups"][number] {
  const [name, keep, ...rest] = text.split(":");
  const level = ROLLUPS.find((known) => known === name);
  if (level === undefined || keep === undefined || rest.length > 0) {
    throw wrong("--rollup", text, `it must be LEVEL:HOW-LONG, such as 1h:1y; levels are ${ROLLUPS.join(", ")}`);
  }
  const kept = keepOf("--rollup", keep);
  if (kept < spanIn(level)!) throw wrong("--rollup", text, `it would be gone before one bucket of ${level} is full`);
  return { level, keep: kept };
}

function countOf(option: string, text: string, max: number): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)(k|M|G|)$/.exec(text.replaceAll(/[_,](?=\d{3})/g, ""));
  const count = match === null ? Number.NaN : Number(match[1]) * COUNTS[match[2]!]!;
  if (!Number.isInteger(count) || count < 1 || count > max) {
    throw wrong(
      option,
      text,
      `it must be a whole number from 1 to ${max.toLocaleString("en")}, such as 5000, 20k or 1M`,
    );
  }
  return count;
}

function bytesOf(text: string): Bytes {
  const match = /^(\d{1,9}(?:\.\d{1,6})?) ?(B|KB|MB|KiB|MiB|)$/.exec(text);
  const bytes = match === null ? Number.NaN : Number(match[1]) * SIZES[match[2]!]!;
  // 128 MiB is what the largest MQTT packet that can be allowed carries, and AWS takes 128 KiB.
  if (!(bytes >= 1 && bytes <= mib(128)))
    throw wrong("--bytes", text, "it must be a message's size, such as 100 or 2KiB, at most 128MiB");
  return bytes;
}

function keepOf(option: string, text: string): Millis {
  return durationOf(option, text, minutes(1), KEEP_MAX, "between 1m and 100y");
}

function durationOf(option: string, text: string, min: Millis, max: Millis, range: string): Millis {
  const duration = spanIn(text);
  if (duration === null) throw wrong(option, text, "it must be a duration such as 10s, 5m, 1h, 7d, 1w or 1y");
  if (duration < min || duration > max) throw wrong(option, text, `it must lie ${range}`);
  return duration;
}

function wrong(key: string, text: string, expected: string): TidewireError {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  const reason = `'${shown}' is no good; ${expected}`;
  return new TidewireError("CONFIG_VALUE_INVALID", { file: "The command line", key, reason, command: "plan" });
}
