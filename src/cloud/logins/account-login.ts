/**
 * People and their programs over MQTT: whoever opens the WebSocket with the platform's token or an API key may do by MQTT what
 * the same permissions allow by HTTP. `tidewire pub` and `sub` come this way, so that they need no certificate.
 */
import type { IncomingMessage } from "node:http";
import { isTidewireError } from "../../base/mod.ts";
import type { Cancel, EpochMs } from "../../base/mod.ts";
import type { Admission, Gatekeeper, Peer } from "../../broker/mod.ts";
import type { Actor, People } from "../../people/mod.ts";
import type { Policy } from "../../registry/mod.ts";
import type { Rights } from "../admission.ts";
import type { RegistryGatekeeper } from "../gatekeeper.ts";
import type { Review, Reviewed } from "./review.ts";

export interface AccountLoginOptions {
  readonly people: Pick<People, "again" | "keys" | "onChange">;
  readonly gatekeeper: Pick<RegistryGatekeeper, "admitLogin" | "moved">;
  readonly review: Pick<Review, "soon">;
}

export type Bearer = { readonly principal: string } | { readonly reason: "token"; readonly hint: string };

const PREFIX = "account/";
const TOKEN = "account/token/";
const KEY = "account/key/";

/** Client ids of their own, so that nobody takes a device's session by mistake. */
const CONNECTS = policyOf("an account's connection", "iot:Connect", "arn:aws:iot:*:*:client/tidewire-*");
/** `$SYS/` is reached only where it is named. */
const READS = ["arn:aws:iot:*:*:*", "arn:aws:iot:*:*:topic/$SYS/*", "arn:aws:iot:*:*:topicfilter/$SYS/*"];
const READ = policyOf("telemetry:read", ["iot:Subscribe", "iot:Receive"], READS);
const WRITE = policyOf("telemetry:write", ["iot:Publish", "iot:RetainPublish"], "arn:aws:iot:*:*:topic/*");
/** Certificates are another permission, and have requests of their own. */
const NO_CERTIFICATES = policyOf(
  "not by messages",
  ["iot:Publish", "iot:RetainPublish"],
  ["arn:aws:iot:*:*:topic/$aws/certificates/*", "arn:aws:iot:*:*:topic/$aws/provisioning-templates/*"],
  "Deny",
);

const RIGHTS: readonly Rights[] = [[], [READ], [WRITE, NO_CERTIFICATES], [READ, WRITE, NO_CERTIFICATES]].map(
  (more) => ({
    policies: [CONNECTS, ...more],
    things: [],
    certificate: null,
  }),
);

/** Null where the request carries no token at all. */
export function bearerAccountOf(
  { headers }: Pick<IncomingMessage, "headers">,
  remoteAddress: string,
  people: Pick<People, "byToken">,
): Bearer | null {
  const token = /^Bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
  if (token === undefined) return null;
  const actor = people.byToken(token, remoteAddress);
  if (actor === null) return { reason: "token", hint: "the token is not known, was replaced, revoked or has expired" };
  if (actor.things !== null)
    return { reason: "token", hint: "the key is for some things only, and MQTT has no such bounds: use another" };
  if (rightsOf(actor) === RIGHTS[0])
    return { reason: "token", hint: "the key has neither of the permissions telemetry:read and telemetry:write" };
  const { identity } = actor;
  if (identity.kind === "token" && identity.session === null) return { principal: `${TOKEN}${identity.mark}` };
  if (identity.kind === "api-key") return { principal: `${KEY}${identity.key}` };
  return { reason: "token", hint: "it is neither the platform's token nor an API key" };
}

export class AccountLogin implements Reviewed {
  readonly #o: AccountLoginOptions;
  readonly #cancel: Cancel;

  constructor(options: AccountLoginOptions) {
    this.#o = options;
    this.#cancel = options.people.onChange(() => {
      options.gatekeeper.moved();
      options.review.soon(this);
    });
  }

  close(): void {
    this.#cancel();
  }

  static isMeant({ principal }: Peer): boolean {
    return principal?.startsWith(PREFIX) === true;
  }

  concerns(principal: string): boolean {
    return principal.startsWith(PREFIX);
  }

  reviewed(): void {}

  /** Of a peer whose `principal` its token has proved. */
  admit(peer: Peer, connect: Parameters<Gatekeeper["admit"]>[1]): Admission {
    const principal = peer.principal!;
    let last: Rights | null = this.#rightsOf(principal);
    const look = (): Rights | null => {
      try {
        last = this.#rightsOf(principal);
      } catch (error) {
        if (!isTidewireError(error)) throw error; // a registry that is away ends nobody's work
      }
      return last;
    };
    const expiresAt = this.#expiryOf(principal);
    const end = expiresAt === null ? {} : { expiresAt };
    const whose = principal.startsWith(KEY) ? `The key ${principal.slice(KEY.length)}` : "The platform's token";
    return this.#o.gatekeeper.admitLogin(peer, connect, { principal, whose, look, ...end });
  }

  #rightsOf(principal: string): Rights | null {
    const { people } = this.#o;
    if (principal.startsWith(TOKEN)) {
      const identity = { kind: "token", session: null, mark: principal.slice(TOKEN.length) } as const;
      const actor = people.again({ identity, permissions: new Set(), things: null });
      return actor === null ? null : rightsOf(actor);
    }
    const key = people.keys.again(principal.slice(KEY.length));
    if (key === null) return null;
    const identity = { kind: "api-key", key: key.id, name: key.name, owner: key.owner } as const;
    const actor = people.again({ identity, permissions: new Set(), things: null });
    return actor === null ? null : rightsOf(actor);
  }

  #expiryOf(principal: string): EpochMs | null {
    return principal.startsWith(KEY)
      ? (this.#o.people.keys.again(principal.slice(KEY.length))?.expiresAt ?? null)
      : null;
  }
}

/** One of four, always the same objects: nothing is compiled again that has not changed. */
function rightsOf({ permissions }: Actor): Rights {
  return RIGHTS[(permissions.has("telemetry:read") ? 1 : 0) + (permissions.has("telemetry:write") ? 2 : 0)]!;
}

function policyOf(
  policyName: string,
  Action: string | readonly string[],
  Resource: string | readonly string[],
  Effect: "Allow" | "Deny" = "Allow",
): Policy {
  const document = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect, Action, Resource }] });
  return { policyName, document, version: 1, createdAt: 0, updatedAt: 0 };
}
