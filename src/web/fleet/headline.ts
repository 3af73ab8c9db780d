/** Which headline values the table has columns for. */
import type { FleetEntry, LatestValue } from "../../cloud/api/contract.ts";
import { fieldLabel } from "../format/labels.ts";
import { unitFor } from "../format/units.ts";
import type { Unit } from "../format/units.ts";

export interface HeadlineColumn {
  readonly measurement: string;
  readonly field: string;
  readonly label: string;
  readonly unit: Unit;
}

const COLUMNS_MAX = 3;
/** In the order in which one asks about a machine; others follow by how many things have them. */
const FIRST = ["cpu.percent", "memory.percent", "disk.percent"];

export function headlineColumns(entries: readonly FleetEntry[]): HeadlineColumn[] {
  const counts = new Map<string, { value: LatestValue; count: number }>();
  for (const { headline } of entries) {
    for (const value of headline) {
      const key = `${value.measurement}\t${value.field}`;
      const known = counts.get(key);
      if (known === undefined) counts.set(key, { value, count: 1 });
      else known.count++;
    }
  }
  return [...counts.values()]
    .sort((a, b) => rank(a.value.field) - rank(b.value.field) || b.count - a.count)
    .slice(0, COLUMNS_MAX)
    .map(({ value: { measurement, field, unit } }) => ({
      measurement,
      field,
      label: fieldLabel(field),
      unit: unitFor(field, unit),
    }));
}

function rank(field: string): number {
  const place = FIRST.indexOf(field);
  return place < 0 ? FIRST.length : place;
}

export function headlineValue(entry: FleetEntry, column: HeadlineColumn): LatestValue | null {
  return (
    entry.headline.find((value) => value.measurement === column.measurement && value.field === column.field) ?? null
  );
}
