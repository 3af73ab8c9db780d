/** Names ⇄ numbers: every (thing, measurement, field, type) is one series with a small consecutive number. */
import type { FieldType } from "./points.ts";

export interface SeriesName {
  readonly thing: string;
  readonly measurement: string;
  readonly field: string;
  readonly type: FieldType;
}

export interface SeriesEntry extends SeriesName {
  /** 0, 1, 2 …, in the order of first appearance. */
  readonly id: number;
  /** The thing's number, likewise. */
  readonly thingId: number;
}

export interface SeriesLimits {
  readonly seriesMax: number;
  readonly seriesPerThingMax: number;
}

/** A field's series by type; -1 where there is none. */
interface FieldSeries {
  number: number;
  boolean: number;
  string: number;
}

interface ThingSeries {
  readonly name: string;
  /** -1 until it has a series. */
  id: number;
  count: number;
  readonly measurements: Map<string, MeasurementSeries>;
}

/** A handle for many look-ups in one measurement; obtained once per message. */
export interface MeasurementSeries {
  readonly name: string;
  readonly thing: ThingSeries;
  readonly fields: Map<string, FieldSeries>;
}

export class SeriesBook {
  readonly #things = new Map<string, ThingSeries>();
  readonly #entries: SeriesEntry[] = [];
  readonly #limits: SeriesLimits;
  #saved = 0;
  /** Numbers of things are never given out twice, also where one was retired. */
  #nextThingId = 0;
  #retired = 0;

  constructor(limits: SeriesLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.length;
  }

  get thingCount(): number {
    return this.#things.size;
  }

  /** Numbers that are taken and mean nothing any more. */
  get retiredCount(): number {
    return this.#retired;
  }

  /** Names of all things that have a series, in the order of first appearance. */
  things(): readonly string[] {
    return [...this.#things.keys()];
  }

  entry(id: number): SeriesEntry {
    return this.#entries[id]!;
  }

  /** The thing's number, or -1 where it has no series yet. */
  thingId(thing: string): number {
    return this.#things.get(thing)?.id ?? -1;
  }

  /** The handle of a name. A new name is kept only once it has a series, so that names alone cost no memory. */
  measurement(thing: string, name: string): MeasurementSeries {
    const owner = this.#things.get(thing) ?? { name: thing, id: -1, count: 0, measurements: new Map() };
    return owner.measurements.get(name) ?? { name, thing: owner, fields: new Map() };
  }

  /** HOT. The series' number, made where it is new; -1 where a limit leaves no room for a new one. */
  resolve(measurement: MeasurementSeries, field: string, type: FieldType): number {
    const series = measurement.fields.get(field);
    if (series !== undefined && series[type] >= 0) return series[type];
    const { thing } = measurement;
    if (this.#entries.length >= this.#limits.seriesMax || thing.count >= this.#limits.seriesPerThingMax) return -1;
    return this.#add(measurement, field, type);
  }

  /** Brings back a saved series; they must come in the order of their numbers. */
  load(id: number, name: SeriesName): void {
    if (id !== this.#entries.length) throw new Error(`series ${id} follows ${this.#entries.length - 1}`);
    if (name.thing === RETIRED) {
      this.#entries.push(retired(id));
      this.#retired++;
    } else this.#add(this.measurement(name.thing, name.measurement), name.field, name.type);
    this.#saved = this.#entries.length;
  }

  /** Series that were made since the last call, to be saved with their first points. */
  takeNew(): readonly SeriesEntry[] {
    const fresh = this.#entries.slice(this.#saved);
    this.#saved = this.#entries.length;
    return fresh;
  }

  /**
   * The thing is forgotten: its numbers stay taken and mean nothing any more; what comes of it later gets new ones. Returns
   * the numbers. All of its series must be saved.
   */
  retire(thing: string): readonly number[] {
    const ids = this.find(thing, null, null).map(({ id }) => id);
    this.#things.delete(thing);
    for (const id of ids) this.#entries[id] = retired(id);
    this.#retired += ids.length;
    return ids;
  }

  /** Series of a thing, in the order of measurement, field and type. */
  find(thing: string, measurement: string | null, fields: readonly string[] | null): readonly SeriesEntry[] {
    const owner = this.#things.get(thing);
    if (owner === undefined) return [];
    const wanted = fields === null ? null : new Set(fields);
    const found: SeriesEntry[] = [];
    for (const candidate of owner.measurements.values()) {
      if (measurement !== null && candidate.name !== measurement) continue;
      for (const [field, series] of candidate.fields) {
        if (wanted !== null && !wanted.has(field)) continue;
        for (const id of [series.number, series.boolean, series.string]) if (id >= 0) found.push(this.#entries[id]!);
      }
    }
    return found.sort(byName);
  }

  #add(handle: MeasurementSeries, field: string, type: FieldType): number {
    const measurement = this.#keep(handle);
    let series = measurement.fields.get(field);
    if (series === undefined) {
      series = { number: -1, boolean: -1, string: -1 };
      measurement.fields.set(field, series);
    }
    const id = this.#entries.length;
    series[type] = id;
    measurement.thing.count++;
    const { thing } = measurement;
    this.#entries.push({ id, thing: thing.name, thingId: thing.id, measurement: measurement.name, field, type });
    return id;
  }

  #keep({ name, thing, fields }: MeasurementSeries): MeasurementSeries {
    let owner = this.#things.get(thing.name);
    if (owner === undefined) {
      owner = thing;
      owner.id = this.#nextThingId++;
      this.#things.set(owner.name, owner);
    }
    let measurement = owner.measurements.get(name);
    if (measurement === undefined) {
      measurement = { name, thing: owner, fields };
      owner.measurements.set(name, measurement);
    }
    return measurement;
  }
}

/** The name of things that are forgotten; no thing and no client has it. */
export const RETIRED = "";

function retired(id: number): SeriesEntry {
  return { id, thing: RETIRED, thingId: -1, measurement: "", field: "", type: "number" };
}

function byName(a: SeriesEntry, b: SeriesEntry): number {
  return compare(a.measurement, b.measurement) || compare(a.field, b.field) || compare(a.type, b.type);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
