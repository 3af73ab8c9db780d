/** What is known about one thing, in parts that change by themselves, and the fields under which it is found. */
import { wordsOf } from "./values.ts";
import type { Scalar } from "./values.ts";

/** `shadow ` is the classic shadow, `shadow NAME` a named one. */
export type PartName = "registry" | "connectivity" | `shadow ${string}`;

export interface RegistryPart {
  readonly thingId: string;
  readonly thingTypeName: string | null;
  readonly billingGroupName: string | null;
  /** Groups that it is directly in. */
  readonly thingGroupNames: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly version: number;
}

export interface ConnectivityPart {
  readonly connected: boolean;
  /** When it last connected or disconnected, in milliseconds. */
  readonly timestamp: number;
  readonly disconnectReason: string | null;
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface ShadowPart {
  readonly desired?: Json;
  readonly reported?: Json;
  readonly delta?: Json;
  readonly hasDelta: boolean;
  readonly version: number;
}

export type PartBody = RegistryPart | ConnectivityPart | ShadowPart;

/** A part that changed; body null: it is gone. With its `registry` part a thing goes whole. */
export interface PartChange {
  readonly thing: string;
  readonly part: PartName;
  readonly body: PartBody | null;
}

const ATTRIBUTES = "attributes.";

type Fields = ReadonlyMap<string, readonly Scalar[]>;

export class FleetDocument {
  readonly thingName: string;
  readonly registry: RegistryPart;
  readonly connectivity: ConnectivityPart | null;
  /** By name; the classic one's is empty. */
  readonly shadows: ReadonlyMap<string, ShadowPart>;
  #fields: Fields | null = null;

  constructor(thingName: string, parts: ReadonlyMap<string, PartBody>) {
    this.thingName = thingName;
    this.registry = parts.get("registry") as RegistryPart;
    this.connectivity = (parts.get("connectivity") as ConnectivityPart | undefined) ?? null;
    this.shadows = new Map(
      [...parts]
        .filter(([part]) => part.startsWith("shadow "))
        .map(([part, body]) => [part.slice("shadow ".length), body as ShadowPart]),
    );
  }

  /** Of one field, which is less work than all of them. */
  valuesOf(field: string): readonly Scalar[] | undefined {
    return this.#fields === null && isOfRegistry(field)
      ? registryValues(this.thingName, this.registry, field)
      : this.fields.get(field);
  }

  get fields(): Fields {
    if (this.#fields !== null) return this.#fields;
    const fields = new Map<string, Scalar[]>();
    const collect = (part: PartName, body: PartBody): void => {
      for (const [field, value] of fieldsOf(this.thingName, part, body)) {
        const values = fields.get(field);
        if (values === undefined) fields.set(field, [value]);
        else values.push(value);
      }
    };
    collect("registry", this.registry);
    if (this.connectivity !== null) collect("connectivity", this.connectivity);
    for (const [name, shadow] of this.shadows) collect(`shadow ${name}`, shadow);
    return (this.#fields = fields);
  }
}

/** AWS's names. A field of several values, as the groups of a thing or a shadow's array, comes once for each. */
export function* fieldsOf(thing: string, part: PartName, body: PartBody): Generator<readonly [string, Scalar]> {
  if (part === "registry") yield* registryFields(thing, body as RegistryPart);
  else if (part === "connectivity") {
    const { connected, timestamp, disconnectReason } = body as ConnectivityPart;
    yield ["connectivity.connected", connected];
    yield ["connectivity.timestamp", timestamp];
    if (disconnectReason !== null) yield ["connectivity.disconnectReason", disconnectReason];
  } else {
    const name = part.slice("shadow ".length);
    const prefix = name === "" ? "shadow" : `shadow.name.${name}`;
    const { desired, reported, delta, hasDelta, version } = body as ShadowPart;
    yield [`${prefix}.hasDelta`, hasDelta];
    yield [`${prefix}.version`, version];
    for (const [section, state] of Object.entries({ desired, reported, delta })) {
      if (state !== undefined) yield* stateFields(`${prefix}.${section}`, state);
    }
  }
}

/** What the registry knows by itself: no presence and no shadow has such a field. */
export function isOfRegistry(field: string): boolean {
  return /^(?:thing[A-Z]|attributes\.|registry\.)/.test(field);
}

/** As `registryFields`, which tells what there is; undefined: it has no such field. */
function registryValues(thing: string, body: RegistryPart, field: string): readonly Scalar[] | undefined {
  if (field.startsWith(ATTRIBUTES)) {
    const name = field.slice(ATTRIBUTES.length);
    return Object.hasOwn(body.attributes, name) ? [body.attributes[name]!] : undefined;
  }
  switch (field) {
    case "thingName":
      return [thing];
    case "thingId":
      return [body.thingId];
    case "registry.version":
      return [body.version];
    case "thingTypeName":
      return body.thingTypeName === null ? undefined : [body.thingTypeName];
    case "thingGroupNames": {
      const groups = [...body.thingGroupNames, ...(body.billingGroupName === null ? [] : [body.billingGroupName])];
      return groups.length === 0 ? undefined : groups;
    }
    default:
      return undefined;
  }
}

function* registryFields(thing: string, body: RegistryPart): Generator<readonly [string, Scalar]> {
  const { thingId, thingTypeName, billingGroupName, thingGroupNames, attributes, version } = body;
  yield ["thingName", thing];
  yield ["thingId", thingId];
  yield ["registry.version", version];
  if (thingTypeName !== null) yield ["thingTypeName", thingTypeName];
  for (const group of thingGroupNames) yield ["thingGroupNames", group];
  if (billingGroupName !== null) yield ["thingGroupNames", billingGroupName];
  for (const [name, value] of Object.entries(attributes)) yield [`${ATTRIBUTES}${name}`, value];
}

/** Nested as deep as shadows may be. */
function* stateFields(path: string, state: Json): Generator<readonly [string, Scalar]> {
  if (state === null) return;
  if (typeof state !== "object") yield [path, state];
  else if (Array.isArray(state)) for (const item of state as readonly Json[]) yield* stateFields(path, item);
  else for (const [key, value] of Object.entries(state)) yield* stateFields(`${path}.${key}`, value);
}

/** Words of a part by field, as they are in the index. */
export function indexedWords(change: PartChange & { readonly body: PartBody }): Map<string, Set<string>> {
  const words = new Map<string, Set<string>>();
  for (const [field, value] of fieldsOf(change.thing, change.part, change.body)) {
    let known = words.get(field);
    if (known === undefined) words.set(field, (known = new Set()));
    const found = wordsOf(value);
    for (const word of found) known.add(word);
    if (found.length === 0) known.add(""); // the field is there, which `field:*` asks for
  }
  return words;
}
