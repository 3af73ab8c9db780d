/** Answers what rules ask (`sql/external.ts`): from our shadows and registry, and from what the configuration names. */
import { keyText } from "../../adapters/answers/file-table.ts";
import type { Table } from "../../adapters/answers/table.ts";
import { LIMITS, closestWord, encodeUtf8, parseJson } from "../../base/mod.ts";
import type { JsonObject, JsonValue } from "../../base/mod.ts";
import type { Registry } from "../../registry/mod.ts";
import { EXTERNAL_LIMITS } from "../../sql/mod.ts";
import type { AskedCall, ExternalName, ExternalRequest, SqlEnvironment, Unanswerable } from "../../sql/mod.ts";
import { namedGroup } from "../api/aws/groups.ts";
import { describedThing } from "../api/aws/things.ts";
import type { ShadowService } from "../services/mod.ts";
import type { Callable, Payload } from "./functions.ts";
import type { RuleSecrets } from "./secrets.ts";

/** What a configuration names. */
export interface NamedSources {
  readonly secrets: RuleSecrets;
  readonly tables: ReadonlyMap<string, Table>;
  readonly functions: ReadonlyMap<string, Callable>;
}

export interface AnswerSources extends NamedSources {
  readonly registry: Registry;
  /** Null until they have started. */
  readonly shadows: () => Pick<ShadowService, "get"> | null;
}

/** What a platform knows of its things. */
type OfThing = ExternalRequest & { readonly name: "get_thing_shadow" | "get_registry_data" };
export type AboutThings = (request: OfThing) => JsonValue | Promise<JsonValue>;

type Answering = Required<Pick<SqlEnvironment, "external" | "unanswerable">>;

export function answersFrom(sources: AnswerSources): Answering {
  const about: AboutThings = (request) =>
    request.name === "get_thing_shadow"
      ? shadowOf(sources, request.thing, request.shadow ?? "")
      : registryData(sources, request.api, request.thing);
  return {
    external: namedAnswers(sources, about),
    unanswerable: (call) => unanswerable(sources, call),
  };
}

/** `about`: null where no platform is asked. */
export function namedAnswers(sources: NamedSources, about: AboutThings | null): Answering["external"] {
  return async (request) => answer(sources, about, request);
}

async function answer(
  sources: NamedSources,
  about: AboutThings | null,
  request: ExternalRequest,
): Promise<JsonValue | undefined> {
  switch (request.name) {
    case "get_thing_shadow":
    case "get_registry_data":
      if (about === null) throw new Error("there is no platform to ask");
      return about(request);
    case "get_secret":
      return sources.secrets.read(request.secret, request.type);
    case "get_dynamodb":
      return rowBy(tableOf(sources, request.table), request.key as Readonly<Record<string, JsonValue>>);
    case "lookup":
      return rowOf(tableOf(sources, request.table), request.table, request.key as JsonValue);
    case "aws_lambda":
    case "function": {
      const called = sources.functions.get(functionName(request.function));
      if (called === undefined) throw new Error(`there is no function '${functionName(request.function)}'`);
      return called.call(request.payload as Payload, EXTERNAL_LIMITS[request.name].timeout);
    }
    case "machinelearning_predict":
      throw new Error(GONE.reason);
  }
}

// ── what the platform knows itself ─────────────────────────────────────────────────────────────

function shadowOf({ shadows }: AnswerSources, thing: string, name: string): JsonValue {
  const service = shadows();
  if (service === null) throw new Error("shadows have not started yet");
  const document = parseJson(encodeUtf8(service.get({ thing, name })), LIMITS.rules);
  if (!document.ok) throw new Error("the shadow is deeper than rules can read");
  return document.value;
}

function registryData({ registry }: AnswerSources, api: string, thing: string): JsonValue {
  if (api === "DescribeThing") return plain(describedThing(registry.things.describe(thing)));
  if (api !== "ListThingGroupsForThing") throw new Error(`the registry has no '${api}' here`);
  return plain({ thingGroups: registry.groups.ofThing(thing).map(namedGroup) });
}

/** Without what is undefined. */
function plain(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

// ── tables ─────────────────────────────────────────────────────────────────────────────────────

function tableOf({ tables }: NamedSources, name: string): Table {
  const table = tables.get(name);
  if (table === undefined) throw new Error(`there is no table '${name}'`);
  return table;
}

function rowOf(table: Table, name: string, key: JsonValue): Promise<JsonObject | undefined> {
  if (table.sort !== null) throw new Error(`the table '${name}' has a sort key: get_dynamodb() can say both`);
  return table.row(keyText(key), null);
}

/** As DynamoDB: all of the key must be said, by its columns' names. */
function rowBy(table: Table, key: Readonly<Record<string, JsonValue>>): Promise<JsonObject | undefined> {
  const columns = table.sort === null ? [table.key] : [table.key, table.sort];
  const given = Object.keys(key);
  if (given.length !== columns.length || !columns.every((column) => Object.hasOwn(key, column))) {
    throw new Error(`its key is ${columns.join(" and ")}, not ${given.join(" and ")}`);
  }
  return table.row(keyText(key[table.key]!), table.sort === null ? null : keyText(key[table.sort]!));
}

/** AWS IoT names a function by its ARN, with or without a version. */
function functionName(named: string): string {
  return /^arn:[^:]*:lambda:[^:]*:[^:]*:function:([^:]+)/.exec(named)?.[1] ?? named;
}

// ── when a rule is written ─────────────────────────────────────────────────────────────────────

const GONE: Unanswerable = {
  reason: "is not there: AWS has closed Amazon Machine Learning",
  fix: "Configure a function that predicts, and call function('name', {…}).",
};

function unanswerable(sources: NamedSources, { name, of }: AskedCall): Unanswerable | null {
  if (name === "machinelearning_predict") return GONE;
  const known = knownTo(sources, name);
  if (known === null) return null;
  const { section, noun, names } = known;
  if (names.length === 0) {
    return {
      reason: `has nothing to ask: no ${noun} is configured`,
      fix: `Add one to \`${section}\` of the configuration file.`,
    };
  }
  const asked = of === null || section !== "functions" ? of : functionName(of);
  if (asked === null || names.includes(asked)) return null;
  const near = closestWord(asked, names);
  const fix = near === null ? `There are ${names.slice(0, 10).join(", ")}.` : `Did you mean '${near}'?`;
  return { reason: `asks for the ${noun} '${asked}', which is not in \`${section}\` of the configuration file`, fix };
}

interface Known {
  readonly section: "secrets" | "tables" | "functions";
  readonly noun: string;
  readonly names: readonly string[];
}

/** Null where nothing is configured for it. */
function knownTo({ secrets, tables, functions }: NamedSources, name: ExternalName): Known | null {
  if (name === "get_secret") return { section: "secrets", noun: "secret", names: secrets.names };
  if (name === "lookup" || name === "get_dynamodb")
    return { section: "tables", noun: "table", names: [...tables.keys()] };
  if (name === "function" || name === "aws_lambda")
    return { section: "functions", noun: "function", names: [...functions.keys()] };
  return null;
}
