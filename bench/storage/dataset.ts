/**
 * The data of the storage benchmarks, the same for all: readings with one decimal that wander as real ones do. Every
 * value follows from the seed, so that each database can be asked whether it gives the same answers.
 */

export interface Reading {
  readonly device: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** In the order of `FIELDS` of its data set. */
  readonly values: readonly number[];
}

export interface DataSet {
  readonly measurement: string;
  readonly fields: readonly string[];
  readonly devices: readonly string[];
  readonly from: number;
  /** Behind the last reading. */
  readonly to: number;
  readonly points: number;
  /** In the order of time, all devices in turns. */
  readonly readings: () => Generator<Reading>;
}

const FLEET_START = Date.UTC(2026, 0, 5);
const FLEET_STEP = 10_000;
const YEAR_START = Date.UTC(2025, 0, 1);
const MINUTE = 60_000;

/** `devices` × 4 metrics × `samples`, one every 10 s. */
export function fleet(devices = 1_000, samples = 1_000): DataSet {
  const fields = ["temperature", "humidity", "pressure", "power"];
  const names = Array.from({ length: devices }, (_, i) => `device-${String(i).padStart(4, "0")}`);
  return dataSet({ measurement: "climate", fields, names, from: FLEET_START, step: FLEET_STEP, samples, seed: 1 });
}

/** One device, one metric, one reading a minute for a year of 365 days. */
export function year(): DataSet {
  const samples = 365 * 24 * 60;
  return dataSet({
    measurement: "meter",
    fields: ["power"],
    names: ["meter-1"],
    from: YEAR_START,
    step: MINUTE,
    samples,
    seed: 2,
  });
}

interface Plan {
  readonly measurement: string;
  readonly fields: readonly string[];
  readonly names: readonly string[];
  readonly from: number;
  readonly step: number;
  readonly samples: number;
  readonly seed: number;
}

function dataSet({ measurement, fields, names, from, step, samples, seed }: Plan): DataSet {
  return {
    measurement,
    fields,
    devices: names,
    from,
    to: from + samples * step,
    points: names.length * fields.length * samples,
    *readings() {
      const next = random(seed);
      const state = names.map(() => fields.map((_, i) => 20 * (i + 1) + 10 * next()));
      for (let sample = 0; sample < samples; sample++) {
        for (const [i, device] of names.entries()) {
          const values = state[i]!;
          for (let field = 0; field < values.length; field++) {
            // Mostly it stays as it is, or moves by a tenth or two.
            values[field] = Math.round((values[field]! + (next() - 0.5) * 0.6) * 10) / 10;
          }
          yield { device, time: from + sample * step, values };
        }
      }
    },
  };
}

/** mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Some thousand lines at a time, as InfluxDB and VictoriaMetrics take them. */
export function* lineProtocol({ measurement, fields, readings }: DataSet, linesPerPart = 5_000): Generator<string> {
  let lines: string[] = [];
  for (const { device, time, values } of readings()) {
    const pairs = fields.map((field, i) => `${field}=${values[i]}`).join(",");
    lines.push(`${measurement},device=${device} ${pairs} ${time}`);
    if (lines.length < linesPerPart) continue;
    yield lines.join("\n");
    lines = [];
  }
  if (lines.length > 0) yield lines.join("\n");
}
