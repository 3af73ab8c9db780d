/**
 * Whether a client of before the restart may still publish its will: whoever has lost that right since, by the policies, the
 * certificate or the login, says nothing any more.
 */
import { reasonOf } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import type { Registry } from "../../registry/mod.ts";
import type { KeptOwner, Rights } from "../admission.ts";
import type { RegistryGatekeeper } from "../gatekeeper.ts";
import { tokenRightsOf } from "./named-policies.ts";

export interface KeptOwnersOptions {
  readonly registry: Registry;
  readonly gatekeeper: Pick<RegistryGatekeeper, "current" | "grant">;
  /** Of logins that the registry knows nothing of: what they may do now, by name or id; null: nothing. */
  readonly users: { rightsOf(name: string): Rights | null };
  readonly keys: { rightsOf(id: string): Rights | null };
  readonly logger: Logger;
}

export class KeptOwners {
  readonly #o: KeptOwnersOptions;

  constructor(options: KeptOwnersOptions) {
    this.#o = options;
  }

  mayPublish(owner: string, topic: string, retain: boolean): boolean {
    const { gatekeeper, logger } = this.#o;
    try {
      const kept = JSON.parse(owner) as KeptOwner;
      const rights = this.#rightsOf(kept);
      const policy = rights === null ? undefined : gatekeeper.grant(rights, kept.connection)?.policy;
      return policy?.connect(kept.connection.clientId) === true && policy.publish(topic, retain);
    } catch (error) {
      // Nobody speaks by a right that cannot be looked up.
      logger.warn("the right to a will of before the start cannot be looked up", { topic, reason: reasonOf(error) });
      return false;
    }
  }

  #rightsOf({ principal, token }: KeptOwner): Rights | null {
    const { registry, gatekeeper, users, keys, logger } = this.#o;
    if (token !== undefined)
      return tokenRightsOf(registry, token, (policy) =>
        logger.error("a token is worth nothing: a policy is missing", { thing: token.thing, policy }),
      );
    const [, kind, name] = /^(password|user|key)\/(.*)$/s.exec(principal) ?? [];
    if (kind === "password") return registry.passwordPrincipalOf(name!) ?? null;
    if (kind === "user") return users.rightsOf(name!);
    if (kind === "key") return keys.rightsOf(name!);
    return gatekeeper.current(principal, null);
  }
}
