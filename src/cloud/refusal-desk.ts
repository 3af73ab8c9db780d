/** What to do about a refusal: whether it would pass by now, what is missing, and the one command that allows it. */
import { isTidewireError } from "../base/mod.ts";
import type { Cancel, Clock, EpochMs } from "../base/mod.ts";
import { DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import type { MqttAction, RefusalBook, RefusalEntry, RefusalQuery } from "../identity/mod.ts";
import type { Principal, Registry } from "../registry/mod.ts";
import type { Refusal, RefusalPage } from "./api/contract.ts";
import type { RegistryGatekeeper } from "./gatekeeper.ts";

export interface RefusalDeskOptions {
  readonly book: RefusalBook;
  readonly registry: Registry;
  readonly gatekeeper: RegistryGatekeeper;
  readonly clock: Clock;
}

interface Remedy {
  readonly sentence?: string;
  readonly fix: string;
  /** Null where no command of ours helps. */
  readonly command: string | null;
}

const MQTT_ACTION = { connect: "Connect", publish: "Publish", subscribe: "Subscribe", receive: "Receive" } as const;
/** Reasons that are a question of policies. */
const FORBIDDEN: ReadonlySet<string> = new Set([
  "not-authorized",
  "client-id",
  "publish-forbidden",
  "subscribe-forbidden",
  "subscription-revoked",
  "receive-forbidden",
]);
const THING_NAME = /^[a-zA-Z0-9:_-]{1,128}$/;

export class RefusalDesk {
  readonly #o: RefusalDeskOptions;

  constructor(options: RefusalDeskOptions) {
    this.#o = options;
  }

  /** The latest first. */
  list(query: RefusalQuery): RefusalPage {
    const refusals = this.#o.book.list(query).map((entry) => this.#described(entry));
    return { refusals, kept: this.#o.book.size };
  }

  onChange(listener: () => void): Cancel {
    return this.#o.book.onChange(listener);
  }

  #described(entry: RefusalEntry): Refusal {
    const { retain: _retain, fix: _fix, ...shown } = entry;
    const principal = this.#principal(entry);
    const thing = entry.thing ?? (principal?.things.length === 1 ? principal.things[0]!.thing.thingName : null);
    const remedy = this.#remedy({ ...entry, thing }, principal);
    return { ...shown, thing, sentence: entry.sentence, ...remedy, allowedNow: this.#wouldPass(entry, principal) };
  }

  #principal({ certificateId }: RefusalEntry): Principal | undefined {
    try {
      return certificateId === null ? undefined : this.#o.registry.principalOf(certificateId);
    } catch (error) {
      if (isTidewireError(error)) return undefined; // the registry is away
      throw error;
    }
  }

  /** What failed in TLS, or for its form, is not ours to foresee. */
  #wouldPass(entry: RefusalEntry, principal: Principal | undefined): boolean {
    const { certificateId, clientId, remoteAddress, action, resource, retain, reason } = entry;
    if (certificateId === null || principal === undefined) return false;
    if (this.#o.gatekeeper.objectionTo(certificateId) !== null) return false;
    if (action !== "connect") {
      if (!FORBIDDEN.has(reason) || clientId === null || resource === null) return false;
      return actionsOf(action, retain).every(
        (one) => this.#o.gatekeeper.explain(certificateId, clientId, one, resource).allowed,
      );
    }
    const isOurs = FORBIDDEN.has(reason) || LIFE_CYCLE.has(reason);
    if (!isOurs) return false;
    return clientId === null || this.#o.gatekeeper.mayStay({ certificateId, clientId, remoteAddress });
  }

  #remedy(entry: RefusalEntry, principal: Principal | undefined): Remedy {
    const { reason, certificateId, fix } = entry;
    const invite = `tidewire things invite ${nameFor(entry) ?? "NAME"}`;
    switch (reason) {
      case "no-certificate":
        return {
          fix: "Give the device its own key and certificate: on the device, join with the code of",
          command: invite,
        };
      case "no-password":
        return {
          fix: "Give the device a password, and set it there with its thing's name as user name and client id",
          command: `tidewire things password ${entry.thing ?? nameFor(entry) ?? "NAME"}`,
        };
      case "unknown-name":
      case "wrong-password":
        return {
          fix: "If the device is yours, give it a new password and set it there",
          command: `tidewire things password ${entry.thing ?? nameFor(entry) ?? "NAME"}`,
        };
      case "too-often":
        return {
          fix: "Let the device wait; if somebody else guesses, keep that address out (its attempts are in the audit log)",
          command: "tidewire audit search --action device.refuse.connect-refused",
        };
      case "busy":
        return { fix: "Let the device try again; many log in at once", command: null };
      case "unknown":
      case "certificate-untrusted":
      case "certificate-self-signed":
      case "certificate-chain":
        return { fix: "Give it a certificate of this platform: on the device, join with the code of", command: invite };
      case "revoked":
        return {
          fix: "A revoked certificate stays so; if the device is still yours, let it join anew",
          command: invite,
        };
      case "inactive":
      case "pending":
        return { fix: "Activate the certificate", command: `tidewire certs activate ${certificateId}` };
      case "expired":
      case "certificate-expired":
        return this.#expired(principal, invite);
      case "not-yet-valid":
      case "certificate-not-yet-valid":
        return { fix: "Compare the clocks of this machine and of the one that issued the certificate", command: null };
      default:
    }
    if (reason === "not-authorized" && certificateId === null && entry.thing !== null)
      return {
        fix: "If it is meant to, give its password a policy that allows it",
        command: `tidewire policy attach ${DEFAULT_POLICY_NAME} --password ${entry.thing}`,
      };
    if (FORBIDDEN.has(reason) && certificateId !== null) return this.#forbidden(entry, certificateId, principal);
    return { fix: fix ?? "Correct it in the device's configuration", command: null };
  }

  #expired(principal: Principal | undefined, invite: string): Remedy {
    if (principal === undefined) return { fix: "Let it join with a new certificate", command: invite };
    const { notAfter, certificateId } = principal.certificate;
    return {
      sentence: `The certificate expired ${ago(notAfter, this.#o.clock.now())}, on ${day(notAfter)}`,
      fix: `Let an agent renew it with its old key; any other device joins anew (${invite})`,
      command: `tidewire certs readmit ${certificateId}`,
    };
  }

  #forbidden(entry: RefusalEntry, certificateId: string, principal: Principal | undefined): Remedy {
    const { action, clientId, thing, retain } = entry;
    const resource = action === "connect" ? clientId : entry.resource;
    if (principal !== undefined && principal.policies.length === 0) {
      const command = `tidewire policy attach ${DEFAULT_POLICY_NAME} --certificate ${certificateId}`;
      return { fix: "The certificate has no policy: attach one", command };
    }
    if (clientId === null || resource === null) return { fix: "Look at its policies", command: null };
    if (entry.reason === "client-id" || (action === "connect" && principal?.things.length === 0)) {
      const isThing = THING_NAME.test(clientId) && this.#o.registry.things.find(clientId) !== undefined;
      const rename = thing === null ? "" : `Set the device's client id to '${thing}'; `;
      const attach = `tidewire things attach ${clientId} --certificate ${certificateId}`;
      if (isThing) return { fix: `${rename}if the certificate is '${clientId}' as well, attach it`, command: attach };
      return thing === null
        ? {
            fix: "Attach the certificate to its thing",
            command: `tidewire things attach NAME --certificate ${certificateId}`,
          }
        : { fix: `Set the device's client id to '${thing}'`, command: null };
    }
    const missing = actionsOf(action, retain)
      .map((one) => ({ one, answer: this.#o.gatekeeper.explain(certificateId, clientId, one, resource) }))
      .find(({ answer }) => !answer.allowed);
    if (missing === undefined) return { fix: "It is allowed by now: the device may try again", command: null };
    const { one, answer } = missing;
    if (answer.decidedBy !== null) {
      const { policy } = answer.decidedBy;
      const fix = "A statement denies it, so no other can allow it: change that one";
      return { sentence: answer.sentence, fix, command: `tidewire policy show ${policy}` };
    }
    if (isPlatforms(resource)) return { fix: entry.fix ?? "This topic is the platform's own", command: null };
    const verb = action === "publish" && retain ? "publish --retain" : action;
    return {
      sentence: [`The policies lack iot:${one} on '${resource}'`, ...answer.notes].join("; "),
      fix: "If it is meant to, allow it for this certificate",
      command: `tidewire policy allow --certificate ${certificateId} --action ${verb} --resource ${quoted(resource)}`,
    };
  }
}

/** Reasons of a certificate's life. */
const LIFE_CYCLE: ReadonlySet<string> = new Set(["unknown", "inactive", "pending", "expired", "not-yet-valid"]);

function actionsOf(action: RefusalEntry["action"], retain: boolean): readonly MqttAction[] {
  return action === "publish" && retain ? ["Publish", "RetainPublish"] : [MQTT_ACTION[action]];
}

/** The name under which the device should join, as far as one can be told. */
function nameFor({ thing, clientId, subject }: RefusalEntry): string | null {
  const commonName = /(?:^|, )CN=([^,]*)/.exec(subject ?? "")?.[1] ?? null;
  return [thing, commonName, clientId].find((name) => name !== null && THING_NAME.test(name)) ?? null;
}

function isPlatforms(topic: string): boolean {
  return topic.startsWith("$SYS/");
}

/** For a shell of POSIX. Nothing in it is run, whatever a device calls its topics. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function day(at: EpochMs): string {
  return new Date(at).toISOString().slice(0, 10);
}

const DAY_MS = 86_400_000;

function ago(at: EpochMs, now: EpochMs): string {
  const days = Math.floor(now / DAY_MS) - Math.floor(at / DAY_MS);
  return days <= 0 ? "today" : days === 1 ? "yesterday" : `${days} days ago`;
}
