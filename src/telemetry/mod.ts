export { pointsOf, subjectOf, typeOf } from "./points.ts";
export type { FieldType, FieldValue, PointContext, PointLimits, Points } from "./points.ts";
export { AGGREGATES, isPercentile, needsPoints, quantileOf } from "./aggregate.ts";
export type { Aggregate, Interpolation, Measure, Percentile } from "./aggregate.ts";
export { answerSeries } from "./answer.ts";
export { gridOf, nextStart, startOf, startOfBucket, startsIn } from "./grid.ts";
export type { Calendar, Grid, ZoneSegment } from "./grid.ts";
export { ClockTrust } from "./clock-trust.ts";
export { cheapestPlan, coarsestOf, widened } from "./level-plan.ts";
export type { LevelPart } from "./level-plan.ts";
export type {
  Fill,
  LatestValue,
  LatestValues,
  Ranking,
  Series,
  SeriesOfResult,
  SeriesQuery,
  SeriesResult,
} from "./query.ts";
export { ExtremeBins, binWidth } from "./extreme-bins.ts";
export type { Bin, EndsReader } from "./extreme-bins.ts";
export { QUERY_PARAMETERS, parseSeriesQuery } from "./query-parse.ts";
export type { QueryParameters } from "./query-parse.ts";
export type {
  EdgeSelection,
  ExtremePoints,
  ExtremeSelection,
  PointRows,
  PointSelection,
  SeriesGroup,
  SeriesReader,
  WindowRows,
  WindowSelection,
} from "./series-reader.ts";
export { SequenceBook, sourceOf, sourcesOf } from "./sequence-book.ts";
export type { SequenceLimits, SequenceRow } from "./sequence-book.ts";
export { RETIRED, SeriesBook } from "./series-book.ts";
export type { MeasurementSeries, SeriesEntry, SeriesLimits, SeriesName } from "./series-book.ts";
export { PayloadTemplate } from "./payload-template.ts";
export { PointBatch } from "./point-batch.ts";
export { LatestBook, asType } from "./latest-book.ts";
export type { FieldName, LatestRow } from "./latest-book.ts";
export { DEFAULT_RETENTION, LEVELS, parseDiskRoom, parseRetention, ROLLUPS, ROLLUP_WIDTH } from "./levels.ts";
export type { DiskRoom, Level, Retention, Rollup } from "./levels.ts";
export { NO_EXTENT } from "./store.ts";
export type { Commit, LevelExtent, Retired, StoreExtent, TelemetryStore } from "./store.ts";
export { compact, planOf, shownBytes } from "./plan.ts";
export type { Plan, PlanCost, PlanRequest, PlanStorage } from "./plan.ts";
export { LIST_PRICES, MEASURED } from "./plan-figures.ts";
export type { Figure, PriceStep, Prices } from "./plan-figures.ts";
export { planRequestOf } from "./plan-request.ts";
export type { PlanWords } from "./plan-request.ts";
