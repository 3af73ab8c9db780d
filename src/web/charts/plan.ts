/** Which charts a thing gets, from the fields that it sends. */
import { fieldLabel, leafLabel } from "../format/labels.ts";
import { unitFor } from "../format/units.ts";
import type { Unit } from "../format/units.ts";
import type { DrawnKind } from "./thing-series.ts";

export interface FieldInfo {
  readonly measurement: string;
  readonly field: string;
  readonly type: "number" | "boolean" | "string";
  /** As a schema names it. */
  readonly unit?: string | undefined;
}

type UnitOf = (field: string) => Unit;

export interface ChartLine {
  readonly field: string;
  readonly label: string;
  /** `main` is strong and filled, `faint` stands behind it and shares one entry in the legend. */
  readonly role: "main" | "line" | "faint";
}

/** `percent`: always 0 to 100. `zero`: from zero up. `free`: as the values are. `step`: true or false. */
export type Scale = "percent" | "zero" | "free" | "step";

export interface ChartSpec {
  readonly id: string;
  readonly title: string;
  readonly measurement: string;
  readonly kind: DrawnKind;
  readonly unit: Unit;
  readonly scale: Scale;
  readonly lines: readonly ChartLine[];
  /** What the faint lines are together: "cores". */
  readonly faintName: string | null;
  /** Fields for "5.2 GiB of 15.5 GiB" beside the title. */
  readonly amount: { readonly used: string; readonly total: string } | null;
}

/** More bands than these lie over each other and tell nothing. */
const BANDS_MAX = 2;

/** Whether lines that stand for windows show the band from lowest to highest, too. */
export function hasBands(spec: ChartSpec): boolean {
  return spec.kind === "number" && spec.lines.filter((line) => line.role !== "faint").length <= BANDS_MAX;
}

export interface ChartPlan {
  readonly charts: readonly ChartSpec[];
  /** Shown as a table of last values. */
  readonly texts: readonly FieldInfo[];
}

/** More lines than this in one picture cannot be told apart. */
const LINES_MAX = 8;

/** Counters and totals that another chart tells better; they stay in the table of values. */
const TOLD_ELSEWHERE = new Set([
  "memory.usedBytes",
  "memory.totalBytes",
  "disk.usedBytes",
  "disk.totalBytes",
  "network.rxBytes",
  "network.txBytes",
  "uptime.seconds",
]);

interface Known {
  readonly id: string;
  readonly title: string;
  readonly main: readonly string[];
  readonly faint?: RegExp;
  readonly faintName?: string;
  readonly scale: Scale;
  readonly amount?: { readonly used: string; readonly total: string };
}

/** The charts of a machine, in the order in which one asks about it. */
const KNOWN: readonly Known[] = [
  {
    id: "cpu",
    title: "CPU",
    main: ["cpu.percent"],
    faint: /^cpu\.core\d+$/,
    faintName: "cores",
    scale: "percent",
  },
  {
    id: "memory",
    title: "Memory",
    main: ["memory.percent"],
    scale: "percent",
    amount: { used: "memory.usedBytes", total: "memory.totalBytes" },
  },
  {
    id: "network",
    title: "Network",
    main: ["network.rxBytesPerSecond", "network.txBytesPerSecond"],
    scale: "zero",
  },
  { id: "load", title: "Load", main: ["load.m1", "load.m5", "load.m15"], scale: "zero" },
  {
    id: "disk",
    title: "Disk",
    main: ["disk.percent"],
    scale: "percent",
    amount: { used: "disk.usedBytes", total: "disk.totalBytes" },
  },
  { id: "temperature", title: "Temperature", main: ["temperature.celsius"], scale: "free" },
];

const LOAD_LABELS: Readonly<Record<string, string>> = { "load.m1": "1 min", "load.m5": "5 min", "load.m15": "15 min" };
const SINGLE_LABELS: Readonly<Record<string, string>> = {
  "cpu.percent": "Total",
  "memory.percent": "Used",
  "disk.percent": "Used",
};

/** Plans the charts; the order is stable, so that a new field never moves the charts above it. */
export function planCharts(fields: readonly FieldInfo[]): ChartPlan {
  const charts: ChartSpec[] = [];
  const measurements = [...new Set(fields.map((field) => field.measurement))].sort(systemFirst);
  for (const measurement of measurements) {
    const own = fields.filter((field) => field.measurement === measurement);
    const numeric = new Set(own.filter((field) => field.type === "number").map((field) => field.field));
    const named = new Map(own.map(({ field, unit }) => [field, unit]));
    const unitOf: UnitOf = (field) => unitFor(field, named.get(field));
    charts.push(...knownCharts(measurement, numeric, unitOf));
    charts.push(...otherCharts(measurement, [...numeric].sort(byName), measurements.length > 1, unitOf));
    for (const { field } of own.filter(({ type }) => type === "boolean").sort((a, b) => byName(a.field, b.field))) {
      charts.push(single(measurement, field, "boolean", measurements.length > 1, unitOf));
    }
  }
  return { charts, texts: fields.filter((field) => field.type === "string") };
}

function knownCharts(measurement: string, numeric: Set<string>, unitOf: UnitOf): ChartSpec[] {
  const charts: ChartSpec[] = [];
  for (const known of KNOWN) {
    const main = known.main.filter((field) => numeric.has(field));
    if (main.length === 0) continue;
    const faint = known.faint === undefined ? [] : [...numeric].filter((field) => known.faint!.test(field));
    faint.sort(byName);
    // Other charts are planned from what is left.
    for (const field of [...main, ...faint]) numeric.delete(field);
    const line = (field: string, role: ChartLine["role"]): ChartLine => ({
      field,
      label: LOAD_LABELS[field] ?? SINGLE_LABELS[field] ?? leafLabel(field),
      role,
    });
    charts.push({
      id: `${measurement}/${known.id}`,
      title: known.title,
      measurement,
      kind: "number",
      unit: unitOf(main[0]!),
      scale: known.scale,
      // A single core is the total; drawn twice it would say nothing.
      lines: [...main.map((f) => line(f, main.length === 1 ? "main" : "line")), ...faint.map((f) => line(f, "faint"))],
      faintName: known.faintName ?? null,
      amount: known.amount ?? null,
    });
  }
  if (charts.length > 0) for (const field of TOLD_ELSEWHERE) numeric.delete(field);
  return charts;
}

/** Fields of one parent and unit share a chart (`vibration.x`, `.y`, `.z`); all others get their own. */
function otherCharts(measurement: string, numeric: readonly string[], named: boolean, unitOf: UnitOf): ChartSpec[] {
  const groups = new Map<string, string[]>();
  for (const field of numeric) {
    const dot = field.lastIndexOf(".");
    const key = dot < 0 ? field : `${field.slice(0, dot)} ${unitOf(field)}`;
    groups.set(key, [...(groups.get(key) ?? []), field]);
  }
  const charts: ChartSpec[] = [];
  for (const group of groups.values()) {
    if (group.length === 1) charts.push(single(measurement, group[0]!, "number", named, unitOf));
    else
      for (let i = 0; i < group.length; i += LINES_MAX)
        charts.push(shared(measurement, group.slice(i, i + LINES_MAX), named, unitOf));
  }
  return charts;
}

function shared(measurement: string, fields: readonly string[], named: boolean, unitOf: UnitOf): ChartSpec {
  const first = fields[0]!;
  const parent = first.slice(0, first.lastIndexOf("."));
  return {
    id: `${measurement}/${first}`,
    title: titleOf(measurement, fieldLabel(parent), named),
    measurement,
    kind: "number",
    unit: unitOf(first),
    scale: unitOf(first) === "percent" ? "percent" : "free",
    lines: fields.map((field) => ({ field, label: leafLabel(field), role: "line" })),
    faintName: null,
    amount: null,
  };
}

function single(measurement: string, field: string, kind: DrawnKind, named: boolean, unitOf: UnitOf): ChartSpec {
  const unit = kind === "boolean" ? "none" : unitOf(field);
  return {
    id: `${measurement}/${field}`,
    title: titleOf(measurement, fieldLabel(field), named),
    measurement,
    kind,
    unit,
    scale: kind === "boolean" ? "step" : unit === "percent" ? "percent" : "free",
    lines: [{ field, label: leafLabel(field), role: "main" }],
    faintName: null,
    amount: null,
  };
}

function titleOf(measurement: string, label: string, named: boolean): string {
  return named && measurement !== "system" ? `${fieldLabel(measurement)}: ${label}` : label;
}

function systemFirst(a: string, b: string): number {
  if (a === b) return 0;
  if (a === "system") return -1;
  if (b === "system") return 1;
  return byName(a, b);
}

/** `core2` before `core10`. */
const collator = new Intl.Collator("en", { numeric: true });

function byName(a: string, b: string): number {
  return collator.compare(a, b);
}
