/** Users who log in with SCRAM-SHA-256 (MQTT 5.0 section 4.12), as the configuration names them. */
import { reasonOf } from "../base/mod.ts";
import type { Cancel, Logger, Random } from "../base/mod.ts";
import type { AuthenticationExchange, AuthenticationStep, Gatekeeper, Peer } from "../broker/mod.ts";
import { ScramExchange, parseScramVerifier } from "../identity/mod.ts";
import type { ScramCredential, ScramHash } from "../identity/mod.ts";
import type { Policy, Registry } from "../registry/mod.ts";
import type { Rights } from "./admission.ts";
import type { RegistryGatekeeper } from "./gatekeeper.ts";

type ConnectPacket = Parameters<Gatekeeper["admit"]>[1];

export const SCRAM_METHOD = "SCRAM-SHA-256";

/** MQTT 5.0 section 3.2.2.2. */
const BAD_USER_NAME_OR_PASSWORD = 0x86;
const NONCE_BYTES = 24;

export interface UserSettings {
  readonly name: string;
  /** `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. */
  readonly verifier: string;
  /** Names of policies in the registry; all of them together are the user's rights. */
  readonly policies: readonly string[];
}

export interface UserLoginOptions {
  readonly users: readonly UserSettings[];
  readonly registry: Registry;
  readonly gatekeeper: RegistryGatekeeper;
  readonly hash: ScramHash;
  readonly random: Random;
  /** Stays the same over restarts. */
  readonly secret: Uint8Array;
  readonly logger: Logger;
}

interface User {
  readonly credential: ScramCredential;
  readonly policies: readonly string[];
  /** Undefined: to be looked up. Null: a policy is missing. */
  rights: Rights | null | undefined;
}

export class UserLogin {
  readonly #options: UserLoginOptions;
  readonly #users = new Map<string, User>();
  readonly #cancel: Cancel;

  /** Throws where a verifier is not usable; the configuration has checked them. */
  constructor(options: UserLoginOptions) {
    this.#options = options;
    for (const { name, verifier, policies } of options.users) {
      const credential = parseScramVerifier(verifier);
      if (credential === null) throw new Error(`the verifier of user '${name}' is not usable`);
      this.#users.set(name, { credential, policies, rights: undefined });
    }
    this.#cancel = options.registry.onChange((change) => {
      if (change.kind !== "policy") return;
      for (const user of this.#users.values()) if (user.policies.includes(change.id)) user.rights = undefined;
    });
  }

  close(): void {
    this.#cancel();
  }

  /** Null where the method is another one, or nobody could log in with it. */
  authenticate(peer: Peer, connect: ConnectPacket): AuthenticationExchange | null {
    if (connect.authenticationMethod !== SCRAM_METHOD || this.#users.size === 0) return null;
    const { hash, random, secret } = this.#options;
    const exchange = new ScramExchange({
      hash,
      find: (name) => this.#users.get(name)?.credential ?? null,
      serverNonce: Array.from(random.bytes(NONCE_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join(""),
      decoySecret: secret,
    });
    return { step: (data) => this.#answer(exchange.step(data), peer, connect) };
  }

  #answer(step: ReturnType<ScramExchange["step"]>, peer: Peer, connect: ConnectPacket): AuthenticationStep {
    if (step.kind === "continue") return step;
    if (step.kind === "failed") return { ...step, reasonCode: BAD_USER_NAME_OR_PASSWORD };
    const { user, data } = step;
    const principal = `user/${user}`;
    const login = { principal, whose: "the user", look: () => this.rightsOf(user) };
    return {
      kind: "authenticated",
      principal,
      data,
      admission: this.#options.gatekeeper.admitLogin(peer, connect, login),
    };
  }

  /** The same object until one of the policies changes; null also where there is no such user. */
  rightsOf(name: string): Rights | null {
    const user = this.#users.get(name);
    if (user === undefined) return null;
    if (user.rights === undefined) {
      const policies = this.#policiesOf(name, user.policies);
      user.rights = policies === null ? null : { policies, things: [], certificate: null };
    }
    return user.rights;
  }

  /** Null where one is missing: it may be the one that denies something. */
  #policiesOf(name: string, names: readonly string[]): readonly Policy[] | null {
    try {
      return names.map((policyName) => this.#options.registry.policies.describe(policyName));
    } catch (error) {
      this.#options.logger.error("a user is refused: a policy cannot be read", { user: name, error: reasonOf(error) });
      return null;
    }
  }
}
