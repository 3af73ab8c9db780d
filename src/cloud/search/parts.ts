/** Parts of a thing's document out of the registry, presence and shadows. */
import { isTidewireError } from "../../base/mod.ts";
import type { FleetPartChange, Json, PresenceBook, Registry, ShadowPart, Thing } from "../../registry/mod.ts";
import type { ShadowNames } from "../api/contract.ts";

export interface FleetSources {
  readonly registry: Pick<Registry, "things" | "groups">;
  readonly presence: Pick<PresenceBook, "of">;
  readonly shadows: {
    get(key: { readonly thing: string; readonly name: string }): string;
    list(thing: string, page: { readonly nextToken?: string }): ShadowNames;
  };
}

type PartName = FleetPartChange["part"];

/** All there is about a thing. */
export function* allParts(sources: FleetSources, thing: Thing, groups: readonly string[]): Generator<FleetPartChange> {
  const { thingName: name } = thing;
  yield registryPart(thing, groups);
  const connectivity = partOf(sources, name, "connectivity");
  if (connectivity.body !== null) yield connectivity;
  for (const shadow of shadowNames(sources, name)) {
    const part = partOf(sources, name, `shadow ${shadow}`);
    if (part.body !== null) yield part;
  }
}

export function registryPart(thing: Thing, thingGroupNames: readonly string[]): FleetPartChange {
  const { thingName, thingId, thingTypeName, billingGroupName, attributes, version } = thing;
  const body = { thingId, thingTypeName, billingGroupName, thingGroupNames, attributes, version };
  return { thing: thingName, part: "registry", body };
}

/** Body null where there is none. */
export function partOf({ registry, presence, shadows }: FleetSources, thing: string, part: PartName): FleetPartChange {
  if (part === "registry") {
    const found = registry.things.find(thing);
    if (found === undefined) return { thing, part, body: null };
    return registryPart(found, registry.groups.namesOf([thing]).get(thing) ?? []);
  }
  if (part === "connectivity") {
    const { state, lastSeenAt, disconnectReason } = presence.of(thing);
    if (state === "never" || lastSeenAt === null) return { thing, part, body: null };
    return { thing, part, body: { connected: state === "online", timestamp: lastSeenAt, disconnectReason } };
  }
  return { thing, part, body: shadowBody(shadows, thing, part.slice("shadow ".length)) };
}

function shadowBody(shadows: FleetSources["shadows"], thing: string, name: string): ShadowPart | null {
  let text: string;
  try {
    text = shadows.get({ thing, name });
  } catch (error) {
    if (isTidewireError(error) && error.code === "SHADOW_NOT_FOUND") return null;
    throw error;
  }
  const { state, version } = JSON.parse(text) as {
    readonly state: { readonly desired?: Json; readonly reported?: Json; readonly delta?: Json };
    readonly version: number;
  };
  return { ...state, hasDelta: state.delta !== undefined, version };
}

/** The classic shadow, and those that have names: `shadow.perThingMax` at most. */
function* shadowNames({ shadows }: FleetSources, thing: string): Generator<string> {
  yield "";
  let nextToken: string | undefined;
  do {
    const page = shadows.list(thing, nextToken === undefined ? {} : { nextToken });
    yield* page.results;
    ({ nextToken } = page);
  } while (nextToken !== undefined);
}
