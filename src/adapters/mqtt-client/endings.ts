/** How a client's connection ends, in words, and whether trying again may help. */
import { LIMITS } from "../../base/mod.ts";
import type { CloseCause } from "../../queue/mod.ts";
import { REASON } from "../../wire/mqtt/mod.ts";
import type { ProtocolVersion } from "../../wire/mqtt/mod.ts";

export type ConnectionEnd =
  | { readonly kind: "closed"; readonly cause: CloseCause; readonly phase: "opening" | "greeting" | "online" }
  /** What answers the WebSocket's request says no, with a status of HTTP. */
  | { readonly kind: "not-upgraded"; readonly status: number; readonly detail: string }
  | {
      readonly kind: "not-let-in";
      readonly version: ProtocolVersion;
      readonly code: number;
      readonly said: string | null;
    }
  | { readonly kind: "dismissed"; readonly code: number; readonly said: string | null }
  | { readonly kind: "fault"; readonly detail: string }
  | { readonly kind: "timeout"; readonly of: "opening" | "greeting" | "ping" }
  /** We said goodbye. */
  | { readonly kind: "left" };

export class MqttFailure extends Error {
  readonly end: ConnectionEnd;

  constructor(end: ConnectionEnd) {
    super(describeEnd(end));
    this.name = "MqttFailure";
    this.end = end;
  }
}

/** Return codes of MQTT 3.1.1, section 3.2.2.3 there, as the reason codes of 5.0 that say the same. */
const V3: readonly number[] = [
  REASON.success,
  REASON.unsupportedProtocolVersion,
  REASON.clientIdentifierNotValid,
  REASON.serverUnavailable,
  REASON.badUserNameOrPassword,
  REASON.notAuthorized,
];

export function codeOf({ version, code }: { readonly version: ProtocolVersion; readonly code: number }): number {
  return version === 4 ? (V3[code] ?? code) : code;
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(REASON).map(([name, code]) => [code, name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)]),
);

/** `not authorized (0x87)`. */
export function reasonName(code: number): string {
  const hex = `0x${code.toString(16).padStart(2, "0")}`;
  const name = NAMES.get(code);
  return name === undefined ? hex : `${name.replace("qo s", "QoS")} (${hex})`;
}

const WAITED: Readonly<Record<Extract<ConnectionEnd, { kind: "timeout" }>["of"], string>> = {
  opening: `nobody answered within ${LIMITS.mqtt.connectTimeout / 1000} s`,
  greeting: `it took the connection and did not answer CONNECT within ${LIMITS.mqtt.connectTimeout / 1000} s: is it an MQTT listener?`,
  ping: "a ping was not answered: the connection is dead",
};

export function describeEnd(end: ConnectionEnd): string {
  switch (end.kind) {
    case "closed":
      return end.phase === "greeting" && (end.cause.kind === "reset" || end.cause.kind === "ended")
        ? "it closed the connection without an answer to CONNECT, as it does with a certificate that it does not know, or with none"
        : CLOSED[end.cause.kind](end.cause.detail);
    case "not-upgraded":
      return `${end.detail} (status ${end.status})`;
    case "not-let-in":
      return withText(reasonName(codeOf(end)), end.said);
    case "dismissed":
      return withText(reasonName(end.code), end.said);
    case "fault":
      return `what answers does not keep to MQTT: ${end.detail}`;
    case "timeout":
      return WAITED[end.of];
    case "left":
      return "the connection was ended here";
  }
}

const CLOSED: Readonly<Record<CloseCause["kind"], (detail: string) => string>> = {
  unresolved: (detail) => `the name does not resolve (${detail})`,
  unreachable: (detail) => `there is no way to it (${detail})`,
  refused: () => "nobody listens there",
  "server-certificate": (detail) => `its certificate is not to be trusted (${detail})`,
  // OpenSSL's words for it help nobody.
  "client-certificate": () => "it asks for a client's certificate that it knows, and none of these came",
  credentials: (detail) => `the key, certificate or CA cannot be used (${detail})`,
  tls: (detail) => `the TLS handshake failed (${detail})`,
  reset: (detail) => `the connection broke (${detail})`,
  ended: () => "it closed the connection",
};

function withText(name: string, said: string | null): string {
  return said === null || said === "" ? name : `${name}: ${said.replace(/\.$/, "")}`;
}

const PASSING: ReadonlySet<number> = new Set([
  REASON.unspecifiedError,
  REASON.serverUnavailable,
  REASON.serverBusy,
  REASON.serverShuttingDown,
  REASON.keepAliveTimeout,
  REASON.messageRateTooHigh,
  REASON.connectionRateExceeded,
  REASON.maximumConnectTime,
]);

/** Whether it would end like this again, however often it is tried. */
export function isLasting(end: ConnectionEnd): boolean {
  switch (end.kind) {
    case "closed":
      return ["server-certificate", "client-certificate", "credentials"].includes(end.cause.kind);
    case "not-upgraded":
      return end.status < 500;
    case "not-let-in":
      return !PASSING.has(codeOf(end));
    case "dismissed":
      return !PASSING.has(end.code);
    case "fault":
    case "left":
      return true;
    case "timeout":
      return false;
  }
}
