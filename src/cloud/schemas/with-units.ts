/** Stored values with the units that schemas (`x-unit`) say: for the API and the dashboard, whatever the store is. */
import type { Aggregate, LatestValue, SeriesOfResult } from "../api/contract.ts";
import type { TelemetryPort } from "../api/ports.ts";
import type { TopicSchemas } from "./schema-kind.ts";

type UnitOf = TopicSchemas["unitOf"];

export function withUnits(telemetry: TelemetryPort, unitOf: UnitOf): TelemetryPort {
  const latest = (thing: string, values: readonly LatestValue[]): readonly LatestValue[] =>
    values.map((value) => {
      const unit = unitOf(thing, value.measurement, value.field);
      return unit === null ? value : { ...value, unit };
    });
  return {
    query: async (query) => {
      const result = await telemetry.query(query);
      const series = result.series.map((one) => {
        const named = unitOf(one.thing ?? result.thing, one.measurement, one.field);
        const unit = named === null ? null : unitAfter(one.aggregate ?? result.aggregate, named);
        return unit === null ? one : ({ ...one, unit } satisfies SeriesOfResult);
      });
      return { ...result, series };
    },
    parquet: (query) => telemetry.parquet(query),
    latest: async (thing) => latest(thing, await telemetry.latest(thing)),
    headline: async (things, fields) => {
      const found = await telemetry.headline(things, fields);
      return new Map([...found].map(([thing, values]) => [thing, latest(thing, values)]));
    },
    watch: (thing) => telemetry.watch(thing),
    unwatch: (thing) => telemetry.unwatch(thing),
    onPoints: (listener) => telemetry.onPoints(listener),
    onRejoin: (listener) => telemetry.onRejoin(listener),
  };
}

/** Null: it has none, or none that could be named. */
function unitAfter(aggregate: Aggregate | null, unit: string): string | null {
  switch (aggregate) {
    case "count":
      return null;
    case "rate":
      return `${unit}/s`;
    case "integral":
      return `${unit}·s`;
    default:
      return unit;
  }
}
