/** Who may connect, and what each connection may do: the broker's `Gatekeeper` over registry and identity. */
import { LIMITS, isTidewireError, reasonOf } from "../base/mod.ts";
import type { Cancel, Clock, Counter, Logger, Metrics, Scheduler } from "../base/mod.ts";
import type { Admission, Authorizer, Gatekeeper, Peer } from "../broker/mod.ts";
import { STORED_POLICY, compilePolicy, mayBecome, parsePolicy, policyWarnings, verdict } from "../identity/mod.ts";
import type {
  CompiledPolicy,
  Explanation,
  MqttAction,
  NamedPolicy,
  PolicyContext,
  PolicyDocument,
  PolicyLimits,
} from "../identity/mod.ts";
import type { Policy, Principal, Registry, RegistryRules, Thing } from "../registry/mod.ts";

import { REFUSALS, hasPoliciesByName } from "./admission.ts";
import type { GateRefusal, KeptOwner, ProvedLogin, Refusal, Refused, RequestAdmission, Rights } from "./admission.ts";

type ConnectPacket = Parameters<Gatekeeper["admit"]>[1];

/** MQTT 5.0 section 3.2.2.2. */
const CLIENT_IDENTIFIER_NOT_VALID = 0x85;
const NOT_AUTHORIZED = 0x87;
const SERVER_UNAVAILABLE = 0x88;

/** What the registry asks identity. */
export function rulesWithin(limits: PolicyLimits): RegistryRules {
  return { checkPolicy: (document) => policyWarnings(parsePolicy(document, limits)), mayBecome };
}

export const registryRules: RegistryRules = rulesWithin(LIMITS.identity);

export interface GatekeeperOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Must be cheap: strangers can have it called as often as they connect. */
  readonly onRefused?: (refusal: GateRefusal) => void;
}

/** One open connection, as far as its right to stay goes; the broker's ConnectionInfo has these. */
export interface StandingConnection {
  readonly clientId: string;
  readonly certificateId: string | null;
  readonly remoteAddress: string;
}

/** Every combination that a CONNECT may ask for, shared by all connections. */
const CONNECT_ATTRIBUTES: readonly (readonly string[])[] = [
  [],
  ["PersistentConnect"],
  ["LastWill"],
  ["PersistentConnect", "LastWill"],
];

export class RegistryGatekeeper implements Gatekeeper {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #refusals: ReadonlyMap<Refusal, Counter>;
  readonly #onRefused: ((refusal: GateRefusal) => void) | undefined;
  readonly #documents = new WeakMap<Policy, PolicyDocument>();
  readonly #cancel: Cancel;
  /** Moves with every change that may touch somebody's rights; connections look again when it has. */
  generation = 0;

  constructor(options: GatekeeperOptions) {
    this.#registry = options.registry;
    this.#clock = options.clock;
    this.#log = options.logger;
    this.#onRefused = options.onRefused;
    this.#refusals = new Map(
      REFUSALS.map((reason) => [
        reason,
        options.metrics.counter({
          name: "tidewire_admission_refusals_total",
          help: "Connections refused for who they are or what they may do",
          labels: { reason },
        }),
      ]),
    );
    this.#cancel = options.registry.onChange((change) => {
      // Users have policies by name, so a policy that no certificate has may be somebody's too.
      if (change.principals.length > 0 || change.kind === "policy") this.generation++;
    });
  }

  close(): void {
    this.#cancel();
  }

  /** Before MQTT: whether this certificate may speak at all. `reason` is a sentence. */
  admitPeer(certificateId: string | null): { readonly ok: true } | { readonly ok: false; readonly reason: string } {
    const found = this.#principal(certificateId);
    if (found.ok) return { ok: true };
    this.#count(found.refusal);
    return { ok: false, reason: found.sentence };
  }

  /** Nobody gets in on what another platform may have revoked meanwhile: it is looked up, or refused for now. */
  admit(peer: Peer, connect: ConnectPacket): Admission {
    const decision = this.#decide(peer, connect);
    return "admitted" in decision ? decision : this.refuse(peer, connect, decision);
  }

  #decide(peer: Peer, connect: ConnectPacket): Admission | Refused {
    const found = this.#principal(peer.certificateId, (id) => this.#registry.freshPrincipalOf(id));
    if (!found.ok) {
      const code = found.refusal === "registry-away" ? SERVER_UNAVAILABLE : NOT_AUTHORIZED;
      return { refusal: found.refusal, code, sentence: found.sentence };
    }
    const { principal } = found;
    const grant = this.grant(principal, connectionOf(peer, connect));
    if (grant === null) return notAuthorized("A policy of the certificate cannot be evaluated");
    if (!grant.policy.connect(connect.clientId)) return this.#denied(principal, grant, connect.clientId);
    const thing = grant.context.thing?.thingName ?? null;
    const look = (before: Rights | null): Rights | null => this.current(principal.certificate.certificateId, before);
    const expiresAt = principal.certificate.notAfter + 1;
    const who = { principal: principal.certificate.certificateId };
    return {
      admitted: true,
      thing,
      expiresAt,
      authorizer: new ConnectionAuthorizer(this, principal, look, grant, who),
    };
  }

  /**
   * A device's HTTPS request: its policies, with the thing that its certificate stands for. Without MQTT there is no client
   * id, so where it stands for one thing alone, that thing's name is it.
   */
  admitRequest(certificateId: string, remoteAddress: string): RequestAdmission {
    const found = this.#principal(certificateId, (id) => this.#registry.freshPrincipalOf(id));
    if (!found.ok) {
      this.#count(found.refusal);
      return { ok: false, sentence: found.sentence };
    }
    const { things } = found.principal;
    const clientId = things.length === 1 ? things[0]!.thing.thingName : "";
    const sourceIp = plainAddress(remoteAddress);
    const grant = this.grant(found.principal, { clientId, sourceIp, connectAttributes: [], willTopic: null });
    if (grant !== null) return { ok: true, thing: grant.context.thing?.thingName ?? null, policy: grant.policy };
    this.#count("not-authorized");
    return { ok: false, sentence: "a policy of the certificate cannot be evaluated" };
  }

  /** Who he is is proved; here it is what he may do. */
  admitLogin(peer: Peer, connect: ConnectPacket, login: ProvedLogin): Admission {
    const { principal, whose, look, expiresAt } = login;
    const rights = look();
    const grant = rights === null ? null : this.grant(rights, connectionOf(peer, connect));
    const thing = rights?.things[0]?.thing.thingName ?? null;
    if (rights === null || grant === null)
      return this.refuse(peer, connect, notAuthorized(`A policy of ${whose} is missing or cannot be evaluated`), thing);
    if (grant.policy.connect(connect.clientId)) {
      const authorizer = new ConnectionAuthorizer(this, rights, look, grant, login);
      const end = expiresAt === undefined ? {} : { expiresAt };
      return { admitted: true, thing: grant.context.thing?.thingName ?? null, authorizer, principal, ...end };
    }
    if (rights.policies.length === 0) return this.refuse(peer, connect, notAuthorized(`No policy for ${whose}`), thing);
    const { sentence, notes } = grant.policy.explain("Connect", connect.clientId);
    return this.refuse(peer, connect, notAuthorized([sentence, ...notes].join("; ")), thing);
  }

  /** Rights that are not the registry's alone have changed: every connection looks again. */
  moved(): void {
    this.generation++;
  }

  /** Why a connection of this certificate and client id may or may not do something; for the API and command line. */
  explain(certificateId: string, clientId: string, action: MqttAction, resource: string): Explanation {
    const denied = (sentence: string): Explanation => ({ allowed: false, decidedBy: null, sentence, notes: [] });
    const found = this.#principal(certificateId);
    if (!found.ok) return denied(found.sentence);
    const grant = this.grant(found.principal, { clientId, sourceIp: null, connectAttributes: [], willTopic: null });
    return grant?.policy.explain(action, resource) ?? denied("A policy of the certificate cannot be evaluated");
  }

  /** What speaks against this certificate now, whatever it asks for; null: nothing. */
  objectionTo(certificateId: string): { readonly reason: string; readonly sentence: string } | null {
    const found = this.#principal(certificateId);
    return found.ok ? null : { reason: found.refusal, sentence: found.sentence };
  }

  /** Whether an open connection would still be let in. Lenient about what its CONNECT asked for. */
  mayStay(connection: StandingConnection): boolean {
    const { certificateId, clientId, remoteAddress } = connection;
    if (certificateId === null) return true; // it came through a listener that asks for none
    const found = this.#principal(certificateId);
    if (!found.ok) return found.refusal === "registry-away";
    return CONNECT_ATTRIBUTES.some((connectAttributes) => {
      const asked = { clientId, sourceIp: plainAddress(remoteAddress), connectAttributes, willTopic: null };
      return this.grant(found.principal, asked)?.policy.connect(clientId) === true;
    });
  }

  /**
   * The principal now, for a connection that looks again: null where it may not do anything any more, and `before` where
   * the registry is away, which ends nobody's work.
   */
  current(certificateId: string, before: Rights | null): Rights | null {
    const found = this.#principal(certificateId);
    if (!found.ok && found.refusal === "registry-away") return before;
    return found.ok ? found.principal : null;
  }

  /** Null where a stored policy cannot be parsed: leaving one out could leave out a Deny. */
  grant(principal: Rights, connection: Omit<PolicyContext, "thing" | "certificate">): Grant | null {
    const context: PolicyContext = {
      ...connection,
      thing: thingOf(principal, connection.clientId),
      certificate: principal.certificate,
      isThing: this.#isThing,
    };
    const policies: NamedPolicy[] = [];
    for (const policy of principal.policies) {
      const document = this.#parsed(policy);
      if (document === null) return null;
      policies.push({ name: policy.policyName, document });
    }
    return { context, policy: compilePolicy(policies, context) };
  }

  /** While the registry is away, a name may be any thing's. */
  readonly #isThing = (name: string): boolean => {
    try {
      return this.#registry.things.find(name) !== undefined;
    } catch (error) {
      if (!isTidewireError(error)) throw error;
      return true;
    }
  };

  #principal(
    certificateId: string | null,
    look: (id: string) => Principal | undefined = (id) => this.#registry.principalOf(id),
  ):
    | { readonly ok: true; readonly principal: Principal }
    | { readonly ok: false; readonly refusal: Refusal; readonly sentence: string } {
    if (certificateId === null) {
      return { ok: false, refusal: "no-certificate", sentence: "The client shows no certificate" };
    }
    let principal: Principal | undefined;
    try {
      principal = look(certificateId);
    } catch (error) {
      if (!isTidewireError(error)) throw error;
      return { ok: false, refusal: "registry-away", sentence: error.message };
    }
    const answer = verdict(principal?.certificate, this.#clock.now());
    if (!answer.ok) return { ok: false, refusal: answer.reason, sentence: answer.sentence };
    return { ok: true, principal: principal! };
  }

  #parsed(policy: Policy): PolicyDocument | null {
    let document = this.#documents.get(policy);
    if (document !== undefined) return document;
    try {
      document = parsePolicy(policy.document, STORED_POLICY);
    } catch (error) {
      this.#log.error("a stored policy cannot be evaluated; its certificates are refused", {
        policy: policy.policyName,
        reason: reasonOf(error),
      });
      return null;
    }
    this.#documents.set(policy, document);
    return document;
  }

  #denied(principal: Principal, grant: Grant, clientId: string): Refused {
    if (principal.policies.length === 0) {
      return notAuthorized("The certificate has no policy; attach one, e.g. tidewire-default");
    }
    const own = principal.things.find(({ thing }) => {
      const asItself = this.grant(principal, { ...grant.context, clientId: thing.thingName });
      return asItself?.policy.connect(thing.thingName) === true;
    });
    if (own !== undefined) {
      const sentence = `The client id must be the thing's name, '${own.thing.thingName}'`;
      return { refusal: "client-id", code: CLIENT_IDENTIFIER_NOT_VALID, sentence };
    }
    if (principal.things.length === 0) {
      return notAuthorized("The certificate is attached to no thing, and its policies allow no connection without one");
    }
    const { sentence, notes } = grant.policy.explain("Connect", clientId);
    return notAuthorized([sentence, ...notes].join("; "));
  }

  /** `thing`: what it says it is, without a certificate. */
  refuse(peer: Peer, connect: ConnectPacket, refused: Refused, thing: string | null = null): Admission {
    const { refusal: reason, code: reasonCode, sentence, told = sentence } = refused;
    this.#count(reason);
    const { certificateId, remoteAddress } = peer;
    this.#onRefused?.({ reason, sentence, certificateId, clientId: connect.clientId, remoteAddress, thing });
    return { admitted: false, reasonCode, reason: told, ...(told === sentence ? {} : { why: sentence }) };
  }

  #count(refusal: Refusal): void {
    this.#refusals.get(refusal)!.value++;
  }
}

function notAuthorized(sentence: string): Refused {
  return { refusal: "not-authorized", code: NOT_AUTHORIZED, sentence };
}

interface Grant {
  readonly context: PolicyContext;
  readonly policy: CompiledPolicy;
}

/** Compiled once; looked at again only after a change in the registry, and compiled again only if it touched this one. */
class ConnectionAuthorizer implements Authorizer {
  readonly #gate: RegistryGatekeeper;
  readonly #look: (before: Rights | null) => Rights | null;
  readonly #who: Pick<KeptOwner, "principal" | "token">;
  #rights: Rights | null;
  #context: PolicyContext;
  /** Null: nothing is allowed any more. */
  #policy: CompiledPolicy | null;
  #generation: number;
  #revision = 0;

  constructor(
    gate: RegistryGatekeeper,
    rights: Rights,
    look: (before: Rights | null) => Rights | null,
    grant: Grant,
    who: Pick<KeptOwner, "principal" | "token">,
  ) {
    this.#gate = gate;
    this.#look = look;
    this.#who = who;
    this.#rights = rights;
    this.#context = grant.context;
    this.#policy = grant.policy;
    this.#generation = gate.generation;
  }

  get revision(): number {
    if (this.#generation !== this.#gate.generation) this.#lookAgain();
    return this.#revision;
  }

  get owner(): string {
    const { principal, token } = this.#who;
    const { thing: _thing, certificate: _certificate, isThing: _isThing, ...connection } = this.#context;
    return JSON.stringify({ principal, ...(token === undefined ? {} : { token }), connection } satisfies KeptOwner);
  }

  publish(topic: string, retain: boolean): boolean {
    if (this.#generation !== this.#gate.generation) this.#lookAgain();
    return this.#policy !== null && this.#policy.publish(topic, retain);
  }

  subscribe(filter: string): boolean {
    if (this.#generation !== this.#gate.generation) this.#lookAgain();
    return this.#policy !== null && this.#policy.subscribe(filter);
  }

  receive(topic: string): boolean {
    if (this.#generation !== this.#gate.generation) this.#lookAgain();
    return this.#policy !== null && this.#policy.receive(topic);
  }

  mayStay(): boolean {
    this.#lookAgain(); // in any case: a certificate expires without a change
    return this.#policy !== null;
  }

  #lookAgain(): void {
    this.#generation = this.#gate.generation;
    const rights = this.#look(this.#rights);
    if (rights !== null && rights === this.#rights) return;
    this.#revision++;
    this.#rights = rights;
    const grant = rights === null ? null : this.#gate.grant(rights, this.#context);
    this.#context = grant?.context ?? this.#context;
    // Whoever would not be let in any more has no other right either, even before the broker ends the connection.
    this.#policy = grant?.policy.connect(this.#context.clientId) === true ? grant.policy : null;
  }
}

export interface EvictionOptions {
  readonly registry: Registry;
  readonly scheduler: Scheduler;
  /** The broker's: ends those of the chosen connections that have lost a right, and says how many. */
  readonly endUnauthorized: (isChosen: (principal: string | null) => boolean, ended: (count: number) => void) => void;
  readonly logger: Logger;
}

/**
 * Ends connections that lost a right that they use: at the end of the turn in which the registry changed (one look at all
 * connections however many changes there were). Those that expire are ended by the broker.
 */
export function evictOnChange(options: EvictionOptions): Cancel {
  const { registry, scheduler, logger } = options;
  /** Certificates and passwords of this turn's changes; null outside of one. */
  let touched: Set<string> | "all" | null = null;
  let byName = false;
  const evict = (isChosen: (principal: string | null) => boolean): void => {
    options.endUnauthorized(isChosen, (connections) => {
      if (connections > 0) logger.info("connections ended: they lost a right", { audit: true, connections });
    });
  };
  const cancelChanges = registry.onChange((change) => {
    // A certificate that is new has no connection yet; registering ten thousand must not look at all connections each time.
    if (change.kind === "certificate" && change.change === "created") return;
    if (change.principals.length === 0 && change.kind !== "policy") return;
    if (touched === null) {
      touched = new Set();
      scheduler.defer(() => {
        const [changed, named] = [touched ?? "all", byName];
        [touched, byName] = [null, false];
        evict(
          (principal) =>
            principal !== null &&
            (changed === "all" || changed.has(principal) || (named && hasPoliciesByName(principal))),
        );
      });
    }
    if (change.principals === "all") touched = "all";
    else if (touched !== "all") for (const id of change.principals) touched.add(id);
    if (change.kind === "policy") byName = true;
  });
  return cancelChanges;
}

const EVERYTHING: Authorizer = { revision: 0, publish: () => true, subscribe: () => true, receive: () => true };

/** Lets everybody do everything, as nobody in particular: only for the loopback benchmark listener, `?auth=none`. */
export const anonymousGatekeeper = {
  admit: (): Admission => ({ admitted: true, thing: null, authorizer: EVERYTHING }),
} satisfies Gatekeeper;

/** The thing a connection speaks for: the one its certificate belongs to alone, else the attached one of its client id. */
function thingOf(principal: Rights, clientId: string): Thing | null {
  const found = principal.things.find(({ thing, exclusive }) => exclusive || thing.thingName === clientId);
  return found?.thing ?? null;
}

function connectionOf(peer: Peer, connect: ConnectPacket): Omit<PolicyContext, "thing" | "certificate"> {
  const persistent = !connect.cleanStart || connect.sessionExpirySeconds > 0;
  const connectAttributes = CONNECT_ATTRIBUTES[(persistent ? 1 : 0) + (connect.will === null ? 0 : 2)]!;
  return {
    clientId: connect.clientId,
    sourceIp: plainAddress(peer.remoteAddress),
    connectAttributes,
    willTopic: connect.will?.topic ?? null,
    domainName: peer.serverName ?? null,
  };
}

/** A socket that listens for both families reports IPv4 peers as `::ffff:192.0.2.1`; policies mean the address itself. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=[0-9.]+$)/i, "");
}
