/** Pictures of alerts, for notifications, for links in them, and for the dashboard. */
import { TidewireError, reasonOf, seconds } from "../../base/mod.ts";
import type { Clock, Counter, EpochMs, Logger, Metrics } from "../../base/mod.ts";
import { measuredBy, toldBy } from "../../rules/mod.ts";
import type { Alert, AlertPictures, KeyedHash, Measured, RuleDocument } from "../../rules/mod.ts";
import type { SeriesQuery, SeriesResult } from "../../telemetry/mod.ts";
import { chartOf, queryOf } from "./alert-chart.ts";
import { chartSvg } from "./chart-svg.ts";
import { PictureLinks } from "./picture-links.ts";
import type { SignedMoment } from "./picture-links.ts";

export interface PictureSources {
  /** Throws NOT_FOUND. */
  alert(id: string): Alert;
  rule(name: string): RuleDocument | null;
  query(query: SeriesQuery): Promise<Pick<SeriesResult, "series">>;
  /** Of the times that are shown. */
  zone(): string;
  /** Of a field of what a thing measures; null where nobody says it. */
  unit(thing: string, measured: Pick<Measured, "field" | "measurement">): string | null;
}

export interface PicturesOptions {
  readonly keyedHash: KeyedHash;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly rasterise: (svg: string) => Promise<Uint8Array>;
}

/** One alert is told to several contact points at once. */
const KEPT_MAX = 32;

export class Pictures implements AlertPictures {
  readonly #o: PicturesOptions;
  readonly #links: PictureLinks;
  readonly #made: Counter;
  readonly #failed: Counter;
  #sources: PictureSources | null = null;
  #told = false;
  /** One for each rule that is in force. */
  readonly #toldBy = new WeakMap<RuleDocument, ReturnType<typeof toldBy>>();
  /** The oldest first; also those that are being made. */
  readonly #kept = new Map<string, Promise<Uint8Array | null>>();

  constructor(options: PicturesOptions) {
    this.#o = options;
    this.#links = new PictureLinks(options);
    const { metrics } = options;
    this.#made = metrics.counter({ name: "tidewire_alert_pictures_total", help: "Pictures of alerts that were made" });
    this.#failed = metrics.counter({
      name: "tidewire_alert_picture_failures_total",
      help: "Pictures of alerts that could not be made; what they belong to goes without",
    });
  }

  /** Once the rules and the store are there; before, there are no pictures. */
  open(sources: PictureSources): void {
    this.#sources = sources;
  }

  /** Null where the alert measures nothing, or nothing was stored. Throws NOT_FOUND, and what the store throws. */
  async svg(id: string, at: EpochMs = this.#o.clock.now()): Promise<string | null> {
    const sources = this.#sources;
    if (sources === null) return null;
    const alert = sources.alert(id);
    const measured = this.#measured(alert);
    if (measured === null) return null;
    const { series } = await sources.query(queryOf(alert, measured, at));
    const told = { zone: sources.zone(), unit: sources.unit(alert.thing, measured) };
    const chart = chartOf(alert, measured, series, at, told);
    return chart === null ? null : chartSvg(chart);
  }

  /** As `svg`; throws PICTURE_UNAVAILABLE as well. */
  async png(id: string, at: EpochMs): Promise<Uint8Array | null> {
    this.#sources?.alert(id); // one that is forgotten is not shown, even where its picture was made before
    const key = `${Math.round(at / seconds(1))} ${id}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const made = this.#make(id, at);
    this.#kept.set(key, made);
    made.catch(() => this.#kept.delete(key));
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_MAX) break;
      this.#kept.delete(oldest);
    }
    return made;
  }

  link(dashboard: string, alert: string, at: EpochMs): string | null {
    const isMeasured = this.#sources !== null && this.#measured(this.#sources.alert(alert)) !== null;
    return isMeasured ? this.#links.link(dashboard, alert, Math.round(at)) : null;
  }

  /** Of the value that a rule's alert tells; null where no schema says it. */
  unitOf(ruleName: string, thing: string): string | null {
    const rule = this.#sources?.rule(ruleName) ?? null;
    if (rule === null) return null;
    let told = this.#toldBy.get(rule);
    if (told === undefined) this.#toldBy.set(rule, (told = toldBy(rule)));
    return told === null ? null : this.#sources!.unit(thing, told);
  }

  #measured({ rule: name }: Alert): Measured | null {
    const rule = this.#sources?.rule(name) ?? null;
    return rule === null ? null : measuredBy(rule);
  }

  /** Of a link. Throws LINK_INVALID, NOT_FOUND. */
  linked(moment: SignedMoment): Promise<Uint8Array | null> {
    this.#links.check(moment);
    return this.png(moment.alert, moment.at);
  }

  async #make(id: string, at: EpochMs): Promise<Uint8Array | null> {
    try {
      const svg = await this.svg(id, at);
      if (svg === null) return null;
      const png = await this.#bitmap(svg);
      this.#made.value++;
      return png;
    } catch (error) {
      if (!(error instanceof TidewireError && error.code === "NOT_FOUND")) this.#tell(error);
      throw error;
    }
  }

  async #bitmap(svg: string): Promise<Uint8Array> {
    try {
      return await this.#o.rasterise(svg);
    } catch (error) {
      throw new TidewireError("PICTURE_UNAVAILABLE", { reason: reasonOf(error) }, { cause: error });
    }
  }

  /** Once; the metric has the number. */
  #tell(error: unknown): void {
    this.#failed.value++;
    if (this.#told) return;
    this.#told = true;
    const message = "A picture of an alert could not be made; notifications go without. This is said once";
    this.#o.logger.warn(message, { reason: reasonOf(error) });
  }
}
