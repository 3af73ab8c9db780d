/** Numbers as people read them: the unit is what a schema says, or follows from the field's name, the digits from the size of the value. */

export type Unit =
  | "percent"
  | "bytes"
  | "bytes-per-second"
  | "celsius"
  | "seconds"
  | "millis"
  | "volt"
  | "ampere"
  | "watt"
  | "hertz"
  | "none"
  /** One that a schema names (`bar`, `l/min`). */
  | `named ${string}`;

/** Longest ending first: `rxBytesPerSecond` ends in `Second`, too. */
const ENDINGS: readonly (readonly [ending: string, unit: Unit])[] = [
  ["bytespersecond", "bytes-per-second"],
  ["bytes", "bytes"],
  ["percent", "percent"],
  ["celsius", "celsius"],
  ["seconds", "seconds"],
  ["millis", "millis"],
  ["volts", "volt"],
  ["voltage", "volt"],
  ["amps", "ampere"],
  ["amperes", "ampere"],
  ["watts", "watt"],
  ["hertz", "hertz"],
];

const SIBLINGS_IN_PERCENT = /(^|\.)cpu\.core\d+$/;

/**
 * The unit that a field's name states (`memory.usedBytes` → bytes). Only what the name says for certain: a wrong unit is
 * worse than none, so `temperature` alone has none.
 */
export function unitOf(field: string): Unit {
  if (SIBLINGS_IN_PERCENT.test(field)) return "percent";
  const name = field.toLowerCase().replaceAll("_", "");
  for (const [ending, unit] of ENDINGS) if (name.endsWith(ending)) return unit;
  return "none";
}

/** The unit of a field of which a schema says `named`, or nothing. */
export function unitFor(field: string, named: string | undefined): Unit {
  if (named === undefined) return unitOf(field);
  for (const [unit, suffix] of Object.entries(SUFFIX)) if (suffix === named) return unit as Unit;
  return `named ${named}`;
}

function suffixOf(unit: Unit): string {
  return unit.startsWith("named ") ? unit.slice("named ".length) : SUFFIX[unit as keyof typeof SUFFIX];
}

const SUFFIX = {
  percent: "%",
  bytes: "B",
  "bytes-per-second": "B/s",
  celsius: "°C",
  seconds: "s",
  millis: "ms",
  volt: "V",
  ampere: "A",
  watt: "W",
  hertz: "Hz",
  none: "",
} as const satisfies Record<Exclude<Unit, `named ${string}`>, string>;

export interface FormattedValue {
  readonly number: string;
  /** Empty where the value has no unit. */
  readonly suffix: string;
}

const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi"] as const;

/** Value and unit apart, so that the unit can be set smaller. */
export function formatParts(value: number, unit: Unit): FormattedValue {
  if (!Number.isFinite(value)) return { number: "–", suffix: "" };
  switch (unit) {
    case "bytes":
    case "bytes-per-second":
      return formatBytes(value, SUFFIX[unit]);
    case "seconds":
      return Math.abs(value) < 60
        ? { number: digits(value), suffix: "s" }
        : { number: formatDuration(value * 1000), suffix: "" };
    case "percent":
    case "celsius":
      return { number: fixed(value, 1), suffix: SUFFIX[unit] };
    default:
      return { number: digits(value), suffix: suffixOf(unit) };
  }
}

/** One string; a no-break space keeps number and unit on one line. */
export function formatValue(value: number, unit: Unit): string {
  const { number, suffix } = formatParts(value, unit);
  if (suffix === "") return number;
  return suffix === "%" ? `${number}%` : `${number}\u00a0${suffix}`;
}

/** As `formatValue`, but as short as an axis wants it: `40%`, `1.5 MiB/s`. */
export function formatTick(value: number, unit: Unit, step: number): string {
  if (unit === "percent" || unit === "celsius") {
    const number = fixed(value, Math.min(2, stepDigits(step)));
    return unit === "percent" ? `${number}%` : `${number}°`;
  }
  if (unit === "seconds") return formatValue(value, unit);
  if (unit === "bytes" || unit === "bytes-per-second") return formatValue(value, unit).replace(/\.0+(?=\u00a0)/, "");
  const number = trimmed(value, stepDigits(step));
  const suffix = suffixOf(unit);
  return suffix === "" ? number : `${number}\u00a0${suffix}`;
}

/** Spans of time: `45 s`, `12 min`, `3 h 20 min`, `5 d 2 h`. Two units at most; `ms` is milliseconds. */
export function formatDuration(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  if (total < 60) return `${total}\u00a0s`;
  const minutes = Math.floor(total / 60);
  if (minutes < 60) return minutes < 5 && total % 60 > 0 ? two(minutes, "min", total % 60, "s") : `${minutes}\u00a0min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, "h", minutes % 60, "min");
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

function two(major: number, majorUnit: string, minor: number, minorUnit: string): string {
  const first = `${major}\u00a0${majorUnit}`;
  return minor === 0 ? first : `${first} ${minor}\u00a0${minorUnit}`;
}

function formatBytes(value: number, suffix: string): FormattedValue {
  let scaled = value;
  let step = 0;
  // 999.5 of one unit would be written with four digits, so the next unit begins there.
  while (Math.abs(scaled) >= 999.5 && step < BINARY.length - 1) {
    scaled /= 1024;
    step++;
  }
  const size = Math.abs(scaled);
  const number = step === 0 ? trimmed(scaled, size < 10 ? 1 : 0) : fixed(scaled, size < 10 ? 2 : size < 100 ? 1 : 0);
  return { number, suffix: `${BINARY[step]!}${suffix}` };
}

/** About four significant digits, thousands separated, so that a changing value keeps its width. */
function digits(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e12)) return value.toExponential(2);
  if (Number.isInteger(value)) return grouped(value, 0, 0);
  if (size >= 1000) return grouped(value, 0, 0);
  return fixed(value, size >= 100 ? 1 : size >= 1 ? 2 : size >= 0.01 ? 3 : 5);
}

/** Decimal places that tell neighbouring ticks apart: 2.5 needs one, 0.05 two. */
function stepDigits(step: number): number {
  const [, decimals = ""] = String(Number(step.toPrecision(6))).split(".");
  return Math.min(6, decimals.length);
}

const formats = new Map<string, Intl.NumberFormat>();

function grouped(value: number, min: number, max: number): string {
  const key = `${min}/${max}`;
  let format = formats.get(key);
  if (format === undefined) {
    // One language for the whole page: its words are English, so are its numbers.
    format = new Intl.NumberFormat("en", { minimumFractionDigits: min, maximumFractionDigits: max });
    formats.set(key, format);
  }
  // -0.04 rounds to "-0", which nobody wants to read.
  const text = format.format(value);
  return /^-[0.,]+$/.test(text) ? text.slice(1) : text;
}

const fixed = (value: number, places: number): string => grouped(value, places, places);
const trimmed = (value: number, places: number): string => grouped(value, 0, places);
