/**
 * Programs with an access key, over a signed WebSocket. What they may do is in the policies that the key names: its other
 * rights are about the API, and say nothing about topics.
 */
import { isTidewireError } from "../../base/mod.ts";
import type { Cancel, Logger } from "../../base/mod.ts";
import type { Admission, Gatekeeper, Peer } from "../../broker/mod.ts";
import type { People } from "../../people/mod.ts";
import type { Registry } from "../../registry/mod.ts";
import type { Rights } from "../admission.ts";
import type { RegistryGatekeeper } from "../gatekeeper.ts";
import { policiesNamed, sameRights } from "./named-policies.ts";
import type { Review, Reviewed } from "./review.ts";

export interface KeyLoginOptions {
  readonly people: Pick<People, "mqttRightsOf" | "onChange">;
  readonly registry: Registry;
  readonly gatekeeper: RegistryGatekeeper;
  readonly review: Pick<Review, "soon">;
  readonly logger: Logger;
}

const PREFIX = "key/";
/** MQTT 5.0 section 3.2.2.2. */
const SERVER_UNAVAILABLE = 0x88;

export class KeyLogin implements Reviewed {
  readonly #o: KeyLoginOptions;
  readonly #cancels: readonly Cancel[];
  #epoch = 0;

  constructor(options: KeyLoginOptions) {
    this.#o = options;
    const changed = (): void => {
      this.#epoch++;
      options.gatekeeper.moved();
      options.review.soon(this);
    };
    this.#cancels = [
      options.people.onChange(changed),
      // Evicted with all who have policies by name; here they are only read again.
      options.registry.onChange(({ kind, principals }) => {
        if (kind === "policy" || principals === "all") this.#epoch++;
      }),
    ];
  }

  close(): void {
    for (const cancel of this.#cancels) cancel();
  }

  concerns(principal: string): boolean {
    return principal.startsWith(PREFIX);
  }

  reviewed(): void {}

  /** Of a peer whose `principal` the signature has proved. */
  admit(peer: Peer, connect: Parameters<Gatekeeper["admit"]>[1]): Admission {
    const principal = peer.principal!;
    const id = principal.slice(PREFIX.length);
    let rights: Rights | null;
    try {
      rights = this.rightsOf(id);
    } catch (error) {
      if (!isTidewireError(error)) throw error;
      const sentence = "The registry cannot be asked now; the client may try again";
      return this.#o.gatekeeper.refuse(peer, connect, { refusal: "registry-away", code: SERVER_UNAVAILABLE, sentence });
    }
    let readAt = this.#epoch;
    const look = (): Rights | null => {
      if (readAt === this.#epoch) return rights;
      try {
        const now = this.rightsOf(id);
        readAt = this.#epoch;
        if (now === null || rights === null || !sameRights(now, rights)) rights = now;
      } catch (error) {
        if (!isTidewireError(error)) throw error; // a registry that is away ends nobody's work
      }
      return rights;
    };
    const expiresAt = this.#o.people.mqttRightsOf(id)?.expiresAt ?? null;
    const end = expiresAt === null ? {} : { expiresAt };
    return this.#o.gatekeeper.admitLogin(peer, connect, { principal, whose: `the access key ${id}`, look, ...end });
  }

  /** Null where the key is worth nothing, or one of its policies is missing: it may be the one that denies something. */
  rightsOf(id: string): Rights | null {
    const { people, registry, logger } = this.#o;
    const found = people.mqttRightsOf(id);
    if (found === null) return null;
    const policies = policiesNamed(registry, found.policies, (policy) =>
      logger.error("an access key is worth nothing for MQTT: a policy is missing", { key: id, policy }),
    );
    return policies === null ? null : { policies, things: [], certificate: null };
  }
}
