/** From one plan to another: who was told of a group is told no second time because its route stands elsewhere in the tree now. */
import type { Group } from "./group.ts";
import type { AlertRecord } from "./model.ts";
import { groupIdOf, groupLabels, routesOf } from "./routing.ts";
import type { Route } from "./routing.ts";
import type { AlertRow } from "./store.ts";

/** A group as it was before, or elsewhere. */
export interface KnownGroup extends Pick<Group, "id" | "labels" | "seq" | "row"> {
  readonly route: Pick<Route, "contacts">;
  readonly members: ReadonlySet<AlertRecord>;
  /** What was told of it is about to be edited. */
  readonly isTouched?: boolean;
}

/** By their ids. */
export type KnownGroups = ReadonlyMap<string, KnownGroup>;

export interface CarriedOver {
  /** Of the groups that there will be, as far as they were there before. */
  readonly rows: readonly AlertRow[];
  /** Those that other groups know of now. */
  readonly changed: readonly AlertRecord[];
  /** By the id of a group that there will be. */
  readonly before: KnownGroups;
}

/** `root`: of the new plan. Each record's `told` is then of its groups. */
export function carriedOver(groups: KnownGroups, records: readonly AlertRecord[], root: Route): CarriedOver {
  const rows = new Map<string, AlertRow>();
  const known = new Map<string, KnownGroup>();
  const changed: AlertRecord[] = [];
  const members = membersOf(groups);
  for (const record of records) {
    const before = members.get(record) ?? [];
    const told = new Set<string>();
    for (const route of routesOf(root, record.alert)) {
      const id = groupIdOf(route, record.alert);
      const labels = JSON.stringify(groupLabels(route, record.alert));
      const same = before.filter((group) => isSame(group, route, labels));
      const group = same.find((one) => record.told.has(one.id)) ?? same[0];
      if (group === undefined) continue;
      if (record.told.has(group.id)) told.add(id);
      if (rows.has(id)) continue;
      rows.set(id, { ...group.row(), id });
      known.set(id, group);
    }
    if (told.size === record.told.size && [...told].every((id) => record.told.has(id))) continue;
    record.told = told;
    changed.push(record);
  }
  return { rows: [...rows.values()], changed, before: known };
}

function membersOf(groups: KnownGroups): ReadonlyMap<AlertRecord, KnownGroup[]> {
  const found = new Map<AlertRecord, KnownGroup[]>();
  for (const group of groups.values()) {
    for (const record of group.members) {
      const known = found.get(record);
      if (known === undefined) found.set(record, [group]);
      else known.push(group);
    }
  }
  return found;
}

/** The same people, of the same alerts. */
function isSame({ route: before, labels }: KnownGroup, route: Route, labelsNow: string): boolean {
  if (JSON.stringify(labels) !== labelsNow || before.contacts.length !== route.contacts.length) return false;
  return before.contacts.every((name) => route.contacts.includes(name));
}
