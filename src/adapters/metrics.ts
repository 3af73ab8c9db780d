/** Prometheus exposition of the metrics port, on the Prometheus project's own client. */
import { Counter as PromCounter, Gauge as PromGauge, Registry, collectDefaultMetrics } from "@prometheus-io/client";
import type { Counter, Gauge, MetricDefinition, Metrics } from "../base/mod.ts";

interface Family {
  readonly help: string;
  readonly kind: "counter" | "gauge";
  readonly cells: { readonly labels: Readonly<Record<string, string>>; readonly read: () => number }[];
}

/**
 * Cells are plain numbers that the hot path increments; they meet the client only when somebody scrapes.
 * One instance per platform, so two platforms in one process do not share numbers.
 */
export class PrometheusMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #families = new Map<string, Family>();
  readonly #cells = new Map<string, { value: number }>();

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  counter(definition: MetricDefinition): Counter {
    return this.#cell(definition, "counter");
  }

  gauge(definition: MetricDefinition): Gauge {
    return this.#cell(definition, "gauge");
  }

  observe(definition: MetricDefinition, read: () => number): void {
    this.#family(definition, "gauge").cells.push({ labels: definition.labels ?? {}, read });
  }

  /** The text format of Prometheus 0.0.4. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Every metric's name, kind and help, for the generated reference. */
  describe(): readonly { readonly name: string; readonly kind: string; readonly help: string }[] {
    return [...this.#families].map(([name, { kind, help }]) => ({ name, kind, help }));
  }

  #cell(definition: MetricDefinition, kind: Family["kind"]): { value: number } {
    const labels = definition.labels ?? {};
    const key = `${definition.name} ${JSON.stringify(labels)}`;
    const known = this.#cells.get(key);
    if (known !== undefined) return known;
    const cell = { value: 0 };
    this.#cells.set(key, cell);
    this.#family(definition, kind).cells.push({ labels, read: () => cell.value });
    return cell;
  }

  #family(definition: MetricDefinition, kind: Family["kind"]): Family {
    let family = this.#families.get(definition.name);
    if (family === undefined) {
      family = { help: definition.help, kind, cells: [] };
      this.#families.set(definition.name, family);
      this.#register(definition, family);
    }
    return family;
  }

  #register(definition: MetricDefinition, family: Family): void {
    const options = {
      name: definition.name,
      help: definition.help,
      labelNames: Object.keys(definition.labels ?? {}),
      registers: [this.#registry],
    };
    if (family.kind === "counter") {
      const counter: PromCounter<string> = new PromCounter({
        ...options,
        collect: () => {
          counter.reset();
          for (const cell of family.cells) counter.inc(cell.labels, cell.read());
        },
      });
    } else {
      const gauge: PromGauge<string> = new PromGauge({
        ...options,
        collect: () => {
          for (const cell of family.cells) gauge.set(cell.labels, cell.read());
        },
      });
    }
  }
}
