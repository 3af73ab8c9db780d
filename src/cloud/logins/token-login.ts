/** Devices that log in with a token (JWT) of an issuer that the configuration names, as CONNECT's password. */
import { LIMITS, isTidewireError } from "../../base/mod.ts";
import type { Cancel, Clock, Counter, Logger, Metrics } from "../../base/mod.ts";
import type { Admission, Gatekeeper, Peer } from "../../broker/mod.ts";
import { bearerOf } from "../../identity/mod.ts";
import type { Bearer, TokenMapping, TokenRules, TokenVerifier } from "../../identity/mod.ts";
import type { Change, Registry } from "../../registry/mod.ts";
import type { Refused, Rights } from "../admission.ts";
import type { RegistryGatekeeper } from "../gatekeeper.ts";
import { sameRights, tokenRightsOf } from "./named-policies.ts";
import type { Review, Reviewed } from "./review.ts";

type ConnectPacket = Parameters<Gatekeeper["admit"]>[1];

export interface TokenIssuer extends TokenMapping, Pick<TokenRules, "issuer" | "algorithms"> {
  readonly audience: string | readonly string[];
}

export interface TokenLoginOptions {
  readonly issuers: readonly TokenIssuer[];
  readonly verifier: TokenVerifier;
  readonly registry: Registry;
  readonly gatekeeper: RegistryGatekeeper;
  readonly review: Pick<Review, "soon">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** MQTT 5.0 section 3.2.2.2. */
const CLIENT_IDENTIFIER_NOT_VALID = 0x85;
const BAD_USER_NAME_OR_PASSWORD = 0x86;
const SERVER_UNAVAILABLE = 0x88;
const SERVER_BUSY = 0x89;
/** Things that changed since everything was read anew; beyond, everything is. */
const THINGS_MOVED_MAX = 10_000;

export class TokenLogin implements Reviewed {
  readonly #o: TokenLoginOptions;
  readonly #issuers: ReadonlyMap<string, TokenIssuer>;
  readonly #succeeded: Counter;
  readonly #cancel: Cancel;
  /** Counts changes; rights that were read before the last one that concerns them are read again. */
  #epoch = 0;
  #allMovedAt = 0;
  /** `THINGS_MOVED_MAX` at most. */
  readonly #movedAt = new Map<string, number>();
  #checking = 0;

  constructor(options: TokenLoginOptions) {
    this.#o = options;
    this.#issuers = new Map(options.issuers.map((one) => [one.issuer, one]));
    const name = "tidewire_device_token_logins_total";
    this.#succeeded = options.metrics.counter({ name, help: "Log-ins of devices with a token that were right" });
    this.#cancel = options.registry.onChange((change) => this.#changed(change));
  }

  close(): void {
    this.#cancel();
  }

  concerns(principal: string): boolean {
    return principal.startsWith("jwt/");
  }

  reviewed(): void {}

  /** The token is taken out of the packet before anything is waited for. */
  admit(peer: Peer, connect: ConnectPacket): Admission | Promise<Admission> {
    const refuse = (sentence: string): Admission =>
      this.#refuse(peer, connect, { refusal: "token", code: BAD_USER_NAME_OR_PASSWORD, sentence });
    const { password } = connect;
    const { tokenBytesMax, tokenChecksMax } = LIMITS.logins;
    if (password === null || password.length === 0)
      return refuse("The client sends no token; on this listener it is needed as the password");
    if (password.length > tokenBytesMax) return refuse(`The token has more than ${tokenBytesMax} bytes`);
    const token = new TextDecoder().decode(password);
    const named = this.#o.verifier.issuerOf(token);
    if (named === null) return refuse("The password is no token (JWT) that names its issuer");
    const issuer = this.#issuers.get(named);
    if (issuer === undefined)
      return refuse(`The token's issuer '${named.slice(0, 128)}' is not one of this platform's`);
    if (this.#checking >= tokenChecksMax) {
      const sentence = "Too many devices log in at once; the device may try again";
      return this.#refuse(peer, connect, { refusal: "busy", code: SERVER_BUSY, sentence });
    }
    return this.#checked(peer, connect, issuer, token);
  }

  async #checked(peer: Peer, connect: ConnectPacket, issuer: TokenIssuer, token: string): Promise<Admission> {
    const { verifier, clock } = this.#o;
    const { algorithms, audience } = issuer;
    const refuse = (refused: Refused, thing: string | null = null): Admission =>
      this.#refuse(peer, connect, refused, thing);
    const wrong = (sentence: string): Refused => ({ refusal: "token", code: BAD_USER_NAME_OR_PASSWORD, sentence });
    const rules = { issuer: issuer.issuer, algorithms, audience: typeof audience === "string" ? [audience] : audience };
    this.#checking++;
    let verdict: Awaited<ReturnType<TokenVerifier["verify"]>>;
    try {
      verdict = await verifier.verify(token, rules, clock.now());
    } catch (error) {
      if (!isTidewireError(error)) throw error;
      const sentence = `The keys of the token's issuer cannot be had now: ${error.message}`;
      const told = "The token cannot be checked now; the device may try again";
      return refuse({ refusal: "registry-away", code: SERVER_UNAVAILABLE, sentence, told });
    } finally {
      this.#checking--;
    }
    if (!verdict.ok) return refuse(wrong(verdict.sentence));
    const bearer = bearerOf(verdict.claims, issuer, clock.now());
    if (typeof bearer === "string") return refuse(wrong(bearer));
    if (bearer.clientId !== null && bearer.clientId !== connect.clientId) {
      const sentence = `The client id must be the token's '${issuer.clientId}', '${bearer.clientId.slice(0, 128)}'`;
      return refuse({ refusal: "client-id", code: CLIENT_IDENTIFIER_NOT_VALID, sentence }, bearer.thing);
    }
    return this.#enter(peer, connect, bearer);
  }

  #enter(peer: Peer, connect: ConnectPacket, bearer: Bearer): Admission {
    const { thing, subject, expiresAt } = bearer;
    let rights: Rights | null;
    let readAt = this.#epoch;
    try {
      rights = this.#rightsOf(bearer);
    } catch (error) {
      if (!isTidewireError(error)) throw error;
      const sentence = "The registry cannot be asked now; the device may try again";
      return this.#refuse(peer, connect, { refusal: "registry-away", code: SERVER_UNAVAILABLE, sentence }, thing);
    }
    if (thing !== null && rights?.things.length === 0) {
      const sentence = `The token is that of '${thing}', and there is no such thing`;
      return this.#refuse(peer, connect, { refusal: "token", code: BAD_USER_NAME_OR_PASSWORD, sentence }, thing);
    }
    const look = (): Rights | null => {
      if (Math.max(this.#allMovedAt, this.#movedAt.get(thing ?? "") ?? 0) <= readAt) return rights;
      try {
        const now = this.#rightsOf(bearer);
        readAt = this.#epoch;
        const gone = now === null || (thing !== null && now.things.length === 0);
        if (gone) rights = null;
        else if (rights === null || !sameRights(now, rights)) rights = now;
      } catch (error) {
        if (!isTidewireError(error)) throw error; // a registry that is away ends nobody's work
      }
      return rights;
    };
    this.#succeeded.value++;
    const principal = `jwt/${thing ?? subject}`;
    const whose = `the token of '${thing ?? subject}'`;
    return this.#o.gatekeeper.admitLogin(peer, connect, {
      principal,
      whose,
      look,
      expiresAt,
      token: { thing, policies: bearer.policies },
    });
  }

  /** Null where a policy is missing: it may be the one that denies something. */
  #rightsOf(bearer: Bearer): Rights | null {
    const { registry, logger } = this.#o;
    return tokenRightsOf(registry, bearer, (policy) =>
      logger.error("a token is worth nothing: a policy is missing", { thing: bearer.thing, policy }),
    );
  }

  #refuse(peer: Peer, connect: ConnectPacket, refused: Refused, thing: string | null = null): Admission {
    return this.#o.gatekeeper.refuse(peer, connect, refused, thing);
  }

  #changed({ kind, id, change, others, principals }: Change): void {
    if (this.#issuers.size === 0) return;
    if (kind === "thing") {
      if (change === "created" || change === "attached" || change === "detached") return;
      this.#moved([id]);
    } else if (kind === "group") {
      const members = change === "attached" || change === "detached" ? others : undefined;
      if (change !== "created") this.#moved(members ?? null);
    } else if (kind === "policy" || principals === "all") this.#moved(null);
  }

  /** Null: everybody's may be different. */
  #moved(things: readonly string[] | null): void {
    this.#epoch++;
    if (things === null || this.#movedAt.size + things.length > THINGS_MOVED_MAX) {
      this.#movedAt.clear();
      this.#allMovedAt = this.#epoch;
    } else for (const thing of things) this.#movedAt.set(thing, this.#epoch);
    this.#o.gatekeeper.moved();
    this.#o.review.soon(this);
  }
}
