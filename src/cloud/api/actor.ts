/** Who makes a request, and whether he may: each route states in its `config` the one permission that it needs. */
import type { FastifyRequest } from "fastify";
import { TidewireError } from "../../base/mod.ts";
import { mayTouch, nameOf } from "../../people/mod.ts";
import type { Actor, Permission, RoutePermission } from "../../people/mod.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    permission?: RoutePermission;
    /**
     * The things that a request is about, for actors who are narrowed to some; null: it cannot be told. Such an actor is
     * refused by every route without it.
     */
    things?: (request: FastifyRequest) => readonly string[] | null;
  }
  interface FastifyRequest {
    /** Null on public routes, and until a signature has been verified. */
    actor: Actor | null;
  }
}

/** Of a request behind `guard`. */
export function actorOf({ actor }: FastifyRequest): Actor {
  if (actor === null) throw new TidewireError("INTERNAL", { reason: "a guarded route was reached without an actor" });
  return actor;
}

/** Throws PERMISSION_DENIED, or INTERNAL where the route states no permission: what was forgotten is closed. */
export function demand(request: FastifyRequest, actor: Actor): void {
  const { permission, things } = request.routeOptions.config;
  if (permission === undefined) {
    throw new TidewireError("INTERNAL", { reason: `${request.routeOptions.url} states no permission` });
  }
  if (permission === "public") return;
  demandPermission(actor, permission);
  if (actor.things === null) return;
  const touched = things?.(request) ?? null;
  if (touched === null) {
    throw denied(actor, permission, " for all things, not only for some");
  }
  for (const thing of touched) demandThing(actor, permission, thing);
}

export function demandPermission(actor: Actor, permission: Permission): void {
  if (!actor.permissions.has(permission)) throw denied(actor, permission, "");
}

export function demandThing(actor: Actor, permission: Permission, thing: string): void {
  if (!mayTouch(actor, thing)) throw denied(actor, permission, ` for the thing '${thing.slice(0, 128)}'`);
}

function denied(actor: Actor, permission: Permission, reason: string): TidewireError {
  const name = nameOf(actor.identity);
  const who = name.charAt(0).toUpperCase() + name.slice(1);
  return new TidewireError("PERMISSION_DENIED", { who: `'${who}'`, permission, reason });
}
