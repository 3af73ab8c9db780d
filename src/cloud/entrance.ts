/** Who may connect, by whatever he proves it: a certificate, a password, a token, an access key, an account. */
import { jwtVerifier } from "../adapters/jwt-verifier.ts";
import { NodeOutgoingHttp } from "../adapters/outgoing-http.ts";
import { scramHash } from "../adapters/scram-hash.ts";
import type { Admission, Broker, Gatekeeper, Peer } from "../broker/mod.ts";
import type { PlatformConfig } from "./config.ts";
import type { Foundation } from "./foundation.ts";
import { anonymousGatekeeper } from "./gatekeeper.ts";
import { listenerUrlOf } from "./listener-url.ts";
import { AccountLogin, KeptOwners, KeyLogin, PasswordLogin, Review, TokenLogin } from "./logins/mod.ts";
import type { Teardown } from "./teardown.ts";
import { UserLogin } from "./users.ts";

export interface Entrance {
  readonly gatekeeper: Gatekeeper;
  /** From then on those who lose their rights are cut. */
  start(broker: Broker): void;
}

export function openEntrance(config: PlatformConfig, base: Foundation, teardown: Teardown): Entrance {
  const { gatekeeper, renewals } = base;
  const failures = base.failures?.ofPasswords ?? null;
  const passwords = new PasswordLogin({ ...base, failures, passwords: base.deviceHasher, hash: scramHash });
  const review = new Review(base);
  teardown.add("review of logins", () => review.close());
  const keys = new KeyLogin({ ...base, review });
  const accounts = new AccountLogin({ ...base, review });
  for (const login of [keys, accounts]) teardown.add("keys and accounts", () => login.close());
  if (config.listen.some((text) => listenerUrlOf(text).auth === "password")) passwords.prepare();
  const tokens = openTokenLogin(config, base, review, teardown);
  const admit: Gatekeeper["admit"] = (peer: Peer, connect) => {
    if (peer.anonymous === true) return anonymousGatekeeper.admit(); // only a listener that was asked for with ?auth=none says so
    if (peer.login === "password") return passwords.admit(peer, connect);
    if (peer.login === "jwt") return tokens.admit(peer, connect);
    if (peer.principal === undefined) return noted(renewals, peer, gatekeeper.admit(peer, connect));
    return (AccountLogin.isMeant(peer) ? accounts : keys).admit(peer, connect);
  };
  const users = new UserLogin({ ...base, users: config.users, hash: scramHash, secret: base.secrets.sessionKey });
  teardown.add("users", () => users.close());
  const owners = new KeptOwners({ ...base, users, keys });
  return {
    gatekeeper: {
      admit,
      authenticate: (peer, connect) => users.authenticate(peer, connect),
      mayPublishKept: (owner, topic, retain) => owners.mayPublish(owner, topic, retain),
    },
    start: (broker) => review.start(broker),
  };
}

/** A device that is let in with its renewed certificate needs the one before no more. */
function noted(renewals: Foundation["renewals"], peer: Peer, admission: Admission): Admission {
  if (admission.admitted && peer.certificateId !== null) renewals.seen(peer.certificateId);
  return admission;
}

function openTokenLogin(
  { tokens: issuers }: PlatformConfig,
  base: Foundation,
  review: Review,
  teardown: Teardown,
): TokenLogin {
  const http = new NodeOutgoingHttp();
  teardown.add("token issuers", () => http.close());
  const verifier = jwtVerifier({
    ...base,
    keys: new Map(issuers.map(({ issuer, keys }) => [issuer, keys])),
    fetchText: (url, limits) => http.getText(url, limits),
  });
  const login = new TokenLogin({ ...base, issuers, verifier, review });
  teardown.add("tokens", () => login.close());
  return login;
}
