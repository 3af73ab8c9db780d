/** What listeners, gatekeeper and broker refuse, as the refusal book takes it. */
import type { ListenerRefusal } from "../adapters/net/mod.ts";
import { isTidewireError } from "../base/mod.ts";
import type { Clock, LogFields } from "../base/mod.ts";
import type { RefusalListener } from "../broker/mod.ts";
import { RefusalBook, verdict } from "../identity/mod.ts";
import type { RefusedAction, RefusedRequest } from "../identity/mod.ts";
import type { Principal, Registry } from "../registry/mod.ts";
import type { GateRefusal } from "./admission.ts";

/** About our own room or somebody else's protocol, or about a device that gets in when it comes again. */
const NOT_OF_A_DEVICE: ReadonlySet<string> = new Set([
  "connections-full",
  "connections-per-address-full",
  "strangers-full",
  "proxy-address",
  "proxy-header",
  "silent",
  "http",
  "just-in-time-provisioned",
]);

/** Of the broker's refusals, those that somebody can do something about at the device or in its rights. */
const ACTION_OF_KIND: Readonly<Partial<Record<Parameters<RefusalListener>[0], RefusedAction>>> = {
  "publish-forbidden": "publish",
  "publish-topic": "publish",
  "unfit-refused": "publish",
  "unfit-flagged": "publish",
  "unfit-kept-aside": "publish",
  "receive-maximum": "publish",
  "subscribe-forbidden": "subscribe",
  "subscribe-filter": "subscribe",
  "subscribe-quota": "subscribe",
  "subscription-revoked": "subscribe",
  "receive-forbidden": "receive",
  "authentication-failed": "connect",
  "client-id": "connect",
  "will-refused": "connect",
  "malformed-packet": "connect",
  "protocol-error": "connect",
  "connect-rate": "connect",
  "credential-expired": "connect",
  "connections-per-thing-full": "connect",
  "sessions-per-thing-full": "connect",
};

export class RefusalNotes {
  readonly book: RefusalBook;
  readonly #registry: Registry;
  readonly #clock: Clock;

  constructor({ registry, clock }: { readonly registry: Registry; readonly clock: Clock }) {
    this.book = new RefusalBook(clock);
    this.#registry = registry;
    this.#clock = clock;
  }

  readonly ofListener = ({ remoteAddress, reason, hint, certificate }: ListenerRefusal): void => {
    if (NOT_OF_A_DEVICE.has(reason) || reason.startsWith("websocket-")) return;
    const principal = certificate === null ? undefined : this.#principal(certificate.certificateId);
    // What the registry knows of the certificate says more than what TLS does.
    const known = principal === undefined ? null : verdict(principal.certificate, this.#clock.now());
    const why =
      known?.ok === false
        ? { reason: known.reason, sentence: known.sentence, fix: null }
        : { reason: reason === "certificate-refused" ? "unknown" : reason, sentence: hint, fix: null };
    const request: RefusedRequest = {
      ...CONNECT,
      ...why,
      certificateId: certificate?.certificateId ?? null,
      subject: certificate?.subject ?? null,
      clientId: null,
      thing: onlyThingOf(principal),
      remoteAddress,
    };
    this.book.note(request, principal !== undefined);
  };

  readonly ofGate = ({ reason, sentence, certificateId, clientId, remoteAddress, thing: said }: GateRefusal): void => {
    const principal = certificateId === null ? undefined : this.#principal(certificateId);
    const thing = said ?? thingOf(principal, clientId);
    const subject = principal?.certificate.subject["CommonName"]?.[0] ?? null;
    const who = { certificateId, clientId, thing, subject: subject === null ? null : `CN=${subject}`, remoteAddress };
    this.book.note({ ...CONNECT, ...who, reason, sentence, fix: null }, principal !== undefined);
  };

  readonly ofBroker: RefusalListener = (kind, message, fields) => {
    const action = ACTION_OF_KIND[kind];
    if (action === undefined) return;
    const certificateId = textOf(fields, "certificateId");
    const request: RefusedRequest = {
      action,
      reason: kind,
      sentence: message,
      fix: textOf(fields, "fix"),
      certificateId,
      subject: null,
      clientId: textOf(fields, "clientId"),
      thing: textOf(fields, "thing"),
      remoteAddress: textOf(fields, "remoteAddress") ?? "unknown",
      resource: textOf(fields, "topic") ?? textOf(fields, "filter"),
      retain: fields["retain"] === true,
    };
    // The gatekeeper has let this certificate in, or the listener has: it is a registered one.
    this.book.note(request, certificateId !== null);
  };

  #principal(certificateId: string): Principal | undefined {
    try {
      return this.#registry.principalOf(certificateId);
    } catch (error) {
      if (isTidewireError(error)) return undefined; // the registry is away
      throw error;
    }
  }
}

const CONNECT = { action: "connect", resource: null, retain: false } as const;

function textOf(fields: LogFields, name: string): string | null {
  const value = fields[name];
  return typeof value === "string" ? value : null;
}

function onlyThingOf(principal: Principal | undefined): string | null {
  return principal?.things.length === 1 ? principal.things[0]!.thing.thingName : null;
}

function thingOf(principal: Principal | undefined, clientId: string): string | null {
  const named = principal?.things.find(({ thing, exclusive }) => exclusive || thing.thingName === clientId);
  return named?.thing.thingName ?? onlyThingOf(principal);
}
