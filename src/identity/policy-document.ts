/** AWS IoT policy documents: JSON text ⇄ checked document. What Tidewire cannot evaluate is refused, never ignored. */
import { LIMITS, TidewireError, isJsonObject, parseJson } from "../base/mod.ts";
import type { JsonObject, JsonValue } from "../base/mod.ts";
import { parseAction } from "./actions.ts";
import { parseConditions } from "./conditions.ts";
import type { Condition } from "./conditions.ts";
import { parseResource } from "./resource.ts";
import type { ResourcePattern } from "./resource.ts";

export type Effect = "Allow" | "Deny";

export interface Statement {
  readonly sid: string | null;
  readonly effect: Effect;
  /** As written. */
  readonly actions: readonly string[];
  /** As `actionBit` has them. */
  readonly actionBits: number;
  readonly resources: readonly ResourcePattern[];
  readonly conditions: readonly Condition[];
}

export interface PolicyDocument {
  readonly statements: readonly Statement[];
}

/** How large a document may be that is put. One that is stored is evaluated whatever its size: it was allowed once. */
export type PolicyLimits = Readonly<Record<"policyBytesMax" | "policyStatementsMax" | "policyResourcesMax", number>>;

export const STORED_POLICY: PolicyLimits = {
  policyBytesMax: Infinity,
  policyStatementsMax: Infinity,
  policyResourcesMax: Infinity,
};

const encoder = new TextEncoder();

/**
 * Parses and checks a policy document. Throws TidewireError POLICY_INVALID with the statement and key that is wrong.
 * Source: AWS IoT developer guide, "policy elements"; only version 2012-10-17, the one that has variables.
 */
export function parsePolicy(text: string, limits: PolicyLimits = LIMITS.identity): PolicyDocument {
  const { policyBytesMax, policyStatementsMax, policyResourcesMax } = limits;
  const parsed = parseJson(encoder.encode(text), {
    jsonBytesMax: policyBytesMax,
    jsonDepthMax: LIMITS.rules.jsonDepthMax,
  });
  if (!parsed.ok) {
    const reasons = {
      "not-json": "it is not JSON",
      "too-deep": "it is nested too deeply",
      "too-large": `it is longer than ${policyBytesMax} bytes (limit: identity.policyBytesMax)`,
    };
    throw invalid(reasons[parsed.fault]);
  }
  const document = parsed.value;
  if (!isJsonObject(document)) throw invalid("it is not a JSON object");
  refuseUnknownKeys(document, ["Version", "Id", "Statement"], "the document");
  if (document["Version"] !== "2012-10-17") throw invalid('Version must be "2012-10-17"');
  if (document["Id"] !== undefined && typeof document["Id"] !== "string") throw invalid("Id must be a string");
  const given = document["Statement"];
  if (given === undefined) throw invalid("Statement is missing");
  const list = Array.isArray(given) ? (given as readonly JsonValue[]) : [given];
  if (list.length === 0) throw invalid("Statement is empty");
  if (list.length > policyStatementsMax) {
    throw invalid(
      `it has ${list.length} statements, and ${policyStatementsMax} are allowed (limit: identity.policyStatementsMax); ` +
        "put resources that have the same actions into one statement, or use wildcards and variables",
    );
  }
  const statements = list.map((statement, index) => parseStatement(statement, `Statement[${index}]`));
  const resources = statements.reduce((sum, statement) => sum + statement.resources.length, 0);
  if (resources > policyResourcesMax) {
    throw invalid(
      `it names ${resources} resources, and ${policyResourcesMax} are allowed (limit: identity.policyResourcesMax); ` +
        "use wildcards and variables",
    );
  }
  return { statements };
}

function parseStatement(given: JsonValue, where: string): Statement {
  if (!isJsonObject(given)) throw invalid(`${where} must be an object`);
  for (const key of ["NotAction", "NotResource", "Principal", "NotPrincipal"]) {
    if (given[key] !== undefined) {
      throw invalid(`${where} has ${key}, which AWS IoT policies do not have; use a Deny statement`);
    }
  }
  refuseUnknownKeys(given, ["Sid", "Effect", "Action", "Resource", "Condition"], where);
  const sid = given["Sid"] ?? null;
  if (sid !== null && typeof sid !== "string") throw invalid(`${where}.Sid must be a string`);
  const effect = given["Effect"];
  if (effect !== "Allow" && effect !== "Deny") throw invalid(`${where}.Effect must be "Allow" or "Deny"`);
  const actions = stringsOf(given, "Action", where);
  let actionBits = 0;
  for (const action of actions) {
    const parsed = parseAction(action);
    if (!parsed.ok) throw invalid(`${where}.Action: ${parsed.reason}`);
    actionBits |= parsed.mask;
  }
  const resources = stringsOf(given, "Resource", where).map((text) => {
    const parsed = parseResource(text);
    if (!parsed.ok) throw invalid(`${where}.Resource: ${parsed.reason}`);
    return parsed.resource;
  });
  const conditions = parseConditions(given["Condition"] ?? {});
  if (!conditions.ok) throw invalid(`${where}.${conditions.reason}`);
  return { sid, effect, actions, actionBits, resources, conditions: conditions.conditions };
}

function stringsOf(statement: JsonObject, key: string, where: string): readonly string[] {
  const given = statement[key];
  if (given === undefined) throw invalid(`${where}.${key} is missing`);
  const list = Array.isArray(given) ? (given as readonly JsonValue[]) : [given];
  const strings = list.filter((item) => typeof item === "string");
  if (strings.length !== list.length || strings.length === 0) {
    throw invalid(`${where}.${key} must be a string or a list of strings`);
  }
  return strings;
}

function refuseUnknownKeys(object: JsonObject, known: readonly string[], where: string): void {
  const unknown = Object.keys(object).find((key) => !known.includes(key));
  if (unknown !== undefined) throw invalid(`${where} has the unknown key '${unknown}' (known: ${known.join(", ")})`);
}

function invalid(reason: string): TidewireError {
  return new TidewireError("POLICY_INVALID", { reason });
}
