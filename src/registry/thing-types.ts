/** Thing types: what kinds of devices there are. A deprecated one stays with the things that have it. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import { newId } from "./context.ts";
import type { RegistryContext } from "./context.ts";
import { checkAttributeName, checkName, checkText, invalid, shown } from "./names.ts";
import { pageOf } from "./page.ts";
import type { PageOptions } from "./page.ts";
import type { Page, ThingType } from "./records.ts";
import { alreadyExists, limit, notFound } from "./refusals.ts";
import type { RegistryStore } from "./store.ts";

export interface ThingTypeProperties {
  readonly description?: string | undefined;
  /** Names of attributes that a search looks at. */
  readonly searchableAttributes?: readonly string[] | undefined;
}

export interface ListThingTypes extends PageOptions {
  /** Only the type of exactly this name. */
  readonly thingTypeName?: string | undefined;
}

export class ThingTypes {
  readonly #context: RegistryContext;

  constructor(context: RegistryContext) {
    this.#context = context;
  }

  /** Making the same type again succeeds (`created: false`); with other properties it is ALREADY_EXISTS. */
  create(
    thingTypeName: string,
    properties: ThingTypeProperties = {},
  ): { readonly type: ThingType; readonly created: boolean } {
    const { store, ledger, clock } = this.#context;
    checkName("thing type", thingTypeName);
    checkProperties(properties);
    const { description = null, searchableAttributes = [] } = properties;
    return ledger.atomically(() => {
      const existing = store.types.find(thingTypeName);
      if (existing !== undefined) {
        if (!hasProperties(existing, description, searchableAttributes)) alreadyExists("thing type", thingTypeName);
        return { type: existing, created: false };
      }
      const now = clock.now();
      const type: ThingType = {
        thingTypeName,
        thingTypeId: newId(this.#context),
        description,
        searchableAttributes: [...new Set(searchableAttributes)],
        deprecatedAt: null,
        createdAt: now,
        updatedAt: now,
      };
      store.types.save(type);
      ledger.changed({ kind: "type", id: thingTypeName, change: "created", principals: [] });
      return { type, created: true };
    });
  }

  describe(thingTypeName: string): ThingType {
    return this.#context.store.types.find(thingTypeName) ?? notFound("thing type", thingTypeName);
  }

  update(thingTypeName: string, properties: ThingTypeProperties): ThingType {
    checkProperties(properties);
    return this.#change(thingTypeName, (before) => ({
      ...before,
      description: properties.description ?? before.description,
      searchableAttributes: [...new Set(properties.searchableAttributes ?? before.searchableAttributes)],
    }));
  }

  /** From now on no thing may get it; `undo` takes that back. */
  deprecate(thingTypeName: string, { undo = false }: { readonly undo?: boolean | undefined } = {}): ThingType {
    const now = this.#context.clock.now();
    return this.#change(thingTypeName, (before) => ({
      ...before,
      deprecatedAt: undo ? null : (before.deprecatedAt ?? now),
    }));
  }

  /** Only some minutes after it was deprecated, and when no thing has it any more. */
  delete(thingTypeName: string): void {
    const { store, ledger, clock, deprecationDelay } = this.#context;
    ledger.atomically(() => {
      const { deprecatedAt } = this.describe(thingTypeName);
      const kept = (reason: string, remedy: string): never => {
        throw new TidewireError("THING_TYPE_STATE", { name: thingTypeName, reason, remedy });
      };
      if (deprecatedAt === null) return kept("it is not deprecated", "Deprecate it first.");
      const left = deprecatedAt + deprecationDelay - clock.now();
      if (left > 0) {
        return kept("it was deprecated a moment ago", `Try again in ${Math.ceil(left / 1000)} seconds.`);
      }
      if (store.things.list({ thingTypeName }, { after: null, limit: 1 }).length > 0) {
        return kept(
          "things have it",
          `Give them another type first: GET /things?thingTypeName=${thingTypeName} lists them.`,
        );
      }
      store.tags.remove(`thingtype/${thingTypeName}`, null);
      store.types.remove(thingTypeName);
      ledger.changed({ kind: "type", id: thingTypeName, change: "deleted", principals: [] });
    });
  }

  /** By name. */
  list({ thingTypeName, ...options }: ListThingTypes = {}): Page<ThingType> {
    const { store } = this.#context;
    return pageOf(
      "thing types",
      options,
      (type) => type.thingTypeName,
      (after, limit) => {
        if (thingTypeName === undefined) return store.types.list({ after, limit });
        const found = store.types.find(thingTypeName);
        return found === undefined || after !== null ? [] : [found];
      },
    );
  }

  #change(thingTypeName: string, change: (before: ThingType) => ThingType): ThingType {
    const { store, ledger, clock } = this.#context;
    return ledger.atomically(() => {
      const type: ThingType = { ...change(this.describe(thingTypeName)), updatedAt: clock.now() };
      store.types.save(type);
      ledger.changed({ kind: "type", id: thingTypeName, change: "updated", principals: [] });
      return type;
    });
  }
}

/** Whether a thing may get this type now. */
export function checkUsable(store: RegistryStore, thingTypeName: string): void {
  checkName("thing type", thingTypeName);
  const type = store.types.find(thingTypeName) ?? notFound("thing type", thingTypeName);
  if (type.deprecatedAt !== null) throw invalid(`the thing type '${thingTypeName}' is deprecated: no thing may get it`);
}

function checkProperties({ description, searchableAttributes = [] }: ThingTypeProperties): void {
  const { descriptionLengthMax, searchableAttributesMax } = LIMITS.registry;
  if (description !== undefined) checkText("the thing type's description", description, descriptionLengthMax);
  if (searchableAttributes.length > searchableAttributesMax) {
    limit("searchable attributes of a thing type", searchableAttributesMax);
  }
  for (const name of searchableAttributes) {
    if (typeof name !== "string") throw invalid(`'${shown(String(name))}' is no attribute name`);
    checkAttributeName(name);
  }
}

function hasProperties(type: ThingType, description: string | null, searchable: readonly string[]): boolean {
  return (
    type.description === description &&
    JSON.stringify(type.searchableAttributes) === JSON.stringify([...new Set(searchable)])
  );
}
