/** Groups of things: static ones in a hierarchy, filled by hand, and dynamic ones, filled by a query. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import { changedAttributes, newAttributes, sameAttributes } from "./attributes.ts";
import type { AttributeUpdate } from "./attributes.ts";
import { newId } from "./context.ts";
import type { RegistryContext } from "./context.ts";
import { checkName, checkText, invalid, shown } from "./names.ts";
import { pageOf } from "./page.ts";
import type { PageOptions } from "./page.ts";
import type { Attributes, DynamicGroupStatus, GroupQuery, Page, ThingGroup } from "./records.ts";
import { alreadyExists, checkVersion, limit, notFound } from "./refusals.ts";
import type { GroupFilter } from "./store.ts";

export interface GroupProperties {
  readonly description?: string | undefined;
  readonly attributes?: Attributes | undefined;
}

export interface NewGroup extends GroupProperties {
  readonly parentGroupName?: string | undefined;
}

/** Checked by whoever can run it, before it comes here. */
export interface NewQuery {
  readonly queryString: string;
  readonly indexName?: string | undefined;
  readonly queryVersion?: string | undefined;
}

export interface GroupUpdate extends AttributeUpdate {
  readonly description?: string | undefined;
  readonly expectedVersion?: number | undefined;
}

export interface QueryUpdate {
  readonly queryString?: string | undefined;
  readonly indexName?: string | undefined;
  readonly queryVersion?: string | undefined;
}

export type ListGroups = PageOptions & GroupFilter;

interface Made {
  readonly group: ThingGroup;
  readonly created: boolean;
}

const INDEX = "AWS_Things";
const QUERY_VERSION = "2017-09-30";

export class Groups {
  readonly #context: RegistryContext;

  constructor(context: RegistryContext) {
    this.#context = context;
  }

  /** Making the same group again succeeds (`created: false`); with other properties it is ALREADY_EXISTS. */
  create(name: string, given: NewGroup = {}): Made {
    return this.#create(name, given, null);
  }

  /** Its members are what `setDynamicMembers` says; until it says ACTIVE they are still being looked for. */
  createDynamic(name: string, query: NewQuery, given: GroupProperties = {}): Made {
    return this.#create(name, given, queryOf(query, "BUILDING"));
  }

  find(name: string): ThingGroup | undefined {
    return this.#context.store.groups.find(name);
  }

  describe(name: string): ThingGroup {
    return this.find(name) ?? notFound("thing group", name);
  }

  /** The groups above it, from the root down, and itself. */
  pathTo(name: string): readonly ThingGroup[] {
    this.describe(name);
    return this.#context.store.groups.pathTo(name);
  }

  update(name: string, update: GroupUpdate): ThingGroup {
    return this.#change(name, update, (group) => staticOnly(group));
  }

  /** Another query finds other members: its status is REBUILDING until `setDynamicMembers` says otherwise. */
  updateDynamic(name: string, update: GroupUpdate & QueryUpdate): ThingGroup {
    return this.#change(name, update, (group) => {
      const before = dynamicOnly(group);
      const { queryString, indexName, queryVersion } = before;
      const query = queryOf(
        {
          queryString: update.queryString ?? queryString,
          indexName: update.indexName ?? indexName,
          queryVersion: update.queryVersion ?? queryVersion,
        },
        "REBUILDING",
      );
      return { ...group, query: query.queryString === queryString ? before : query };
    });
  }

  /** False where there was none, which AWS counts as success. Refused while there are groups below it. */
  delete(name: string, expectedVersion?: number): boolean {
    return this.#delete(name, expectedVersion, staticOnly);
  }

  deleteDynamic(name: string, expectedVersion?: number): boolean {
    return this.#delete(name, expectedVersion, dynamicOnly);
  }

  /** By name. Without a parent: all; `recursive: false` leaves those out that are not at the top. */
  list(options: ListGroups = {}): Page<ThingGroup> {
    const { parent, recursive, prefix } = options;
    if (parent !== undefined) this.describe(parent);
    if (prefix !== undefined) checkName("thing group", prefix);
    return pageOf(
      `groups ${parent ?? ""} ${recursive ?? ""} ${prefix ?? ""}`,
      options,
      (group) => group.thingGroupName,
      (after, limit) => this.#context.store.groups.list({ parent, recursive, prefix }, { after, limit }),
    );
  }

  /** Nothing happens where it is in the group already. Refused where it is in another group of the same tree. */
  add(name: string, thingName: string, { override = false }: { readonly override?: boolean | undefined } = {}): void {
    const { store, ledger } = this.#context;
    ledger.atomically(() => {
      staticOnly(this.describe(name));
      if (store.things.find(thingName) === undefined) notFound("thing", thingName);
      const groups = store.groups.ofThing(thingName);
      if (groups.some((group) => group.thingGroupName === name)) return;
      this.#checkTree(name, thingName, groups);
      this.#makeRoom(thingName, groups, override);
      store.groups.addMembers(name, [thingName]);
      this.#told(name, "attached", [thingName]);
    });
  }

  /** False where it was not in the group. */
  remove(name: string, thingName: string): boolean {
    const { store, ledger } = this.#context;
    return ledger.atomically(() => {
      staticOnly(this.describe(name));
      if (store.things.find(thingName) === undefined) notFound("thing", thingName);
      if (store.groups.removeMembers(name, [thingName]) === 0) return false;
      this.#told(name, "detached", [thingName]);
      return true;
    });
  }

  /** All of it or nothing; what is to go goes first. */
  updateForThing(
    thingName: string,
    change: {
      readonly add?: readonly string[] | undefined;
      readonly remove?: readonly string[] | undefined;
      readonly override?: boolean | undefined;
    },
  ): void {
    this.#context.ledger.atomically(() => {
      for (const name of change.remove ?? []) this.remove(name, thingName);
      for (const name of change.add ?? []) this.add(name, thingName, { override: change.override });
    });
  }

  /** The groups that a thing is directly in, by name; they are few. */
  ofThing(thingName: string): readonly ThingGroup[] {
    const { store } = this.#context;
    if (store.things.find(thingName) === undefined) notFound("thing", thingName);
    return store.groups.ofThing(thingName);
  }

  /** Names of things, ascending. `recursive`: also of the groups below. */
  members(name: string, options: PageOptions & { readonly recursive?: boolean | undefined } = {}): Page<string> {
    this.describe(name);
    const recursive = options.recursive ?? false;
    return pageOf(
      `members of ${name} ${recursive}`,
      options,
      (thingName) => thingName,
      (after, limit) => this.#context.store.groups.members(name, recursive, { after, limit }),
    );
  }

  /**
   * For whoever runs the query. Things that are gone, or in as many groups as a thing may be, are left out: `skipped`.
   * To be called with some thousand at a time: each call is one transaction.
   */
  setDynamicMembers(
    name: string,
    change: {
      readonly add: readonly string[];
      readonly remove: readonly string[];
      readonly status?: DynamicGroupStatus;
    },
  ): { readonly skipped: readonly string[] } {
    const { store, ledger, clock } = this.#context;
    return ledger.atomically(() => {
      const group = this.describe(name);
      const query = dynamicOnly(group);
      const { groupsPerThingMax } = LIMITS.registry;
      if (change.remove.length > 0 && store.groups.removeMembers(name, change.remove) > 0) {
        this.#told(name, "detached", change.remove);
      }
      const skipped: string[] = [];
      const added = change.add.filter((thingName) => {
        const groups = store.groups.ofThing(thingName);
        if (groups.some((one) => one.thingGroupName === name)) return false;
        const fits = groups.length < groupsPerThingMax && store.things.find(thingName) !== undefined;
        if (!fits) skipped.push(thingName);
        return fits;
      });
      if (added.length > 0) {
        store.groups.addMembers(name, added);
        this.#told(name, "attached", added);
      }
      const { status = query.status } = change;
      if (status !== query.status) {
        store.groups.save({
          ...group,
          query: { ...query, status },
          version: group.version + 1,
          updatedAt: clock.now(),
        });
        ledger.changed({ kind: "group", id: name, change: "updated", principals: [] });
      }
      return { skipped };
    });
  }

  #create(name: string, given: NewGroup, query: GroupQuery | null): Made {
    const { store, ledger, clock } = this.#context;
    checkName("thing group", name);
    checkDescription(given.description);
    const { description = null, parentGroupName = null } = given;
    const attributes = newAttributes("thing group", given.attributes);
    return ledger.atomically(() => {
      const existing = store.groups.find(name);
      if (existing !== undefined) {
        const same =
          existing.parentGroupName === parentGroupName &&
          existing.description === description &&
          existing.query?.queryString === query?.queryString &&
          sameAttributes(existing.attributes, attributes);
        if (!same) alreadyExists("thing group", name);
        return { group: existing, created: false };
      }
      if (parentGroupName !== null) this.#checkParent(parentGroupName);
      if (query !== null) this.#checkDynamic();
      const [thingGroupId, now] = [newId(this.#context), clock.now()];
      const times = { version: 1, createdAt: now, updatedAt: now };
      const group = { thingGroupName: name, thingGroupId, parentGroupName, description, attributes, query, ...times };
      store.groups.save(group);
      ledger.changed({ kind: "group", id: name, change: "created", principals: [] });
      return { group, created: true };
    });
  }

  #change(name: string, update: GroupUpdate, changed: (group: ThingGroup) => ThingGroup): ThingGroup {
    const { store, ledger, clock } = this.#context;
    checkDescription(update.description);
    return ledger.atomically(() => {
      const before = this.describe(name);
      const group: ThingGroup = {
        ...changed(before),
        description: update.description ?? before.description,
        attributes: changedAttributes("thing group", before.attributes, update),
        version: before.version + 1,
        updatedAt: clock.now(),
      };
      checkVersion("thing group", name, before.version, update.expectedVersion);
      store.groups.save(group);
      ledger.changed({ kind: "group", id: name, change: "updated", principals: [] });
      return group;
    });
  }

  #delete(name: string, expectedVersion: number | undefined, check: (group: ThingGroup) => unknown): boolean {
    const { store, ledger, concern } = this.#context;
    return ledger.atomically(() => {
      const group = store.groups.find(name);
      if (group === undefined) return false;
      check(group);
      checkVersion("thing group", name, group.version, expectedVersion);
      const [child] = store.groups.list({ parent: name }, { after: null, limit: 1 });
      if (child !== undefined) throw new TidewireError("GROUP_HAS_CHILDREN", { name, child: child.thingGroupName });
      const principals = concern.ofGroup(name);
      const target = `thinggroup/${name}`;
      for (const { policyName } of store.policies.attachedTo(target)) store.policies.detach(policyName, target);
      store.tags.remove(target, null);
      store.groups.remove(name);
      ledger.changed({ kind: "group", id: name, change: "deleted", principals });
      return true;
    });
  }

  #checkParent(parent: string): void {
    const { store } = this.#context;
    staticOnly(this.describe(parent));
    const { groupDepthMax, groupChildrenMax } = LIMITS.registry;
    if (store.groups.pathTo(parent).length >= groupDepthMax) limit("groups one below the other", groupDepthMax);
    const children = store.groups.list({ parent }, { after: null, limit: groupChildrenMax });
    if (children.length >= groupChildrenMax) limit("groups directly below one group", groupChildrenMax);
  }

  #checkDynamic(): void {
    const { dynamicGroupsMax } = LIMITS.registry;
    const found = this.#context.store.groups.list({ dynamic: true }, { after: null, limit: dynamicGroupsMax });
    if (found.length >= dynamicGroupsMax) limit("dynamic groups", dynamicGroupsMax);
  }

  /** AWS: a thing is in one group of a tree at most. */
  #checkTree(name: string, thingName: string, groups: readonly ThingGroup[]): void {
    const { store } = this.#context;
    const rootOf = (group: string): string => store.groups.pathTo(group)[0]?.thingGroupName ?? group;
    const root = rootOf(name);
    const other = groups.find((group) => group.query === null && rootOf(group.thingGroupName) === root);
    if (other === undefined) return;
    throw invalid(
      `the thing '${thingName}' is in '${other.thingGroupName}' already, which is below '${root}' as well: ` +
        "a thing is in one group of a hierarchy at most",
    );
  }

  /** With `override` the last dynamic group gives way. */
  #makeRoom(thingName: string, groups: readonly ThingGroup[], override: boolean): void {
    const { groupsPerThingMax } = LIMITS.registry;
    if (groups.length < groupsPerThingMax) return;
    const dynamic = override ? groups.findLast((group) => group.query !== null) : undefined;
    if (dynamic === undefined) return limit("groups of one thing", groupsPerThingMax);
    this.#context.store.groups.removeMembers(dynamic.thingGroupName, [thingName]);
    this.#told(dynamic.thingGroupName, "detached", [thingName]);
  }

  #told(name: string, change: "attached" | "detached", things: readonly string[]): void {
    const { concern, ledger } = this.#context;
    ledger.changed({
      kind: "group",
      id: name,
      change,
      others: things,
      principals: concern.ofThings(things),
    });
  }
}

function staticOnly(group: ThingGroup): ThingGroup {
  if (group.query === null) return group;
  throw invalid(`'${group.thingGroupName}' is a dynamic group: a query decides about it`);
}

function dynamicOnly(group: ThingGroup): GroupQuery {
  if (group.query !== null) return group.query;
  throw invalid(`'${group.thingGroupName}' is a static group: it has no query`);
}

function queryOf(
  { queryString, indexName = INDEX, queryVersion = QUERY_VERSION }: NewQuery,
  status: DynamicGroupStatus,
): GroupQuery {
  checkText("queryString", queryString, LIMITS.registry.queryLengthMax);
  if (queryString.trim() === "") throw invalid("queryString is empty");
  if (indexName !== INDEX) throw invalid(`there is no index named '${shown(indexName)}', only ${INDEX}`);
  if (queryVersion !== QUERY_VERSION) throw invalid(`queryVersion must be ${QUERY_VERSION}`);
  return { queryString, indexName, queryVersion, status };
}

function checkDescription(description: string | undefined): void {
  if (description !== undefined) {
    checkText("the thing group's description", description, LIMITS.registry.descriptionLengthMax);
  }
}
