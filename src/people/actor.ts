/** Who makes a request, whichever way he proved it, and what he may do. */
import type { Permission } from "./permissions.ts";

export type Identity =
  /** The platform's own administrator token; `session`: of a dashboard that was opened with it, or with a login link. */
  | { readonly kind: "token"; readonly session: string }
  /** Without a session, by the token itself; `mark` tells it from those before and after it. */
  | { readonly kind: "token"; readonly session: null; readonly mark: string }
  | { readonly kind: "user"; readonly user: string; readonly session: string }
  | { readonly kind: "api-key"; readonly key: string; readonly name: string; readonly owner: string | null }
  | { readonly kind: "access-key"; readonly key: string; readonly name: string; readonly owner: string | null }
  | { readonly kind: "device"; readonly certificateId: string | null; readonly thing: string | null }
  | { readonly kind: "system"; readonly part: string };

export interface Actor {
  readonly identity: Identity;
  readonly permissions: ReadonlySet<Permission>;
  /** Patterns of thing names (`line-*`) that it is narrowed to; null: all things. */
  readonly things: readonly string[] | null;
}

/** For people: `anna`, `key reports of anna`, `the platform's token`. */
export function nameOf(identity: Identity): string {
  switch (identity.kind) {
    case "token":
      return "the platform's token";
    case "user":
      return identity.user;
    case "api-key":
    case "access-key":
      return `key ${identity.name}${identity.owner === null ? "" : ` of ${identity.owner}`}`;
    case "device":
      return identity.thing ?? identity.certificateId ?? "a device";
    case "system":
      return identity.part;
  }
}

/** The same for all requests of one account, key or device, and for no others: what rates are counted by. */
export function proofOf(identity: Identity): string {
  switch (identity.kind) {
    case "token":
      return "token";
    case "user":
      return `user ${identity.user}`;
    case "api-key":
    case "access-key":
      return `key ${identity.key}`;
    case "device":
      return `device ${identity.certificateId ?? ""}`;
    case "system":
      return `system ${identity.part}`;
  }
}

/** Whether a pattern with `*` for any characters takes the name. */
export function matchesPattern(pattern: string, name: string): boolean {
  const parts = pattern.split("*");
  if (parts.length === 1) return pattern === name;
  const [first, last] = [parts[0]!, parts.at(-1)!];
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
  let from = first.length;
  for (const part of parts.slice(1, -1)) {
    const at = name.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return from <= name.length - last.length;
}

export function mayTouch(actor: Actor, thing: string): boolean {
  return actor.things === null || actor.things.some((pattern) => matchesPattern(pattern, thing));
}
