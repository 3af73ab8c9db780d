/**
 * Partial aggregates of numbers, booleans and texts. Several rows may stand for one (series, bucket): they add up.
 *
 * Columns of the relation: series, bucket, count, sum, min, min_time, max, max_time, first, first_time, first_arrival, last, last_time,
 * last_arrival, first_text, last_text. Of equal times the one with the smaller arrival came first. Numbers have no texts,
 * texts have no sum, min, max, first and last (NULL).
 *
 * When the lowest and the highest point were is known of files with `extremeTimes`; others say the bucket's start.
 *
 * In a file `min`, `max`, their times, `first`, `last` and the last's time and arrival are NULL where they say nothing new (one point in
 * the bucket), times count from the bucket's start, and of an arrival only its generation is kept (among the rows of one
 * bucket no two are of the same): a rollup of sparse series then takes no more than the points.
 */
import { ROLLUP_WIDTH } from "../../telemetry/mod.ts";
import type { Rollup } from "../../telemetry/mod.ts";

/** An arrival is generation × this + place in it. */
export const GENERATION_STRIDE = 4_294_967_296;

/** Every point as a rollup of itself. `relation`: series, time, value, arrival. */
export function numbersAsRollup(rollup: Rollup, relation: string): string {
  return (
    `SELECT series, time - time % ${ROLLUP_WIDTH[rollup]} AS bucket, 1::BIGINT AS count, value AS sum, value AS min, time AS min_time, value AS max, ` +
    "time AS max_time, value AS first, time AS first_time, arrival AS first_arrival, value AS last, time AS last_time, arrival AS last_arrival, " +
    `NULL::VARCHAR AS first_text, NULL::VARCHAR AS last_text FROM (${relation})`
  );
}

/**
 * One row per (series, bucket) of one generation's numbers, as `mergedRollup(numbersAsRollup(…))` at half the work: which generation
 * an arrival is of is all that a file keeps of it, and here it is the same for all.
 */
export function generationNumbers(rollup: Rollup, generation: number, relation: string): string {
  const at = instant("time", "arrival");
  const arrival = `${generation * GENERATION_STRIDE}::BIGINT`;
  return (
    `SELECT series, time - time % ${ROLLUP_WIDTH[rollup]} AS bucket, count(*) AS count, sum(value) AS sum, min(value) AS min, arg_min(time, value) AS min_time, ` +
    `max(value) AS max, arg_max(time, value) AS max_time, arg_min(value, ${at}) AS first, min(time) AS first_time, ${arrival} AS first_arrival, ` +
    `arg_max(value, ${at}) AS last, max(time) AS last_time, ${arrival} AS last_arrival, NULL::VARCHAR AS first_text, NULL::VARCHAR AS last_text ` +
    `FROM (${relation}) GROUP BY series, bucket`
  );
}

export function textsAsRollup(rollup: Rollup, relation: string): string {
  return (
    `SELECT series, time - time % ${ROLLUP_WIDTH[rollup]} AS bucket, 1::BIGINT AS count, NULL::DOUBLE AS sum, NULL::DOUBLE AS min, ` +
    "NULL::BIGINT AS min_time, NULL::DOUBLE AS max, NULL::BIGINT AS max_time, NULL::DOUBLE AS first, time AS first_time, arrival AS first_arrival, NULL::DOUBLE AS last, " +
    `time AS last_time, arrival AS last_arrival, value AS first_text, value AS last_text FROM (${relation})`
  );
}

/** (time, arrival) as one number: as fast to compare as the time alone. Arrivals stay below 2^53. */
export function instant(time: string, arrival: string): string {
  return `${time}::HUGEINT * 9007199254740992 + ${arrival}`;
}

/** One row per (series, bucket) of a relation with the columns above. */
export function mergedRollup(relation: string): string {
  const first = instant("first_time", "first_arrival");
  const last = instant("last_time", "last_arrival");
  return (
    "SELECT series, bucket, sum(count)::BIGINT AS count, sum(sum) AS sum, min(min) AS min, arg_min(min_time, min) AS min_time, max(max) AS max, arg_max(max_time, max) AS max_time, " +
    `arg_min(first, ${first}) AS first, arg_min(first_time, ${first}) AS first_time, arg_min(first_arrival, ${first}) AS first_arrival, ` +
    `arg_max(last, ${last}) AS last, arg_max(last_time, ${last}) AS last_time, arg_max(last_arrival, ${last}) AS last_arrival, ` +
    `arg_min(first_text, ${first}) AS first_text, arg_max(last_text, ${last}) AS last_text ` +
    `FROM (${relation}) GROUP BY series, bucket`
  );
}

/** What a file holds of a relation with the columns above and one row per (series, bucket). */
export function packedRollup(relation: string): string {
  const many = (column: string): string => `CASE WHEN count > 1 THEN ${column} END AS ${column}`;
  const after = (of: string): string => `CASE WHEN count > 1 THEN (${of}_time - bucket)::INTEGER END AS ${of}_after`;
  return (
    `SELECT series, bucket, count, sum, ${many("min")}, ${after("min")}, ${many("max")}, ${after("max")}, ${many("first")}, (first_time - bucket)::INTEGER AS first_after, ` +
    `(first_arrival // ${GENERATION_STRIDE})::INTEGER AS first_generation, ${many("last")}, ` +
    "CASE WHEN count > 1 THEN (last_time - bucket)::INTEGER END AS last_after, " +
    `CASE WHEN count > 1 THEN (last_arrival // ${GENERATION_STRIDE})::INTEGER END AS last_generation, first_text, ` +
    `CASE WHEN count > 1 THEN last_text END AS last_text FROM (${relation})`
  );
}

/** A file's rows with the columns above again. `extremeTimes`: whether it has them; written before they were, it has not. */
export function unpackedRollup(files: string, extremeTimes: boolean): string {
  const time = (of: string): string =>
    extremeTimes
      ? `bucket + coalesce(${of}_after, first_after)`
      : "CASE WHEN count = 1 THEN bucket + first_after ELSE bucket END";
  return (
    `SELECT series, bucket, count, sum, coalesce(min, sum) AS min, ${time("min")} AS min_time, coalesce(max, sum) AS max, ` +
    `${time("max")} AS max_time, coalesce(first, sum) AS first, ` +
    `bucket + first_after AS first_time, first_generation::BIGINT * ${GENERATION_STRIDE} AS first_arrival, ` +
    "coalesce(last, sum) AS last, bucket + coalesce(last_after, first_after) AS last_time, " +
    `coalesce(last_generation, first_generation)::BIGINT * ${GENERATION_STRIDE} AS last_arrival, ` +
    `first_text, coalesce(last_text, first_text) AS last_text FROM ${files}`
  );
}
