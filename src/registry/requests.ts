/** What is asked of the registry. */
import type { PageOptions } from "./page.ts";
import type { ThingFilter } from "./store.ts";

export interface NewThing {
  readonly thingTypeName?: string | null | undefined;
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

export interface ThingUpdate {
  readonly attributes?: Readonly<Record<string, string>> | undefined;
  /** True: other attributes stay. False (AWS's default): they go. An empty value removes its attribute either way. */
  readonly merge?: boolean | undefined;
  readonly thingTypeName?: string | undefined;
  readonly removeThingType?: boolean | undefined;
  readonly expectedVersion?: number | undefined;
}

export type ListThings = PageOptions & ThingFilter;
