/** Names, ARNs and texts: what AWS IoT accepts. What is refused is told with the character that it is refused for. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import type { PolicyTarget } from "./records.ts";

/** AWS IoT: `[a-zA-Z0-9:_-]{1,128}`. */
export function checkName(kind: "thing" | "thing type" | "thing group" | "billing group", name: string): void {
  check(kind, name, /[^a-zA-Z0-9:_-]/u, "letters, digits, ':', '_' and '-'");
}

/** AWS IoT: `[\w+=,.@-]{1,128}`. A path of dots would never arrive: HTTP clients resolve it. */
export function checkPolicyName(name: string): void {
  check("policy", name, /[^\w+=,.@-]/u, "letters, digits and _+=,.@-");
  if (/^\.{1,2}$/.test(name)) throw invalid(`'${name}' is no policy name: it means a folder`);
}

/** AWS IoT: `[0-9A-Za-z_-]{1,36}`. */
export function checkTemplateName(name: string): void {
  check(
    "provisioning template",
    name,
    /[^\w-]/u,
    "letters, digits, '_' and '-'",
    LIMITS.registry.templateNameLengthMax,
  );
}

export function checkAttributeName(name: string): void {
  check("attribute", name, /[^a-zA-Z0-9_.,@/:#-]/u, "letters, digits and _.,@/:#-");
  if (name === "__proto__") throw invalid("'__proto__' is no attribute name: programs take it for something else");
}

function check(
  kind: string,
  name: string,
  other: RegExp,
  allowed: string,
  nameLengthMax: number = LIMITS.registry.nameLengthMax,
): void {
  if (name === "") throw invalid(`the ${kind} name is empty: it has 1 to ${nameLengthMax} characters`);
  const found = other.exec(name);
  if (found !== null) {
    const at = positionOf(name, found.index);
    throw invalid(
      `'${shown(name)}' is no ${kind} name: ${characterName(found[0])} at position ${at} is not allowed, only ${allowed}`,
    );
  }
  if (name.length > nameLengthMax) {
    throw invalid(`'${shown(name)}…' is no ${kind} name: it has ${name.length} characters, ${nameLengthMax} at most`);
  }
}

/** Control characters, halves of pairs, and what turns the direction of the text around it. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029]/u;

/** A text that people read: a description, an attribute's value. */
export function checkText(what: string, text: unknown, lengthMax: number): asserts text is string {
  if (typeof text !== "string") throw invalid(`${what} must be a text`);
  if (text.length > lengthMax) throw invalid(`${what} has ${text.length} characters, ${lengthMax} at most`);
  const found = UNPRINTABLE.exec(text);
  if (found !== null) {
    const at = positionOf(text, found.index);
    throw invalid(`${what} must be printable: ${characterName(found[0])} at position ${at} is not`);
  }
}

/** As people count: characters, from 1. */
function positionOf(text: string, index: number): number {
  return Array.from(text.slice(0, index)).length + 1;
}

/** `'#'`, or `U+202E` where it cannot be shown. */
function characterName(character: string): string {
  if (character === " ") return "a space";
  if (/^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character)) return `'${character}'`;
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Any account's and region's: AWS's tools bring their own. */
const ANY_ARN = /^arn:[^:]{1,32}:iot:[^:]{0,32}:[^:]{0,32}:([a-z]{1,32}\/[^\n]{1,256})$/;

/** The last part of an ARN, as `thinggroup/NAME`; such a part alone is taken too. */
export function resourceOf(arn: string): string {
  const resource = ANY_ARN.exec(arn)?.[1] ?? arn;
  if (!/^[a-z]{1,32}\/[^\n]{1,256}$/.test(resource)) throw invalid(`'${shown(arn)}' is not the ARN of a resource`);
  return resource;
}

/** The certificate id in an ARN or as it is; AWS tools send ARNs, people send ids. */
export function certificateIdOf(principal: string): string {
  const id = /^(?:arn:[^:]{1,32}:iot:[^:]{0,32}:[^:]{0,32}:cert\/)?([0-9a-f]{64})$/.exec(principal)?.[1];
  if (id === undefined) {
    throw invalid(`'${shown(principal)}' is neither a certificate id (64 hex digits) nor a certificate's ARN`);
  }
  return id;
}

/** The id of a CA certificate, in an ARN or as it is. */
export function authorityIdOf(text: string): string {
  const id = /^(?:arn:[^:]{1,32}:iot:[^:]{0,32}:[^:]{0,32}:cacert\/)?([0-9a-f]{64})$/.exec(text)?.[1];
  if (id === undefined) throw invalid(`'${shown(text)}' is neither a CA certificate's id (64 hex digits) nor its ARN`);
  return id;
}

/** A thing's password where certificates have their id; no id has a slash. */
export function passwordKey(thingName: string): string {
  return `password/${thingName}`;
}

/** What a policy may be attached to: a certificate's id or ARN, a thing group's ARN, or `password/THING`. */
export function policyTargetOf(target: string): PolicyTarget {
  if (/^[0-9a-f]{64}$/.test(target)) return { kind: "certificate", certificateId: target };
  const resource = ANY_ARN.exec(target)?.[1] ?? target;
  if (resource.startsWith("cert/")) return { kind: "certificate", certificateId: certificateIdOf(resource.slice(5)) };
  if (resource.startsWith("thinggroup/")) return { kind: "group", thingGroupName: resource.slice(11) };
  if (resource.startsWith("password/")) return { kind: "password", thingName: resource.slice("password/".length) };
  throw invalid(`'${shown(target)}' is neither a certificate (64 hex digits, or its ARN) nor a thing group's ARN`);
}

/** As it is kept: the last part of the ARN. */
export function targetKey(target: PolicyTarget): string {
  switch (target.kind) {
    case "certificate":
      return `cert/${target.certificateId}`;
    case "password":
      return passwordKey(target.thingName);
    case "group":
      return `thinggroup/${target.thingGroupName}`;
  }
}

export function invalid(reason: string): TidewireError {
  return new TidewireError("REQUEST_INVALID", { reason });
}

/** A stranger's text in a message: short, and without what cannot be shown. */
export function shown(text: string, lengthMax = 64): string {
  return text.slice(0, lengthMax).replace(/[\p{C}\p{Bidi_Control}\u2028\u2029]/gu, "?");
}
