/**
 * The data behind one thing's page: history and live as one.
 *
 * On every `watching` (so also after each reconnect) the whole view is fetched again and merged by time with what came
 * live since: a reading that was committed while the connection was down may carry any time, so only this leaves no gap.
 */
import { computed, signal } from "@preact/signals";
import type { Millis } from "../../base/mod.ts";
import type { ApiError, LatestValue, LatestValues, LiveEvent, SeriesResult } from "../../cloud/api/contract.ts";
import { ApiFailure, apiErrorOf, call } from "../api/client.ts";
import type { ChartSource } from "../charts/live-chart.ts";
import { planCharts } from "../charts/plan.ts";
import type { FieldInfo } from "../charts/plan.ts";
import { DEFAULT_RANGE, spanOf, windowAtLeast, windowFor, windowStart } from "../charts/ranges.ts";
import type { Span, View } from "../charts/ranges.ts";
import { ThingSeries } from "../charts/thing-series.ts";
import type { LiveSocket } from "../live/live-socket.ts";
import { aggregateQueries, rawQueries } from "./series-queries.ts";
import type { SeriesQuery } from "./series-queries.ts";

export type FeedStatus =
  | { readonly kind: "loading" }
  | { readonly kind: "ready" }
  /** What was loaded before stays on the page. */
  | { readonly kind: "failed"; readonly error: ApiError }
  | { readonly kind: "missing"; readonly error: ApiError };

/** Without a live connection the history is shown alone, after this patience. */
const LIVE_PATIENCE_MS = 1500;
const RETRY_MS = 5000;
const LATE_DELAY_MS = 1000;
const TIDY_MS = 10_000;
/** More raw rows than this are condensed: they could not be told apart, and drawing them is slow. */
const RAW_ROWS_MAX = 30_000;
/** Windows that ended so recently are folded here: their last readings may still be on the way. */
const SETTLE_MS: Millis = 5000;
/** Devices whose clock is ahead send points of the future; they are fetched so that they are not missing later. */
const AHEAD_MS: Millis = 3_600_000;

export class ThingFeed {
  readonly thing: string;
  readonly status = signal<FeedStatus>({ kind: "loading" });
  readonly fields = signal<readonly FieldInfo[]>([]);
  readonly latest = signal<ReadonlyMap<string, LatestValue>>(new Map());
  readonly view = signal<View>({ kind: "follow", range: DEFAULT_RANGE });
  /** Window of what is shown; null where it is raw. */
  readonly window = signal<Millis | null>(null);
  readonly plan = computed(() => planCharts(this.fields.value));
  /** Charts that show their table twin. */
  readonly tables = signal<ReadonlySet<string> | "all">(new Set());
  /** What the charts read from. */
  readonly source: ChartSource;
  #version = 0;
  readonly #live: LiveSocket;
  #shown: ThingSeries;
  #next: ThingSeries | null = null;
  #windowMin: Millis = 0;
  #pixels = 600;
  #abort: AbortController | null = null;
  #late: Span | null = null;
  #latestNow = new Map<string, LatestValue>();
  #frame: number | null = null;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #stops: (() => void)[] = [];

  constructor(thing: string, live: LiveSocket, view: View) {
    this.thing = thing;
    this.#live = live;
    this.view.value = view;
    this.#shown = new ThingSeries(null, 0);
    this.source = sourceOf(
      () => this.#shown,
      () => this.#version,
      () => this.span(),
    );
    this.#stops.push(live.watchThing(thing, (event) => this.#receive(event)));
    this.#after(LIVE_PATIENCE_MS, () => {
      if (this.#abort === null) void this.#load();
    });
    const tidy = setInterval(() => this.#tidy(), TIDY_MS);
    this.#stops.push(() => clearInterval(tidy));
  }

  /** What is shown. */
  get series(): ThingSeries {
    return this.#shown;
  }

  span(): Span {
    return spanOf(this.view.peek(), this.#live.serverNow());
  }

  setView(view: View): void {
    this.view.value = view;
    this.#windowMin = 0;
    // Even where nothing is loaded yet: what is known is drawn at its new place at once.
    void this.#load();
  }

  /** About how many pixels a chart is wide: the next load asks for as many points. */
  setPixels(pixels: number): void {
    this.#pixels = pixels;
  }

  stop(): void {
    this.#abort?.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    for (const stop of this.#stops) stop();
  }

  #receive(event: LiveEvent): void {
    if (event.type === "watching") void this.#load();
    if (event.type !== "points") return;
    const { measurement, series } = event;
    this.#next?.addRaw(measurement, series);
    const late = this.#shown.addRaw(measurement, series);
    if (late !== null) this.#fetchLate(late);
    for (const { field, times, values } of series) {
      const time = times.at(-1);
      const value = values.at(-1);
      if (time === undefined || value === undefined) continue;
      this.#learn({ measurement, field, value, time });
    }
    this.#changed();
  }

  #learn(value: LatestValue): void {
    const key = `${value.measurement}\t${value.field}`;
    const known = this.#latestNow.get(key);
    if (known !== undefined && known.time > value.time) return;
    // What comes live says no unit.
    this.#latestNow.set(key, known?.unit === undefined ? value : { unit: known.unit, ...value });
  }

  /** Of the schemas as they are now: of those that were before, none stays. */
  #learnUnits(values: readonly LatestValue[]): void {
    const named = new Map(values.map((value) => [`${value.measurement}\t${value.field}`, value.unit]));
    for (const [key, { unit: _before, ...value }] of this.#latestNow) {
      const unit = named.get(key);
      this.#latestNow.set(key, unit === undefined ? value : { ...value, unit });
    }
  }

  /** Tells the readers, once per frame however much arrives. */
  #changed(): void {
    this.#version++;
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      this.#publish();
    });
  }

  #publish(): void {
    this.latest.value = new Map(this.#latestNow);
    const fields = [...this.#latestNow.values()].map(({ measurement, field, value, unit }): FieldInfo => ({
      measurement,
      field,
      type: typeOf(value),
      unit,
    }));
    if (!sameFields(fields, this.fields.peek())) this.fields.value = fields;
  }

  async #load(): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    if (this.status.peek().kind !== "ready") this.status.value = { kind: "loading" };
    try {
      const path = `api/things/${encodeURIComponent(this.thing)}/latest`;
      const { values } = await call<LatestValues>(path, { signal: abort.signal });
      for (const value of values) this.#learn(value);
      this.#learnUnits(values);
      this.#publish();
      await this.#loadSeries(abort.signal);
      if (!abort.signal.aborted) this.status.value = { kind: "ready" };
    } catch (thrown) {
      if (!abort.signal.aborted) this.#failed(thrown);
    }
  }

  #failed(thrown: unknown): void {
    const error = apiErrorOf(thrown);
    if (thrown instanceof ApiFailure && thrown.status === 404) {
      this.status.value = { kind: "missing", error };
      return;
    }
    this.status.value = { kind: "failed", error };
    this.#after(RETRY_MS, () => {
      if (this.status.peek().kind === "failed") void this.#load();
    });
  }

  async #loadSeries(signal: AbortSignal): Promise<void> {
    for (;;) {
      const now = this.#live.serverNow();
      const { from, to } = spanOf(this.view.peek(), now);
      const wanted = Math.max(windowFor(to - from, this.#pixels) ?? 0, this.#windowMin);
      const window = wanted === 0 ? null : wanted;
      const next = new ThingSeries(window, now - SETTLE_MS);
      // From here on live points go into both: nothing falls between the fetch and the swap.
      this.#next = next;
      const truncated = await this.#fill(next, { from, to }, signal);
      if (signal.aborted) return;
      if (!truncated) {
        this.#shown = next;
        this.#next = null;
        this.window.value = window;
        this.#changed();
        return;
      }
      this.#windowMin = windowAtLeast(Math.max(wanted * 2, (to - from) / this.#pixels));
    }
  }

  async #fill(next: ThingSeries, span: Span, signal: AbortSignal): Promise<boolean> {
    // A little more on the left, so that the first line begins outside the picture.
    const from = span.from - (span.to - span.from) / 50 - 2 * (next.window ?? 0);
    const end = this.#live.serverNow() + AHEAD_MS;
    const to = this.view.peek().kind === "follow" ? end : span.to + (span.to - span.from) / 50;
    const { charts } = this.plan.peek();
    const queries: SeriesQuery[] =
      next.window === null
        ? rawQueries(this.thing, charts, from, to)
        : [
            ...aggregateQueries(this.thing, charts, windowStart(from, next.window), next.openFrom, next.window),
            ...rawQueries(this.thing, charts, next.openFrom, to),
          ];
    const results = await Promise.all(queries.map((query) => this.#fetchInto(next, query, signal)));
    return results.includes(true);
  }

  /** Returns whether the server cut the answer. */
  async #fetchInto(target: ThingSeries, query: SeriesQuery, signal: AbortSignal): Promise<boolean> {
    const result = await call<SeriesResult>(query.path, { signal });
    if (query.aggregate === null) target.addRaw(query.measurement, result.series);
    else target.addWindows(query.measurement, query.aggregate, result.series);
    return result.truncated;
  }

  /** Readings arrived for windows that are closed, say after a device was offline: the server computes them again. */
  #fetchLate(late: Span): void {
    const waiting = this.#late !== null;
    this.#late = {
      from: Math.min(late.from, this.#late?.from ?? Infinity),
      to: Math.max(late.to, this.#late?.to ?? -Infinity),
    };
    if (!waiting) this.#after(LATE_DELAY_MS, () => void this.#loadLate());
  }

  async #loadLate(): Promise<void> {
    const late = this.#late;
    const target = this.#shown;
    const { window } = target;
    this.#late = null;
    if (late === null || window === null || this.#abort === null) return;
    const { signal } = this.#abort;
    const to = windowStart(late.to, window) + window;
    const queries = aggregateQueries(this.thing, this.plan.peek().charts, windowStart(late.from, window), to, window);
    try {
      await Promise.all(queries.map((query) => this.#fetchInto(target, query, signal)));
      this.#changed();
    } catch (thrown) {
      if (!signal.aborted) this.#failed(thrown);
    }
  }

  #tidy(): void {
    if (this.view.peek().kind !== "follow") return;
    const now = this.#live.serverNow();
    const { from, to } = this.span();
    this.#shown.tidy(from - (to - from) / 20 - 2 * (this.#shown.window ?? 0), now);
    if (this.#shown.window === null && this.#shown.rows > RAW_ROWS_MAX) {
      this.#windowMin = windowAtLeast((to - from) / this.#pixels);
      void this.#load();
    }
  }

  #after(ms: number, task: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      task();
    }, ms);
    this.#timers.add(timer);
  }
}

function sourceOf(series: () => ThingSeries, version: () => number, span: () => Span): ChartSource {
  return {
    get series() {
      return series();
    },
    get version() {
      return version();
    },
    span,
  };
}

function typeOf(value: LatestValue["value"]): FieldInfo["type"] {
  return typeof value === "number" ? "number" : typeof value === "boolean" ? "boolean" : "string";
}

function sameFields(a: readonly FieldInfo[], b: readonly FieldInfo[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, i) => {
      const other = b[i]!;
      const isSame = one.field === other.field && one.measurement === other.measurement && one.type === other.type;
      return isSame && one.unit === other.unit;
    })
  );
}
