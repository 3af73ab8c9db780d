/**
 * Parts of `points` and `texts` by time. Days around now have a partition each, which retention drops whole. Older data
 * that comes late goes into partitions of a month, unless its month has days already: so a device that sends a
 * reading for every day since 2000 makes some three hundred partitions, not ten thousand.
 */
import { days } from "../../base/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import type { PointBatch } from "../../telemetry/mod.ts";
import type { Session } from "./session.ts";

const DAY = days(1);
/** Older than this is late, and takes a month. */
const LATE = days(31);

/** Bytes with indexes, and how many there are. */
export const MEASURE_PARTITIONS =
  "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint, count(*) FROM pg_inherits " +
  "WHERE inhparent = ANY (ARRAY['points'::regclass, 'texts'::regclass])";

export interface Partition {
  readonly table: "points" | "texts";
  readonly name: string;
  readonly from: EpochMs;
  readonly below: EpochMs;
}

export class Partitions {
  /** Ascending, disjoint; bounded by what lies between 2000 and tomorrow. */
  readonly #known = { points: [] as Partition[], texts: [] as Partition[] };

  async load(session: Session): Promise<void> {
    this.#known.points.length = 0;
    this.#known.texts.length = 0;
    const rows = await session.query(
      `SELECT parent.relname::text, part.relname::text, pg_get_expr(part.relpartbound, part.oid)
       FROM pg_inherits JOIN pg_class part ON part.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent
       WHERE part.relkind = 'r' AND parent.oid = ANY (ARRAY['points'::regclass, 'texts'::regclass])`,
    );
    for (const [table, name, bound] of rows) {
      const found = /FROM \('(-?\d+)'\) TO \('(-?\d+)'\)/.exec(String(bound));
      if (found === null) throw new Error(`the partition ${String(name)} has the unknown bound ${String(bound)}`);
      const from = Number(found[1]);
      this.#add({ table: table as Partition["table"], name: String(name), from, below: Number(found[2]) });
    }
  }

  /** Those that the batch needs and are not there yet, and tomorrow's ahead of time. Does not remember them: see `made`. */
  missing(batch: PointBatch, now: EpochMs): readonly Partition[] {
    const missing: Partition[] = [];
    const need = (table: Partition["table"], time: EpochMs): void => {
      if (
        covering(this.#known[table], time) !== null ||
        missing.some((part) => part.table === table && covers(part, time))
      )
        return;
      missing.push(this.#partitionFor(table, time, now));
    };
    const { times, count, textTimes } = batch;
    let last: Partition | null = null;
    for (let i = 0; i < count; i++) {
      const time = times[i]!;
      if (last !== null && covers(last, time)) continue;
      last = covering(this.#known.points, time);
      if (last === null) need("points", time);
    }
    for (const time of textTimes) need("texts", time);
    for (const table of ["points", "texts"] as const) for (const time of [now, now + DAY]) need(table, time);
    return missing;
  }

  /** Attached, not created as a part: that would stop all readers of the table until the running queries are done. */
  async make(session: Session, missing: readonly Partition[]): Promise<void> {
    for (const { table, name, from, below } of missing) {
      await session.query(
        `CREATE TABLE ${name} (LIKE ${table} INCLUDING DEFAULTS);
         ALTER TABLE ${name} ADD CONSTRAINT within CHECK (time >= ${from} AND time < ${below});
         ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM (${from}) TO (${below});
         ALTER TABLE ${name} DROP CONSTRAINT within`,
      );
    }
  }

  /** After the commit that made them. */
  made(partitions: readonly Partition[]): void {
    for (const partition of partitions) this.#add(partition);
  }

  /** Partitions that hold nothing at or after `time`. */
  endedBefore(time: EpochMs): readonly Partition[] {
    return [...this.#known.points, ...this.#known.texts].filter(({ below }) => below <= time);
  }

  dropped(partitions: readonly Partition[]): void {
    for (const table of ["points", "texts"] as const) {
      const kept = this.#known[table].filter((part) => !partitions.includes(part));
      this.#known[table].splice(0, Number.POSITIVE_INFINITY, ...kept);
    }
  }

  #add(partition: Partition): void {
    const known = this.#known[partition.table];
    known.push(partition);
    known.sort((a, b) => a.from - b.from);
  }

  #partitionFor(table: Partition["table"], time: EpochMs, now: EpochMs): Partition {
    const month = monthOf(time);
    const taken = this.#known[table].some((part) => part.from < month.below && part.below > month.from);
    const late = time < now - LATE && month.below <= now - DAY;
    const from = Math.floor(time / DAY) * DAY;
    const bounds = late && !taken ? month : { from, below: from + DAY };
    const stamp = new Date(bounds.from)
      .toISOString()
      .slice(0, late && !taken ? 7 : 10)
      .replaceAll("-", "_");
    return { table, name: `${table}_${stamp}`, ...bounds };
  }
}

function monthOf(time: EpochMs): { readonly from: EpochMs; readonly below: EpochMs } {
  const date = new Date(time);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  return { from: Date.UTC(year, month), below: Date.UTC(year, month + 1) };
}

function covers(partition: Partition, time: EpochMs): boolean {
  return time >= partition.from && time < partition.below;
}

function covering(ascending: readonly Partition[], time: EpochMs): Partition | null {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]!.below <= time) low = middle + 1;
    else high = middle;
  }
  const found = ascending[low];
  return found !== undefined && covers(found, time) ? found : null;
}
