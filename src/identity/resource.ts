/** Resources: `arn:aws:iot:<region>:<account>:topic/…`. Region and account may be anything: there is one of each here. */
import { bindTemplate, parseTemplate } from "./template.ts";
import type { Piece } from "./template.ts";
import { compileGlob } from "./glob.ts";
import type { Glob } from "./glob.ts";
import type { PolicyContext } from "./variables.ts";

/** What an action can be about: `thing` for shadows. Other kinds (`cert/` …) are accepted, and no action meets them. */
export type ResourceKind = "client" | "topic" | "topicfilter" | "thing";

const KINDS: readonly ResourceKind[] = ["client", "topic", "topicfilter", "thing"];

export interface ResourcePattern {
  /** As it was written. */
  readonly text: string;
  /** `null`: the kind itself is behind a wildcard or variable, so `pieces` cover `kind/name`. */
  readonly kind: ResourceKind | "other" | null;
  readonly pieces: readonly Piece[];
}

export type ResourceResult =
  | { readonly ok: true; readonly resource: ResourcePattern }
  | { readonly ok: false; readonly reason: string };

export function parseResource(text: string): ResourceResult {
  if (text === "*") return { ok: true, resource: { text, kind: null, pieces: [{ kind: "any" }] } };
  const parts = text.split(":");
  // An ARN that stops early goes on with wildcards, as in IAM, but only if its author wrote the star.
  const name = parts.length >= 6 ? parts.slice(5).join(":") : parts.at(-1) === "*" ? "*" : null;
  if (parts[0] !== "arn" || name === null) {
    return { ok: false, reason: `'${text}' is not '*' and not 'arn:aws:iot:REGION:ACCOUNT:topic/NAME'` };
  }
  if (parts[2] !== "iot" && parts[2] !== "*") return { ok: false, reason: `'${text}' names no resource of AWS IoT` };
  if (parts.slice(1, Math.min(5, parts.length)).some((part) => !/^[a-z0-9*?-]*$/i.test(part))) {
    return { ok: false, reason: `'${text}' has a placeholder where its region or account should be` };
  }
  const parsed = parseTemplate(name);
  if (!parsed.ok) return { ok: false, reason: `in '${text}' ${parsed.reason}` };
  return { ok: true, resource: { text, ...splitKind(parsed.pieces) } };
}

function splitKind(pieces: readonly Piece[]): Pick<ResourcePattern, "kind" | "pieces"> {
  const first = pieces[0];
  if (first?.kind !== "text") return { kind: null, pieces };
  const slash = first.text.indexOf("/");
  if (slash < 0) return { kind: pieces.length === 1 ? "other" : null, pieces };
  const kind = KINDS.find((known) => known === first.text.slice(0, slash)) ?? "other";
  const rest = first.text.slice(slash + 1);
  return { kind, pieces: rest === "" ? pieces.slice(1) : [{ kind: "text", text: rest }, ...pieces.slice(1)] };
}

export interface BoundResource {
  readonly kind: ResourceKind | null;
  readonly glob: Glob;
  /** Written for `$SYS` topics. */
  readonly system: boolean;
}

const SYSTEM = "$SYS/";

/** What the platform says about itself: a wildcard does not reach it, as none of MQTT does [MQTT-4.7.2-1]. */
export function isSystemTopic(name: string): boolean {
  return name.startsWith(SYSTEM);
}

/**
 * The resource with this connection's values. Where a variable has none, an Allow is left out (`null`), and in a Deny the
 * variable stands for every value: both fail closed.
 */
export function bindResource(
  source: ResourcePattern,
  context: PolicyContext,
  connecting: boolean,
  effect: "Allow" | "Deny",
): BoundResource | { readonly unresolved: readonly string[] } | null {
  if (source.kind === "other") return null;
  const bound = bindTemplate(source.pieces, context, connecting, { kind: "any" });
  if (bound.unresolved.length > 0 && effect === "Allow") return { unresolved: bound.unresolved };
  const first = source.pieces[0];
  const system = source.kind !== null && first?.kind === "text" && first.text.startsWith(SYSTEM);
  return { kind: source.kind, glob: compileGlob(bound.pieces), system };
}

export function resourceMatches(resource: BoundResource, kind: ResourceKind, name: string): boolean {
  if (resource.kind === kind) return resource.glob.matches(name);
  return resource.kind === null && resource.glob.matches(`${kind}/${name}`);
}
