/** Enhanced authentication and re-authentication with AUTH (MQTT 5.0 sections 3.15 and 4.12). */
import type { Millis } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { AuthPacket, ConnectPacket } from "../wire/mqtt/mod.ts";
import { answer } from "./answers.ts";
import type { Connection } from "./connection.ts";
import { endsAt } from "./expiries.ts";
import type { AuthenticationExchange, AuthenticationStep } from "./ports.ts";
import { refuseConnect } from "./refuse-connect.ts";
import { dropRevoked, welcome } from "./welcome.ts";

/** How a client proves who it is, from CONNECT to the end of its connection. */
export interface Authentication {
  readonly method: string;
  /** What CONNECT asked for; who authenticates anew asks for the same. */
  connect: ConnectPacket;
  /** Null between exchanges. */
  exchange: AuthenticationExchange | null;
  /** Since when the exchange is under way, and how many steps it has taken. */
  since: Millis;
  steps: number;
  /** Null until the first exchange has succeeded. */
  principal: string | null;
}

/** A CONNECT that names an authentication method. */
export function beginAuthentication(connection: Connection, connect: ConnectPacket): void {
  const { core, peer } = connection;
  const method = connect.authenticationMethod!;
  const exchange = core.options.gatekeeper.authenticate?.(peer, connect) ?? null;
  if (exchange === null) {
    const detail = "the authentication method is not known here"; // [MQTT-4.12.0-1]
    refuseConnect(connection, REASON.badAuthenticationMethod, "connect-refused", detail, {
      clientId: connect.clientId,
    });
    return;
  }
  const { authenticationData } = connect;
  const kept = { ...connect, password: null, authenticationData: null, userProperties: [] };
  connection.state = "authenticating";
  connection.authentication = { method, connect: kept, exchange, since: core.now(), steps: 0, principal: null };
  step(connection, connection.authentication, authenticationData);
}

/** AUTH of a client: it goes on, or begins anew. */
export function acceptAuth(connection: Connection, packet: AuthPacket): void {
  const { authentication, core } = connection;
  if (authentication === null) {
    fail(connection, REASON.protocolError, "AUTH on a connection without an authentication method"); // [MQTT-4.12.0-7]
    return;
  }
  if (packet.authenticationMethod !== authentication.method) {
    fail(connection, REASON.protocolError, "AUTH names another method than CONNECT"); // [MQTT-4.12.0-5], [MQTT-4.12.1-1]
    return;
  }
  if (packet.reasonCode === REASON.reAuthenticate && authentication.exchange === null) {
    authentication.exchange = core.options.gatekeeper.authenticate?.(connection.peer, authentication.connect) ?? null;
    authentication.since = core.now();
    authentication.steps = 0;
  } else if (packet.reasonCode !== REASON.continueAuthentication) {
    fail(connection, REASON.protocolError, "AUTH with a reason code that is not due"); // [MQTT-4.12.0-3]
    return;
  }
  if (authentication.exchange === null) fail(connection, REASON.protocolError, "AUTH that nobody has asked for");
  else step(connection, authentication, packet.authenticationData);
}

function step(connection: Connection, authentication: Authentication, data: Uint8Array | null): void {
  const { authenticationStepsMax } = connection.core.limits;
  if (++authentication.steps > authenticationStepsMax) {
    connection.core.reached.count("authenticationStepsMax");
    fail(connection, REASON.quotaExceeded, `more than ${authenticationStepsMax} steps in one authentication`);
    return;
  }
  connection.intake.whenKnown(authentication.exchange!.step(data), (answer) =>
    stepped(connection, authentication, answer),
  );
}

function stepped(connection: Connection, authentication: Authentication, answer: AuthenticationStep): void {
  const { method } = authentication;
  if (answer.kind === "failed") {
    fail(connection, answer.reasonCode, answer.reason);
  } else if (answer.kind === "continue") {
    tell(connection, REASON.continueAuthentication, method, answer.data); // [MQTT-4.12.0-2]
  } else if (authentication.principal === null) {
    authentication.exchange = null;
    authentication.principal = answer.principal;
    welcome(connection, authentication.connect, answer.admission, answer.data);
  } else {
    authenticatedAnew(connection, authentication, answer);
  }
}

/** Until here the connection had its old rights. */
function authenticatedAnew(
  connection: Connection,
  authentication: Authentication,
  answer: AuthenticationStep & { readonly kind: "authenticated" },
): void {
  authentication.exchange = null;
  if (!answer.admission.admitted) {
    fail(connection, answer.admission.reasonCode, answer.admission.reason);
  } else if (answer.principal !== authentication.principal) {
    fail(connection, REASON.notAuthorized, "a live connection cannot become somebody else's");
  } else {
    connection.becomes(answer.admission.authorizer);
    endsAt(connection, answer.admission.expiresAt);
    dropRevoked(connection, connection.session!);
    tell(connection, REASON.success, authentication.method, answer.data);
  }
}

function tell(connection: Connection, reasonCode: number, method: string, data: Uint8Array | null): void {
  const packet = { reasonCode, authenticationMethod: method, authenticationData: data }; // [MQTT-4.12.0-5]
  answer(connection, null, (out) => out.auth(packet)); // no words of ours [MQTT-3.15.2-2]
}

/** [MQTT-4.12.0-4], [MQTT-4.12.1-2] */
function fail(connection: Connection, reasonCode: number, reason: string): void {
  const kind = reasonCode === REASON.protocolError ? "protocol-error" : "authentication-failed";
  if (connection.state !== "connected") {
    const { connect } = connection.authentication!;
    refuseConnect(connection, reasonCode, kind, reason, { clientId: connect.clientId });
    return;
  }
  const cause = kind === "protocol-error" ? "CLIENT_ERROR" : "AUTH_ERROR";
  // CONNACK has codes for who one is that DISCONNECT has not.
  connection.refuse(kind, DISCONNECT_HAS.has(reasonCode) ? reasonCode : REASON.notAuthorized, cause, reason);
}

const DISCONNECT_HAS: ReadonlySet<number> = new Set([
  REASON.unspecifiedError,
  REASON.protocolError,
  REASON.implementationSpecificError,
  REASON.notAuthorized,
  REASON.serverBusy,
  REASON.quotaExceeded,
]);

/** A client that stops in the middle of an exchange is not waited for. */
export function authenticationOverdue(connection: Connection, now: Millis): boolean {
  const { authentication } = connection;
  if (authentication === null || authentication.exchange === null) return false;
  return now - authentication.since >= connection.core.limits.connectTimeout;
}

export function endOverdue(connection: Connection): void {
  const detail = `the authentication was not finished within ${connection.core.limits.connectTimeout / 1000} s`;
  if (connection.state === "connected") {
    connection.refuse("authentication-timeout", REASON.notAuthorized, "AUTH_ERROR", detail);
  } else refuseConnect(connection, REASON.notAuthorized, "authentication-timeout", detail);
}
